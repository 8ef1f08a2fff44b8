//! What happened between two looks: rebalances, records written and read.

use std::collections::{BTreeMap, VecDeque};

use schemars::JsonSchema;
use serde::Serialize;

use super::Snapshot;
use crate::kafka::admin::groups::{Group, Member};
use crate::kafka::admin::topics::Topic;

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

/// The changes that are remembered, newest last.
#[derive(Debug, Default)]
pub struct Trail(VecDeque<Change>);

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
        }
    }

    fn push(&mut self, change: Change) {
        let mut of_it = self.0.iter().enumerate().filter(|(_, known)| known.group == change.group);
        let oldest = of_it.next().map(|(at, _)| at);
        if let Some(oldest) = oldest.filter(|_| of_it.count() + 1 >= CHANGES_OF_ONE) {
            self.0.remove(oldest);
        }
        if self.0.len() >= CHANGES {
            self.0.pop_front();
        }
        self.0.push_back(change);
    }

    /// The newest changes, of all groups or of one, newest first.
    pub fn newest<'a>(&'a self, group: Option<&'a str>) -> impl Iterator<Item = &'a Change> {
        self.0.iter().rev().filter(move |change| group.is_none_or(|group| change.group == group))
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

/// Records that a group has committed past between two looks, by topic.
pub(super) fn read_between<'a>(before: &Group, after: &'a Group) -> impl Iterator<Item = (&'a str, i64)> {
    // Both are in the order of topics and partitions.
    let mut earlier = before.positions.iter().peekable();
    after.positions.iter().filter_map(move |position| {
        let key = (&position.topic, position.partition);
        while earlier.next_if(|earlier| (&earlier.topic, earlier.partition) < key).is_some() {}
        let earlier = earlier.next_if(|earlier| (&earlier.topic, earlier.partition) == key)?;
        let read = position.committed? - earlier.committed?;
        (read > 0).then_some((position.topic.as_str(), read))
    })
}

/// Records that were written to a topic between two looks; none where it was made anew.
pub(super) fn written_between(before: &Topic, after: &Topic) -> i64 {
    let written = after.partitions.iter().filter_map(|partition| {
        let earlier = before.partition(partition.partition);
        // A partition that is new began with nothing.
        let earlier = earlier.map_or(Some(0), |earlier| earlier.latest)?;
        Some((partition.latest? - earlier).max(0))
    });
    written.sum()
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
        assert_eq!(written_between(&topic("t", &[0..100, 0..7]), &topic("t", &[0..5, 0..9, 0..3])), 5);
    }
}
