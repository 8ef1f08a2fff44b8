//! A sum under each of many names, of which only so many are kept: names come from outside.

use std::collections::BTreeMap;
use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

/// The most names that are kept.
const LIMIT: usize = 200;
/// The name under which all the others are summed up.
pub const OTHERS: &str = "(others)";

/// Sums by name. Which names are kept must not depend on the order in which they come: it is those that come first in the
/// alphabet, and since one that is dropped has never been among them before, its whole sum has gone to [`OTHERS`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tally<T> {
    sums: BTreeMap<String, T>,
}

impl<T> Default for Tally<T> {
    fn default() -> Self {
        Self { sums: BTreeMap::new() }
    }
}

impl<T: AddAssign + Default> Tally<T> {
    /// Adds to the sum under `name`.
    pub fn add(&mut self, name: &str, amount: T) {
        match self.sums.get_mut(name) {
            Some(sum) => *sum += amount,
            None => {
                self.sums.insert(name.to_owned(), amount);
                self.keep_the_first();
            }
        }
    }

    /// The names with their sums, in the order of the alphabet.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &T)> {
        self.sums.iter().map(|(name, sum)| (name.as_str(), sum))
    }

    fn keep_the_first(&mut self) {
        let named = self.sums.len() - usize::from(self.sums.contains_key(OTHERS));
        if named > LIMIT
            && let Some(last) = self.sums.keys().rev().find(|name| *name != OTHERS).cloned()
            && let Some(sum) = self.sums.remove(&last)
        {
            *self.sums.entry(OTHERS.to_owned()).or_default() += sum;
        }
    }
}

impl<T: AddAssign + Default + Clone> AddAssign<&Tally<T>> for Tally<T> {
    fn add_assign(&mut self, other: &Tally<T>) {
        for (name, sum) in other.iter() {
            self.add(name, sum.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tally<'a>(names: impl IntoIterator<Item = &'a u16>) -> Tally<u64> {
        let mut tally = Tally::default();
        names.into_iter().for_each(|name| tally.add(&format!("/{name}"), 1));
        tally
    }

    proptest! {
        #[test]
        fn a_tally_is_bounded_and_does_not_depend_on_the_order(
            (names, shuffled) in prop::collection::vec(0..600_u16, 0..900).prop_flat_map(|names| {
                (Just(names.clone()), Just(names).prop_shuffle())
            })
        ) {
            let (one, other) = (tally(&names), tally(&shuffled));
            prop_assert!(one.iter().count() <= LIMIT + 1);
            prop_assert_eq!(one.iter().map(|(_, sum)| *sum).sum::<u64>(), names.len() as u64);
            prop_assert_eq!(one, other);
        }
    }
}
