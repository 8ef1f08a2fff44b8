//! Topics and partitions as requests call them.

use std::collections::HashMap;
use std::sync::Arc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::TopicName;
use uuid::Uuid;

use crate::embedded::kafka::broker::Broker;
use crate::embedded::kafka::topics::{Partition, Refused, Topic};

/// The epoch of the only leader that there ever is.
pub const LEADER_EPOCH: i32 = 0;

/// A topic, or why there is none for any of its partitions.
pub type Found = Result<Arc<Topic>, ResponseError>;

/// The topic with this id, or with this name where requests have no ids; or `UnknownTopicId`, or as [`named`].
pub fn topic(broker: &Broker, by_id: bool, name: &TopicName, id: Uuid) -> Found {
    match by_id {
        true => broker.topics.get_by_id(id).ok_or(ResponseError::UnknownTopicId),
        false => named(broker, name),
    }
}

/// The topic with this name, or `UnknownTopicOrPartition`.
pub fn named(broker: &Broker, name: &TopicName) -> Found {
    broker.topics.get(name).ok_or(ResponseError::UnknownTopicOrPartition)
}

/// The partition with this number.
///
/// # Errors
/// `UnknownTopicOrPartition`; or the topic's own error.
pub fn partition(topic: &Found, index: i32) -> Result<Arc<Partition>, ResponseError> {
    let topic = topic.as_ref().map_err(|error| *error)?;
    topic.partition(index).ok_or(ResponseError::UnknownTopicOrPartition)
}

/// What a request asks about topics, each by its name, in order. One that is named several times is refused, with its
/// first mention.
pub fn once_each<T>(
    asked: Vec<T>,
    name: impl Fn(&T) -> &TopicName,
) -> impl Iterator<Item = (TopicName, Result<T, Refused>)> {
    let mut times: HashMap<TopicName, usize> = HashMap::new();
    for topic in &asked {
        *times.entry(name(topic).clone()).or_default() += 1;
    }
    asked.into_iter().filter_map(move |topic| {
        let name = name(&topic).clone();
        match times.remove(&name)? {
            1 => Some((name, Ok(topic))),
            _ => Some((name, Err(Refused::new(ResponseError::InvalidRequest, "Duplicate topic name.")))),
        }
    })
}

/// Whether who knows the leader's epoch as `current` knows it right; -1 is who doesn't say.
///
/// # Errors
/// `UnknownLeaderEpoch`: from a cluster that this node is not.
pub fn check_epoch(current: i32) -> Result<(), ResponseError> {
    if current > LEADER_EPOCH { Err(ResponseError::UnknownLeaderEpoch) } else { Ok(()) }
}
