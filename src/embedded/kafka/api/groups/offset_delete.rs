//! OffsetDelete: a group forgets what it committed.

use std::sync::Arc;

use kafka_protocol::messages::offset_delete_response::{OffsetDeleteResponsePartition, OffsetDeleteResponseTopic};
use kafka_protocol::messages::{OffsetDeleteRequest, OffsetDeleteResponse};
use kafka_protocol::protocol::VersionRange;

use crate::embedded::kafka::api::{Answer, Api, Call};
use crate::embedded::kafka::broker::Broker;

/// The API.
pub struct OffsetDelete;

impl Api for OffsetDelete {
    type Request = OffsetDeleteRequest;

    const VERSIONS: VersionRange = VersionRange { min: 0, max: 0 };

    async fn answer(broker: &Arc<Broker>, call: &Call, request: OffsetDeleteRequest) -> Answer<OffsetDeleteResponse> {
        let partitions: Vec<(String, i32)> = (request.topics.iter())
            .flat_map(|topic| {
                topic.partitions.iter().map(|partition| (topic.name.to_string(), partition.partition_index))
            })
            .collect();
        let response = OffsetDeleteResponse::default();
        let mut deleted = match broker.groups.delete_offsets(&request.group_id, &partitions) {
            Ok(deleted) => deleted.into_iter(),
            Err(error) => return response.with_error_code(call.code(error)).into(),
        };
        // The outcomes come in the order of the request.
        let topics = request.topics.into_iter().map(|topic| {
            let outcomes = deleted.by_ref().take(topic.partitions.len()).map(|(_, index, result)| {
                OffsetDeleteResponsePartition::default()
                    .with_partition_index(index)
                    .with_error_code(call.code_of(result))
            });
            let partitions = outcomes.collect();
            OffsetDeleteResponseTopic::default().with_name(topic.name).with_partitions(partitions)
        });
        response.with_topics(topics.collect()).into()
    }
}
