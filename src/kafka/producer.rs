//! The producer of the apps: every record acknowledged by all in-sync replicas, written once, within a bound of time
//! and of memory.
//!
//! **Batches fill while the broker is busy**, as Nagle's algorithm (RFC 896) fills segments: a record leaves at once when
//! nothing is on its way, else together with all that came until the acknowledgement, or, if none of its own partition is, until [`LINGER`] has passed.
//! To a broker a request costs far more than a record: without this, the partitions' batches leave at different moments,
//! and it has three requests to answer instead of one.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use krafka::producer::{Acks, RecordMetadata};
use krafka::{CloseOptions, KrafkaError, Record};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};
use tokio_util::task::AbortOnDropHandle;

use super::event::Headers;
use super::traces::Sending;
use super::{Cluster, KafkaError};
use crate::telemetry::instruments::ProducerInstruments;
use crate::telemetry::metrics as m;

/// How long a record may wait for its acknowledgement, retries included; then the caller hears of it.
/// Below the 5 s in which a POST must be answered, above the second that a change of leader takes.
pub const DELIVERY_TIMEOUT: Duration = Duration::from_millis(4_500);
/// How long a record waits at most for the acknowledgement of those before it until it follows them.
const LINGER: Duration = Duration::from_millis(5);
/// Records waiting for Kafka occupy at most this many bytes; more wait, and fail after [`DELIVERY_TIMEOUT`].
const BUFFER_BYTES: usize = 32 * 1024 * 1024;

/// A shared producer. Cheap to clone.
#[derive(Clone)]
pub struct Producer {
    inner: Arc<krafka::producer::Producer>,
    /// Tells the flusher that a record waits.
    queued: Arc<Notify>,
    _flusher: Arc<AbortOnDropHandle<()>>,
    instruments: Arc<HashMap<String, Arc<ProducerInstruments>>>,
}

/// A record to send.
#[derive(Clone, Debug, PartialEq)]
pub struct Outgoing {
    /// The topic.
    pub topic: String,
    /// The key, which decides the partition.
    pub key: Option<Bytes>,
    /// The value; `None` is a tombstone.
    pub value: Option<Bytes>,
    /// The headers.
    pub headers: Headers,
    /// The time of the event, in milliseconds since the epoch.
    pub timestamp: i64,
}

impl Producer {
    /// Starts a producer for the named topics.
    ///
    /// # Errors
    /// When no broker answers.
    pub async fn start(cluster: &Cluster, topics: impl IntoIterator<Item = String>) -> Result<Self, KafkaError> {
        let producer = (cluster.producing().await?.producer())
            .acks(Acks::All)
            .idempotent(true)
            .linger(LINGER)
            .delivery_timeout(DELIVERY_TIMEOUT)
            .max_block(DELIVERY_TIMEOUT)
            .buffer_memory(BUFFER_BYTES)
            .batch_size(256 * 1024)
            .build()
            .await
            .map_err(KafkaError::request("start the producer"))?;
        // It has just spoken to a broker.
        metrics::gauge!(m::PRODUCER_CONNECTED.name).set(1.0);
        let instruments =
            topics.into_iter().map(|topic| (topic.clone(), Arc::new(ProducerInstruments::new(&topic)))).collect();
        let (inner, queued) = (Arc::new(producer), Arc::new(Notify::new()));
        let flusher = tokio::spawn(flush_when_queued(Arc::clone(&inner), Arc::clone(&queued)));
        let _flusher = Arc::new(AbortOnDropHandle::new(flusher));
        Ok(Self { inner, queued, _flusher, instruments: Arc::new(instruments) })
    }

    /// Sends a record and waits until Kafka has acknowledged it.
    ///
    /// # Errors
    /// When it was not acknowledged within [`DELIVERY_TIMEOUT`], or can't be (too large, unknown topic).
    ///
    /// # Cancel safety
    /// A dropped call may still send the record.
    pub async fn send(&self, record: Outgoing) -> Result<(), KafkaError> {
        self.enqueue(record).await?.await
    }

    /// Puts a record behind those before it, and answers with what becomes of it: records that are enqueued one after the
    /// other are written in that order, and nobody waits for each.
    ///
    /// # Errors
    /// As [`send`](Self::send): here when there is no room for it, there when it was not acknowledged.
    ///
    /// # Cancel safety
    /// As [`send`](Self::send), and what was enqueued is sent though nobody waits for it.
    pub async fn enqueue(
        &self,
        record: Outgoing,
    ) -> Result<impl Future<Output = Result<(), KafkaError>> + Send + use<>, KafkaError> {
        let delivery = Delivery::begin(&record, self.instruments.get(&record.topic).cloned());
        let enqueued = timeout_at(delivery.deadline(), self.inner.enqueue(into_record(record))).await;
        let acknowledged = match enqueued.unwrap_or_else(|_| Err(KrafkaError::timeout("delivery"))) {
            Ok(acknowledged) => acknowledged,
            Err(error) => return Err(delivery.failed(error)),
        };
        self.queued.notify_one();
        Ok(async move {
            match timeout_at(delivery.deadline(), acknowledged).await {
                Ok(Ok(placed)) => {
                    delivery.arrived(&placed);
                    Ok(())
                }
                Ok(Err(error)) => Err(delivery.failed(error)),
                Err(_) => Err(delivery.failed(KrafkaError::timeout("delivery"))),
            }
        })
    }

    /// Sends what is queued and ends, within `timeout`.
    pub async fn close(&self, timeout: Duration) {
        if let Err(error) = self.inner.close_with(CloseOptions::new().timeout(timeout)).await {
            tracing::warn!(%error, "the producer did not end in order");
        }
    }
}

/// A record on its way, of which is told how that ends.
struct Delivery {
    topic: String,
    bytes: usize,
    started: Instant,
    instruments: Option<Arc<ProducerInstruments>>,
    /// Boxed, because most have none and all are moved about.
    sending: Option<Box<Sending>>,
}

impl Delivery {
    fn begin(record: &Outgoing, instruments: Option<Arc<ProducerInstruments>>) -> Self {
        Self {
            topic: record.topic.clone(),
            bytes: record.value.as_ref().map_or(0, Bytes::len),
            started: Instant::now(),
            instruments,
            sending: Sending::of(record).map(Box::new),
        }
    }

    /// When it is given up.
    fn deadline(&self) -> Instant {
        self.started + DELIVERY_TIMEOUT
    }

    fn arrived(self, placed: &RecordMetadata) {
        let took = self.started.elapsed();
        self.instruments.inspect(|instruments| instruments.sent(took, self.bytes));
        self.sending.inspect(|sending| sending.ended(took, Ok((placed.partition, placed.offset))));
    }

    fn failed(self, source: KrafkaError) -> KafkaError {
        let kind = error_type(&source);
        self.instruments.inspect(|instruments| instruments.failed(kind));
        self.sending.inspect(|sending| sending.ended(self.started.elapsed(), Err((kind, source.to_string()))));
        KafkaError::Request { what: format!("write to {}", self.topic), source }
    }
}

/// Sends what is queued, waits until it is acknowledged, and sends what has been queued meanwhile.
async fn flush_when_queued(producer: Arc<krafka::producer::Producer>, queued: Arc<Notify>) {
    loop {
        queued.notified().await;
        // Who sent a record hears what became of it.
        let _ = producer.flush().await;
    }
}

fn into_record(outgoing: Outgoing) -> Record {
    let record = match (outgoing.value, &outgoing.key) {
        (Some(value), _) => Record::new(outgoing.topic, value),
        (None, Some(key)) => Record::tombstone(outgoing.topic, key.clone()),
        (None, None) => Record::new(outgoing.topic, Bytes::new()).without_value(),
    };
    let record = match outgoing.key {
        Some(key) => record.key(key),
        None => record,
    };
    let record = record.timestamp(outgoing.timestamp);
    outgoing.headers.into_iter().fold(record, |record, (name, value)| match value {
        Some(value) => record.header(name, value),
        None => record.null_header(name),
    })
}

/// The `error_type` label of a failed send.
fn error_type(error: &KrafkaError) -> &'static str {
    match error {
        KrafkaError::Timeout { .. } | KrafkaError::DeliveryTimeout { .. } => "timeout",
        KrafkaError::Network(_) => "network",
        KrafkaError::Auth { .. } => "auth",
        KrafkaError::Broker { .. } => "broker",
        _ => "other",
    }
}
