//! DeleteRecords: moves the start of logs forward.

use std::sync::Arc;

use kafka_protocol::messages::delete_records_response::{DeleteRecordsPartitionResult, DeleteRecordsTopicResult};
use kafka_protocol::messages::{DeleteRecordsRequest, DeleteRecordsResponse};
use kafka_protocol::protocol::VersionRange;

use super::{Answer, Api, Call, lookup, off_thread};
use crate::embedded::kafka::broker::Broker;

/// The API.
pub struct DeleteRecords;

/// Instead of an offset: all there are.
const ALL: i64 = -1;
/// What stands for the start of a log that is not known.
const NO_OFFSET: i64 = -1;

impl Api for DeleteRecords {
    type Request = DeleteRecordsRequest;

    const VERSIONS: VersionRange = VersionRange { min: 0, max: 2 };

    async fn answer(broker: &Arc<Broker>, call: &Call, request: DeleteRecordsRequest) -> Answer<DeleteRecordsResponse> {
        let mut topics = Vec::with_capacity(request.topics.len());
        for topic in request.topics {
            let found = lookup::named(broker, &topic.name);
            let mut partitions = Vec::with_capacity(topic.partitions.len());
            for wanted in topic.partitions {
                let partition = lookup::partition(&found, wanted.partition_index);
                let result = match partition {
                    Err(error) => Err(error),
                    Ok(partition) => off_thread(broker, move |_| {
                        partition.with(|log| {
                            let before = if wanted.offset == ALL { log.end_offset() } else { wanted.offset };
                            log.delete_before(before)
                        })
                    })
                    .await
                    .and_then(|deleted| deleted),
                };
                let response = DeleteRecordsPartitionResult::default().with_partition_index(wanted.partition_index);
                partitions.push(match result {
                    Ok(start) => response.with_low_watermark(start),
                    Err(error) => response.with_error_code(call.code(error)).with_low_watermark(NO_OFFSET),
                });
            }
            topics.push(DeleteRecordsTopicResult::default().with_name(topic.name).with_partitions(partitions));
        }
        DeleteRecordsResponse::default().with_topics(topics).into()
    }
}
