//! Where partitions begin and end, and where they were at a time.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::{BrokerId, ListOffsetsRequest, ListOffsetsResponse, TopicName};
use kafka_protocol::protocol::{StrBytes, VersionRange};

use super::leaders::leader_in;
use super::{Cluster, Isolation, KafkaError};
use crate::backoff::Backoff;
use crate::kafka::wire::{REQUEST_PATIENCE, WireError};

/// Versions of ListOffsets: from the one with isolation.
const VERSIONS: VersionRange = VersionRange { min: 2, max: 8 };
/// The first version that finds the largest timestamp.
const MAX_TIMESTAMP: VersionRange = VersionRange { min: 7, max: 8 };
/// How often is asked for what has no leader, or another one than was told.
const ATTEMPTS: usize = 3;
/// What stands for "none" in an answer.
const NONE: i64 = -1;

/// Which offset of a partition is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// The first that is still kept.
    Earliest,
    /// The one after the last that can be read: the high watermark, or the last stable offset of committed records.
    Latest,
    /// That of the first record at or after these milliseconds since the epoch, 0 or more.
    Time(i64),
    /// That of the record with the largest timestamp.
    MaxTimestamp,
}

/// Where something is in a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Located {
    /// The offset.
    pub offset: i64,
    /// The timestamp (ms) of the record there; -1 when a place was asked for and not a record.
    pub timestamp: i64,
}

type Outcome = Result<Option<Located>, KafkaError>;

/// Finds an offset of each of `partitions` (topic and number), with one request to each leader. Each has its own outcome,
/// in the order of `partitions`: `None` when no record is as late.
pub async fn offsets(cluster: &Cluster, partitions: &[(&str, i32)], at: At, isolation: Isolation) -> Vec<Outcome> {
    let mut outcomes: Vec<Option<Outcome>> = partitions.iter().map(|_| None).collect();
    let mut open: Vec<usize> = (0..partitions.len()).collect();
    let mut backoff = Backoff::new(Duration::from_millis(20), Duration::from_secs(1));
    for attempt in 1..=ATTEMPTS {
        for (place, outcome) in attempt_all(cluster, partitions, &open, at, isolation).await {
            outcomes[place] = Some(outcome);
        }
        let again = |place: &usize| matches!(&outcomes[*place], Some(Err(error)) if error.is_retriable());
        open.retain(again);
        if open.is_empty() || attempt == ATTEMPTS {
            break;
        }
        open.iter().for_each(|&place| cluster.brokers().forget(partitions[place].0));
        tokio::time::sleep(backoff.after_failure()).await;
    }
    outcomes.into_iter().flatten().collect()
}

/// Asks once for those at these places.
async fn attempt_all(
    cluster: &Cluster,
    partitions: &[(&str, i32)],
    open: &[usize],
    at: At,
    isolation: Isolation,
) -> Vec<(usize, Outcome)> {
    let brokers = cluster.brokers();
    let topics: Vec<&str> = open.iter().map(|&place| partitions[place].0).collect();
    let layouts = match brokers.layouts(&topics).await {
        Ok(layouts) => layouts,
        Err(error) => return failed(partitions, open, &error),
    };
    let mut outcomes = Vec::with_capacity(open.len());
    let mut by_leader: HashMap<Arc<str>, Vec<usize>> = HashMap::new();
    for &place in open {
        let (topic, partition) = partitions[place];
        match leader_in(brokers, &layouts, topic, partition) {
            Ok(address) => by_leader.entry(address).or_default().push(place),
            Err(error) => outcomes.push((place, Err(error))),
        }
    }
    let asked = by_leader.iter().map(async |(address, places)| {
        let known = if at == At::MaxTimestamp { MAX_TIMESTAMP } else { VERSIONS };
        let request = |_| request(partitions, places, at, isolation);
        match brokers.ask(address, known, REQUEST_PATIENCE, request).await {
            Ok(response) => found(partitions, places, response, at),
            Err(error) => failed(partitions, places, &error),
        }
    });
    outcomes.extend(join_all(asked).await.into_iter().flatten());
    outcomes
}

fn failed(partitions: &[(&str, i32)], places: &[usize], error: &WireError) -> Vec<(usize, Outcome)> {
    places.iter().map(|&place| (place, Err(refused(partitions[place], error.clone())))).collect()
}

fn refused((topic, partition): (&str, i32), source: WireError) -> KafkaError {
    KafkaError::Wire { what: format!("find offsets of {topic}[{partition}]"), source }
}

fn request(partitions: &[(&str, i32)], places: &[usize], at: At, isolation: Isolation) -> ListOffsetsRequest {
    let timestamp = match at {
        At::Latest => -1,
        At::Earliest => -2,
        At::MaxTimestamp => -3,
        // What is negative would mean something else.
        At::Time(time) => time.max(0),
    };
    let mut topics: HashMap<&str, Vec<ListOffsetsPartition>> = HashMap::new();
    for &place in places {
        let (topic, partition) = partitions[place];
        let partition = ListOffsetsPartition::default().with_partition_index(partition).with_timestamp(timestamp);
        topics.entry(topic).or_default().push(partition);
    }
    let topic = |(name, partitions): (&str, Vec<ListOffsetsPartition>)| {
        let name = TopicName(StrBytes::from_string(name.to_owned()));
        ListOffsetsTopic::default().with_name(name).with_partitions(partitions)
    };
    ListOffsetsRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_isolation_level(i8::from(isolation == Isolation::Committed))
        .with_topics(topics.into_iter().map(topic).collect())
}

fn found(partitions: &[(&str, i32)], places: &[usize], response: ListOffsetsResponse, at: At) -> Vec<(usize, Outcome)> {
    let mut answered = HashMap::new();
    for topic in &response.topics {
        answered.extend(topic.partitions.iter().map(|found| ((topic.name.as_str(), found.partition_index), found)));
    }
    let outcome = |place: usize| {
        let failed = |error| Err(refused(partitions[place], WireError::Refused(error)));
        let Some(found) = answered.get(&partitions[place]) else {
            return failed(ResponseError::UnknownTopicOrPartition);
        };
        if let Some(error) = ResponseError::try_from_code(found.error_code) {
            return failed(error);
        }
        let is_record = matches!(at, At::Time(_) | At::MaxTimestamp);
        if is_record && found.offset == NONE {
            return Ok(None);
        }
        Ok(Some(Located { offset: found.offset, timestamp: found.timestamp }))
    };
    places.iter().map(|&place| (place, outcome(place))).collect()
}
