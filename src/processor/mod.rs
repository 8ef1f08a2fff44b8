//! Processors: services that consume events, keep a state under each key in Redis, and produce events of their own.
//!
//! ```text
//!            ┌───────────── one atomic script ─────────────┐
//! records ──>│ states, offsets, wake-ups, indexes, outbox │──> outbox ──> Kafka
//!            └─────────────────────────────────────────────┘
//! ```
//!
//! What a batch of records does is computed by pure functions ([`step`]) from the states it concerns, and written in one
//! script that refuses when any of those states has changed meanwhile. The events that follow are written with it, into an
//! outbox, and sent from there: whatever is killed when, each effect happens once.
//!
//! - [`contract`]: what an app says of a processor.
//! - [`handler`]: carries a processor out, as a group of the consumer runtime.
//! - [`heal`]: what becomes of states that are gone.
//! - [`live`]: a member at work on the live states.
//! - [`outbox`]: sends what was written to be sent.
//! - [`rebuild`]: the states anew, from the log alone.
//! - [`retry`]: when a failed record is tried again, and where it waits.
//! - [`step`]: what a batch changes.
//! - [`store`]: the states in Redis.
//! - [`view`]: the states to look at.

pub mod contract;
mod handler;
mod heal;
mod live;
#[cfg(test)]
pub(crate) mod memory;
mod outbox;
mod rebuild;
pub mod retry;
pub mod step;
mod store;
#[cfg(test)]
mod tests;
pub mod view;

use tokio_util::sync::CancellationToken;

use crate::kafka::consumer::{self, Group, GroupHealth};
use crate::kafka::replay::{self, Letters, Progress, Range, ReplayError, Report};
use crate::kafka::{Cluster, KafkaError, Producer};
use crate::redis::{Redis, Window};
use handler::ProcessorHandler;

pub use contract::{Decision, Failure, Index, Moment, Processor, States};
pub use retry::Retry;
pub use step::Cause;
pub use view::View;

/// What a processor works with. Topics are named in full, prefix included.
#[derive(Clone)]
pub struct Setup {
    /// Kafka.
    pub cluster: Cluster,
    /// The shared producer.
    pub producer: Producer,
    /// Redis.
    pub redis: Redis,
    /// Put before the group's id, and before the names of its keys in Redis.
    pub prefix: String,
    /// The group, before the prefix; its keys are named after it.
    pub group: String,
    /// The topics it consumes.
    pub topics: Vec<String>,
    /// The topics it writes to: a rebuild reads them too.
    pub emits: Vec<String>,
    /// What it does with records that fail.
    pub retry: Retry,
    /// Where what it announces is shown; made by [`View::window`].
    pub window: Option<Window>,
}

impl Setup {
    fn group_id(&self) -> String {
        format!("{}{}", self.prefix, self.group)
    }
}

/// Runs `processor` as a member of its group, until `shutdown`.
///
/// # Errors
/// Only what can't get better by waiting, such as refused credentials.
pub async fn run<P: Processor>(
    setup: Setup,
    processor: P,
    health: GroupHealth,
    shutdown: CancellationToken,
) -> Result<(), KafkaError> {
    let group = Group {
        id: setup.group_id(),
        topics: setup.topics.clone(),
        dead_letters: Some(setup.retry.dead_letters.clone()),
    };
    let (cluster, producer) = (setup.cluster.clone(), setup.producer.clone());
    let handler = ProcessorHandler::new(setup, processor);
    let outbox = handler.outbox();
    // On the heap: callers' futures would be as deep as all that it awaits.
    let result = Box::pin(consumer::run(group, handler, &cluster, producer, health, shutdown)).await;
    outbox.finish().await;
    result
}

/// Builds the states of `processor` anew from `range`, beside the live ones, and puts them in their place. What the group
/// has done already is not done again.
///
/// # Errors
/// See [`ReplayError`]; whatever happens before the swap leaves the live states as they were.
pub async fn rebuild<P: Processor>(
    setup: Setup,
    processor: P,
    range: Range,
    progress: Progress,
) -> Result<Report, ReplayError> {
    let letters = Letters {
        producer: setup.producer.clone(),
        group: setup.group_id(),
        topic: Some(setup.retry.dead_letters.clone()),
    };
    let handler = ProcessorHandler::new(setup, processor);
    let outbox = handler.outbox();
    let report = Box::pin(replay::replay(&handler, range, &letters, progress)).await;
    outbox.finish().await;
    report
}
