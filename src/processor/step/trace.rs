//! What is told of a step in its trace, and what a change is ascribed to.

use std::sync::Arc;
use std::time::Duration;

use krafka::ConsumerRecord;

use crate::kafka::event::{EVENT_TYPE, header_str, work_on};
use crate::kafka::{Outgoing, Processing};
use crate::telemetry::trace::{self, Current, Kind, Span, TraceContext};

/// What changed a state: a record, or nothing but the time.
#[derive(Clone, Debug, Default)]
pub struct Cause {
    /// The record.
    record: Option<Arc<ConsumerRecord>>,
    /// The step, if its trace is recorded.
    pub span: Option<TraceContext>,
}

impl Cause {
    /// The step `told` on `record`.
    pub fn new(record: Option<&Arc<ConsumerRecord>>, told: Option<&Told>) -> Self {
        Self { record: record.cloned(), span: told.map(|told| told.context) }
    }

    /// What work belongs to that follows from it.
    pub fn work(&self) -> Current {
        match &self.record {
            Some(record) => work_on(&record.headers, self.span),
            None => Current::new(self.span),
        }
    }
}

/// A step whose trace is recorded: what was made of one record, or of a key whose time had come.
#[derive(Clone, Debug)]
pub struct Told {
    context: TraceContext,
    parent: u64,
    key: String,
    /// The types of the events that it emitted.
    emitted: Vec<String>,
    /// With what kind of error it failed, and in words.
    failed: Option<(&'static str, String)>,
}

impl Told {
    /// What `group` makes of `record`, which is about `key`; `None` if its trace isn't recorded.
    pub fn of_record(record: &ConsumerRecord, group: &str, key: &str) -> Option<Self> {
        Processing::of(record, group).map(|processing| Self::under(processing.context, "step", key))
    }

    /// What `group` does about `key` now that its time has come, in the trace that it has `waited` in.
    pub fn of_wake(waited: Option<TraceContext>, group: &str, key: &str, now_ms: i64) -> Option<Self> {
        let waited = waited.filter(trace::is_recorded)?;
        Some(Self::under(waited, &format!("wake {group} {key} {now_ms}"), key))
    }

    fn under(work: TraceContext, what: &str, key: &str) -> Self {
        let (context, parent) = (work.derived(what), work.span_id);
        Self { context, parent, key: key.to_owned(), emitted: Vec::new(), failed: None }
    }

    /// It emits `record`.
    pub fn emits(&mut self, record: &Outgoing) {
        self.emitted.extend(header_str(&record.headers, EVENT_TYPE).map(str::to_owned));
    }

    /// It failed, and what `becomes` of the record.
    pub fn fails(&mut self, becomes: &'static str, reason: &str) {
        self.failed = Some((becomes, reason.to_owned()));
    }

    /// Tells of it, a step of `group`, once it has been written.
    pub fn tell(self, group: &str, took: Duration) {
        let Self { context, parent, key, emitted, failed } = self;
        trace::tell(&context, || {
            Span::ended(Kind::Internal, format!("step {group}"), context, took)
                .under(Some(parent))
                .with("kboard.key", key)
                .with_some("kboard.emitted", (!emitted.is_empty()).then(|| emitted.join(",")))
                .failed(failed)
        });
    }
}
