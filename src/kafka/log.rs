//! The log itself, read partition by partition and by offset, without a group: history and replays.

use std::sync::Arc;

use bytes::Bytes;
use krafka::ConsumerRecord;
use rskafka::chrono::{DateTime, Utc};
use rskafka::client::error::{Error, ProtocolError};
use rskafka::client::partition::{OffsetAt, PartitionClient, UnknownTopicHandling};

use super::{Cluster, KafkaError};

/// How long the broker may wait for data that isn't there; reads stay below the end of the log, so it has it.
const MAX_WAIT_MS: i32 = 500;

/// One partition of a topic. Cheap to clone.
#[derive(Clone)]
pub struct PartitionLog {
    topic: Arc<str>,
    partition: i32,
    client: Arc<PartitionClient>,
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
    let client = cluster.reading().await?;
    let client = client.partition_client(topic, partition, UnknownTopicHandling::Error).await.map_err(read)?;
    Ok(PartitionLog { topic: topic.into(), partition, client: Arc::new(client) })
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

    /// Reads records from `offset` on, about `bytes` of them, in order. None are there when `offset` is the end. An
    /// offset that retention has removed is read as the start of the log.
    ///
    /// # Errors
    /// When the leader doesn't answer.
    pub async fn read(&self, offset: i64, bytes: i32) -> Result<Vec<ConsumerRecord>, KafkaError> {
        let records = match self.client.fetch_records(offset, 1..bytes, MAX_WAIT_MS).await {
            Ok((records, _)) => records,
            Err(Error::ServerError { protocol_error: ProtocolError::OffsetOutOfRange, .. }) => {
                let start = self.start().await?;
                if start <= offset {
                    return Ok(Vec::new());
                }
                self.client.fetch_records(start, 1..bytes, MAX_WAIT_MS).await.map_err(|source| self.failed(source))?.0
            }
            Err(source) => return Err(self.failed(source)),
        };
        Ok(records.into_iter().map(|found| self.record(found)).collect())
    }

    /// Reads the records of `from..to`, in order.
    ///
    /// # Errors
    /// When the leader doesn't answer.
    pub async fn read_range(&self, from: i64, to: i64, chunk_bytes: i32) -> Result<Vec<ConsumerRecord>, KafkaError> {
        let mut records = Vec::new();
        let mut next = from;
        while next < to {
            let chunk = self.read(next, chunk_bytes).await?;
            let Some(last) = chunk.last() else { break };
            next = last.offset + 1;
            records.extend(chunk.into_iter().filter(|record| record.offset < to));
        }
        Ok(records)
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
