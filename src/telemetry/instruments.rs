//! Handles to the metrics' series, looked up once and kept, so that recording on a hot path is an atomic add.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

use super::metrics as m;

/// The series of one produced topic.
pub struct ProducerInstruments {
    topic: String,
    sent: Counter,
    failed: Counter,
    produced: Counter,
    duration: Histogram,
    size: Histogram,
    connected: Gauge,
}

impl ProducerInstruments {
    /// Looks up the series of `topic`.
    pub fn new(topic: &str) -> Self {
        let label = || topic.to_owned();
        Self {
            topic: label(),
            sent: counter!(m::PRODUCER_SENT.name, "topic" => label(), "status" => "success"),
            failed: counter!(m::PRODUCER_SENT.name, "topic" => label(), "status" => "error"),
            produced: counter!(m::MESSAGES_PRODUCED.name, "topic" => label()),
            duration: histogram!(m::PRODUCER_DURATION.name, "topic" => label()),
            size: histogram!(m::PRODUCER_SIZE.name, "topic" => label()),
            connected: gauge!(m::PRODUCER_CONNECTED.name),
        }
    }

    /// A record was acknowledged.
    pub fn sent(&self, took: Duration, bytes: usize) {
        self.sent.increment(1);
        self.produced.increment(1);
        self.duration.record(took.as_secs_f64());
        self.size.record(bytes as f64);
        self.connected.set(1.0);
    }

    /// A record was not acknowledged.
    pub fn failed(&self, error_type: &'static str) {
        self.failed.increment(1);
        if matches!(error_type, "timeout" | "network" | "auth") {
            self.connected.set(0.0);
        }
        counter!(m::PRODUCER_ERRORS.name, "topic" => self.topic.clone(), "error_type" => error_type).increment(1);
    }
}

/// The series of one partition that a group consumes.
pub struct PartitionInstruments {
    topic: String,
    partition: String,
    handled: Counter,
    dead: Counter,
    consumed: Counter,
    unreadable: Counter,
    exhausted: Counter,
    duration: Histogram,
    processing: Histogram,
    lag: Gauge,
    lag_seconds: Gauge,
    offset: Gauge,
    end: Gauge,
}

impl PartitionInstruments {
    /// Looks up the series of one partition.
    pub fn new(group: &str, topic: &str, partition: i32) -> Self {
        let (group, topic, partition) = (group.to_owned(), topic.to_owned(), partition.to_string());
        let per_group = |metric: m::Metric| gauge!(metric.name, "topic" => topic.clone(), "partition" => partition.clone(), "consumer_group" => group.clone());
        let outcome = |status: &'static str| counter!(m::CONSUMER_MESSAGES.name, "topic" => topic.clone(), "partition" => partition.clone(), "status" => status);
        let letters = |reason: &'static str| counter!(m::DEAD_LETTERS.name, "topic" => topic.clone(), "consumer_group" => group.clone(), "reason" => reason);
        Self {
            handled: outcome("success"),
            dead: outcome("dead_letter"),
            consumed: counter!(m::MESSAGES_CONSUMED.name, "topic" => topic.clone(), "consumer_group" => group.clone()),
            unreadable: letters("unreadable"),
            exhausted: letters("exhausted"),
            duration: histogram!(m::CONSUMER_DURATION.name, "topic" => topic.clone(), "partition" => partition.clone()),
            processing: histogram!(m::PROCESSING_DURATION.name, "topic" => topic.clone()),
            lag: per_group(m::CONSUMER_LAG),
            lag_seconds: per_group(m::CONSUMER_LAG_SECONDS),
            offset: per_group(m::CONSUMER_OFFSET),
            end: gauge!(m::CONSUMER_END.name, "topic" => topic.clone(), "partition" => partition.clone()),
            topic,
            partition,
        }
    }

    /// A batch was handled: `handled` records took effect, `unreadable` ones and those whose attempts were `exhausted` went
    /// to the dead-letter topic.
    pub fn batch(&self, handled: u64, unreadable: u64, exhausted: u64, took: Duration) {
        let dead = unreadable + exhausted;
        self.handled.increment(handled);
        self.dead.increment(dead);
        self.unreadable.increment(unreadable);
        self.exhausted.increment(exhausted);
        self.consumed.increment(handled + dead);
        self.duration.record(took.as_secs_f64());
        self.processing.record(took.as_secs_f64());
    }

    /// Where the group stands in the partition; `age` is that of the last handled record, if there is one.
    pub fn position(&self, offset: i64, end: Option<i64>, age: Option<Duration>) {
        self.offset.set(offset as f64);
        if let Some(end) = end {
            let lag = (end - offset).max(0);
            self.end.set(end as f64);
            self.lag.set(lag as f64);
            match age {
                _ if lag == 0 => self.lag_seconds.set(0.0),
                Some(age) => self.lag_seconds.set(age.as_secs_f64()),
                None => {}
            }
        }
    }

    /// The partition is another member's now, which shows its lag: here there is none any more.
    pub fn given_back(&self) {
        self.lag.set(0.0);
        self.lag_seconds.set(0.0);
    }

    /// Something failed.
    pub fn error(&self, error_type: &'static str) {
        let (topic, partition) = (self.topic.clone(), self.partition.clone());
        counter!(m::CONSUMER_ERRORS.name, "topic" => topic, "partition" => partition, "error_type" => error_type)
            .increment(1);
    }
}

/// The series of one group's processor.
pub struct ProcessorInstruments {
    /// Records that will be tried again.
    pub retries: Counter,
    /// Batches computed anew.
    pub conflicts: Counter,
    /// Wake-ups that are to come.
    pub wakes: Gauge,
    group: String,
}

impl ProcessorInstruments {
    /// Looks up the series of `group`.
    pub fn new(group: &str) -> Self {
        let label = || group.to_owned();
        Self {
            retries: counter!(m::RETRIES.name, "consumer_group" => label()),
            conflicts: counter!(m::PROCESSOR_CONFLICTS.name, "consumer_group" => label()),
            wakes: gauge!(m::PROCESSOR_WAKES.name, "consumer_group" => label()),
            group: label(),
        }
    }

    /// Records of `topic` were given up: at once, and after their last attempt.
    pub fn gave_up(&self, topic: &str, permanent: u64, exhausted: u64) {
        for (reason, letters) in [("permanent", permanent), ("exhausted", exhausted)] {
            let (topic, group) = (topic.to_owned(), self.group.clone());
            counter!(m::DEAD_LETTERS.name, "topic" => topic, "consumer_group" => group, "reason" => reason)
                .increment(letters);
        }
    }
}

/// The series of one group's outbox.
pub struct OutboxInstruments {
    /// Records on their way.
    pub size: Gauge,
    /// Records that Kafka will not take.
    pub refused: Counter,
}

impl OutboxInstruments {
    /// Looks up the series of `group`.
    pub fn new(group: &str) -> Self {
        Self {
            size: gauge!(m::OUTBOX_SIZE.name, "consumer_group" => group.to_owned()),
            refused: counter!(m::OUTBOX_REFUSED.name, "consumer_group" => group.to_owned()),
        }
    }
}

/// The series of spans.
#[derive(Clone)]
pub struct SpanInstruments {
    /// Spans that the endpoint took.
    pub exported: Counter,
    /// Spans for which there was no room.
    pub queue_full: Counter,
    /// Spans that were given up because the endpoint was away.
    pub unreachable: Counter,
    /// Spans that the endpoint would not take.
    pub refused: Counter,
}

impl SpanInstruments {
    /// Looks the series up.
    pub fn new() -> Self {
        let dropped = |reason: &'static str| counter!(m::SPANS_DROPPED.name, "reason" => reason);
        Self {
            exported: counter!(m::SPANS_EXPORTED.name),
            queue_full: dropped("queue_full"),
            unreachable: dropped("unreachable"),
            refused: dropped("refused"),
        }
    }
}

impl Default for SpanInstruments {
    fn default() -> Self {
        Self::new()
    }
}

/// The series of one kind of Redis operation.
pub struct RedisInstruments {
    succeeded: Counter,
    failed: Counter,
    duration: Histogram,
}

impl RedisInstruments {
    /// Looks up the series of `operation`.
    pub fn new(operation: &'static str) -> Self {
        Self {
            succeeded: counter!(m::REDIS_OPERATIONS.name, "operation" => operation, "status" => "success"),
            failed: counter!(m::REDIS_OPERATIONS.name, "operation" => operation, "status" => "error"),
            duration: histogram!(m::REDIS_DURATION.name, "operation" => operation),
        }
    }

    /// An operation ended.
    pub fn ended(&self, took: Duration, succeeded: bool) {
        if succeeded { &self.succeeded } else { &self.failed }.increment(1);
        self.duration.record(took.as_secs_f64());
    }
}

/// The series of HTTP requests, found by labels that only come as one of a few.
#[derive(Default)]
pub struct HttpInstruments {
    in_progress: Cache<(&'static str, &'static str), Gauge>,
    ended: Cache<(&'static str, &'static str, u16), (Counter, Histogram)>,
}

type Cache<K, V> = RwLock<HashMap<K, V>>;

impl HttpInstruments {
    /// The gauge of requests being answered.
    pub fn in_progress(&self, method: &'static str, route: &'static str) -> Gauge {
        let look_up = || gauge!(m::HTTP_IN_PROGRESS.name, "method" => method, "route" => route);
        cached(&self.in_progress, (method, route), look_up)
    }

    /// A request was answered.
    pub fn ended(&self, method: &'static str, route: &'static str, status: u16, took: Duration) {
        let (counter, histogram) = cached(&self.ended, (method, route, status), || {
            let labels =
                [("method", method.to_owned()), ("route", route.to_owned()), ("status_code", status.to_string())];
            (counter!(m::HTTP_REQUESTS.name, &labels), histogram!(m::HTTP_DURATION.name, &labels))
        });
        counter.increment(1);
        histogram.record(took.as_secs_f64());
    }
}

/// The series under `key`, looked up the first time.
fn cached<K: Eq + Hash, V: Clone>(cache: &Cache<K, V>, key: K, look_up: impl FnOnce() -> V) -> V {
    if let Some(found) = cache.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
        return found.clone();
    }
    cache.write().unwrap_or_else(PoisonError::into_inner).entry(key).or_insert_with(look_up).clone()
}

/// The series of all streams to viewers.
pub struct StreamInstruments {
    /// Viewers connected.
    pub active: Gauge,
    /// Streams opened.
    pub opened: Counter,
    /// Streams that ended because the viewer or the server left.
    pub closed: Counter,
    /// Streams cut off because the viewer was too slow.
    pub dropped: Counter,
    /// The same, as an error.
    pub slow: Counter,
    /// `connected` events.
    pub connected: Counter,
    /// Messages.
    pub messages: Counter,
    /// `reset` events.
    pub resets: Counter,
    /// Keepalive comments.
    pub keepalives: Counter,
}

impl StreamInstruments {
    /// Looks the series up.
    pub fn new() -> Self {
        let connections = |status: &'static str| counter!(m::SSE_CONNECTIONS.name, "status" => status);
        let sent = |kind: &'static str| counter!(m::SSE_MESSAGES.name, "type" => kind);
        Self {
            active: gauge!(m::SSE_ACTIVE.name),
            opened: connections("opened"),
            closed: connections("closed"),
            dropped: connections("dropped"),
            slow: counter!(m::SSE_ERRORS.name, "error_type" => "slow_client"),
            connected: sent("connected"),
            messages: sent("message"),
            resets: sent("reset"),
            keepalives: sent("keepalive"),
        }
    }
}

impl Default for StreamInstruments {
    fn default() -> Self {
        Self::new()
    }
}
