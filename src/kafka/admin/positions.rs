//! How far a group has read the partitions of its topics.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;

use krafka::admin::TopicPartition;
use schemars::JsonSchema;
use serde::Serialize;

use super::groups::Member;
use super::topics::Topic;

/// How far a group has read a partition.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct Position {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The offset that it will read next; `None` when it has committed none.
    pub committed: Option<i64>,
    /// The first offset that can be read; unknown without a leader.
    pub earliest: Option<i64>,
    /// The offset after the last record; unknown without a leader.
    pub end: Option<i64>,
    /// How many offsets it is behind.
    pub lag: Option<i64>,
    /// For how long the next record has waited, in seconds; 0 without lag.
    pub lag_seconds: Option<f64>,
    /// When the next record was written (ms since the epoch), where [`super::waiting`] found that out.
    #[serde(skip)]
    pub waiting_since: Option<i64>,
    /// Whether the group was here before already, so that the next record has waited on since.
    #[serde(skip)]
    pub stands: bool,
    /// The member that reads it.
    pub member: Option<String>,
    /// What is out of the ordinary.
    pub note: Option<&'static str>,
}

// Seconds are never NaN: they are a difference of two clock readings.
impl Eq for Position {}

impl Position {
    /// The place (topic, partition, offset) of the next record, if it is behind.
    pub fn next(&self) -> Option<(&str, i32, i64)> {
        let (committed, earliest) = (self.committed?, self.earliest?);
        (self.lag? > 0).then_some((self.topic.as_str(), self.partition, committed.max(earliest)))
    }

    /// Notes when the next record was written, and for how long it has waited until `now` (both in ms).
    pub fn fill_waiting(&mut self, written: Option<i64>, now: i64) {
        self.waiting_since = written;
        // A producer's clock may be ahead of ours.
        self.lag_seconds = written.map(|written| (now - written).max(0) as f64 / 1000.0);
    }

    /// For how long the next record has waited at `now` (ms), in seconds, if the group still stands where it was seen.
    pub fn lag_seconds_at(&self, now: i64) -> Option<f64> {
        match self.waiting_since {
            Some(since) if self.stands => Some((now - since).max(0) as f64 / 1000.0),
            _ => self.lag_seconds,
        }
    }

    /// Whether its partition is known to hold nothing.
    pub fn is_empty(&self) -> bool {
        self.end.is_some() && self.earliest == self.end
    }
}

/// Every partition of the group's topics, and those of topics that are gone but for its commits. `known` is what there
/// is, with its offsets.
pub(super) fn positions(
    members: &[Member],
    committed: &HashMap<TopicPartition, i64>,
    known: &BTreeMap<String, Topic>,
) -> Vec<Position> {
    let mut readers: BTreeMap<(&str, i32), &str> = BTreeMap::new();
    for member in members {
        for (topic, partitions) in &member.partitions {
            readers.extend(partitions.iter().map(|partition| ((topic.as_str(), *partition), member.member.as_str())));
        }
    }
    let mut partitions: BTreeSet<(&str, i32)> = readers.keys().copied().collect();
    partitions.extend(committed.keys().map(|key| (key.topic.as_str(), key.partition)));
    let topics: BTreeSet<&str> = partitions.iter().map(|(topic, _)| *topic).collect();
    for topic in topics.iter().filter_map(|topic| known.get(*topic)) {
        partitions.extend(topic.partitions.iter().map(|partition| (topic.name.as_str(), partition.partition)));
    }
    let position = |(topic, partition): (&str, i32)| {
        let key = TopicPartition::new(topic, partition);
        let found = known.get(topic);
        let range = found.and_then(|topic| topic.partition(partition)?.range());
        let member = readers.get(&(topic, partition)).map(|member| (*member).to_owned());
        let note = found.is_none().then_some("topic does not exist");
        position(committed.get(&key).copied(), key, range, member, note)
    };
    partitions.into_iter().map(position).collect()
}

fn position(
    committed: Option<i64>,
    key: TopicPartition,
    range: Option<Range<i64>>,
    member: Option<String>,
    note: Option<&'static str>,
) -> Position {
    let lag = committed.zip(range.as_ref()).map(|(committed, range)| (range.end - committed).max(0));
    let note = note.or(match (committed, &range) {
        (_, None) => Some("no leader"),
        (None, _) => Some("nothing committed"),
        (Some(committed), Some(range)) if committed < range.start => Some("records before the log's start are gone"),
        (Some(committed), Some(range)) if committed > range.end => Some("committed past the end"),
        (Some(_), Some(_)) => None,
    });
    Position {
        topic: key.topic,
        partition: key.partition,
        committed,
        earliest: range.as_ref().map(|range| range.start),
        end: range.map(|range| range.end),
        lag,
        lag_seconds: (lag == Some(0)).then_some(0.0),
        waiting_since: None,
        stands: false,
        member,
        note,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::admin::topics::Partition;

    fn at(committed: Option<i64>, range: Option<Range<i64>>) -> Position {
        position(committed, TopicPartition::new("t", 0), range, None, None)
    }

    #[test]
    fn lag_is_known_where_both_ends_are() {
        let read = at(Some(40), Some(10..100));
        assert_eq!((read.lag, read.lag_seconds, read.note), (Some(60), None, None));
        let up_to_date = at(Some(100), Some(10..100));
        assert_eq!((up_to_date.lag, up_to_date.lag_seconds), (Some(0), Some(0.0)));
        assert_eq!((at(None, Some(0..9)).lag, at(None, Some(0..9)).note), (None, Some("nothing committed")));
        assert_eq!((at(Some(1), None).lag, at(Some(1), None).note), (None, Some("no leader")));
        assert_eq!(at(Some(5), Some(10..100)).note, Some("records before the log's start are gone"));
        assert_eq!(at(Some(5), Some(0..3)).lag, Some(0));
    }

    #[test]
    fn every_partition_of_a_topic_is_listed_and_so_are_commits_to_topics_that_are_gone() {
        let partition = |partition| Partition { partition, ..Partition::default() };
        let led = Partition { leader: Some(1), earliest: Some(0), latest: Some(9), ..partition(1) };
        let topic = Topic { name: "t".to_owned(), internal: false, partitions: vec![partition(0), led, partition(2)] };
        let committed = HashMap::from([(TopicPartition::new("t", 1), 4), (TopicPartition::new("gone", 0), 7)]);
        let positions = positions(&[], &committed, &BTreeMap::from([("t".to_owned(), topic)]));
        let seen: Vec<_> = positions.iter().map(|p| (p.topic.as_str(), p.partition, p.lag, p.note)).collect();
        assert_eq!(
            seen,
            [
                ("gone", 0, None, Some("topic does not exist")),
                ("t", 0, None, Some("no leader")),
                ("t", 1, Some(5), None),
                ("t", 2, None, Some("no leader")),
            ]
        );
    }
}
