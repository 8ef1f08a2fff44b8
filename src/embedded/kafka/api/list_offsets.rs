//! ListOffsets: a partition's first and next offset, and offsets by time.

use std::sync::Arc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::list_offsets_request::ListOffsetsPartition;
use kafka_protocol::messages::list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
use kafka_protocol::messages::{ListOffsetsRequest, ListOffsetsResponse};
use kafka_protocol::protocol::VersionRange;

use super::{Answer, Api, Call, lookup, off_thread};
use crate::embedded::kafka::broker::Broker;
use crate::embedded::kafka::log::Log;
use crate::embedded::kafka::topics::Partition;

/// The API.
pub struct ListOffsets;

/// Instead of a time: the offset after the last record.
const LATEST: i64 = -1;
/// The first offset.
const EARLIEST: i64 = -2;
/// The record with the largest timestamp.
const MAX_TIMESTAMP: i64 = -3;
/// The first offset on this broker's own disk, which is the first.
const EARLIEST_LOCAL: i64 = -4;
/// The last offset in tiered storage, of which there is none.
const LATEST_TIERED: i64 = -5;
/// The first version that tells the leader's epoch.
const EPOCHS: i16 = 4;
/// What stands for an offset or a time where there is none.
const NONE: i64 = -1;
/// The same for an epoch.
const NO_EPOCH: i32 = -1;

impl Api for ListOffsets {
    type Request = ListOffsetsRequest;

    const VERSIONS: VersionRange = VersionRange { min: 1, max: 10 };

    async fn answer(broker: &Arc<Broker>, call: &Call, request: ListOffsetsRequest) -> Answer<ListOffsetsResponse> {
        let mut topics = Vec::with_capacity(request.topics.len());
        for topic in request.topics {
            let found = lookup::named(broker, &topic.name);
            let mut partitions = Vec::with_capacity(topic.partitions.len());
            for wanted in topic.partitions {
                let partition = lookup::partition(&found, wanted.partition_index);
                let result = match partition {
                    Ok(partition) => offset(broker, partition, &wanted).await,
                    Err(error) => Err(error),
                };
                let response = ListOffsetsPartitionResponse::default().with_partition_index(wanted.partition_index);
                partitions.push(match result {
                    Ok((offset, timestamp)) => {
                        response.with_offset(offset).with_timestamp(timestamp).with_leader_epoch(
                            if offset == NONE || call.version < EPOCHS { NO_EPOCH } else { lookup::LEADER_EPOCH },
                        )
                    }
                    Err(error) => response.with_error_code(call.code(error)).with_offset(NONE).with_timestamp(NONE),
                });
            }
            topics.push(ListOffsetsTopicResponse::default().with_name(topic.name).with_partitions(partitions));
        }
        ListOffsetsResponse::default().with_topics(topics).into()
    }
}

/// The offset asked for, and the timestamp of its record where a record was asked for.
async fn offset(
    broker: &Arc<Broker>,
    partition: Arc<Partition>,
    wanted: &ListOffsetsPartition,
) -> Result<(i64, i64), ResponseError> {
    lookup::check_epoch(wanted.current_leader_epoch)?;
    match wanted.timestamp {
        LATEST => partition.with(|log| Ok((log.end_offset(), NONE))),
        EARLIEST | EARLIEST_LOCAL => partition.with(|log| Ok((log.start_offset(), NONE))),
        LATEST_TIERED => Ok((NONE, NONE)),
        // These may have to look into batches on disk.
        MAX_TIMESTAMP => search(broker, partition, Log::max_timestamp).await,
        timestamp if timestamp >= 0 => search(broker, partition, move |log| log.offset_for_time(timestamp)).await,
        _ => Err(ResponseError::UnsupportedVersion),
    }
}

async fn search(
    broker: &Arc<Broker>,
    partition: Arc<Partition>,
    search: impl FnOnce(&Log) -> std::io::Result<Option<(i64, i64)>> + Send + 'static,
) -> Result<(i64, i64), ResponseError> {
    let found = off_thread(broker, move |_| {
        partition.with(|log| {
            search(log).map_err(|error| {
                tracing::error!(topic = partition.topic(), partition = partition.index(), %error, "can't search a log");
                ResponseError::KafkaStorageError
            })
        })
    });
    Ok(found.await??.unwrap_or((NONE, NONE)))
}
