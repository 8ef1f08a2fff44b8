//! Kafka: one place to connect, and what every app stands on.
//!
//! - [`admin`]: topics and groups as they are, as they should be, and the way between.
//! - [`bulk`]: sends any number of records to one topic as fast as Kafka takes them, with an outcome for each.
//! - [`cluster`]: the clients, made once from the settings.
//! - [`consumer`]: the runtime of every group.
//! - [`dead_letter`]: where records go that can't be handled.
//! - [`error`]: what can go wrong, with the topic and partition it went wrong at.
//! - [`event`]: ids, headers and the trace of a record.
//! - [`fetch`]: reads any topic by offset at log speed, to look into it.
//! - [`log`]: partition reads by offset, for history and replays.
//! - [`lookup`]: finds topics by name or pattern, and their partitions.
//! - [`pace`]: a steady rate.
//! - [`partition`]: which partition a record goes to.
//! - [`producer`]: acknowledged, idempotent, bounded writes.
//! - [`reader`]: reads topics to show them.
//! - [`record_json`]: a record as a line of JSON, written and read.
//! - [`replay`]: rebuilding a state from the log.
//! - [`traces`]: the spans of records.
//! - [`watch`]: the cluster as it is, looked at every few seconds, with what was seen before.
//! - [`wire`]: the protocol, for [`fetch`].

pub mod admin;
pub mod bulk;
pub mod cluster;
pub mod consumer;
pub mod dead_letter;
pub mod error;
pub mod event;
pub mod fetch;
pub mod log;
pub mod lookup;
pub mod pace;
pub mod partition;
pub mod producer;
pub mod reader;
pub mod record_json;
pub mod replay;
mod traces;
pub mod watch;
pub mod wire;

pub use cluster::Cluster;
pub use error::KafkaError;
pub use producer::{Outgoing, Producer};
pub use traces::Processing;
