//! One topic or group, partition by partition.

use std::cmp::Reverse;
use std::collections::HashMap;

use super::looks::Looks;
use crate::kafka::admin::groups::Group;
use crate::kafka::admin::positions::Position;
use crate::kafka::admin::topics::{Partition, Topic};
use crate::kafka::watch::trail::{read_between, written_between};

/// A partition of a topic.
pub struct PartitionRow {
    /// The partition.
    pub partition: Partition,
    /// Records written to it a second.
    pub written: Option<f64>,
}

/// A partition that a group reads.
pub struct PositionRow {
    /// Where the group is in it.
    pub position: Position,
    /// Records read from it a second.
    pub read: Option<f64>,
    /// Who reads it.
    pub reader: Option<String>,
}

/// A group that reads a topic.
pub struct ReaderRow<'a> {
    /// The group.
    pub group: &'a Group,
    /// Records of the topic that it has yet to read.
    pub lag: Option<i64>,
}

/// A topic, if it is still there.
pub fn topic<'a>(looks: &'a Looks, name: &str) -> Option<&'a Topic> {
    looks.now()?.topics.get(name)
}

/// A group, if it is still there.
pub fn group<'a>(looks: &'a Looks, name: &str) -> Option<&'a Group> {
    looks.now()?.groups.get(name)
}

/// The partitions of a topic.
pub fn partitions(looks: &Looks, name: &str) -> Vec<PartitionRow> {
    let between = looks.topic(name);
    let written: HashMap<i32, f64> = (between.iter())
        .flat_map(|between| {
            let written = written_between(between.before, between.after);
            written.map(|(partition, records)| (partition.partition, between.rate(records)))
        })
        .collect();
    let row = |partition: &Partition| PartitionRow {
        written: written.get(&partition.partition).copied(),
        partition: partition.clone(),
    };
    topic(looks, name).map(|topic| topic.partitions.iter().map(row).collect()).unwrap_or_default()
}

/// The partitions that a group reads.
pub fn positions(looks: &Looks, name: &str) -> Vec<PositionRow> {
    let Some(group) = group(looks, name) else { return Vec::new() };
    let between = looks.group(name);
    let read: HashMap<(&str, i32), f64> = (between.iter())
        .flat_map(|between| {
            let read = read_between(between.before, between.after);
            read.map(|(position, records)| ((position.topic.as_str(), position.partition), between.rate(records)))
        })
        .collect();
    let row = |position: &Position| PositionRow {
        read: between
            .as_ref()
            .map(|_| read.get(&(position.topic.as_str(), position.partition)).copied().unwrap_or(0.0)),
        reader: group.reader(position).map(str::to_owned),
        position: position.clone(),
    };
    group.positions.iter().map(row).collect()
}

/// The groups that read a topic, those with most to do first.
pub fn readers<'a>(looks: &'a Looks, topic: &str) -> Vec<ReaderRow<'a>> {
    let groups = looks.now().into_iter().flat_map(|now| now.groups.values());
    let mut readers: Vec<ReaderRow> = groups
        .filter_map(|group| {
            let mut positions = group.positions.iter().filter(|position| position.topic == topic).peekable();
            positions.peek()?;
            Some(ReaderRow { group, lag: positions.filter_map(|position| position.lag).reduce(|sum, lag| sum + lag) })
        })
        .collect();
    readers.sort_by_key(|reader| Reverse(reader.lag));
    readers
}
