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
//! - [`retry`]: when a failed record is tried again, and where it waits.
//! - [`step`]: what a batch changes.
//! - [`view`]: the states to look at.

pub mod contract;
pub mod retry;
pub mod step;
mod store;
pub mod view;

use tokio_util::sync::CancellationToken;

use crate::kafka::consumer::GroupHealth;
use crate::kafka::replay::{Progress, Range, ReplayError, Report};
use crate::kafka::{Cluster, KafkaError, Producer};
use crate::redis::{Redis, Window};

pub use contract::{Decision, Failure, Index, Moment, Processor, States};
pub use retry::Retry;
pub use view::View;

/// What a processor works with. Every name is the full one, prefix included.
#[derive(Clone)]
pub struct Setup {
    /// Kafka.
    pub cluster: Cluster,
    /// The shared producer.
    pub producer: Producer,
    /// Redis.
    pub redis: Redis,
    /// The group: its id in Kafka, and what its keys in Redis are named after.
    pub group: String,
    /// Put before `kboard:` in the names of its keys.
    pub prefix: String,
    /// The topics it consumes.
    pub topics: Vec<String>,
    /// The topics it writes to: a rebuild reads them too.
    pub emits: Vec<String>,
    /// What it does with records that fail.
    pub retry: Retry,
    /// Where what it announces is shown; made by [`View::window`].
    pub window: Option<Window>,
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
    let _ = (setup, processor, health, shutdown);
    todo!("the library half of issue 6 is being built")
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
    let _ = (setup, processor, range, progress);
    todo!("the library half of issue 6 is being built")
}
