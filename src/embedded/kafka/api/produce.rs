//! Produce: record batches into the logs of their partitions.
//!
//! A batch is written where it is received: into the page cache, which takes microseconds, less than handing it to
//! another thread would. Where a topic asks for a flush after so many records, the disk is waited for.

use std::sync::Arc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use kafka_protocol::messages::{ProduceRequest, ProduceResponse};
use kafka_protocol::protocol::VersionRange;

use super::lookup::{self, Found};
use super::{Answer, Api, Call, waiting_for_disk};
use crate::clock::now_ms;
use crate::embedded::kafka::broker::Broker;

/// The API.
pub struct Produce;

/// The first version that calls topics by their ids.
const BY_ID: i16 = 13;
/// The first version that tells where logs start.
const START_OFFSETS: i16 = 5;
/// All in-sync replicas, none, or the leader. On a single node they differ only in whether there is an answer.
const ACKS: [i16; 3] = [-1, 0, 1];
/// What stands for an offset where there is none.
const NO_OFFSET: i64 = -1;

impl Api for Produce {
    type Request = ProduceRequest;

    const VERSIONS: VersionRange = VersionRange { min: 3, max: 13 };
    const ADVERTISED_FROM: i16 = 0;

    /// Partition by partition: one that fails keeps no other from being written.
    async fn answer(broker: &Arc<Broker>, call: &Call, request: ProduceRequest) -> Answer<ProduceResponse> {
        let (acks, refused) = (request.acks, refusal(&request));
        let topics = request.topic_data.into_iter().map(|data| {
            let found = match refused {
                Some(error) => Err(error),
                None => lookup::topic(broker, call.version >= BY_ID, &data.name, data.topic_id),
            };
            append_all(call, data, &found)
        });
        let topics = topics.collect();
        match (acks, call.error()) {
            (0, None) => Answer::Nothing,
            (0, Some(error)) => Answer::Close(format!("produced with acks=0, and {error}")),
            _ => ProduceResponse::default().with_responses(topics).into(),
        }
    }
}

/// Why nothing of the request can be written.
fn refusal(request: &ProduceRequest) -> Option<ResponseError> {
    if !ACKS.contains(&request.acks) {
        return Some(ResponseError::InvalidRequiredAcks);
    }
    // There are no transactions yet, so that nobody can be in one.
    request.transactional_id.as_ref().map(|_| ResponseError::InvalidTxnState)
}

fn append_all(call: &Call, data: TopicProduceData, topic: &Found) -> TopicProduceResponse {
    let partitions = data.partition_data.into_iter().map(|partition| {
        let index = partition.index;
        let result = append(topic, partition);
        let response = PartitionProduceResponse::default().with_index(index);
        result.map_or_else(
            |error| response.clone().with_error_code(call.code(error)).with_base_offset(NO_OFFSET),
            |(base_offset, append_time, start)| {
                response
                    .clone()
                    .with_base_offset(base_offset)
                    .with_log_append_time_ms(append_time)
                    .with_log_start_offset(if call.version >= START_OFFSETS { start } else { NO_OFFSET })
            },
        )
    });
    let partitions = partitions.collect();
    TopicProduceResponse::default()
        .with_name(data.name)
        .with_topic_id(data.topic_id)
        .with_partition_responses(partitions)
}

/// Appends one batch: its offset, the time (ms) it was given or -1, and the log's start offset.
fn append(topic: &Found, data: PartitionProduceData) -> Result<(i64, i64, i64), ResponseError> {
    let partition = lookup::partition(topic, data.index)?;
    let records = data.records.ok_or(ResponseError::InvalidRecord)?;
    let append = || partition.append(records, now_ms());
    let appended = if partition.flushes_appends() { waiting_for_disk(append) } else { append() }?;
    let start = partition.with(|log| Ok(log.start_offset()))?;
    Ok((appended.base_offset, appended.log_append_time, start))
}
