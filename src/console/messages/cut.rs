//! A place between the records of a topic: an offset in each of its partitions. What is before it and what is behind it
//! don't change as the topic grows, so an address that holds one shows the same tomorrow.

use std::fmt::{self, Display, Formatter};

/// Offsets of the partitions, in their order; a partition that is not in it yet begins at 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cut(pub Vec<i64>);

impl Cut {
    /// Reads what [`Display`] writes.
    pub fn parse(text: &str) -> Option<Self> {
        let offsets = text.split('.').map(|offset| {
            let digits = !offset.is_empty() && offset.bytes().all(|byte| byte.is_ascii_alphanumeric());
            if digits { i64::from_str_radix(offset, 36).ok() } else { None }
        });
        offsets.collect::<Option<_>>().map(Self)
    }

    /// The offset in the partition at this place, within these bounds.
    pub fn at(&self, place: usize, start: i64, end: i64) -> i64 {
        self.0.get(place).copied().unwrap_or(0).clamp(start, end.max(start))
    }
}

impl Display for Cut {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (place, offset) in self.0.iter().enumerate() {
            if place > 0 {
                f.write_str(".")?;
            }
            f.write_str(&base36(*offset))?;
        }
        Ok(())
    }
}

/// Offsets are never negative.
fn base36(offset: i64) -> String {
    let (mut rest, mut digits) = (offset.max(0).unsigned_abs(), Vec::new());
    loop {
        digits.push(b"0123456789abcdefghijklmnopqrstuvwxyz"[(rest % 36) as usize]);
        rest /= 36;
        if rest == 0 {
            break;
        }
    }
    digits.iter().rev().map(|digit| char::from(*digit)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(offsets in prop::collection::vec(0..i64::MAX, 1..20)) {
            let cut = Cut(offsets);
            prop_assert_eq!(Cut::parse(&cut.to_string()), Some(cut));
        }

        #[test]
        fn anything_else_is_refused_or_read(text in ".{0,30}") {
            if let Some(cut) = Cut::parse(&text) {
                prop_assert!(cut.0.iter().all(|offset| *offset >= 0));
            }
        }
    }
}
