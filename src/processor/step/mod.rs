//! What a batch changes: the pure heart of every processor.
//!
//! Given the events of a batch and the states they concern, [`step`] says what is to be written: the states that changed,
//! the records to send, what viewers are told. It reads no clock and touches nothing, so that whole services can be run in a
//! test, through any order of events and any crash.

mod fail;
mod fold;
mod trace;
mod work;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use krafka::ConsumerRecord;
use serde::{Deserialize, Serialize};

use super::contract::{Decision, Failure, Index, Moment, Processor};
use super::retry::record::{ORIGIN_TOPIC, group_of};
use super::retry::{Attempt, Retry};
use crate::kafka::event::header_str;
use crate::kafka::{Outgoing, dead_letter};
use crate::telemetry::trace::TraceContext;
use work::Work;

pub use fold::{fold, reopen};
pub use trace::{Cause, Told};

/// An event with the record it was read from.
#[derive(Clone, Debug)]
pub struct Input<E> {
    /// The event.
    pub event: E,
    /// Its keys.
    pub keys: Vec<String>,
    /// Its record.
    pub record: Arc<ConsumerRecord>,
}

/// A state as it is kept.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stored<S> {
    /// The state.
    pub state: S,
    /// How often it was written: who wants to change it says which version it has seen.
    pub version: u64,
    /// When its key is decided about again, if it asked for that.
    pub wake: Option<Wake>,
    /// Records about its key that wait for their turn, the first one first; only where order is kept.
    pub waiting: Vec<Waiting>,
}

/// A time at which a key is decided about again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wake {
    /// When, in milliseconds since the epoch.
    pub at: i64,
    /// The partition (`topic:number`) whose reader sees to it.
    pub home: String,
}

/// A record that waits in the retry topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// The record's [`Attempt::id`].
    pub id: String,
    /// When it comes back, in milliseconds since the epoch.
    pub due: i64,
}

/// What a batch consists of.
pub struct Batch<'a, E> {
    /// Events, in the order in which they are handled.
    pub inputs: Vec<&'a Input<E>>,
    /// Keys whose time has come, each with the partition that sees to it.
    pub woken: Vec<(String, String)>,
}

/// What is to be written, all or nothing.
#[derive(Clone, Debug)]
pub struct Changes<S> {
    /// The states that changed.
    pub writes: Vec<Write<S>>,
    /// Records to send, in order.
    pub emissions: Vec<Emission>,
    /// What viewers are told, in order.
    pub announcements: Vec<Announcement>,
    /// When keys that were woken are woken again: the key, the partition that sees to it, and when.
    pub woken: Vec<(String, String, Option<i64>)>,
    /// What became of records that failed, for the metrics.
    pub failures: Failures,
    /// The steps whose traces are recorded.
    pub steps: Vec<Told>,
}

/// What viewers are told of one change.
#[derive(Clone, Debug)]
pub struct Announcement {
    /// A JSON object.
    pub json: String,
    /// The step that changed it, if its trace is recorded.
    pub trace: Option<TraceContext>,
}

impl<S> Default for Changes<S> {
    fn default() -> Self {
        Self {
            writes: Vec::new(),
            emissions: Vec::new(),
            announcements: Vec::new(),
            woken: Vec::new(),
            failures: Failures::default(),
            steps: Vec::new(),
        }
    }
}

/// Failed records of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Failures {
    /// That will be tried again.
    pub retried: u64,
    /// That became dead letters, by topic: at once, and after their last attempt.
    pub dead: BTreeMap<String, (u64, u64)>,
}

/// One state to write.
#[derive(Clone, Debug)]
pub struct Write<S> {
    /// Its key.
    pub key: String,
    /// The version that it must still have.
    pub version: u64,
    /// What to keep from now on. The default state with nothing else to remember is removed.
    pub stored: Stored<S>,
    /// Whether the state itself is another one, and not only what is kept beside it.
    pub is_new: bool,
    /// The wake-up that this takes the place of.
    pub woken: Option<Wake>,
    /// Index entries that appear or move.
    pub add: Vec<Index>,
    /// Indexes that it is no longer found in.
    pub remove: Vec<String>,
    /// How long it is kept; `None` is for ever.
    pub lifetime: Option<Duration>,
    /// What changed it last.
    pub cause: Cause,
}

/// A record to send, with its place in the outbox.
#[derive(Clone, Debug)]
pub struct Emission {
    /// The partition (`topic:number`) whose reader sends it.
    pub home: String,
    /// What tells it from the others of its home; in the order of these they are sent.
    pub id: String,
    /// The record.
    pub record: Outgoing,
    /// The step that emitted it, if its trace is recorded; of one that another member left, nobody knows any more.
    pub step: Option<TraceContext>,
}

/// The name of a partition, as states and outboxes keep it.
pub fn home_of(topic: &str, partition: i32) -> String {
    format!("{topic}:{partition}")
}

/// A record that failed, as the topic tells in which it waits or is a dead letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// The key that it is about.
    pub key: String,
    /// Where it waits (`partition:offset`); `None` of a dead letter.
    pub place: Option<String>,
}

/// What `record` is to `group`; `None` when it is of no concern.
///
/// # Errors
/// Why it can never be understood.
pub fn input<P: Processor>(
    processor: &P,
    group: &str,
    record: &Arc<ConsumerRecord>,
) -> Result<Option<Input<P::Event>>, String> {
    if !processor.concerns(group, record) {
        return Ok(None);
    }
    let event = processor.read(record)?;
    Ok(event.map(|event| Input { keys: processor.keys(&event), event, record: Arc::clone(record) }))
}

/// What a record of the topic of those that wait, or of dead letters, tells of; `None` when it is another group's.
pub fn failed<P: Processor>(processor: &P, group: &str, record: &ConsumerRecord) -> Option<Failed> {
    let text = |name| header_str(&record.headers, name);
    let (of, origin, place) = match text(dead_letter::GROUP) {
        Some(of) => (of, text(dead_letter::ORIGIN_TOPIC)?, None),
        None => (group_of(record)?, text(ORIGIN_TOPIC)?, Some(format!("{}:{}", record.partition, record.offset))),
    };
    let mut first = record.clone();
    first.topic = origin.into();
    let event = processor.read(&first).ok()??;
    let key = processor.keys(&event).into_iter().next()?;
    (of == group).then_some(Failed { key, place })
}

/// What the batch changes, given everything that is kept under its keys.
pub fn step<P: Processor>(
    processor: &P,
    group: &str,
    retry: &Retry,
    batch: &Batch<'_, P::Event>,
    stored: &BTreeMap<String, Stored<P::State>>,
    now_ms: i64,
) -> Changes<P::State> {
    let mut step = Step {
        processor,
        group,
        retry,
        now_ms,
        work: Work::new(stored),
        emissions: Vec::new(),
        failures: Failures::default(),
        steps: Vec::new(),
        cause: Cause::default(),
        told: None,
    };
    for input in &batch.inputs {
        step.handle(input);
    }
    for (key, home) in &batch.woken {
        step.wake(key, home);
    }
    step.begin(None, None);
    let Step { work, emissions, failures, steps, .. } = step;
    let woken = batch.woken.iter().map(|(key, home)| (key.clone(), home.clone(), work.wake_of(key, home))).collect();
    let (writes, announcements) = work.finish(processor, stored);
    Changes { writes, emissions, announcements, woken, failures, steps }
}

struct Step<'a, P: Processor> {
    processor: &'a P,
    group: &'a str,
    retry: &'a Retry,
    now_ms: i64,
    work: Work<P::State>,
    emissions: Vec<Emission>,
    failures: Failures,
    steps: Vec<Told>,
    /// What is at hand.
    cause: Cause,
    /// And what is told of it.
    told: Option<Told>,
}

impl<P: Processor> Step<'_, P> {
    fn begin(&mut self, told: Option<Told>, record: Option<&Arc<ConsumerRecord>>) {
        self.cause = Cause::new(record, told.as_ref());
        self.steps.extend(std::mem::replace(&mut self.told, told));
    }

    fn handle(&mut self, input: &Input<P::Event>) {
        let Input { event, keys, record } = input;
        let Some(key) = keys.first().cloned() else { return };
        self.begin(Told::of_record(record, self.group, &key), Some(record));
        let attempt = Attempt::of(record);
        let (home, prefix) = (home_of(&record.topic, record.partition), format!("{:020}", record.offset));
        self.work.touch(keys.iter().cloned(), &self.cause);
        let others_wait = self.work.waiting.contains_key(&key);
        if self.retry.keep_order
            && others_wait
            && let Some(due) = self.turn_after(&key, &attempt.id())
        {
            self.put_behind(&key, &attempt, due);
            let waiting = attempt.waiting(record, &self.retry.topic, self.group, due);
            self.emit(&home, &prefix, [waiting]);
            return;
        }
        self.processor.evolve(event, &mut self.work.states);
        let moment = Moment { now_ms: self.now_ms, attempt: attempt.number(), woken: false };
        match self.processor.decide(&key, &self.work.states, &moment) {
            Ok(decision) => {
                self.carry_out(&key, &home, &prefix, decision);
                if others_wait {
                    self.had_its_turn(&key, &attempt.id());
                }
            }
            Err(failure) => self.fail(&key, &home, &prefix, record, attempt, failure),
        }
    }

    fn wake(&mut self, key: &str, home: &str) {
        let waited = self.processor.waited(key, self.work.states.get(key));
        self.begin(Told::of_wake(waited, self.group, key, self.now_ms), None);
        self.work.touch([key.to_owned()], &self.cause);
        let moment = Moment { now_ms: self.now_ms, attempt: 1, woken: true };
        match self.processor.decide(key, &self.work.states, &moment) {
            Ok(decision) => {
                // Not at once again: others have their turn.
                let wake = decision.wake.map(|at| at.max(self.now_ms + 1));
                self.carry_out(key, home, &format!("w{:019}:{key}", self.now_ms), Decision { wake, ..decision });
            }
            // There is no record that could wait in the retry topic: the key asks again by itself, after the longest delay.
            Err(Failure::Transient(_)) => {
                let at = self.now_ms + self.delay(self.retry.policy.attempts, key).as_millis() as i64;
                self.work.wakes.insert(key.to_owned(), Some(Wake { at, home: home.to_owned() }));
            }
            Err(Failure::Permanent(_)) => {
                self.work.wakes.insert(key.to_owned(), None);
            }
        }
    }

    fn carry_out(&mut self, key: &str, home: &str, prefix: &str, decision: Decision<P::Event>) {
        let wake = decision.wake.map(|at| Wake { at, home: home.to_owned() });
        self.work.wakes.insert(key.to_owned(), wake);
        for event in &decision.events {
            self.processor.evolve(event, &mut self.work.states);
            self.work.touch(self.processor.keys(event), &self.cause);
        }
        let records: Vec<_> = decision.events.iter().map(|event| self.processor.write(event)).collect();
        self.emit(home, prefix, records);
    }

    fn emit(&mut self, home: &str, prefix: &str, records: impl IntoIterator<Item = Outgoing>) {
        for (index, record) in records.into_iter().enumerate() {
            if let Some(told) = &mut self.told {
                told.emits(&record);
            }
            let (home, id, step) = (home.to_owned(), format!("{prefix}:{index:03}"), self.cause.span);
            self.emissions.push(Emission { home, id, record, step });
        }
    }
}
