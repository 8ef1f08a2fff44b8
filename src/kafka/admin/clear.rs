//! Removing the oldest records of partitions: Kafka can only move the start of a log, never take one record out.

use std::collections::BTreeMap;
use std::ops::Range;

use krafka::admin::TopicPartition;

use super::client;
use super::topics::{self, Topic};
use crate::kafka::{Cluster, KafkaError};

/// Which records go: all before this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before {
    /// All that are there now.
    Now,
    /// Those with lower offsets.
    Offset(i64),
    /// Those before the first record at or after this time (ms).
    Time(i64),
}

/// What clearing does to one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The partition.
    pub partition: i32,
    /// The offsets that it spans now.
    pub range: Range<i64>,
    /// The first offset that it spans then.
    pub start: i64,
}

impl Cut {
    /// How many offsets go.
    pub fn removed(&self) -> i64 {
        self.start - self.range.start
    }
}

/// What clearing `topic`, or only `partition` of it, would do; partitions without a leader stay as they are and are left
/// out.
///
/// # Errors
/// There is no such topic or partition, or a leader does not answer.
pub async fn plan(
    cluster: &Cluster,
    topic: &str,
    partition: Option<i32>,
    before: Before,
) -> Result<Vec<Cut>, KafkaError> {
    let topic = topics::layout_of(cluster, topic).await?;
    let wanted: Vec<TopicPartition> = match partition {
        None => topic.led().collect(),
        Some(number) => vec![partition_of(&topic, number)?],
    };
    let ranges: BTreeMap<i32, Range<i64>> =
        topics::ranges(cluster, &wanted).await?.into_iter().map(|(key, range)| (key.partition, range)).collect();
    let at_time = match before {
        Before::Time(time) => topics::offsets_at(cluster, &wanted, time).await?,
        Before::Now | Before::Offset(_) => Default::default(),
    };
    let cut = |(partition, range): (i32, Range<i64>)| {
        let start = match before {
            Before::Now => range.end,
            Before::Offset(offset) => offset,
            Before::Time(_) => {
                at_time.get(&TopicPartition::new(&topic.name, partition)).copied().unwrap_or(range.start)
            }
        };
        Cut { partition, start: start.clamp(range.start, range.end), range }
    };
    Ok(ranges.into_iter().map(cut).collect())
}

/// Makes every partition of `cuts` begin where its cut says. What has been written since is kept.
///
/// # Errors
/// A leader refuses, e.g. because the topic is compacted only.
pub async fn carry_out(cluster: &Cluster, topic: &str, cuts: &[Cut]) -> Result<(), KafkaError> {
    let what = || KafkaError::request(format!("delete records of topic {topic:?}"));
    let due = cuts.iter().filter(|cut| cut.removed() > 0);
    let before = due.map(|cut| (TopicPartition::new(topic, cut.partition), cut.start));
    let results = client(cluster).await?.delete_records(before, Default::default()).await.map_err(what())?;
    results.into_values().try_for_each(|result| result.map(drop)).map_err(what())
}

fn partition_of(topic: &Topic, number: i32) -> Result<TopicPartition, KafkaError> {
    match topic.partitions.iter().find(|partition| partition.partition == number) {
        None => Err(KafkaError::UnknownPartition {
            topic: topic.name.clone(),
            partition: number,
            count: topic.partitions.len(),
        }),
        Some(found) if found.leader.is_none() => Err(KafkaError::InvalidTopic {
            topic: topic.name.clone(),
            reason: format!("partition {number} has no leader; its records can't be deleted until it has one"),
        }),
        Some(_) => Ok(TopicPartition::new(&topic.name, number)),
    }
}
