//! Topics: which there are, what is set on them, and their partitions.
//!
//! - [`registry`]: topics by name and id; makes, changes and deletes them.
//! - [`partition`]: one partition: its log, and who waits for it to grow.
//! - [`settings`]: the settings of topics: names, defaults, validation.
//! - [`name`]: what a topic may be called.
//! - [`folder`]: the data folder: lock, list of topics, mark of a clean end.

use kafka_protocol::error::ResponseError;

pub mod folder;
pub mod name;
pub mod partition;
pub mod registry;
pub mod settings;

pub use folder::OpenError;
pub use partition::Partition;
pub use registry::{Created, NewTopic, Options, Registry, Topic};

/// What was asked for can't be done: the error on the wire and a sentence for a person.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refused {
    /// The error on the wire.
    pub error: ResponseError,
    /// Why.
    pub message: String,
}

impl Refused {
    /// Refuses with `error` because of `message`.
    pub fn new(error: ResponseError, message: impl Into<String>) -> Self {
        Self { error, message: message.into() }
    }

    /// The topic doesn't exist.
    pub fn unknown_topic(topic: &str) -> Self {
        Self::new(ResponseError::UnknownTopicOrPartition, format!("The topic '{topic}' does not exist."))
    }
}
