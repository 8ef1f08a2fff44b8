//! Kafka: one place to connect, and what every app stands on.
//!
//! - [`admin`]: topics and groups as they are, as they should be, and the way between.
//! - [`cluster`]: the clients, made once from the settings.
//! - [`event`]: ids, headers and the trace of a record.
//! - [`producer`]: acknowledged, idempotent, bounded writes.
//! - [`consumer`]: the runtime of every group.
//! - [`dead_letter`]: where records go that can't be handled.
//! - [`error`]: what can go wrong, with the topic and partition it went wrong at.

pub mod admin;
pub mod cluster;
pub mod consumer;
pub mod dead_letter;
pub mod error;
pub mod event;
pub mod producer;

pub use cluster::Cluster;
pub use error::KafkaError;
pub use producer::{Outgoing, Producer};
