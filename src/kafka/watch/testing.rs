//! Clusters as tests need them.

use std::ops::Range;
use std::sync::{Arc, RwLock};

use super::{Past, Snapshot, Watch};
use crate::kafka::admin::groups::{Broker, Group, Member};
use crate::kafka::admin::positions::Position;
use crate::kafka::admin::topics::{Partition, Topic};

/// A cluster that was looked at at `taken_at`.
pub fn at(taken_at: i64, topics: impl IntoIterator<Item = Topic>, groups: impl IntoIterator<Item = Group>) -> Snapshot {
    Snapshot {
        taken_at,
        topics: topics.into_iter().map(|topic| (topic.name.clone(), topic)).collect(),
        groups: groups.into_iter().map(|group| (group.group.clone(), group)).collect(),
        ..Snapshot::default()
    }
}

/// A topic whose partitions hold these offsets.
pub fn topic(name: &str, ranges: &[Range<i64>]) -> Topic {
    let partition = |(number, range): (i32, &Range<i64>)| Partition {
        partition: number,
        leader: Some(1),
        replicas: vec![1],
        isr: vec![1],
        earliest: Some(range.start),
        latest: Some(range.end),
        size: Some(0),
    };
    Topic { name: name.to_owned(), internal: false, partitions: (0..).zip(ranges).map(partition).collect() }
}

/// A group with a member or without, at these places: topic, partition, committed, end.
pub fn group(name: &str, has_member: bool, positions: &[(&str, i32, Option<i64>, i64)]) -> Group {
    let member = Member {
        member: "member-1".to_owned(),
        client: "client".to_owned(),
        host: "127.0.0.1".to_owned(),
        partitions: Default::default(),
    };
    let position = |(topic, partition, committed, end): &(&str, i32, Option<i64>, i64)| Position {
        topic: (*topic).to_owned(),
        partition: *partition,
        committed: *committed,
        earliest: Some(0),
        end: Some(*end),
        lag: committed.map(|committed| end - committed),
        ..Position::default()
    };
    Group {
        group: name.to_owned(),
        state: if has_member { "Stable" } else { "Empty" }.to_owned(),
        kind: "classic".to_owned(),
        coordinator: Broker { id: 1, address: "127.0.0.1:9092".to_owned() },
        assignor: None,
        members: has_member.then_some(member).into_iter().collect(),
        positions: positions.iter().map(position).collect(),
        problem: None,
    }
}

/// What is remembered after these looks.
pub fn past(looks: &[Snapshot]) -> Past {
    let mut past = Past::default();
    let mut before = &Snapshot::default();
    for look in looks {
        past.history.add(before, look);
        past.trail.add(before, look);
        before = look;
    }
    past
}

impl Watch {
    /// A watch that has seen `snapshot` and nothing else.
    pub fn showing(snapshot: Snapshot) -> Self {
        let past = past(std::slice::from_ref(&snapshot));
        let (_, snapshots) = tokio::sync::watch::channel(Arc::new(snapshot));
        Self { started_at: 1, snapshots, past: Arc::new(RwLock::new(past)), wanted: Arc::default() }
    }
}
