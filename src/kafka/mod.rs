//! Kafka: one place to connect, and what every app stands on.
//!
//! - [`bulk`]: sends any number of records to one topic as fast as Kafka takes them, with an outcome for each.
//! - [`cluster`]: the clients, made once from the settings.
//! - [`error`]: what can go wrong, with the topic and partition it went wrong at.
//! - [`lookup`]: finds topics by name or pattern, and their partitions.
//! - [`partition`]: which partition a record goes to.
//! - [`reader`]: reads topics to show them.

pub mod bulk;
pub mod cluster;
pub mod error;
pub mod lookup;
pub mod partition;
pub mod reader;

pub use cluster::Cluster;
pub use error::KafkaError;
