//! DescribeProducers: the idempotent producers that partitions know.

use std::sync::Arc;

use kafka_protocol::messages::describe_producers_response::{PartitionResponse, ProducerState, TopicResponse};
use kafka_protocol::messages::{DescribeProducersRequest, DescribeProducersResponse};
use kafka_protocol::protocol::VersionRange;

use super::{Answer, Api, Call, lookup};
use crate::embedded::kafka::broker::Broker;
use crate::embedded::kafka::log::ProducerInfo;

/// The API.
pub struct DescribeProducers;

impl Api for DescribeProducers {
    type Request = DescribeProducersRequest;

    const VERSIONS: VersionRange = VersionRange { min: 0, max: 0 };

    async fn answer(
        broker: &Arc<Broker>,
        call: &Call,
        request: DescribeProducersRequest,
    ) -> Answer<DescribeProducersResponse> {
        let topics = request.topics.into_iter().map(|topic| {
            let found = lookup::named(broker, &topic.name);
            let partitions = topic.partition_indexes.iter().map(|&index| {
                let partition = lookup::partition(&found, index);
                let response = PartitionResponse::default().with_partition_index(index);
                match partition.and_then(|partition| partition.with(|log| Ok(log.producers()))) {
                    Ok(producers) => response.with_active_producers(producers.iter().map(state).collect()),
                    Err(error) => response.with_error_code(call.code(error)),
                }
            });
            let partitions = partitions.collect();
            TopicResponse::default().with_name(topic.name).with_partitions(partitions)
        });
        DescribeProducersResponse::default().with_topics(topics.collect()).into()
    }
}

fn state(producer: &ProducerInfo) -> ProducerState {
    ProducerState::default()
        .with_producer_id(producer.producer_id.into())
        .with_producer_epoch(producer.epoch.into())
        .with_last_sequence(producer.last_sequence)
        .with_last_timestamp(producer.last_timestamp)
        // No transactions, so none that coordinates or began.
        .with_coordinator_epoch(-1)
        .with_current_txn_start_offset(-1)
}
