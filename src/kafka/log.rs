//! The log itself, read partition by partition and by offset, without a group: history and replays.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use krafka::consumer::AutoOffsetReset;
use krafka::{CloseOptions, ConsumerRecord};
use rskafka::chrono::{DateTime, Utc};
use rskafka::client::error::{Error, ProtocolError};
use rskafka::client::partition::{OffsetAt, PartitionClient, UnknownTopicHandling};

use super::{Cluster, KafkaError, lookup};
use crate::backoff::Backoff;

/// How long the broker may wait for data that isn't there; reads stay below the end of the log, so it has it.
const MAX_WAIT_MS: i32 = 500;

/// How long a leader may take to have what it is known to have.
const PATIENCE: Duration = Duration::from_secs(10);
/// The least that a read may ask for.
const LEAST_BYTES: i32 = 2;
/// Records that are read at once where rskafka can't.
const CAREFUL_RECORDS: i32 = 1_000;

/// One partition of a topic. Cheap to clone.
#[derive(Clone)]
pub struct PartitionLog {
    cluster: Cluster,
    topic: Arc<str>,
    partition: i32,
    client: Arc<PartitionClient>,
}

/// A part of a log.
pub struct Chunk {
    /// Its records, in order.
    pub records: Vec<ConsumerRecord>,
    /// The offset at which it goes on; offsets before it that have no record here have none.
    pub next: i64,
}

/// Opens every partition of `topic`, in order.
///
/// # Errors
/// [`KafkaError::UnknownTopic`] when there is no such topic; other errors when a broker doesn't answer.
pub async fn open(cluster: &Cluster, topic: &str) -> Result<Vec<PartitionLog>, KafkaError> {
    let client = cluster.reading().await?;
    let failed = |source| KafkaError::ConnectReader { servers: cluster.servers(), source };
    let topics = client.list_topics().await.map_err(failed)?;
    let found = topics.into_iter().find(|found| found.name == topic);
    let found = found.ok_or_else(|| KafkaError::unknown_topic(topic))?;
    let mut logs = Vec::with_capacity(found.partitions.len());
    for partition in found.partitions {
        logs.push(open_partition(cluster, topic, partition).await?);
    }
    logs.sort_by_key(PartitionLog::partition);
    Ok(logs)
}

/// Opens one partition of `topic`, which is known to exist.
///
/// # Errors
/// When its leader doesn't answer.
pub async fn open_partition(cluster: &Cluster, topic: &str, partition: i32) -> Result<PartitionLog, KafkaError> {
    let read = |source| KafkaError::Read { topic: topic.to_owned(), partition, source };
    let client =
        cluster.reading().await?.partition_client(topic, partition, UnknownTopicHandling::Error).await.map_err(read)?;
    Ok(PartitionLog { cluster: cluster.clone(), topic: topic.into(), partition, client: Arc::new(client) })
}

/// The record of `topic` at this place; `None` when there is none.
///
/// # Errors
/// When there is no such topic or partition, or its leader doesn't answer.
pub async fn record(
    cluster: &Cluster,
    topic: &str,
    partition: i32,
    offset: i64,
) -> Result<Option<ConsumerRecord>, KafkaError> {
    let partitions = lookup::partitions(cluster.producing().await?, topic).await?;
    if !partitions.contains(&partition) {
        let count = partitions.len();
        return Err(KafkaError::UnknownPartition { topic: topic.to_owned(), partition, count });
    }
    let log = open_partition(cluster, topic, partition).await?;
    if !(log.start().await?..log.end().await?).contains(&offset) {
        return Ok(None);
    }
    // One record is wanted, and brokers send its whole batch however little is asked for.
    let chunk = log.read(offset, offset + 1, LEAST_BYTES).await?;
    Ok(chunk.records.into_iter().find(|record| record.offset == offset))
}

impl std::fmt::Debug for PartitionLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

impl PartitionLog {
    /// The topic's name.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// The partition's number.
    pub fn partition(&self) -> i32 {
        self.partition
    }

    /// The offset of the oldest record that is still kept.
    ///
    /// # Errors
    /// When the leader doesn't answer.
    pub async fn start(&self) -> Result<i64, KafkaError> {
        self.offset_at(OffsetAt::Earliest).await
    }

    /// The offset that the next record will get.
    ///
    /// # Errors
    /// When the leader doesn't answer.
    pub async fn end(&self) -> Result<i64, KafkaError> {
        self.offset_at(OffsetAt::Latest).await
    }

    /// The offset of the first record at or after `timestamp` (ms since the epoch); the end when there is none.
    ///
    /// # Errors
    /// When the leader doesn't answer.
    pub async fn at(&self, timestamp: i64) -> Result<i64, KafkaError> {
        let Some(time) = DateTime::<Utc>::from_timestamp_millis(timestamp) else { return self.end().await };
        match self.offset_at(OffsetAt::Timestamp(time)).await? {
            // Kafka's answer for "none so late".
            -1 => self.end().await,
            offset => Ok(offset),
        }
    }

    async fn offset_at(&self, at: OffsetAt) -> Result<i64, KafkaError> {
        self.client.get_offset(at).await.map_err(|source| self.failed(source))
    }

    /// Reads what there is from `from` on and below `to`, about `bytes` of it, in order; the end of the log is not below
    /// `to`. Offsets that retention has removed are passed over.
    ///
    /// # Errors
    /// When the leader doesn't answer, or has less than it said.
    pub async fn read(&self, from: i64, to: i64, bytes: i32) -> Result<Chunk, KafkaError> {
        let deadline = Instant::now() + PATIENCE;
        let mut backoff = Backoff::new(Duration::from_millis(20), Duration::from_secs(1));
        loop {
            let mut chunk = self.fetch(from, bytes).await?;
            if chunk.next > from {
                chunk.records.retain(|record| record.offset < to);
                chunk.next = chunk.next.min(to);
                return Ok(chunk);
            }
            // A new leader knows of less, until its followers have told it what is replicated.
            if Instant::now() >= deadline {
                return Err(KafkaError::LogEndsEarly {
                    topic: self.topic.to_string(),
                    partition: self.partition,
                    offset: from,
                });
            }
            tokio::time::sleep(backoff.after_failure()).await;
        }
    }

    async fn fetch(&self, offset: i64, bytes: i32) -> Result<Chunk, KafkaError> {
        match self.client.fetch_records(offset, 1..bytes, MAX_WAIT_MS).await {
            Ok((records, _)) if !records.is_empty() => {
                let records: Vec<_> = records.into_iter().map(|found| self.record(found)).collect();
                let next = records.last().map_or(offset, |last| last.offset + 1);
                Ok(Chunk { records, next })
            }
            Err(Error::ServerError { protocol_error: ProtocolError::OffsetOutOfRange, .. }) => {
                Ok(Chunk { records: Vec::new(), next: self.start().await?.max(offset) })
            }
            // Nothing but markers of transactions, or nothing at all; or a header without a value, which rskafka takes
            // for a broken record. krafka tells the one from the other.
            Ok(_) | Err(Error::Request(_)) => self.fetch_carefully(offset).await,
            Err(source) => Err(self.failed(source)),
        }
    }

    /// Reads with the client of the groups, which makes a connection's worth of ado about it.
    async fn fetch_carefully(&self, offset: i64) -> Result<Chunk, KafkaError> {
        let what = || KafkaError::request(format!("read {}[{}]", self.topic, self.partition));
        let kafka = self.cluster.consuming().await?;
        let consumer = (kafka.consumer_without_group())
            .auto_offset_reset(AutoOffsetReset::Earliest)
            .max_poll_records(CAREFUL_RECORDS)
            .build()
            .await
            .map_err(what())?;
        let read = async {
            consumer.assign(&self.topic, vec![self.partition]).await?;
            consumer.seek(&self.topic, self.partition, offset).await?;
            let records = consumer.poll(Duration::from_millis(MAX_WAIT_MS.unsigned_abs().into())).await?;
            let position = consumer.position(&self.topic, self.partition).await;
            Ok((records, position))
        };
        let read = read.await;
        // Nothing is lost by a consumer that does not end in order: it has no group.
        let _ = consumer.close_with(CloseOptions::new().timeout(Duration::from_secs(1))).await;
        let (records, position) = read.map_err(what())?;
        let next = records.last().map_or(offset, |last| last.offset + 1);
        Ok(Chunk { next: next.max(position.unwrap_or(offset)), records })
    }

    fn record(&self, found: rskafka::record::RecordAndOffset) -> ConsumerRecord {
        let bytes = |bytes: Option<Vec<u8>>| bytes.map(Bytes::from);
        let rskafka::record::Record { key, value, headers, timestamp } = found.record;
        let mut record =
            ConsumerRecord::new(Arc::clone(&self.topic), self.partition, found.offset, bytes(key), bytes(value));
        record.timestamp = timestamp.timestamp_millis();
        record.headers = headers.into_iter().map(|(name, value)| (name, Some(Bytes::from(value)))).collect();
        record
    }

    fn failed(&self, source: Error) -> KafkaError {
        KafkaError::Read { topic: self.topic.to_string(), partition: self.partition, source }
    }
}
