//! Whom to ask about a partition.

use std::collections::HashMap;
use std::sync::Arc;

use kafka_protocol::error::ResponseError;

use super::KafkaError;
use crate::kafka::wire::{Brokers, Layout, WireError};

/// What is done with a partition, for errors.
pub fn reading(topic: &str, partition: i32) -> String {
    format!("read {topic}[{partition}]")
}

/// Where the leader of a partition is.
pub async fn leader(brokers: &Arc<Brokers>, topic: &str, partition: i32) -> Result<Arc<str>, KafkaError> {
    let layouts = brokers.layouts(&[topic]).await.map_err(KafkaError::wire(reading(topic, partition)))?;
    leader_in(brokers, &layouts, topic, partition)
}

/// The same by what is known already.
pub fn leader_in(
    brokers: &Brokers,
    layouts: &HashMap<String, Layout>,
    topic: &str,
    partition: i32,
) -> Result<Arc<str>, KafkaError> {
    let failed = |source| KafkaError::Wire { what: reading(topic, partition), source };
    let layout = match layouts.get(topic) {
        Some(Ok(layout)) => layout,
        None | Some(Err(ResponseError::UnknownTopicOrPartition)) => return Err(KafkaError::unknown_topic(topic)),
        Some(Err(error)) => return Err(failed(WireError::Refused(*error))),
    };
    let leader = layout.get(&partition).ok_or_else(|| {
        let count = layout.len();
        KafkaError::UnknownPartition { topic: topic.to_owned(), partition, count }
    })?;
    leader.ok_or(WireError::NoLeader).and_then(|leader| brokers.address(leader)).map_err(failed)
}
