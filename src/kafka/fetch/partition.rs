//! One piece of one partition.

use std::sync::Arc;
use std::time::{Duration, Instant};

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::FetchRequest;

use super::collect::collect_kindly;
use super::leaders::{leader, reading};
use super::request::{Amount, Piece, Position, VERSIONS, pieces, request};
use super::{At, Cluster, FetchOptions, Fetched, Isolation, KafkaError, Record, offsets};
use crate::backoff::Backoff;
use crate::kafka::wire::{Brokers, REQUEST_PATIENCE, WireError};
use crate::record_batch::headers;

/// How long a partition may be without a leader that answers.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Reads from `from` on what one answer of the partition's leader has: nothing at the end of the log, after
/// [`FetchOptions::max_wait`]. Before the log's start it begins there; beyond its end there is nothing.
///
/// # Errors
/// [`KafkaError::UnknownTopic`], [`KafkaError::UnknownPartition`]; other errors when the leader doesn't answer.
pub async fn fetch(
    cluster: &Cluster,
    topic: &str,
    partition: i32,
    from: i64,
    options: &FetchOptions,
) -> Result<Fetched, KafkaError> {
    let deadline = Instant::now() + PATIENCE;
    let mut backoff = Backoff::new(Duration::from_millis(20), Duration::from_secs(1));
    let position = Position { topic: topic.into(), partition, offset: from };
    loop {
        match attempt(cluster, position.clone(), options).await {
            Err(error) if error.is_retriable() && Instant::now() < deadline => {
                tracing::debug!(%error, "reads again");
                cluster.brokers().forget(topic);
                tokio::time::sleep(backoff.after_failure()).await;
            }
            fetched => return fetched,
        }
    }
}

/// The record at `offset`; `None` when there is none: it is gone or not there yet, or the offset is no record's.
///
/// # Errors
/// As of [`fetch`].
pub async fn record(cluster: &Cluster, topic: &str, partition: i32, offset: i64) -> Result<Option<Record>, KafkaError> {
    let options = FetchOptions { bytes: 1, ..FetchOptions::default() };
    let mut from = offset;
    // Its batch may hold more than one answer gives.
    while from <= offset {
        let fetched = fetch(cluster, topic, partition, from, &options).await?;
        if let Some(found) = fetched.records.into_iter().find(|record| record.offset == offset) {
            return Ok(Some(found));
        }
        if fetched.next <= from {
            break;
        }
        from = fetched.next;
    }
    Ok(None)
}

async fn attempt(cluster: &Cluster, mut position: Position, options: &FetchOptions) -> Result<Fetched, KafkaError> {
    let brokers = cluster.brokers();
    let address = leader(brokers, &position.topic, position.partition).await?;
    let what = || KafkaError::wire(reading(&position.topic, position.partition));
    let piece = match piece(brokers, &address, &position, options).await {
        Err(WireError::Refused(ResponseError::OffsetOutOfRange)) => {
            let (log_start, end) = bounds(cluster, &position).await?;
            if position.offset >= log_start {
                return Ok(Fetched {
                    records: Vec::new(),
                    unreadable: Vec::new(),
                    next: position.offset,
                    log_start,
                    high_watermark: end,
                    last_stable: end,
                });
            }
            position.offset = log_start;
            piece(brokers, &address, &position, options).await
        }
        piece => piece,
    };
    let piece = piece.map_err(what())?;
    let Piece { log_start, high_watermark, last_stable, .. } = piece;
    let (collected, _) = collect_kindly(piece.decoder(options.isolation), i64::MAX, options.memory).await;
    let (records, unreadable, next) = (collected.records, collected.unreadable, collected.next);
    Ok(Fetched { records, unreadable, next, log_start, high_watermark, last_stable })
}

/// What the leader has, with the transactions that were aborted in it.
async fn piece(
    brokers: &Arc<Brokers>,
    address: &Arc<str>,
    position: &Position,
    options: &FetchOptions,
) -> Result<Piece, WireError> {
    let amount = Amount {
        isolation: options.isolation,
        bytes: options.bytes,
        partition_bytes: options.bytes,
        max_wait: options.max_wait,
    };
    let piece = ask(brokers, address, position, &amount).await?;
    if options.isolation == Isolation::Committed || !needs_aborted(&piece) {
        return Ok(piece);
    }
    // Which transactions were aborted is told only to those who want to read what is committed.
    let amount = Amount { isolation: Isolation::Committed, ..amount };
    ask(brokers, address, position, &amount).await
}

/// Whether there are transactions in it that have ended.
pub fn needs_aborted(piece: &Piece) -> bool {
    let is_ended = |header: &crate::record_batch::Header| {
        header.is_transactional() && !header.is_control() && header.base_offset() < piece.last_stable
    };
    headers(&piece.batches).any(|header| is_ended(&header))
}

async fn ask(
    brokers: &Arc<Brokers>,
    address: &Arc<str>,
    position: &Position,
    amount: &Amount,
) -> Result<Piece, WireError> {
    let positions = std::slice::from_ref(position);
    let patience = REQUEST_PATIENCE + amount.max_wait;
    let response = brokers.ask(address, VERSIONS, patience, |_| -> FetchRequest { request(positions, amount) }).await?;
    pieces(positions, response).remove(0).map_err(WireError::Refused)
}

/// Where the partition begins and ends.
pub async fn bounds(cluster: &Cluster, position: &Position) -> Result<(i64, i64), KafkaError> {
    let partitions = [(&*position.topic, position.partition)];
    let (start, end) = tokio::join!(
        offsets(cluster, &partitions, At::Earliest, Isolation::All),
        offsets(cluster, &partitions, At::Latest, Isolation::All),
    );
    let only = |mut found: Vec<Result<Option<super::Located>, KafkaError>>| {
        found.remove(0).map(|found| found.map_or(0, |located| located.offset))
    };
    Ok((only(start)?, only(end)?))
}
