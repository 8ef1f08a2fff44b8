//! What happened between two looks: rebalances, records written and read.

use std::collections::{BTreeMap, HashMap, VecDeque};

use schemars::JsonSchema;
use serde::Serialize;

use super::Snapshot;
use crate::kafka::admin::groups::{Group, Member, is_rebalancing};
use crate::kafka::admin::positions::Position;
use crate::kafka::admin::topics::{Partition, Topic};

/// Changes that are remembered of all groups together.
const CHANGES: usize = 2_000;
/// Changes that are remembered of one group.
const CHANGES_OF_ONE: usize = 50;
/// Members named in one change; more are counted.
const NAMED: usize = 20;

/// A change of a group's state, members or assignment. A rebalance that began and ended between two looks is seen by what
/// it changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Change {
    /// When it was noticed, in milliseconds since the epoch.
    pub at: i64,
    /// The group.
    pub group: String,
    /// Its state before; `None` when it was not there.
    pub from: Option<String>,
    /// Its state then; `None` when it is gone.
    pub to: Option<String>,
    /// Members that came, as `client at host`.
    pub joined: Vec<String>,
    /// Members that left.
    pub left: Vec<String>,
    /// How many members there were then.
    pub members: usize,
    /// How many partitions have another reader, or none, or one for the first time.
    pub moved: usize,
}

impl Change {
    /// Whether a rebalance began, or was over before it was seen: what changes in the course of one is part of it.
    pub fn is_rebalance(&self) -> bool {
        let was_rebalancing = self.from.as_deref().is_some_and(is_rebalancing);
        let began = self.to.as_deref().is_some_and(is_rebalancing);
        !was_rebalancing && (began || !self.joined.is_empty() || !self.left.is_empty() || self.moved > 0)
    }
}

/// How often a group was rebalanced since the first look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rebalances {
    /// How often.
    pub count: usize,
    /// When that was noticed for the last time, in milliseconds since the epoch.
    pub last: Option<i64>,
}

/// The changes that are remembered, newest last.
#[derive(Debug, Default)]
pub struct Trail {
    changes: VecDeque<Change>,
    rebalances: HashMap<String, Rebalances>,
}

impl Trail {
    pub(super) fn add(&mut self, before: &Snapshot, after: &Snapshot) {
        if before.taken_at == 0 {
            return;
        }
        for (name, group) in &after.groups {
            let change = change(after.taken_at, before.groups.get(name), Some(group));
            change.into_iter().for_each(|change| self.push(change));
        }
        for group in before.groups.iter().filter(|(name, _)| !after.groups.contains_key(*name)).map(|(_, group)| group)
        {
            change(after.taken_at, Some(group), None).into_iter().for_each(|change| self.push(change));
            self.rebalances.remove(&group.group);
        }
    }

    fn push(&mut self, change: Change) {
        if change.is_rebalance() {
            let seen = self.rebalances.entry(change.group.clone()).or_default();
            *seen = Rebalances { count: seen.count + 1, last: Some(change.at) };
        }
        let mut of_it = self.changes.iter().enumerate().filter(|(_, known)| known.group == change.group);
        let oldest = of_it.next().map(|(at, _)| at);
        if let Some(oldest) = oldest.filter(|_| of_it.count() + 1 >= CHANGES_OF_ONE) {
            self.changes.remove(oldest);
        }
        if self.changes.len() >= CHANGES {
            self.changes.pop_front();
        }
        self.changes.push_back(change);
    }

    /// The newest changes, of all groups or of one, newest first.
    pub fn newest<'a>(&'a self, group: Option<&'a str>) -> impl Iterator<Item = &'a Change> {
        self.changes.iter().rev().filter(move |change| group.is_none_or(|group| change.group == group))
    }

    /// How often a group was rebalanced.
    pub fn rebalances(&self, group: &str) -> Rebalances {
        self.rebalances.get(group).copied().unwrap_or_default()
    }
}

fn change(at: i64, before: Option<&Group>, after: Option<&Group>) -> Option<Change> {
    if before.or(after)?.problem.is_some() || after.is_some_and(|group| group.problem.is_some()) {
        return None;
    }
    let members = |group: Option<&Group>| -> BTreeMap<String, String> {
        let named = |member: &Member| (member.member.clone(), format!("{} at {}", member.client, member.host));
        group.map(|group| group.members.iter().map(named).collect()).unwrap_or_default()
    };
    let (then, now) = (members(before), members(after));
    let only = |these: &BTreeMap<String, String>, others: &BTreeMap<String, String>| -> Vec<String> {
        these.iter().filter(|(id, _)| !others.contains_key(*id)).map(|(_, name)| name.clone()).take(NAMED).collect()
    };
    let state = |group: Option<&Group>| group.map(|group| group.state.clone());
    let change = Change {
        at,
        group: before.or(after)?.group.clone(),
        from: state(before),
        to: state(after),
        joined: only(&now, &then),
        left: only(&then, &now),
        members: now.len(),
        moved: moved(before, after),
    };
    // That someone committed something is no rebalance.
    if before.is_none() && now.is_empty() {
        return None;
    }
    let is_one = change.from != change.to || !change.joined.is_empty() || !change.left.is_empty() || change.moved > 0;
    is_one.then_some(change)
}

fn moved(before: Option<&Group>, after: Option<&Group>) -> usize {
    let readers = |group: Option<&Group>| -> BTreeMap<(String, i32), String> {
        let members = group.map(|group| group.members.as_slice()).unwrap_or_default();
        let assigned = members.iter().flat_map(|member| {
            let topics = member.partitions.iter();
            topics.flat_map(|(topic, numbers)| numbers.iter().map(|n| ((topic.clone(), *n), member.member.clone())))
        });
        assigned.collect()
    };
    let (then, now) = (readers(before), readers(after));
    let taken = now.iter().filter(|(partition, member)| then.get(*partition) != Some(member)).count();
    taken + then.keys().filter(|partition| !now.contains_key(*partition)).count()
}

/// Records that a group has committed past between two looks, by partition.
pub fn read_between<'a>(before: &Group, after: &'a Group) -> impl Iterator<Item = (&'a Position, i64)> {
    // Without members nobody reads: then it was set.
    let is_read = !before.members.is_empty() || !after.members.is_empty();
    // Both are in the order of topics and partitions.
    let mut earlier = before.positions.iter().peekable();
    after.positions.iter().filter(move |_| is_read).filter_map(move |position| {
        let key = (&position.topic, position.partition);
        while earlier.next_if(|earlier| (&earlier.topic, earlier.partition) < key).is_some() {}
        let earlier = earlier.next_if(|earlier| (&earlier.topic, earlier.partition) == key)?;
        let read = position.committed? - earlier.committed?;
        (read > 0).then_some((position, read))
    })
}

/// Records that were written to a topic between two looks, by partition; none where it was made anew.
pub fn written_between<'a>(before: &'a Topic, after: &'a Topic) -> impl Iterator<Item = (&'a Partition, i64)> {
    after.partitions.iter().filter_map(|partition| {
        let earlier = before.partition(partition.partition);
        // A partition that is new began with nothing.
        let earlier = earlier.map_or(Some(0), |earlier| earlier.latest)?;
        Some((partition, (partition.latest? - earlier).max(0)))
    })
}

/// Bytes by which a topic grew between two looks, in those partitions that did; `None` where no size is known.
pub fn grown_between(before: &Topic, after: &Topic) -> Option<u64> {
    let grown = after.partitions.iter().filter_map(|partition| {
        let earlier = before.partition(partition.partition).map_or(Some(0), |earlier| earlier.size)?;
        Some(partition.size?.saturating_sub(earlier))
    });
    grown.reduce(|sum, bytes| sum + bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::watch::testing::{at, group, topic};

    fn member(id: &str, partitions: &[i32]) -> Member {
        let partitions = BTreeMap::from([("t".to_owned(), partitions.to_vec())]);
        Member { member: id.to_owned(), client: id.to_owned(), host: "127.0.0.1".to_owned(), partitions }
    }

    fn with(state: &str, members: Vec<Member>) -> Group {
        Group { state: state.to_owned(), members, ..group("g", false, &[]) }
    }

    #[test]
    fn a_rebalance_is_told_by_what_it_changed() {
        let before = with("Stable", vec![member("a", &[0, 1, 2])]);
        let after = with("Stable", vec![member("a", &[0]), member("b", &[1, 2])]);
        let seen = change(7, Some(&before), Some(&after)).unwrap();
        assert_eq!(
            (seen.joined, seen.left, seen.members, seen.moved),
            (vec!["b at 127.0.0.1".to_owned()], vec![], 2, 2)
        );
        let seen = change(7, Some(&after), Some(&with("Empty", vec![]))).unwrap();
        assert_eq!((seen.from.as_deref(), seen.to.as_deref()), (Some("Stable"), Some("Empty")));
        assert_eq!((seen.left.len(), seen.moved), (2, 3));
        assert_eq!(change(7, Some(&after), Some(&after)), None);
    }

    #[test]
    fn what_is_not_known_of_a_group_is_no_change() {
        let before = with("Stable", vec![member("a", &[0])]);
        let unknown = Group { problem: Some("no answer".to_owned()), ..with("Unknown", vec![]) };
        assert_eq!(change(7, Some(&before), Some(&unknown)), None);
        assert_eq!(change(7, Some(&unknown), Some(&before)), None);
    }

    #[test]
    fn one_restless_group_does_not_push_out_the_others() {
        let mut trail = Trail::default();
        let joined = with("Stable", vec![member("a", &[])]);
        let of = |group: &str, at| Change { group: group.to_owned(), ..change(at, None, Some(&joined)).unwrap() };
        trail.push(of("quiet", 1));
        (2..5_000).for_each(|at| trail.push(of("restless", at)));
        assert_eq!(trail.newest(Some("quiet")).count(), 1);
        assert_eq!(trail.newest(Some("restless")).count(), CHANGES_OF_ONE);
        assert_eq!(trail.newest(None).next().map(|change| change.at), Some(4_999));
        (0..3_000).for_each(|number| trail.push(of(&format!("g{number}"), 6_000)));
        assert_eq!(trail.newest(None).count(), CHANGES);
    }

    #[test]
    fn the_first_look_changes_nothing() {
        let mut trail = Trail::default();
        trail.add(&Snapshot::default(), &at(5_000, [], [with("Stable", vec![])]));
        assert_eq!(trail.newest(None).count(), 0);
        trail.add(&at(5_000, [], [with("Stable", vec![])]), &at(10_000, [], []));
        assert_eq!(trail.newest(None).next().and_then(|change| change.to.clone()), None);
    }

    #[test]
    fn a_topic_that_was_made_anew_was_not_written_backwards() {
        let (before, after) = (topic("t", &[0..100, 0..7]), topic("t", &[0..5, 0..9, 0..3]));
        let written: Vec<i64> = written_between(&before, &after).map(|(_, records)| records).collect();
        assert_eq!(written, [0, 2, 3]);
    }

    #[test]
    fn a_topic_grows_where_nothing_is_deleted() {
        let sized = |sizes: &[Option<u64>]| {
            let mut topic = topic("t", &vec![0..1; sizes.len()]);
            topic.partitions.iter_mut().zip(sizes).for_each(|(partition, size)| partition.size = *size);
            topic
        };
        let grown = |before: &[_], after: &[_]| grown_between(&sized(before), &sized(after));
        assert_eq!(grown(&[Some(100), Some(900)], &[Some(150), Some(40), Some(7)]), Some(57));
        assert_eq!(grown(&[Some(100), None], &[Some(150), Some(40)]), Some(50));
        assert_eq!(grown(&[None], &[None]), None);
    }

    #[test]
    fn a_rebalance_is_counted_once_whatever_was_seen_of_it() {
        let one = || vec![member("a", &[0, 1])];
        let two = || vec![member("a", &[0]), member("b", &[1])];
        let mut trail = Trail::default();
        let mut before = at(1_000, [], [with("Stable", one())]);
        for (time, state, members) in [
            (2_000, "PreparingRebalance", one()),
            (3_000, "CompletingRebalance", two()),
            (4_000, "Stable", two()),
            // This one was over before it was seen.
            (5_000, "Stable", one()),
            (6_000, "Stable", one()),
        ] {
            let after = at(time, [], [with(state, members)]);
            trail.add(&before, &after);
            before = after;
        }
        assert_eq!(trail.rebalances("g"), Rebalances { count: 2, last: Some(5_000) });
        trail.add(&before, &at(7_000, [], []));
        assert_eq!(trail.rebalances("g"), Rebalances::default(), "what is gone is forgotten");
    }
}
