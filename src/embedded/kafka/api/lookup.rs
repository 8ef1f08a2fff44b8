//! Topics and partitions as requests call them.

use std::sync::Arc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::TopicName;
use uuid::Uuid;

use crate::embedded::kafka::broker::Broker;
use crate::embedded::kafka::topics::{Partition, Topic};

/// The epoch of the only leader that there ever is.
pub const LEADER_EPOCH: i32 = 0;

/// The topic with this id, or with this name where requests have no ids.
///
/// # Errors
/// `UnknownTopicId` or `UnknownTopicOrPartition`.
pub fn topic(broker: &Broker, by_id: bool, name: &TopicName, id: Uuid) -> Result<Arc<Topic>, ResponseError> {
    match by_id {
        true => broker.topics.get_by_id(id).ok_or(ResponseError::UnknownTopicId),
        false => broker.topics.get(name).ok_or(ResponseError::UnknownTopicOrPartition),
    }
}

/// The partition with this number.
///
/// # Errors
/// `UnknownTopicOrPartition`.
pub fn partition(topic: &Topic, index: i32) -> Result<Arc<Partition>, ResponseError> {
    topic.partition(index).ok_or(ResponseError::UnknownTopicOrPartition)
}

/// Whether who knows the leader's epoch as `current` knows it right; -1 is who doesn't say.
///
/// # Errors
/// `UnknownLeaderEpoch`: from a cluster that this node is not.
pub fn check_epoch(current: i32) -> Result<(), ResponseError> {
    if current > LEADER_EPOCH { Err(ResponseError::UnknownLeaderEpoch) } else { Ok(()) }
}
