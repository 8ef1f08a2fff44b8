//! The states of a batch while it is computed.

use std::collections::BTreeMap;

use super::{Announcement, Cause, Stored, Waiting, Wake, Write};
use crate::processor::contract::{Index, Processor, States};

/// The states of a batch as they become.
pub struct Work<S> {
    /// The states.
    pub states: States<S>,
    /// Keys whose states may have changed, each with what changed it last.
    pub touched: BTreeMap<String, Cause>,
    /// What was said about when keys are woken.
    pub wakes: BTreeMap<String, Option<Wake>>,
    /// Records that wait for their turn, by key.
    pub waiting: BTreeMap<String, Vec<Waiting>>,
}

impl<S: Clone + Default + PartialEq> Work<S> {
    /// As they are stored.
    pub fn new(stored: &BTreeMap<String, Stored<S>>) -> Self {
        let mut states: States<S> = States::default();
        for (key, stored) in stored {
            states.get_mut(key).clone_from(&stored.state);
        }
        let waiting = stored.iter().filter(|(_, stored)| !stored.waiting.is_empty());
        let waiting = waiting.map(|(key, stored)| (key.clone(), stored.waiting.clone())).collect();
        Self { states, touched: BTreeMap::new(), wakes: BTreeMap::new(), waiting }
    }

    /// Notes that the states of `keys` may have changed because of `cause`.
    pub fn touch(&mut self, keys: impl IntoIterator<Item = String>, cause: &Cause) {
        self.touched.extend(keys.into_iter().map(|key| (key, cause.clone())));
    }

    /// When `home` sees to `key` again, after it was woken.
    pub fn wake_of(&self, key: &str, home: &str) -> Option<i64> {
        self.wakes.get(key)?.as_ref().filter(|wake| wake.home == home).map(|wake| wake.at)
    }

    /// What differs from what is stored, in the order of the keys.
    pub fn finish<P: Processor<State = S>>(
        self,
        processor: &P,
        stored: &BTreeMap<String, Stored<S>>,
    ) -> (Vec<Write<S>>, Vec<Announcement>) {
        let (mut writes, mut announcements) = (Vec::new(), Vec::new());
        let nothing = Stored::default();
        for (key, cause) in self.touched {
            let before = stored.get(&key).unwrap_or(&nothing);
            let state = self.states.get(&key).clone();
            let wake = self.wakes.get(&key).cloned().unwrap_or_else(|| before.wake.clone());
            let waiting = self.waiting.get(&key).cloned().unwrap_or_default();
            let after = Stored { state, version: before.version + 1, wake, waiting };
            let changed = after.state != before.state;
            if !changed && after.wake == before.wake && after.waiting == before.waiting {
                continue;
            }
            let indexes = |state: &S| if *state == S::default() { Vec::new() } else { processor.indexes(&key, state) };
            let (was, is) = (indexes(&before.state), indexes(&after.state));
            let gone = |index: &&Index| !is.iter().any(|other| other.name == index.name);
            let remove = was.iter().filter(gone).map(|index| index.name.clone()).collect();
            let add = is.iter().filter(|index| !was.contains(index)).cloned().collect();
            let announced = changed.then(|| processor.announce(&key, &after.state)).flatten();
            announcements.extend(announced.map(|json| Announcement { json, trace: cause.span }));
            writes.push(Write {
                version: before.version,
                is_new: changed,
                woken: before.wake.clone(),
                lifetime: processor.lifetime(&key, &after.state),
                stored: after,
                add,
                remove,
                cause,
                key,
            });
        }
        (writes, announcements)
    }
}
