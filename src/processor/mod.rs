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

pub mod contract;
pub mod retry;
pub mod step;

pub use contract::{Decision, Failure, Index, Moment, Processor, States};
