//! The projection of the board: the topic's messages into the window in Redis.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use krafka::ConsumerRecord;
use krafka::consumer::TopicPartition;

use super::message::Message;
use crate::clock::now_ms;
use crate::kafka::consumer::{ApplyError, Effect, Handler, Outcome, PartitionEffects, Position};
use crate::kafka::event::{IDEMPOTENCY_KEY, header_str};
use crate::kafka::replay::Rebuild;
use crate::redis::window::{self, Applied, Entry, Logged, Place, Run, Stands};
use crate::redis::{RedisError, Window};

/// The handler of the board's group.
pub struct Projection {
    window: Window,
}

impl Projection {
    /// Projects into `window`.
    pub fn new(window: Window) -> Self {
        Self { window }
    }
}

impl Handler for Projection {
    type Effect = Entry;

    fn plan(&self, record: &Arc<ConsumerRecord>) -> Outcome<Entry> {
        match Message::decode(record.value.as_deref()) {
            Ok(message) => Outcome::Done(entry(&message, header_str(&record.headers, IDEMPOTENCY_KEY).is_some())),
            Err(reason) => Outcome::Poison(reason),
        }
    }

    async fn position(&self, partition: &TopicPartition, log: &str) -> Result<Position, ApplyError> {
        let stands = self.window.position(place(partition, log)).await.map_err(unavailable)?;
        // Who had the partition before may have died between applying a batch and announcing it.
        self.window.announce().await.map_err(unavailable)?;
        Ok(match stands {
            Stands::Nowhere => Position::Nowhere,
            Stands::At(offset) => Position::At(offset),
            Stands::OtherLog => Position::OtherLog,
        })
    }

    async fn apply(&self, batch: &[PartitionEffects<Entry>]) -> Result<(), ApplyError> {
        let runs: Vec<Run<'_>> = (batch.iter())
            .map(|run| Run {
                partition: window::field(run.partition.topic(), run.partition.partition()),
                expected: run.expected,
                next: run.next,
                entries: run.effects.iter().map(logged).collect(),
            })
            .collect();
        match self.window.apply(&runs, now_ms()).await.map_err(unavailable)? {
            Applied::Done { .. } => Ok(()),
            Applied::Fenced => Err(ApplyError::Fenced),
            Applied::RolledBack(runs) => {
                let partitions = runs.into_iter().filter_map(|index| Some(batch.get(index)?.partition.clone()));
                Err(ApplyError::RolledBack(partitions.collect()))
            }
        }
    }

    async fn rewound(&self) -> Result<(), ApplyError> {
        unless_fenced(self.window.rewind().await)
    }

    async fn restart(&self, partition: &TopicPartition, log: &str, end: i64) -> Result<(), ApplyError> {
        unless_fenced(self.window.restart(place(partition, log), end).await)
    }
}

impl Rebuild for Projection {
    fn shadow(&self) -> Self {
        Self { window: self.window.shadow() }
    }

    async fn hold(&self, lasting: Duration) -> Result<bool, ApplyError> {
        self.window.hold(lasting.as_millis() as i64).await.map_err(unavailable)
    }

    async fn keep_hold(&self, lasting: Duration) -> Result<bool, ApplyError> {
        self.window.keep_hold(lasting.as_millis() as i64).await.map_err(unavailable)
    }

    async fn swap_into(&self, live: &Self) -> Result<bool, ApplyError> {
        self.window.swap_into(&live.window).await.map_err(unavailable)
    }

    async fn discard(&self) -> Result<(), ApplyError> {
        self.window.discard().await.map_err(unavailable)
    }
}

fn place<'a>(partition: &'a TopicPartition, log: &'a str) -> Place<'a> {
    Place { topic: partition.topic(), partition: partition.partition(), log }
}

fn logged(effect: &Effect<Entry>) -> Logged<'_> {
    let Effect { offset, timestamp, effect: entry, trace } = effect;
    let trace = trace.map(|processing| processing.context);
    Logged { offset: *offset, timestamp: *timestamp, entry, trace }
}

fn unless_fenced(done: Result<bool, RedisError>) -> Result<(), ApplyError> {
    if done.map_err(unavailable)? { Ok(()) } else { Err(ApplyError::Fenced) }
}

/// The message as the script takes it: without its closing brace, where the `seq` goes. It is encoded anew, so that
/// what viewers get is always the four fields in one form, whoever produced it.
fn entry(message: &Message<'_>, may_repeat: bool) -> Entry {
    let mut body = message.encode();
    body.pop();
    Entry { body: Bytes::from(body), once: may_repeat.then(|| message.id.clone().into_owned()) }
}

fn unavailable(error: RedisError) -> ApplyError {
    ApplyError::Unavailable(error.to_string())
}
