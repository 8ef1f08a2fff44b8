//! The projection of the board: the topic's messages into the window in Redis.

use std::time::Duration;

use bytes::Bytes;
use krafka::ConsumerRecord;
use krafka::consumer::TopicPartition;

use super::message::Message;
use crate::kafka::consumer::{ApplyError, Handler, Outcome, PartitionEffects};
use crate::kafka::event::{IDEMPOTENCY_KEY, header_str, now_ms};
use crate::kafka::replay::Rebuild;
use crate::redis::window::{Applied, Entry, Run};
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

    fn plan(&self, record: &ConsumerRecord) -> Outcome<Entry> {
        match Message::decode(record.value.as_deref()) {
            Ok(message) => Outcome::Done(entry(&message, header_str(&record.headers, IDEMPOTENCY_KEY).is_some())),
            Err(reason) => Outcome::Poison(reason),
        }
    }

    async fn position(&self, partition: &TopicPartition) -> Result<Option<i64>, ApplyError> {
        self.window.position(&name(partition)).await.map_err(unavailable)
    }

    async fn apply(&self, batch: &[PartitionEffects<Entry>]) -> Result<(), ApplyError> {
        let runs: Vec<Run<'_>> = (batch.iter())
            .map(|run| Run {
                partition: name(&run.partition),
                expected: run.expected,
                next: run.next,
                entries: run.effects.iter().map(|effect| (effect.offset, effect.timestamp, &effect.effect)).collect(),
            })
            .collect();
        match self.window.apply(&runs, now_ms()).await.map_err(unavailable)? {
            Applied::Done { .. } => Ok(()),
            Applied::Fenced => Err(ApplyError::Fenced),
            Applied::RolledBack(runs) => {
                let stored =
                    runs.into_iter().filter_map(|(index, stored)| Some((batch.get(index)?.partition.clone(), stored)));
                Err(ApplyError::RolledBack(stored.collect()))
            }
        }
    }

    async fn rewound(&self, forget: &[TopicPartition]) -> Result<(), ApplyError> {
        let forget: Vec<_> = forget.iter().map(name).collect();
        match self.window.rewind(&forget).await.map_err(unavailable)? {
            true => Ok(()),
            false => Err(ApplyError::Fenced),
        }
    }
}

impl Rebuild for Projection {
    fn shadow(&self) -> Self {
        Self { window: self.window.shadow() }
    }

    async fn hold(&self, lasting: Duration) -> Result<bool, ApplyError> {
        self.window.hold(lasting.as_millis() as i64).await.map_err(unavailable)
    }

    async fn swap_into(&self, live: &Self) -> Result<bool, ApplyError> {
        self.window.swap_into(&live.window).await.map_err(unavailable)
    }

    async fn discard(&self) -> Result<(), ApplyError> {
        self.window.discard().await.map_err(unavailable)
    }
}

/// The partition, as the state names it.
fn name(partition: &TopicPartition) -> String {
    format!("{}:{}", partition.topic(), partition.partition())
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
