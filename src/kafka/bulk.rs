//! Sends any number of records to one topic as fast as Kafka takes them, with an outcome for each.
//!
//! The outcome is taken where the client learns it, in its acknowledgement callback: no task and no future waits for
//! each record, and a record's latency is its own, not that of the record before it in a queue.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hdrhistogram::Histogram;
use krafka::admin::{AdminClient, ListOffsetsOptions, OffsetSpec, TopicPartition};
use krafka::error::ErrorCode;
use krafka::interceptor::{InterceptorResult, ProducerInterceptor, RecordContext};
use krafka::producer::{Acks, Producer, RecordMetadata};
use krafka::{CloseOptions, Compression, KrafkaError, Record};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::partition::{Chooser, Partitioner};
use super::{Cluster, KafkaError, lookup};
use crate::clock::now_ms;

/// The size a batch may grow to while the one before it is on its way.
const BATCH_BYTES: usize = 512 * 1024;
/// Records that wait for Kafka take at most this many bytes; then [`BulkProducer::send`] waits.
const BUFFER_BYTES: usize = 16 * 1024 * 1024;
/// The longest latency told apart, in microseconds: ten minutes.
const MAX_LATENCY: u64 = 600_000_000;
/// How many of the records acknowledged last are remembered with their places.
const RECENT: usize = 20;

/// Which replicas must have a record, by name: none, the leader, or all in sync.
pub const ACKS: &[(&str, Acks)] = &[("0", Acks::None), ("1", Acks::Leader), ("all", Acks::All)];
/// How batches may be compressed, by name.
pub const COMPRESSIONS: &[(&str, Compression)] = &[
    ("none", Compression::None),
    ("gzip", Compression::Gzip),
    ("snappy", Compression::Snappy),
    ("lz4", Compression::Lz4),
    ("zstd", Compression::Zstd),
];

/// How to send.
#[derive(Clone, Debug)]
pub struct BulkOptions {
    /// Which replicas must have a record before it counts as sent.
    pub acks: Acks,
    /// Whether a retry can't write a record twice; needs [`Acks::All`].
    pub idempotent: bool,
    /// How batches are compressed.
    pub compression: Compression,
    /// Which partition a record goes to.
    pub partitioner: Partitioner,
    /// The one partition for all records; overrides `partitioner`.
    pub partition: Option<i32>,
    /// How long a record may wait for its acknowledgement, retries included.
    pub timeout: Duration,
}

/// A record without its topic.
#[derive(Clone, Debug, Default)]
pub struct BulkRecord {
    /// The key.
    pub key: Option<Bytes>,
    /// The value; `None` is a tombstone.
    pub value: Option<Bytes>,
    /// The headers, in order; names may repeat, values may be null.
    pub headers: Vec<(String, Option<Bytes>)>,
    /// The partition it must go to; overrides [`BulkOptions::partition`].
    pub partition: Option<i32>,
    /// Its time, in milliseconds since the epoch; the moment of sending when `None`.
    pub timestamp: Option<i64>,
}

impl BulkRecord {
    fn bytes(&self) -> usize {
        let length = |bytes: &Option<Bytes>| bytes.as_ref().map_or(0, Bytes::len);
        let headers: usize = self.headers.iter().map(|(name, value)| name.len() + length(value)).sum();
        length(&self.key) + length(&self.value) + headers
    }
}

/// A record that was not acknowledged.
#[derive(Debug)]
pub struct Failure {
    /// What the caller numbered the record with.
    pub index: u64,
    /// Why, for people.
    pub reason: String,
}

/// Where an acknowledged record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placement {
    /// Its partition.
    pub partition: i32,
    /// Its offset; `None` when the broker did not tell it.
    pub offset: Option<i64>,
    /// Its time, in milliseconds since the epoch.
    pub timestamp: i64,
}

/// Sends records to one topic.
pub struct BulkProducer {
    topic: String,
    producer: Producer,
    chooser: Chooser,
    partition: Option<i32>,
    partitions: i32,
    outcomes: Arc<Outcomes>,
    /// Who asks the brokers whether they are through, where they answer for no record.
    unanswered: Option<(AdminClient, Vec<TopicPartition>)>,
}

impl BulkProducer {
    /// Connects and starts a producer for `topic`, which must exist; failures arrive on the receiver.
    ///
    /// # Errors
    /// When no broker answers, or the topic or the partition does not exist.
    pub async fn start(
        cluster: &Cluster,
        topic: &str,
        options: BulkOptions,
    ) -> Result<(Self, mpsc::UnboundedReceiver<Failure>), KafkaError> {
        let kafka = cluster.producing().await?;
        let partitions = lookup::partitions(kafka, topic).await?;
        let count = partitions.len();
        let exists = |partition: &i32| usize::try_from(*partition).is_ok_and(|partition| partition < count);
        if let Some(partition) = options.partition.filter(|partition| !exists(partition)) {
            return Err(KafkaError::UnknownPartition { topic: topic.to_owned(), partition, count });
        }
        let (failures, failed) = mpsc::unbounded_channel();
        let outcomes = Arc::new(Outcomes::new(options.timeout, failures));
        let producer = kafka
            .producer()
            .acks(options.acks)
            .idempotent(options.idempotent)
            .compression(options.compression)
            // A batch fills while the one before it is under way, so waiting for company gains nothing.
            .linger(Duration::ZERO)
            .batch_size(BATCH_BYTES)
            .buffer_memory(BUFFER_BYTES)
            .delivery_timeout(options.timeout)
            .max_block(options.timeout)
            .interceptor(Arc::clone(&outcomes))
            .build()
            .await
            .map_err(KafkaError::request("start the producer"))?;
        let chooser = Chooser::new(options.partitioner, count, BATCH_BYTES);
        let (topic, partition) = (topic.to_owned(), options.partition);
        let unanswered = (options.acks == Acks::None).then(|| {
            let named = partitions.into_iter().map(|number| TopicPartition::new(&*topic, number));
            (kafka.admin(), named.collect())
        });
        let partitions = i32::try_from(count).unwrap_or(i32::MAX);
        Ok((Self { topic, producer, chooser, partition, partitions, outcomes, unanswered }, failed))
    }

    /// Queues a record under the caller's number for it; waits while Kafka is behind by [`BUFFER_BYTES`].
    ///
    /// # Cancel safety
    /// A dropped call sent nothing, and counts as a failure.
    pub async fn send(&mut self, index: u64, record: BulkRecord) {
        let bytes = record.bytes();
        if let Some(partition) = record.partition.filter(|partition| !(0..self.partitions).contains(partition)) {
            let reason = format!("there is no partition {partition}: the topic has {}", self.partitions);
            return self.outcomes.reject(index, reason);
        }
        let timestamp = record.timestamp.unwrap_or_else(now_ms);
        let mut outgoing = Record::new(self.topic.as_str(), Bytes::new());
        outgoing.key = record.key;
        outgoing.value = record.value;
        outgoing.headers = record.headers;
        outgoing.timestamp = Some(timestamp);
        outgoing.partition = record.partition.or(self.partition).or_else(|| self.chooser.choose(bytes));
        self.outcomes.index.store(index, Ordering::Relaxed);
        self.outcomes.bytes.store(bytes as u64, Ordering::Relaxed);
        self.outcomes.timestamp.store(timestamp, Ordering::Relaxed);
        // The outcome, this one's included, is heard in the callback; the handle would be the same a second time.
        drop(self.producer.enqueue(outgoing).await);
    }

    /// What has happened so far.
    pub fn outcomes(&self) -> &Arc<Outcomes> {
        &self.outcomes
    }

    /// Sends what is queued and ends; what is not acknowledged within `timeout` fails.
    pub async fn close(self, timeout: Duration) {
        // A timeout here is one failure a record, each of them reported through the callback.
        drop(self.producer.close_with(CloseOptions::new().timeout(timeout)).await);
        // Without acknowledgements the last batches may still be on their way within this process, and would end with
        // it. A broker answers a connection's requests in order: what it says of its offsets comes after them.
        if let Some((admin, partitions)) = self.unanswered {
            let asked = partitions.into_iter().map(|partition| (partition, OffsetSpec::Latest));
            drop(tokio::time::timeout(timeout, admin.list_offsets(asked, ListOffsetsOptions::default())).await);
        }
    }
}

/// Counts and latencies of the records sent so far.
///
/// `index`, `bytes` and `timestamp` are those of the record that [`BulkProducer::send`], which takes one at a time, is queueing; the
/// callback runs within it.
pub struct Outcomes {
    index: AtomicU64,
    bytes: AtomicU64,
    timestamp: AtomicI64,
    tally: Mutex<Tally>,
    failures: mpsc::UnboundedSender<Failure>,
    timeout: Duration,
    gone: CancellationToken,
}

/// The counts and latencies at one moment.
#[derive(Clone, Debug)]
pub struct Tally {
    /// Acknowledged records.
    pub sent: u64,
    /// Their keys, values and headers, in bytes.
    pub bytes: u64,
    /// Records that were not acknowledged.
    pub failed: u64,
    /// From queueing to acknowledgement, in microseconds.
    pub latency: Histogram<u64>,
    /// Where the records are that were acknowledged last, the newest at the end.
    pub recent: VecDeque<Placement>,
    last_success: Instant,
}

/// What is remembered of a record under way.
struct UnderWay {
    index: u64,
    bytes: u64,
    timestamp: i64,
    since: Instant,
}

impl Outcomes {
    fn new(timeout: Duration, failures: mpsc::UnboundedSender<Failure>) -> Self {
        let latency = Histogram::new_with_max(MAX_LATENCY, 3)
            .unwrap_or_else(|_| unreachable!("constant bounds that hdrhistogram accepts"));
        let recent = VecDeque::with_capacity(RECENT);
        let tally = Tally { sent: 0, bytes: 0, failed: 0, latency, recent, last_success: Instant::now() };
        Self {
            index: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            timestamp: AtomicI64::new(0),
            tally: Mutex::new(tally),
            failures,
            timeout,
            gone: CancellationToken::new(),
        }
    }

    /// Records acknowledged and failed so far.
    pub fn counts(&self) -> (u64, u64) {
        let tally = self.lock();
        (tally.sent, tally.failed)
    }

    /// Everything so far.
    pub fn tally(&self) -> Tally {
        self.lock().clone()
    }

    /// Cancelled when Kafka took nothing for as long as a record may wait, or refused the client itself: sending more
    /// would only fail more.
    pub fn gone(&self) -> &CancellationToken {
        &self.gone
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Tally> {
        // Counts stay true whoever panicked.
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn succeeded(&self, record: &UnderWay, metadata: &RecordMetadata) {
        let now = Instant::now();
        let micros = u64::try_from((now - record.since).as_micros()).unwrap_or(u64::MAX);
        let mut tally = self.lock();
        tally.sent += 1;
        tally.bytes += record.bytes;
        tally.latency.saturating_record(micros);
        if tally.recent.len() == RECENT {
            tally.recent.pop_front();
        }
        tally.recent.push_back(Placement {
            partition: metadata.partition,
            offset: metadata.is_success().then_some(metadata.offset),
            // A broker tells the time only where it is the broker's own.
            timestamp: if metadata.timestamp > 0 { metadata.timestamp } else { record.timestamp },
        });
        tally.last_success = now;
    }

    fn failed(&self, index: u64, error: &KrafkaError) {
        let mut tally = self.lock();
        tally.failed += 1;
        let timed_out = matches!(error, KrafkaError::DeliveryTimeout { .. } | KrafkaError::Timeout { .. });
        if error.is_fatal() || (timed_out && tally.last_success.elapsed() >= self.timeout) {
            self.gone.cancel();
        }
        // Nobody listens only when the caller is gone too.
        let _ = self.failures.send(Failure { index, reason: reason(error) });
    }

    /// Counts a record that could not even be made, for the same report as those that Kafka refused.
    pub fn reject(&self, index: u64, reason: String) {
        self.lock().failed += 1;
        let _ = self.failures.send(Failure { index, reason });
    }
}

impl fmt::Debug for Outcomes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outcomes").finish_non_exhaustive()
    }
}

impl ProducerInterceptor for Outcomes {
    fn on_send(&self, _record: &mut Record, context: &mut RecordContext) -> InterceptorResult {
        context.insert(UnderWay {
            index: self.index.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            timestamp: self.timestamp.load(Ordering::Relaxed),
            since: Instant::now(),
        });
        Ok(())
    }

    fn on_acknowledgement(
        &self,
        _topic: &str,
        _partition: i32,
        result: Result<&RecordMetadata, &KrafkaError>,
        _headers: &krafka::Headers,
        context: &mut RecordContext,
    ) -> InterceptorResult {
        let Some(record) = context.take::<UnderWay>() else { return Ok(()) };
        match result {
            Ok(metadata) => self.succeeded(&record, metadata),
            Err(error) => self.failed(record.index, error),
        }
        Ok(())
    }
}

/// What a person should read about a record that was not acknowledged.
fn reason(error: &KrafkaError) -> String {
    match error {
        KrafkaError::Broker { code: ErrorCode::MessageTooLarge | ErrorCode::RecordListTooLarge, .. } => {
            "larger than the topic's max.message.bytes".to_owned()
        }
        KrafkaError::DeliveryTimeout { possibly_written: true, .. } => {
            "no acknowledgement in time (it may have been written)".to_owned()
        }
        KrafkaError::DeliveryTimeout { .. } | KrafkaError::Timeout { .. } => "Kafka did not take it in time".to_owned(),
        KrafkaError::Closed { .. } => "not sent: interrupted".to_owned(),
        other => other.to_string(),
    }
}
