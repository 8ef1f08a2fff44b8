//! The spans of records, as the semantic conventions for Kafka have them
//! (<https://opentelemetry.io/docs/specs/semconv/messaging/kafka/>): one where a record is sent, one where a group deals with it.
//!
//! ```text
//! POST /api/orders ──> send orders.v1 ──> process orders.v1 (payment-service) ──> step … ──> send payments.v1 ──> …
//!                                    └──> process orders.v1 (inventory-service) ──> …
//! ```
//!
//! What a record says in `traceparent` is the span that sent it, so whoever reads it goes on from there.

use std::time::Duration;

use bytes::Bytes;
use krafka::ConsumerRecord;

use super::consumer::PartitionEffects;
use super::dead_letter;
use super::event::{CORRELATION_ID, EVENT_ID, Headers, header_str, traceparent};
use super::producer::Outgoing;
use crate::telemetry::trace::{self, Current, Kind, Span, TraceContext};

/// Other records of a batch that its spans are linked to at most.
const LINKS: usize = 31;

/// A record on its way to Kafka, whose trace is recorded.
#[derive(Debug)]
pub struct Sending {
    context: TraceContext,
    parent: Option<u64>,
    topic: String,
    event_id: Option<String>,
    correlation: Option<String>,
    bytes: usize,
}

impl Sending {
    /// The sending of `record`, if its trace is recorded. It is a part of the work at hand.
    pub fn of(record: &Outgoing) -> Option<Self> {
        let sent = recorded(&record.headers)?;
        // A copy says where its record was sent from first.
        let context = if dead_letter::is_copy(&record.headers) { sent.child() } else { sent };
        let work = trace::current::current().filter(|work| work.trace_id == context.trace_id);
        let text = |name| header_str(&record.headers, name).map(str::to_owned);
        Some(Self {
            context,
            parent: work.map(|work| work.span_id),
            topic: record.topic.clone(),
            event_id: text(EVENT_ID),
            correlation: text(CORRELATION_ID),
            bytes: record.value.as_ref().map_or(0, Bytes::len),
        })
    }

    /// It `took` so long until it stood at a partition and offset, or failed: with what kind of error, and in words.
    pub fn ended(&self, took: Duration, outcome: Result<(i32, i64), (&'static str, String)>) {
        trace::tell(&self.context, || {
            let place = outcome.as_ref().ok();
            Span::ended(Kind::Producer, format!("send {}", self.topic), self.context, took)
                .under(self.parent)
                .with("messaging.system", "kafka")
                .with("messaging.operation.name", "send")
                .with("messaging.operation.type", "send")
                .with("messaging.destination.name", self.topic.clone())
                .with_some("messaging.destination.partition.id", place.map(|(partition, _)| partition.to_string()))
                .with_some("messaging.kafka.offset", place.map(|(_, offset)| *offset))
                .with_some("messaging.message.id", self.event_id.clone())
                .with_some("messaging.message.conversation_id", self.correlation.clone())
                .with("messaging.message.body.size", self.bytes)
                .failed(outcome.err())
        });
    }
}

/// A group's work on one record, whose trace is recorded.
#[derive(Clone, Copy, Debug)]
pub struct Processing {
    /// Its span: the same whenever this group deals with the record.
    pub context: TraceContext,
    /// The span that sent the record.
    pub sent: u64,
}

impl Processing {
    /// The work of `group` on `record`, if its trace is recorded.
    pub fn of(record: &ConsumerRecord, group: &str) -> Option<Self> {
        let sent = recorded(&record.headers)?;
        let ConsumerRecord { topic, partition, offset, .. } = record;
        let context = sent.derived(format!("{group} {topic} {partition} {offset}"));
        Some(Self { context, sent: sent.span_id })
    }

    /// Tells that `group` has dealt with the record at an offset of a partition, one of so many (`batch`) at once. `failed`
    /// says with what kind of error, and in words.
    pub fn ended(
        self,
        group: &str,
        (topic, partition, offset): (&str, i32, i64),
        batch: usize,
        took: Duration,
        failed: Option<(&'static str, String)>,
    ) {
        trace::tell(&self.context, || {
            Span::ended(Kind::Consumer, format!("process {topic}"), self.context, took)
                .under(Some(self.sent))
                .with("messaging.system", "kafka")
                .with("messaging.operation.name", "process")
                .with("messaging.operation.type", "process")
                .with("messaging.destination.name", topic.to_owned())
                .with("messaging.destination.partition.id", partition.to_string())
                .with("messaging.kafka.offset", offset)
                .with("messaging.consumer.group.name", group.to_owned())
                .with("messaging.batch.message_count", batch)
                .failed(failed)
        });
    }
}

/// What the work on a batch belongs to: the first of its records whose traces are recorded, linked to the others.
pub fn work_on_batch<E>(batch: &[PartitionEffects<E>]) -> Current {
    if !trace::is_on() {
        return Current::default();
    }
    let mut traced = batch.iter().flat_map(|run| &run.effects).filter_map(|effect| Some(effect.trace?.context));
    let context = traced.next();
    Current { links: traced.take(LINKS).collect(), ..Current::new(context) }
}

/// Tells that `group` has dealt with a batch, which `took` so long.
pub fn batch_ended<E>(group: &str, batch: &[PartitionEffects<E>], took: Duration) {
    if !trace::is_on() {
        return;
    }
    let size = batch.iter().map(|run| run.effects.len()).sum();
    for run in batch {
        let (topic, partition) = (run.partition.topic(), run.partition.partition());
        for effect in &run.effects {
            if let Some(processing) = effect.trace {
                processing.ended(group, (topic, partition, effect.offset), size, took, None);
            }
        }
    }
}

/// The trace of a record with these headers, if it is recorded.
fn recorded(headers: &Headers) -> Option<TraceContext> {
    trace::is_on().then(|| traceparent(headers)).flatten().and_then(|header| TraceContext::parse_sampled(header))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::event::TRACEPARENT;

    #[test]
    fn without_an_endpoint_no_record_is_recorded() {
        let traceparent = TraceContext { sampled: true, ..TraceContext::random() }.header();
        assert_eq!(recorded(&vec![(TRACEPARENT.to_owned(), Some(Bytes::from(traceparent)))]), None);
    }
}
