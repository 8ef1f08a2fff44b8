//! DescribeTopicPartitions: topics with their partitions, page by page (KIP-966).

use std::collections::BTreeSet;
use std::sync::Arc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::describe_topic_partitions_response::{
    Cursor, DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic,
};
use kafka_protocol::messages::{BrokerId, DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse, TopicName};
use kafka_protocol::protocol::{StrBytes, VersionRange};

use super::lookup::LEADER_EPOCH;
use super::metadata::TOPIC_OPERATIONS;
use super::{Answer, Api, Call};
use crate::embedded::kafka::broker::{Broker, NODE_ID};
use crate::embedded::kafka::topics::{Partition, name};

/// The API.
pub struct DescribeTopicPartitions;

/// Partitions of one page at most: the default of Kafka's `max.request.partition.size.limit`.
const MAX_PARTITIONS: usize = 2_000;

impl Api for DescribeTopicPartitions {
    type Request = DescribeTopicPartitionsRequest;

    const VERSIONS: VersionRange = VersionRange { min: 0, max: 0 };

    async fn answer(
        broker: &Arc<Broker>,
        call: &Call,
        request: DescribeTopicPartitionsRequest,
    ) -> Answer<DescribeTopicPartitionsResponse> {
        let names: BTreeSet<String> = match request.topics.is_empty() {
            true => broker.topics.all().iter().map(|topic| topic.name.clone()).collect(),
            false => request.topics.iter().map(|topic| topic.name.to_string()).collect(),
        };
        let from = request.cursor.map(|cursor| (cursor.topic_name.to_string(), cursor.partition_index));
        let (from_topic, from_partition) = from.unwrap_or_default();
        let mut left = usize::try_from(request.response_partition_limit).unwrap_or(0).clamp(1, MAX_PARTITIONS);
        let mut response = DescribeTopicPartitionsResponse::default();
        for name in names.range(from_topic.clone()..) {
            let first = if *name == from_topic { from_partition } else { 0 };
            let Some(topic) = broker.topics.get(name) else {
                response.topics.push(unknown(call, name));
                continue;
            };
            let mut partitions = topic.partitions.iter().skip_while(|partition| partition.index() < first);
            let described: Vec<_> = partitions.by_ref().take(left).map(|partition| describe(partition)).collect();
            left -= described.len();
            if !described.is_empty() {
                let named = DescribeTopicPartitionsResponseTopic::default().with_name(Some(text(name)));
                let named = named.with_topic_id(topic.id).with_topic_authorized_operations(TOPIC_OPERATIONS);
                response.topics.push(named.with_partitions(described));
            }
            if let Some(next) = partitions.next() {
                let cursor = Cursor::default().with_topic_name(text(name)).with_partition_index(next.index());
                response.next_cursor = Some(cursor);
                break;
            }
        }
        response.into()
    }
}

fn describe(partition: &Partition) -> DescribeTopicPartitionsResponsePartition {
    DescribeTopicPartitionsResponsePartition::default()
        .with_partition_index(partition.index())
        .with_leader_id(NODE_ID.into())
        .with_leader_epoch(LEADER_EPOCH)
        .with_replica_nodes(vec![BrokerId(NODE_ID)])
        .with_isr_nodes(vec![BrokerId(NODE_ID)])
        .with_eligible_leader_replicas(Some(Vec::new()))
        .with_last_known_elr(Some(Vec::new()))
}

fn unknown(call: &Call, name: &str) -> DescribeTopicPartitionsResponseTopic {
    let error = match name::check(name) {
        Ok(()) => ResponseError::UnknownTopicOrPartition,
        Err(refused) => refused.error,
    };
    DescribeTopicPartitionsResponseTopic::default().with_error_code(call.code(error)).with_name(Some(text(name)))
}

fn text(name: &str) -> TopicName {
    TopicName(StrBytes::from_string(name.to_owned()))
}
