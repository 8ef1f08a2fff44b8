//! What can go wrong with Kafka, with the context that a person needs to act on it.

use std::time::Duration;

use krafka::KrafkaError;

use super::wire::WireError;
use crate::config::tls::TlsError;

/// A failure of a Kafka operation.
#[derive(Debug, thiserror::Error)]
pub enum KafkaError {
    /// No broker answered.
    #[error("can't reach Kafka at {servers}: {source}")]
    Connect {
        /// The bootstrap servers tried.
        servers: String,
        /// Why.
        #[source]
        source: KrafkaError,
    },
    /// A request was answered with an error, or not at all.
    #[error("{what}: {source}")]
    Request {
        /// What was asked, e.g. `create topic "orders"`.
        what: String,
        /// Why it failed.
        #[source]
        source: KrafkaError,
    },
    /// A partition could not be read.
    #[error("read {topic}[{partition}]: {source}")]
    Read {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// Why it failed.
        #[source]
        source: rskafka::client::error::Error,
    },
    /// The reading client could not be made.
    #[error("can't reach Kafka at {servers}: {source}")]
    ConnectReader {
        /// The bootstrap servers tried.
        servers: String,
        /// Why.
        #[source]
        source: rskafka::client::error::Error,
    },
    /// A request of the reading client was answered with an error, or not at all.
    #[error("{what}: {source}")]
    Wire {
        /// What was asked, e.g. `read orders[3]`.
        what: String,
        /// Why it failed.
        #[source]
        source: WireError,
    },
    /// The topic does not exist.
    #[error("topic {topic:?} does not exist{}; `kboard topics create {topic}` makes it", did_you_mean(similar))]
    UnknownTopic {
        /// The topic asked for.
        topic: String,
        /// Topics whose names are close to it.
        similar: Vec<String>,
    },
    /// The topic has no such partition.
    #[error("topic {topic:?} has partitions 0 to {}, not {partition}", count - 1)]
    UnknownPartition {
        /// The topic.
        topic: String,
        /// The partition asked for.
        partition: i32,
        /// How many it has.
        count: usize,
    },
    /// The group does not exist.
    #[error("group {group:?} does not exist{}; `kboard groups list` shows them all", did_you_mean(similar))]
    UnknownGroup {
        /// The group.
        group: String,
        /// Groups with names like it.
        similar: Vec<String>,
    },
    /// There is nothing that a group could be moved from.
    #[error("group {group:?} has committed nothing; say which topic")]
    NothingCommitted {
        /// The group.
        group: String,
    },
    /// A topic can't be made as it was asked for.
    #[error("topic {topic:?}: {reason}")]
    InvalidTopic {
        /// The topic.
        topic: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A topic was created, but a partition of it has no leader yet.
    #[error("topic {topic:?} has a partition without a leader after {waited:?}; are enough brokers up?")]
    NoLeader {
        /// The topic.
        topic: String,
        /// How long it was waited for.
        waited: Duration,
    },
    /// A partition's leader has no record where there must be one.
    #[error(
        "{topic}[{partition}]: the leader has nothing from offset {offset} on, although there was more; was the log truncated?"
    )]
    LogEndsEarly {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// The offset.
        offset: i64,
    },
    /// A partition's leader takes too long.
    #[error("topic {topic:?} could not be read within {waited:?}")]
    Slow {
        /// The topic.
        topic: String,
        /// How long it was waited for.
        waited: Duration,
    },
    /// A certificate or key can't be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

impl KafkaError {
    /// Wraps a client error with what was asked.
    pub fn request(what: impl Into<String>) -> impl FnOnce(KrafkaError) -> Self {
        let what = what.into();
        move |source| Self::Request { what, source }
    }

    /// Wraps an error of the reading client with what was asked.
    pub fn wire(what: impl Into<String>) -> impl FnOnce(WireError) -> Self {
        let what = what.into();
        move |source| Self::Wire { what, source }
    }

    /// The topic does not exist, and nobody looked for similar names.
    pub fn unknown_topic(topic: impl Into<String>) -> Self {
        Self::UnknownTopic { topic: topic.into(), similar: Vec::new() }
    }

    /// Whether the same call may succeed later: the cluster is away, or busy with itself.
    pub fn is_retriable(&self) -> bool {
        match self {
            Self::Connect { source, .. } | Self::Request { source, .. } => {
                source.is_retriable() || matches!(source, KrafkaError::DeliveryTimeout { .. })
            }
            Self::Wire { source, .. } => source.is_retriable(),
            Self::Read { .. }
            | Self::ConnectReader { .. }
            | Self::NoLeader { .. }
            | Self::LogEndsEarly { .. }
            | Self::Slow { .. } => true,
            Self::UnknownTopic { .. }
            | Self::UnknownGroup { .. }
            | Self::UnknownPartition { .. }
            | Self::NothingCommitted { .. }
            | Self::InvalidTopic { .. }
            | Self::Tls(_) => false,
        }
    }
}

fn did_you_mean(similar: &[String]) -> String {
    if similar.is_empty() { String::new() } else { format!(" (did you mean {}?)", similar.join(", ")) }
}
