//! Topics as they are: layout, offsets, size on disk.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::Range;
use std::time::Duration;

use krafka::admin::{ListTopicsOptions, OffsetSpec, TopicDescription, TopicPartition};
use krafka::error::ErrorCode;
use serde::Serialize;

use super::brokers::{self, Broker, Sizes};
use super::spread::everywhere;
use super::{client, is_code};
use crate::kafka::fetch::{self, At, Isolation, Located};
use crate::kafka::{Cluster, KafkaError};

/// How long the brokers have to answer for sizes and offsets, which are shown as unknown after that.
const DETAIL_TIMEOUT: Duration = Duration::from_secs(5);

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

    /// The offsets that can be read; unknown without a leader.
    pub fn range(&self) -> Option<Range<i64>> {
        Some(self.earliest?..self.latest?)
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

    /// Notes where its partitions begin and end; what `ranges` doesn't have is unknown.
    pub fn fill_offsets(&mut self, ranges: &HashMap<TopicPartition, Range<i64>>) {
        for partition in &mut self.partitions {
            let range = ranges.get(&TopicPartition::new(&self.name, partition.partition));
            partition.earliest = range.map(|range| range.start);
            partition.latest = range.map(|range| range.end);
        }
    }

    /// Notes how large its partitions are; what `sizes` doesn't have is unknown.
    pub fn fill_sizes(&mut self, sizes: &Sizes) {
        for partition in &mut self.partitions {
            partition.size = sizes.get(&TopicPartition::new(&self.name, partition.partition)).copied();
        }
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
    let (topics, refused) = layouts(cluster, names).await?;
    refused.into_iter().next().map_or(Ok(topics), |(_, error)| Err(error))
}

/// The same, with those that a broker refuses to describe, each with its reason.
///
/// # Errors
/// No broker answers.
pub async fn layouts(
    cluster: &Cluster,
    names: impl IntoIterator<Item = impl AsRef<str>>,
) -> Result<(BTreeMap<String, Topic>, BTreeMap<String, KafkaError>), KafkaError> {
    let described = client(cluster).await?.describe_topics(names, Default::default()).await;
    let described = described.map_err(KafkaError::request("describe topics"))?;
    let (mut topics, mut refused) = (BTreeMap::new(), BTreeMap::new());
    for (name, result) in described {
        match result {
            Ok(found) => drop(topics.insert(name, Topic::from(found))),
            Err(error) if is_code(&error, ErrorCode::UnknownTopicOrPartition) => {}
            Err(source) => {
                let error = KafkaError::request(format!("describe topic {name:?}"))(source);
                refused.insert(name, error);
            }
        }
    }
    Ok((topics, refused))
}

/// `name`, without offsets and sizes.
///
/// # Errors
/// There is no such topic, or a broker refuses to describe it.
pub async fn layout_of(cluster: &Cluster, name: &str) -> Result<Topic, KafkaError> {
    // What can't be a topic's name is not one.
    if super::topic_name(name).is_err() {
        return Err(KafkaError::unknown_topic(name));
    }
    layout(cluster, [name]).await?.remove(name).ok_or_else(|| KafkaError::unknown_topic(name))
}

/// Those of `names` that exist, with their offsets and sizes, in the order of the names.
///
/// # Errors
/// No broker answers, or one refuses to describe a topic.
pub async fn describe(cluster: &Cluster, names: &[String]) -> Result<Vec<Topic>, KafkaError> {
    let mut found = layout(cluster, names).await?;
    let led: Vec<TopicPartition> = found.values().flat_map(Topic::led).collect();
    let (ranges, sizes) = tokio::try_join!(ranges(cluster, &led), sizes(cluster, &found))?;
    for topic in found.values_mut() {
        topic.fill_offsets(&ranges);
        topic.fill_sizes(&sizes);
    }
    Ok(names.iter().filter_map(|name| found.remove(name)).collect())
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
    let keys: Vec<&TopicPartition> = partitions.into_iter().collect();
    let places: Vec<(&str, i32)> = keys.iter().map(|key| (key.topic.as_str(), key.partition)).collect();
    // krafka takes Kafka's answer for "no record so late" for a broker that is not ready, and asks until it gives up.
    let (found, ends) = tokio::join!(
        fetch::offsets(cluster, &places, At::Time(time), Isolation::All),
        fetch::offsets(cluster, &places, At::Latest, Isolation::All),
    );
    let place = |((key, found), end): ((&TopicPartition, Outcome), Outcome)| {
        let located = match found? {
            Some(located) => Some(located),
            None => end?,
        };
        Ok(located.map(|located| (key.clone(), located.offset)))
    };
    keys.into_iter().zip(found).zip(ends).filter_map(|places| place(places).transpose()).collect()
}

type Outcome = Result<Option<Located>, KafkaError>;

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

/// Bytes on disk of each partition that a broker tells about.
async fn sizes(cluster: &Cluster, topics: &BTreeMap<String, Topic>) -> Result<Sizes, KafkaError> {
    let partitions = || topics.values().flat_map(|topic| topic.partitions.iter().map(move |held| (&topic.name, held)));
    let holders: BTreeSet<i32> = partitions().flat_map(|(_, partition)| partition.isr.iter().copied()).collect();
    let mut brokers: Vec<Broker> = holders.into_iter().map(|id| Broker { id, ..Broker::default() }).collect();
    let wanted = partitions().map(|(name, partition)| TopicPartition::new(name, partition.partition)).collect();
    brokers::fill_log_dirs(cluster, &mut brokers, Some(wanted)).await
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
    // The controller has accepted it; that a broker is slow to hear of it is no failure.
    everywhere(cluster, &[name.to_owned()], DETAIL_TIMEOUT, |_, told| told.is_err()).await?;
    Ok(())
}
