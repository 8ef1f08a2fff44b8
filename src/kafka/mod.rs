//! Kafka: one place to connect, and what every app stands on.
//!
//! - [`admin`]: topics and groups as they are, as they should be, and the way between.
//! - [`cluster`]: the clients, made once from the settings.
//! - [`error`]: what can go wrong, with the topic and partition it went wrong at.

pub mod admin;
pub mod cluster;
pub mod error;

pub use cluster::Cluster;
pub use error::KafkaError;
