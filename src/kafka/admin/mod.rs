//! Administration: topics as they should be, topics and groups as they are, and the way from one to the other.
//!
//! - [`ensure`]: creates the topics that are missing, for `serve`.
//! - [`brokers`]: brokers as they are; [`topics`], [`settings`]: topics as they are; [`clear`]: how records are removed.
//! - [`plan`]: what would have to change, a pure function; [`apply`] carries it out.
//! - [`groups`]: groups as they are; [`positions`]: how far they have read; [`waiting`]: how long the next record has
//!   waited; [`reset`]: where they may go.
//! - `spread`: until every broker has heard of a change.

pub mod apply;
pub mod brokers;
pub mod clear;
mod described;
pub mod ensure;
pub mod groups;
pub mod plan;
pub mod positions;
pub mod reset;
pub mod settings;
mod spread;
pub mod topics;
pub mod waiting;

use std::collections::BTreeMap;
use std::time::Duration;

use krafka::KrafkaError;
use krafka::admin::AdminClient;
use krafka::error::ErrorCode;

use super::{Cluster, KafkaError};

pub use ensure::{CreatedTopic, ensure_topics};

/// How long one administrative call may take, retries included.
const CALL_TIMEOUT: Duration = Duration::from_secs(15);

/// Kafka's limit: the name is part of a directory's.
const MAX_TOPIC_NAME: usize = 249;

/// A topic as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicSpec {
    /// Its name.
    pub name: String,
    /// How many partitions it has.
    pub partitions: i32,
    /// How many brokers hold each partition; from the settings or the cluster's size when `None`.
    pub replication_factor: Option<i16>,
    /// Settings that differ from the broker's defaults, e.g. `retention.ms`.
    pub config: BTreeMap<String, String>,
}

impl TopicSpec {
    /// A topic of `partitions` partitions, all else by default.
    pub fn new(name: impl Into<String>, partitions: i32) -> Self {
        Self { name: name.into(), partitions, replication_factor: None, config: BTreeMap::new() }
    }

    /// The same topic with one setting more.
    #[must_use]
    pub fn with_config(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.config.insert(key.into(), value.into());
        self
    }
}

/// The client for administration.
pub(super) async fn client(cluster: &Cluster) -> Result<AdminClient, KafkaError> {
    Ok(cluster.producing().await?.admin().default_api_timeout(CALL_TIMEOUT))
}

/// How many brokers are there to hold replicas.
///
/// # Errors
/// No broker answers.
pub async fn broker_count(cluster: &Cluster) -> Result<usize, KafkaError> {
    let described = client(cluster).await?.describe_cluster(Default::default()).await;
    let described = described.map_err(KafkaError::request("describe the cluster"))?;
    Ok(described.brokers.iter().filter(|broker| !broker.is_fenced).count())
}

/// `name`, if Kafka takes it for a topic.
///
/// # Errors
/// What is wrong with it.
pub fn topic_name(name: &str) -> Result<String, String> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if name.is_empty() || name.len() > MAX_TOPIC_NAME || matches!(name, "." | "..") {
        return Err(format!("topic name {name:?} must have 1 to {MAX_TOPIC_NAME} characters and not be . or .."));
    }
    if !name.chars().all(is_allowed) {
        return Err(format!(
            "topic name {name:?} has characters other than letters a-z, digits, dot, underscore, hyphen"
        ));
    }
    Ok(name.to_owned())
}

/// Whether a broker answered with `code`.
fn is_code(error: &KrafkaError, code: ErrorCode) -> bool {
    matches!(error, KrafkaError::Broker { code: answered, .. } if *answered == code)
}
