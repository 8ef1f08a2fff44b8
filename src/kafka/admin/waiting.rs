//! Looking a log up by time: where a moment lies in it, and since when a group's next record has waited.

use std::time::Duration;

use futures::StreamExt;
use krafka::admin::TopicPartition;
use rskafka::chrono::{DateTime, Utc};
use rskafka::client::partition::{OffsetAt, PartitionClient, UnknownTopicHandling};

use super::groups::Group;
use crate::kafka::{Cluster, KafkaError};

/// Partitions that are asked at once.
const AT_ONCE: usize = 16;
/// How long one may take to answer before its time is shown as unknown.
const TIMEOUT: Duration = Duration::from_secs(5);
/// One record is wanted, and brokers send its whole batch however little is asked for.
const FETCH_BYTES: std::ops::Range<i32> = 1..2;
const FETCH_WAIT_MS: i32 = 500;

/// Finds out, for each partition with lag, for how long its next record has waited until `now` (ms).
///
/// # Errors
/// No broker answers. A partition that can't be read stays unknown.
pub async fn fill(cluster: &Cluster, groups: &mut [Group], now: i64) -> Result<(), KafkaError> {
    let positions = groups.iter_mut().flat_map(|group| &mut group.positions);
    let lagging = positions.filter(|position| position.lag.is_some_and(|lag| lag > 0));
    let reads = lagging.map(|position| async move {
        let (Some(committed), Some(earliest)) = (position.committed, position.earliest) else { return };
        let read = timestamp_at(cluster, &position.topic, position.partition, committed.max(earliest));
        match tokio::time::timeout(TIMEOUT, read).await {
            // A producer's clock may be ahead of ours.
            Ok(Ok(Some(written))) => position.lag_seconds = Some((now - written).max(0) as f64 / 1000.0),
            Ok(Ok(None)) | Err(_) => {}
            Ok(Err(error)) => tracing::debug!(%error, "the time of a record is unknown"),
        }
    });
    futures::stream::iter(reads).buffer_unordered(AT_ONCE).collect::<()>().await;
    Ok(())
}

/// The offset of the first record at or after `time` (ms) in each of `partitions`; `None` where all are older.
///
/// # Errors
/// A leader does not answer.
pub async fn offsets_at(
    cluster: &Cluster,
    partitions: &[TopicPartition],
    time: i64,
) -> Result<Vec<Option<i64>>, KafkaError> {
    let looks = partitions.iter().map(|key| offset_at(cluster, key, time));
    futures::stream::iter(looks).buffered(AT_ONCE).collect::<Vec<_>>().await.into_iter().collect()
}

async fn offset_at(cluster: &Cluster, key: &TopicPartition, time: i64) -> Result<Option<i64>, KafkaError> {
    let Some(time) = DateTime::<Utc>::from_timestamp_millis(time) else { return Ok(None) };
    let client = open(cluster, &key.topic, key.partition).await?;
    let offset = client.get_offset(OffsetAt::Timestamp(time)).await;
    let offset = offset.map_err(read_error(&key.topic, key.partition))?;
    // Kafka answers -1 when no record is that young.
    Ok((offset >= 0).then_some(offset))
}

async fn timestamp_at(cluster: &Cluster, topic: &str, partition: i32, offset: i64) -> Result<Option<i64>, KafkaError> {
    let client = open(cluster, topic, partition).await?;
    let fetched = client.fetch_records(offset, FETCH_BYTES, FETCH_WAIT_MS).await;
    let (records, _) = fetched.map_err(read_error(topic, partition))?;
    Ok(records.first().map(|found| found.record.timestamp.timestamp_millis()))
}

async fn open(cluster: &Cluster, topic: &str, partition: i32) -> Result<PartitionClient, KafkaError> {
    let client = cluster.reading().await?.partition_client(topic, partition, UnknownTopicHandling::Error).await;
    client.map_err(read_error(topic, partition))
}

fn read_error(topic: &str, partition: i32) -> impl FnOnce(rskafka::client::error::Error) -> KafkaError {
    let topic = topic.to_owned();
    move |source| KafkaError::Read { topic, partition, source }
}
