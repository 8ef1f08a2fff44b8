//! Where a reset takes a group, decided without touching anything.

use std::ops::Range;

use serde::Serialize;

/// Where to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// To the first record that is there.
    Earliest,
    /// Behind the last record.
    Latest,
    /// To the first record at or after this time (ms).
    Time(i64),
    /// To this offset.
    Offset(i64),
    /// So many records on, or back if negative.
    By(i64),
}

/// What a reset does to one partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Move {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The committed offset now.
    pub before: Option<i64>,
    /// The committed offset then; `None` when it can't be moved.
    pub after: Option<i64>,
    /// Offsets that will be read once more (negative) or never (positive).
    pub change: Option<i64>,
    /// Why it can't be moved, or not to where it was asked to.
    pub note: Option<&'static str>,
}

impl Move {
    /// Decides for a partition that is committed at `before` and holds `range`; `at_time` is where a target in time
    /// lies in it.
    pub fn new(
        topic: &str,
        partition: i32,
        target: Target,
        before: Option<i64>,
        range: Option<&Range<i64>>,
        at_time: Option<i64>,
    ) -> Self {
        let (after, note) = match range {
            None => (None, Some("no leader; stays where it is")),
            Some(range) => destination(target, before, range, at_time),
        };
        let change = before.zip(after).map(|(before, after)| after.saturating_sub(before));
        Self { topic: topic.to_owned(), partition, before, after, change, note }
    }

    /// Whether there is anything to commit.
    pub fn is_due(&self) -> bool {
        self.after.is_some() && self.after != self.before
    }
}

fn destination(
    target: Target,
    before: Option<i64>,
    range: &Range<i64>,
    at_time: Option<i64>,
) -> (Option<i64>, Option<&'static str>) {
    let wanted = match (target, before) {
        (Target::Earliest, _) => range.start,
        (Target::Latest, _) => range.end,
        (Target::Time(_), _) => at_time.unwrap_or(range.end),
        (Target::Offset(offset), _) => offset,
        (Target::By(records), Some(before)) => before.saturating_add(records),
        (Target::By(_), None) => return (None, Some("nothing committed to count from; stays so")),
    };
    let note = match wanted {
        wanted if wanted < range.start => Some("stops at the log's start"),
        wanted if wanted > range.end => Some("stops at the log's end"),
        wanted if matches!(target, Target::Time(_)) && wanted == range.end => {
            Some("no record so late; goes to the end")
        }
        _ => None,
    };
    (Some(wanted.clamp(range.start, range.end)), note)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn after(target: Target, before: Option<i64>) -> Option<i64> {
        Move::new("t", 0, target, before, Some(&(10..100)), Some(50)).after
    }

    #[test]
    fn each_target_goes_where_it_says() {
        assert_eq!(after(Target::Earliest, Some(40)), Some(10));
        assert_eq!(after(Target::Latest, Some(40)), Some(100));
        assert_eq!(after(Target::Time(0), Some(40)), Some(50));
        assert_eq!(after(Target::Offset(77), None), Some(77));
        assert_eq!(after(Target::By(-7), Some(40)), Some(33));
        assert_eq!(after(Target::By(-7), None), None);
    }

    #[test]
    fn the_change_counts_records_read_again_and_records_skipped() {
        let change = |before| Move::new("t", 0, Target::Offset(50), before, Some(&(10..100)), None).change;
        assert_eq!((change(Some(80)), change(Some(20)), change(None)), (Some(-30), Some(30), None));
    }

    #[test]
    fn a_partition_without_a_leader_stays() {
        let stays = Move::new("t", 0, Target::Earliest, Some(4), None, None);
        assert!(!stays.is_due());
        assert!(stays.note.is_some());
    }

    proptest! {
        #[test]
        fn no_target_leaves_the_log(
            (start, length) in (0..1000_i64, 0..1000_i64),
            before in proptest::option::of(any::<i64>()),
            number in any::<i64>(),
            at_time in proptest::option::of(0..1000_i64),
        ) {
            let range = start..start + length;
            let at_time = at_time.map(|at| at.clamp(range.start, range.end));
            let targets = [
                Target::Earliest, Target::Latest, Target::Time(number), Target::Offset(number), Target::By(number),
            ];
            for target in targets {
                let moved = Move::new("t", 0, target, before, Some(&range), at_time);
                match moved.after {
                    Some(after) => prop_assert!(range.start <= after && after <= range.end),
                    None => prop_assert!(before.is_none() && matches!(target, Target::By(_))),
                }
            }
        }
    }
}
