//! One Fetch request and what its answer has for each partition.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::fetch_response::PartitionData;
use kafka_protocol::messages::{FetchRequest, FetchResponse, TopicName};
use kafka_protocol::protocol::{StrBytes, VersionRange};

use super::Isolation;
use crate::record_batch::{Aborted, Decoder, MAX_DECOMPRESSED};

/// Versions that call topics by their names.
pub const VERSIONS: VersionRange = VersionRange { min: 4, max: 12 };
/// What stands for an offset where there is none.
const NO_OFFSET: i64 = -1;

/// From where a partition is read.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Position {
    /// The topic.
    pub topic: Arc<str>,
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
}

/// How much is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Amount {
    /// What of transactions is read.
    pub isolation: Isolation,
    /// Bytes for all partitions together.
    pub bytes: usize,
    /// Bytes for each.
    pub partition_bytes: usize,
    /// How long the broker may wait when there is nothing.
    pub max_wait: Duration,
}

/// What the leader has from a position on.
#[derive(Debug)]
pub struct Piece {
    /// The position.
    pub from: i64,
    /// Record batches as they are stored.
    pub batches: Bytes,
    /// Transactions in them that were aborted, if the isolation asks for it.
    pub aborted: Vec<Aborted>,
    /// The first offset that is kept; -1 if the broker doesn't say.
    pub log_start: i64,
    /// The end, as far as readers see it.
    pub high_watermark: i64,
    /// Before it, all transactions have ended.
    pub last_stable: i64,
}

/// The request for these positions, all with the same leader.
pub fn request(positions: &[Position], amount: &Amount) -> FetchRequest {
    let mut topics: Vec<FetchTopic> = Vec::new();
    let mut places: HashMap<&str, usize> = HashMap::new();
    for position in positions {
        let place = *places.entry(&position.topic).or_insert_with(|| {
            let name = TopicName(StrBytes::from_string(position.topic.to_string()));
            topics.push(FetchTopic::default().with_topic(name));
            topics.len() - 1
        });
        let partition = FetchPartition::default()
            .with_partition(position.partition)
            .with_fetch_offset(position.offset)
            .with_partition_max_bytes(saturated(amount.partition_bytes));
        topics[place].partitions.push(partition);
    }
    FetchRequest::default()
        .with_max_wait_ms(i32::try_from(amount.max_wait.as_millis()).unwrap_or(i32::MAX))
        .with_min_bytes(1)
        .with_max_bytes(saturated(amount.bytes))
        .with_isolation_level(match amount.isolation {
            Isolation::All => 0,
            Isolation::Committed => 1,
        })
        .with_topics(topics)
}

fn saturated(bytes: usize) -> i32 {
    i32::try_from(bytes).unwrap_or(i32::MAX)
}

/// What the answer has for each of the positions that were asked for, in their order.
pub fn pieces(positions: &[Position], response: FetchResponse) -> Vec<Result<Piece, ResponseError>> {
    let error = ResponseError::try_from_code(response.error_code);
    let mut answered: HashMap<(StrBytes, i32), PartitionData> = HashMap::new();
    for topic in response.responses {
        let name = topic.topic.0;
        answered.extend(topic.partitions.into_iter().map(|found| ((name.clone(), found.partition_index), found)));
    }
    let piece = |position: &Position| {
        if let Some(error) = error {
            return Err(error);
        }
        let name = StrBytes::from_string(position.topic.to_string());
        // What a broker leaves out has moved, as far as anybody can tell.
        let found = answered.remove(&(name, position.partition)).ok_or(ResponseError::UnknownTopicOrPartition)?;
        ResponseError::try_from_code(found.error_code).map_or(Ok(()), Err)?;
        let aborted = |transaction: &kafka_protocol::messages::fetch_response::AbortedTransaction| Aborted {
            producer_id: transaction.producer_id.0,
            first_offset: transaction.first_offset,
        };
        Ok(Piece {
            from: position.offset,
            batches: found.records.unwrap_or_default(),
            aborted: found.aborted_transactions.iter().flatten().map(aborted).collect(),
            log_start: found.log_start_offset,
            high_watermark: found.high_watermark,
            last_stable: if found.last_stable_offset == NO_OFFSET {
                found.high_watermark
            } else {
                found.last_stable_offset
            },
        })
    };
    positions.iter().map(piece).collect()
}

impl Piece {
    /// Its records.
    pub fn decoder(self, isolation: Isolation) -> Decoder {
        let skip_aborted = isolation == Isolation::Committed;
        Decoder::new(self.batches, self.from, MAX_DECOMPRESSED).with_aborted(self.aborted, skip_aborted)
    }
}
