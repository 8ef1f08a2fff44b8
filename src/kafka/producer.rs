//! The producer of the apps: every record acknowledged by all in-sync replicas, written once, within a bound of time
//! and of memory.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use krafka::producer::Acks;
use krafka::{CloseOptions, KrafkaError, Record};

use super::event::Headers;
use super::{Cluster, KafkaError};
use crate::telemetry::instruments::ProducerInstruments;
use crate::telemetry::metrics as m;

/// How long a record may wait for its acknowledgement, retries included; then the caller hears of it.
/// Below the 5 s in which a POST must be answered, above the second that a change of leader takes.
pub const DELIVERY_TIMEOUT: Duration = Duration::from_millis(4_500);
/// Records waiting for Kafka occupy at most this many bytes; more wait, and fail after [`DELIVERY_TIMEOUT`].
const BUFFER_BYTES: usize = 32 * 1024 * 1024;

/// A shared producer. Cheap to clone.
#[derive(Clone)]
pub struct Producer {
    inner: Arc<krafka::producer::Producer>,
    instruments: Arc<HashMap<String, ProducerInstruments>>,
}

/// A record to send.
#[derive(Clone, Debug)]
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
            // Waiting for company costs every POST the wait; under load batches fill by themselves.
            .linger(Duration::ZERO)
            .delivery_timeout(DELIVERY_TIMEOUT)
            .max_block(DELIVERY_TIMEOUT)
            .buffer_memory(BUFFER_BYTES)
            .batch_size(256 * 1024)
            .build()
            .await
            .map_err(KafkaError::request("start the producer"))?;
        // It has just spoken to a broker.
        metrics::gauge!(m::PRODUCER_CONNECTED.name).set(1.0);
        let instruments = topics.into_iter().map(|topic| (topic.clone(), ProducerInstruments::new(&topic))).collect();
        Ok(Self { inner: Arc::new(producer), instruments: Arc::new(instruments) })
    }

    /// Sends a record and waits until Kafka has acknowledged it.
    ///
    /// # Errors
    /// When it was not acknowledged within [`DELIVERY_TIMEOUT`], or can't be (too large, unknown topic).
    ///
    /// # Cancel safety
    /// A dropped call may still send the record.
    pub async fn send(&self, record: Outgoing) -> Result<(), KafkaError> {
        let started = Instant::now();
        let bytes = record.value.as_ref().map_or(0, Bytes::len);
        let topic = record.topic.clone();
        let delivered = async { self.inner.enqueue(into_record(record)).await?.await.map(drop) };
        let result = match tokio::time::timeout(DELIVERY_TIMEOUT, delivered).await {
            Ok(result) => result,
            Err(_) => Err(KrafkaError::timeout("delivery")),
        };
        if let Some(instruments) = self.instruments.get(&topic) {
            match &result {
                Ok(()) => instruments.sent(started.elapsed(), bytes),
                Err(error) => instruments.failed(error_type(error)),
            }
        }
        result.map_err(|source| KafkaError::Request { what: format!("write to {topic}"), source })
    }

    /// Sends what is queued and ends, within `timeout`.
    pub async fn close(&self, timeout: Duration) {
        if let Err(error) = self.inner.close_with(CloseOptions::new().timeout(timeout)).await {
            tracing::warn!(%error, "the producer did not end in order");
        }
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
