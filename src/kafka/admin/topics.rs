//! Topics as they are: layout, offsets, size on disk.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;
use std::time::Duration;

use futures::{FutureExt, StreamExt, TryStreamExt};
use krafka::admin::{ListTopicsOptions, OffsetSpec, TopicDescription, TopicPartition};
use krafka::error::ErrorCode;
use serde::Serialize;

use super::{client, is_code};
use crate::kafka::{Cluster, KafkaError, log};

/// How long the brokers have to answer for sizes and offsets, which are shown as unknown after that.
const DETAIL_TIMEOUT: Duration = Duration::from_secs(5);

/// Partitions that are asked about at once, where each needs a request of its own.
const AT_ONCE: usize = 16;

/// A topic as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Topic {
    /// Its name.
    pub name: String,
    /// Whether it belongs to Kafka itself, such as `__consumer_offsets`.
    pub internal: bool,
    /// Its partitions, by number.
    pub partitions: Vec<Partition>,
}

/// A partition as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Partition {
    /// Its number.
    pub partition: i32,
    /// The broker that serves it; `None` while none can.
    pub leader: Option<i32>,
    /// The brokers that should hold it.
    pub replicas: Vec<i32>,
    /// Those of them that have all of it.
    pub isr: Vec<i32>,
    /// The first offset that can be read; unknown without a leader.
    pub earliest: Option<i64>,
    /// The offset after the last record; unknown without a leader.
    pub latest: Option<i64>,
    /// Bytes on disk, of one replica; unknown when no broker tells.
    pub size: Option<u64>,
}

impl Partition {
    /// How many offsets lie between its first and its last record.
    pub fn messages(&self) -> Option<i64> {
        Some(self.latest? - self.earliest?)
    }

    /// Whether a broker that should hold it does not have all of it.
    pub fn is_under_replicated(&self) -> bool {
        self.isr.len() < self.replicas.len()
    }
}

impl Topic {
    /// The partition of this number.
    pub fn partition(&self, number: i32) -> Option<&Partition> {
        let at = self.partitions.binary_search_by_key(&number, |partition| partition.partition).ok()?;
        self.partitions.get(at)
    }

    /// How many brokers hold each partition; the largest number while that is being changed.
    pub fn replication_factor(&self) -> usize {
        self.partitions.iter().map(|partition| partition.replicas.len()).max().unwrap_or(0)
    }

    /// How many offsets its partitions span; `None` when that is unknown for one of them.
    pub fn messages(&self) -> Option<i64> {
        self.partitions.iter().map(Partition::messages).sum()
    }

    /// Bytes on disk, counting each partition once; `None` when that is unknown for one of them.
    pub fn size(&self) -> Option<u64> {
        self.partitions.iter().map(|partition| partition.size).sum()
    }

    /// How many partitions lack a replica.
    pub fn under_replicated(&self) -> usize {
        self.partitions.iter().filter(|partition| partition.is_under_replicated()).count()
    }

    /// How many partitions can be neither read nor written.
    pub fn leaderless(&self) -> usize {
        self.partitions.iter().filter(|partition| partition.leader.is_none()).count()
    }

    /// Whether every partition can be read and written.
    pub fn is_led(&self) -> bool {
        !self.partitions.is_empty() && self.leaderless() == 0
    }

    /// Its partitions that a broker can be asked about.
    pub fn led(&self) -> impl Iterator<Item = TopicPartition> + '_ {
        let led = self.partitions.iter().filter(|partition| partition.leader.is_some());
        led.map(|partition| TopicPartition::new(&self.name, partition.partition))
    }
}

impl From<TopicDescription> for Topic {
    fn from(described: TopicDescription) -> Self {
        let partitions = described.partitions.into_iter().map(|partition| Partition {
            partition: partition.partition,
            leader: partition.leader,
            replicas: partition.replicas,
            isr: partition.isr,
            ..Partition::default()
        });
        let mut partitions: Vec<Partition> = partitions.collect();
        partitions.sort_by_key(|partition| partition.partition);
        Self { name: described.name, internal: described.is_internal, partitions }
    }
}

/// The names of all topics, in order; those of Kafka itself only when `internal`.
///
/// # Errors
/// No broker answers.
pub async fn names(cluster: &Cluster, internal: bool) -> Result<Vec<String>, KafkaError> {
    let options = ListTopicsOptions::default().include_internal(internal);
    client(cluster).await?.list_topics(options).await.map_err(KafkaError::request("list topics"))
}

/// Those of `names` that exist, without offsets and sizes.
///
/// # Errors
/// A broker refuses to describe one.
pub async fn layout(
    cluster: &Cluster,
    names: impl IntoIterator<Item = impl AsRef<str>>,
) -> Result<BTreeMap<String, Topic>, KafkaError> {
    let described = client(cluster).await?.describe_topics(names, Default::default()).await;
    let described = described.map_err(KafkaError::request("describe topics"))?;
    let mut topics = BTreeMap::new();
    for (name, result) in described {
        match result {
            Ok(found) => drop(topics.insert(name, Topic::from(found))),
            Err(error) if is_code(&error, ErrorCode::UnknownTopicOrPartition) => {}
            Err(source) => return Err(KafkaError::request(format!("describe topic {name:?}"))(source)),
        }
    }
    Ok(topics)
}

/// `name`, without offsets and sizes.
///
/// # Errors
/// There is no such topic, or a broker refuses to describe it.
pub async fn layout_of(cluster: &Cluster, name: &str) -> Result<Topic, KafkaError> {
    layout(cluster, [name]).await?.remove(name).ok_or_else(|| KafkaError::unknown_topic(name))
}

/// Those of `names` that exist, with their offsets and sizes, in the order of the names.
///
/// # Errors
/// No broker answers, or one refuses to describe a topic.
pub async fn describe(cluster: &Cluster, names: &[String]) -> Result<Vec<Topic>, KafkaError> {
    let mut found = layout(cluster, names).await?;
    let mut topics: Vec<Topic> = names.iter().filter_map(|name| found.remove(name)).collect();
    let led: Vec<TopicPartition> = topics.iter().flat_map(Topic::led).collect();
    let (ranges, sizes) = tokio::try_join!(ranges(cluster, &led), sizes(cluster, &topics))?;
    for topic in &mut topics {
        for partition in &mut topic.partitions {
            let key = TopicPartition::new(&topic.name, partition.partition);
            partition.earliest = ranges.get(&key).map(|range| range.start);
            partition.latest = ranges.get(&key).map(|range| range.end);
            partition.size = sizes.get(&key).copied();
        }
    }
    Ok(topics)
}

/// The first offset and the one after the last of each of `partitions`; one whose leader does not answer is left out.
/// Leave out those without a leader yourself: a broker would be searched for until the timeout.
///
/// # Errors
/// No broker answers.
pub async fn ranges(
    cluster: &Cluster,
    partitions: &[TopicPartition],
) -> Result<HashMap<TopicPartition, Range<i64>>, KafkaError> {
    if partitions.is_empty() {
        return Ok(HashMap::new());
    }
    let admin = client(cluster).await?;
    let ask = |spec| {
        let options = krafka::admin::ListOffsetsOptions::default().timeout(DETAIL_TIMEOUT);
        admin.list_offsets(partitions.iter().map(move |partition| (partition.clone(), spec)), options)
    };
    let (earliest, latest) = tokio::try_join!(ask(OffsetSpec::Earliest), ask(OffsetSpec::Latest))
        .map_err(KafkaError::request("list offsets"))?;
    let range = |(partition, end): (TopicPartition, krafka::error::Result<krafka::admin::ListedOffset>)| {
        let start = earliest.get(&partition)?.as_ref().ok()?.offset;
        Some((partition, start..end.ok()?.offset))
    };
    Ok(latest.into_iter().filter_map(range).collect())
}

/// Where `time` (ms) lies in each of `partitions`: the offset of the first record from then on, or the end.
///
/// # Errors
/// A leader does not answer.
pub async fn offsets_at(
    cluster: &Cluster,
    partitions: impl IntoIterator<Item = &TopicPartition>,
    time: i64,
) -> Result<HashMap<TopicPartition, i64>, KafkaError> {
    // krafka takes Kafka's answer for "no record so late" for a broker that is not ready, and asks again until it
    // gives up; the log's own reader knows it.
    let look = |key: TopicPartition| {
        async move {
            let log = log::open_partition(cluster, &key.topic, key.partition).await?;
            let offset = log.at(time).await?;
            Ok((key, offset))
        }
        .boxed()
    };
    let looks: Vec<_> = partitions.into_iter().cloned().map(look).collect();
    futures::stream::iter(looks).buffer_unordered(AT_ONCE).try_collect().await
}

/// Those of `partitions` to which a transactional producer is known to have written. The markers that end transactions
/// take offsets of their own, so that an offset is not always a message. Brokers forget a producer that has been quiet for
/// a day, and tell of producers only to those who may read the topic; then a partition is missing here.
///
/// # Errors
/// No broker answers.
pub async fn transactional(
    cluster: &Cluster,
    partitions: impl IntoIterator<Item = TopicPartition>,
) -> Result<HashSet<TopicPartition>, KafkaError> {
    let options = krafka::admin::DescribeProducersOptions::default().timeout(DETAIL_TIMEOUT);
    let described = client(cluster).await?.describe_producers(partitions, options).await;
    let described = described.map_err(KafkaError::request("describe producers"))?;
    // Only a transaction's coordinator has an epoch.
    let is_transactional = |state: &krafka::admin::ProducerState| state.coordinator_epoch >= 0;
    let found = described
        .into_iter()
        .filter(|(_, states)| states.as_ref().is_ok_and(|states| states.iter().any(is_transactional)));
    Ok(found.map(|(partition, _)| partition).collect())
}

/// Bytes on disk of each partition that a broker tells about; telling needs a permission that a user may lack.
async fn sizes(cluster: &Cluster, topics: &[Topic]) -> Result<HashMap<TopicPartition, u64>, KafkaError> {
    let partitions: Vec<TopicPartition> = topics
        .iter()
        .flat_map(|topic| {
            topic.partitions.iter().map(|partition| TopicPartition::new(&topic.name, partition.partition))
        })
        .collect();
    let mut brokers: Vec<i32> = topics.iter().flat_map(|topic| &topic.partitions).flat_map(|p| p.isr.clone()).collect();
    brokers.sort_unstable();
    brokers.dedup();
    if brokers.is_empty() {
        return Ok(HashMap::new());
    }
    let options = krafka::admin::DescribeLogDirsOptions::default().partitions(partitions).timeout(DETAIL_TIMEOUT);
    let answers = client(cluster).await?.describe_log_dirs(brokers, options).await;
    let answers = answers.map_err(KafkaError::request("describe log directories"))?;
    let replicas = answers
        .into_values()
        .flatten()
        .flat_map(|directories| directories.into_values().flatten())
        .flat_map(|directory| directory.replicas)
        .filter(|(_, replica)| !replica.is_future);
    let mut sizes = HashMap::new();
    for (partition, replica) in replicas {
        let size: &mut u64 = sizes.entry(partition).or_default();
        *size = (*size).max(u64::try_from(replica.size).unwrap_or(0));
    }
    Ok(sizes)
}

/// Deletes `name` and waits until the brokers no longer know it, so that it can be made again.
///
/// # Errors
/// It does not exist, or the broker refuses.
pub async fn delete(cluster: &Cluster, name: &str) -> Result<(), KafkaError> {
    let what = || KafkaError::request(format!("delete topic {name:?}"));
    let results = client(cluster).await?.delete_topics([name], Default::default()).await.map_err(what())?;
    match results.into_values().next().unwrap_or(Ok(())) {
        Ok(()) => {}
        Err(error) if is_code(&error, ErrorCode::UnknownTopicOrPartition) => {
            return Err(KafkaError::unknown_topic(name));
        }
        Err(error) => return Err(what()(error)),
    }
    let gone = async {
        while !layout(cluster, [name]).await?.is_empty() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    };
    // The controller has accepted it; that a broker is slow to hear of it is no failure.
    tokio::time::timeout(DETAIL_TIMEOUT, gone).await.unwrap_or(Ok(()))
}
