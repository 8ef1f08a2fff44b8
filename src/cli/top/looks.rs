//! Rates from some looks at a cluster.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::kafka::admin::groups::Group;
use crate::kafka::admin::topics::Topic;
use crate::kafka::watch::Snapshot;

/// How many milliseconds rates are told over. Consumers commit every five seconds unless told otherwise: over less, what they
/// read would be nothing, or all at once.
const OVER: i64 = 10_000;

/// The looks of the last ten seconds, and at least two.
#[derive(Default)]
pub struct Looks(VecDeque<Arc<Snapshot>>);

/// What is known of a topic or a group, then and now.
pub struct Between<'a, T> {
    /// As it was.
    pub before: &'a T,
    /// As it is.
    pub after: &'a T,
    seconds: f64,
}

impl<T> Between<'_, T> {
    /// How many a second these are.
    pub fn rate(&self, count: i64) -> f64 {
        count as f64 / self.seconds
    }
}

impl Looks {
    /// Takes note of a look; one that saw nothing changes nothing.
    pub fn add(&mut self, snapshot: Arc<Snapshot>) {
        if snapshot.taken_at == 0 || self.now().is_some_and(|now| now.taken_at >= snapshot.taken_at) {
            return;
        }
        while self.0.len() > 1 && self.0.front().is_some_and(|first| first.taken_at < snapshot.taken_at - OVER) {
            self.0.pop_front();
        }
        self.0.push_back(snapshot);
    }

    /// The last look.
    pub fn now(&self) -> Option<&Arc<Snapshot>> {
        self.0.back()
    }

    /// How many there are, up to those of ten seconds.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// How many seconds rates are told over now.
    pub fn seconds(&self) -> f64 {
        let (Some(first), Some(last)) = (self.0.front(), self.0.back()) else { return 0.0 };
        (last.taken_at - first.taken_at) as f64 / 1000.0
    }

    /// A topic now and when it was first seen in these looks, if it was in two.
    pub fn topic(&self, name: &str) -> Option<Between<'_, Topic>> {
        self.between(|look| look.topics.get(name))
    }

    /// The same of a group.
    pub fn group(&self, name: &str) -> Option<Between<'_, Group>> {
        self.between(|look| look.groups.get(name).filter(|group| group.problem.is_none()))
    }

    fn between<'a, T>(&'a self, find: impl Fn(&'a Snapshot) -> Option<&'a T>) -> Option<Between<'a, T>> {
        let now = self.now()?;
        let (then, before) = self.0.iter().find_map(|look| Some((look.taken_at, find(look)?)))?;
        let seconds = (now.taken_at - then) as f64 / 1000.0;
        (seconds > 0.0).then_some(Between { before, after: find(now)?, seconds })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::watch::testing::{at, topic};

    fn look(taken_at: i64, end: i64) -> Arc<Snapshot> {
        Arc::new(at(taken_at, [topic("t", std::slice::from_ref(&(0..end)))], []))
    }

    fn ends(looks: &Looks) -> Option<(i64, i64, f64)> {
        let Between { before, after, seconds } = looks.topic("t")?;
        Some((before.messages()?, after.messages()?, seconds))
    }

    #[test]
    fn rates_are_told_over_ten_seconds_and_over_two_looks_at_least() {
        let mut looks = Looks::default();
        looks.add(look(1_000, 5));
        assert_eq!(ends(&looks), None, "one look has no rate");
        (2..=30).for_each(|second| looks.add(look(second * 1_000, second * 5)));
        assert_eq!(ends(&looks), Some((100, 150, 10.0)));
        looks.add(look(90_000, 400));
        assert_eq!(ends(&looks), Some((150, 400, 60.0)), "nothing was seen for a minute");
        looks.add(look(91_000, 500));
        assert_eq!(ends(&looks), Some((400, 500, 1.0)));
    }

    #[test]
    fn what_came_later_is_told_since_then() {
        let mut looks = Looks::default();
        looks.add(Arc::new(at(1_000, [], [])));
        looks.add(look(3_000, 10));
        assert!(looks.topic("t").is_none());
        looks.add(look(5_000, 30));
        assert_eq!(ends(&looks), Some((10, 30, 2.0)));
    }

    #[test]
    fn a_look_that_saw_nothing_changes_nothing() {
        let mut looks = Looks::default();
        looks.add(Arc::new(Snapshot::default()));
        assert!(looks.now().is_none());
        looks.add(look(1_000, 5));
        looks.add(look(1_000, 9));
        assert_eq!(looks.count(), 1);
    }
}
