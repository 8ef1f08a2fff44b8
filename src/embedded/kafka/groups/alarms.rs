//! When to look at which group.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use super::group::Moment;

/// Entries that may be left over before they are cleared out, beyond as many as count.
const LEFT_OVER: usize = 1_000;

/// One alarm a group: the earliest it was set to. Setting an earlier one leaves the later entry behind, which is
/// ignored when its time comes.
#[derive(Debug, Default)]
pub struct Alarms {
    entries: BinaryHeap<Reverse<(Moment, String)>>,
    counting: HashMap<String, Moment>,
}

impl Alarms {
    /// Has a group looked at by `at` at the latest. Its alarm may go off earlier: it isn't moved for each heartbeat.
    pub fn set(&mut self, group: &str, at: Moment) {
        match self.counting.get_mut(group) {
            Some(earlier) if *earlier <= at => return,
            Some(later) => *later = at,
            None => {
                self.counting.insert(group.to_owned(), at);
            }
        }
        self.entries.push(Reverse((at, group.to_owned())));
        if self.entries.len() > 2 * self.counting.len() + LEFT_OVER {
            let counting = &self.counting;
            self.entries.retain(|Reverse((at, group))| counting.get(group) == Some(at));
        }
    }

    /// A group is gone.
    pub fn forget(&mut self, group: &str) {
        self.counting.remove(group);
    }

    /// The next group whose alarm has gone off by `now`; it has none from here on.
    pub fn next(&mut self, now: Moment) -> Option<String> {
        while self.deadline().is_some_and(|at| at <= now) {
            let Reverse((at, group)) = self.entries.pop()?;
            if self.counting.get(&group) == Some(&at) {
                self.counting.remove(&group);
                return Some(group);
            }
        }
        None
    }

    /// When the next alarm goes off.
    pub fn deadline(&self) -> Option<Moment> {
        self.entries.peek().map(|Reverse((at, _))| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Moment {
        Moment::from_secs(seconds)
    }

    #[test]
    fn the_earliest_alarm_of_a_group_counts_once() {
        let mut alarms = Alarms::default();
        alarms.set("a", seconds(5));
        alarms.set("b", seconds(4));
        alarms.set("a", seconds(3));
        alarms.set("a", seconds(9));
        assert_eq!(alarms.deadline(), Some(seconds(3)));
        assert_eq!(alarms.next(seconds(2)), None);
        assert_eq!(alarms.next(seconds(10)).as_deref(), Some("a"));
        assert_eq!(alarms.next(seconds(10)).as_deref(), Some("b"));
        assert_eq!(alarms.next(seconds(10)), None);
        assert_eq!(alarms.deadline(), None);
    }

    #[test]
    fn groups_that_come_and_go_leave_little_behind() {
        let mut alarms = Alarms::default();
        for at in 0..100_000 {
            alarms.set("a", seconds(at));
            alarms.forget("a");
        }
        assert!(alarms.entries.len() <= LEFT_OVER + 2);
        assert_eq!(alarms.next(seconds(200_000)), None);
    }
}
