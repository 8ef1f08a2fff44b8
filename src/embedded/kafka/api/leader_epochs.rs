//! OffsetForLeaderEpoch: where an epoch of a partition's leader ended. There is one epoch, which has not.

use std::sync::Arc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::offset_for_leader_epoch_request::OffsetForLeaderPartition;
use kafka_protocol::messages::offset_for_leader_epoch_response::{EpochEndOffset, OffsetForLeaderTopicResult};
use kafka_protocol::messages::{OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse};
use kafka_protocol::protocol::VersionRange;

use super::{Answer, Api, Call, lookup};
use crate::embedded::kafka::broker::Broker;
use crate::embedded::kafka::topics::Partition;

/// The API.
pub struct LeaderEpochs;

/// What stands for an epoch or an offset where there is none.
const NONE: i32 = -1;

impl Api for LeaderEpochs {
    type Request = OffsetForLeaderEpochRequest;

    const VERSIONS: VersionRange = VersionRange { min: 2, max: 4 };

    async fn answer(
        broker: &Arc<Broker>,
        call: &Call,
        request: OffsetForLeaderEpochRequest,
    ) -> Answer<OffsetForLeaderEpochResponse> {
        let topics = request.topics.into_iter().map(|topic| {
            let found = lookup::named(broker, &topic.topic);
            let partitions = topic.partitions.iter().map(|wanted| {
                let partition = lookup::partition(&found, wanted.partition);
                let response = EpochEndOffset::default().with_partition(wanted.partition);
                match partition.and_then(|partition| end_of(&partition, wanted)) {
                    Ok((epoch, end)) => response.with_leader_epoch(epoch).with_end_offset(end),
                    Err(error) => response
                        .with_error_code(call.code(error))
                        .with_leader_epoch(NONE)
                        .with_end_offset(i64::from(NONE)),
                }
            });
            let partitions = partitions.collect();
            OffsetForLeaderTopicResult::default().with_topic(topic.topic).with_partitions(partitions)
        });
        OffsetForLeaderEpochResponse::default().with_topics(topics.collect()).into()
    }
}

fn end_of(partition: &Partition, wanted: &OffsetForLeaderPartition) -> Result<(i32, i64), ResponseError> {
    lookup::check_epoch(wanted.current_leader_epoch)?;
    match wanted.leader_epoch {
        lookup::LEADER_EPOCH => partition.with(|log| Ok((lookup::LEADER_EPOCH, log.end_offset()))),
        _ => Ok((NONE, i64::from(NONE))),
    }
}
