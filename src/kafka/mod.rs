//! Kafka: one place to connect, and what every app stands on.
//!
//! - [`cluster`]: the clients, made once from the settings.
//! - [`error`]: what can go wrong, with the topic and partition it went wrong at.

pub mod cluster;
pub mod error;

pub use cluster::Cluster;
pub use error::KafkaError;
