//! Brokers as they are, and what they keep in their log directories.

use std::collections::HashMap;
use std::time::Duration;

use krafka::admin::{DescribeLogDirsOptions, LogDirDescription, TopicPartition};
use schemars::JsonSchema;
use serde::Serialize;

use super::client;
use crate::kafka::{Cluster, KafkaError};

/// How long a broker has to answer for its directories, which are shown as unknown after that.
const TIMEOUT: Duration = Duration::from_secs(5);

/// A broker.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Broker {
    /// Its number.
    pub id: i32,
    /// `host:port`.
    pub address: String,
    /// The rack that it stands in, if it says so.
    pub rack: Option<String>,
    /// Whether it is the active controller, as brokers tell clients.
    pub is_controller: bool,
    /// Whether it is kept from serving.
    pub is_fenced: bool,
    /// Where it keeps logs.
    pub log_dirs: Vec<LogDir>,
    /// Why its log directories are unknown.
    pub problem: Option<String>,
}

/// A directory of logs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LogDir {
    /// Its path on the broker.
    pub path: String,
    /// Bytes of the replicas in it.
    pub bytes: u64,
    /// Bytes of the volume, where the broker is new enough to tell.
    pub total: Option<u64>,
    /// Bytes left on the volume, where the broker is new enough to tell.
    pub free: Option<u64>,
    /// Why it can't be used.
    pub problem: Option<String>,
}

/// The brokers of the cluster, by number, without their log directories.
///
/// # Errors
/// No broker answers.
pub async fn list(cluster: &Cluster) -> Result<Vec<Broker>, KafkaError> {
    let described = client(cluster).await?.describe_cluster(Default::default()).await;
    let described = described.map_err(KafkaError::request("describe the cluster"))?;
    let controller = described.controller_id;
    let mut brokers: Vec<Broker> = (described.brokers.into_iter())
        .map(|broker| Broker {
            id: broker.id,
            address: format!("{}:{}", broker.host, broker.port),
            rack: broker.rack,
            is_controller: broker.id == controller,
            is_fenced: broker.is_fenced,
            ..Broker::default()
        })
        .collect();
    brokers.sort_by_key(|broker| broker.id);
    Ok(brokers)
}

/// Bytes on disk of each partition, of the largest replica.
pub type Sizes = HashMap<TopicPartition, u64>;

/// Asks `brokers` for their log directories, puts them there, and gives what they keep of `partitions`, or of all. Telling
/// needs a permission that a user may lack: then it is the broker's problem.
///
/// # Errors
/// No broker answers.
pub async fn fill_log_dirs(
    cluster: &Cluster,
    brokers: &mut [Broker],
    partitions: Option<Vec<TopicPartition>>,
) -> Result<Sizes, KafkaError> {
    let mut options = DescribeLogDirsOptions::default().timeout(TIMEOUT);
    if let Some(partitions) = partitions {
        options = options.partitions(partitions);
    }
    let asked: Vec<i32> = brokers.iter().filter(|broker| !broker.is_fenced).map(|broker| broker.id).collect();
    let mut sizes = Sizes::new();
    if asked.is_empty() {
        return Ok(sizes);
    }
    let answers = client(cluster).await?.describe_log_dirs(asked, options).await;
    let mut answers = answers.map_err(KafkaError::request("describe log directories"))?;
    for broker in brokers {
        match answers.remove(&broker.id) {
            Some(Ok(directories)) => {
                broker.log_dirs =
                    directories.into_iter().map(|(path, found)| log_dir(path, found, &mut sizes)).collect();
                broker.log_dirs.sort_by(|a, b| a.path.cmp(&b.path));
            }
            Some(Err(error)) => broker.problem = Some(error.to_string()),
            None => {}
        }
    }
    Ok(sizes)
}

fn log_dir(path: String, found: krafka::error::Result<LogDirDescription>, sizes: &mut Sizes) -> LogDir {
    let found = match found {
        Ok(found) => found,
        Err(error) => return LogDir { path, problem: Some(error.to_string()), ..LogDir::default() },
    };
    let known = |bytes: i64| u64::try_from(bytes).ok();
    let mut bytes = 0;
    for (partition, replica) in found.replicas {
        let held = known(replica.size).unwrap_or(0);
        bytes += held;
        if !replica.is_future {
            let size = sizes.entry(partition).or_default();
            *size = held.max(*size);
        }
    }
    LogDir {
        path,
        bytes,
        total: found.total_bytes.and_then(known),
        free: found.usable_bytes.and_then(known),
        problem: None,
    }
}
