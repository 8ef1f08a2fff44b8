//! Topics that must be there: the missing ones are created, the rest is left as it is.
//!
//! kboard never relies on a broker creating topics by itself: it would give them the broker's partition count.

use std::collections::BTreeMap;
use std::time::Duration;

use krafka::admin::NewTopic;
use krafka::error::ErrorCode;

use super::spread::everywhere;
use super::topics::layout;
use super::{TopicSpec, broker_count, client, is_code};
use crate::config::TopicDefaults;
use crate::kafka::wire::Layout;
use crate::kafka::{Cluster, KafkaError};

/// The setting that says how many replicas must have a record before acks=all is answered.
pub const MIN_INSYNC_REPLICAS: &str = "min.insync.replicas";

/// Replicas of a topic for which nobody asked anything, where there are that many brokers.
const USUAL_REPLICAS: i16 = 3;
/// How long a created topic may take until each partition has a leader.
const LEADER_TIMEOUT: Duration = Duration::from_secs(15);

/// A topic that was made, as it was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreatedTopic {
    /// Its name.
    pub name: String,
    /// How many partitions it has.
    pub partitions: i32,
    /// How many brokers hold each partition.
    pub replication_factor: i16,
    /// Its settings.
    pub config: BTreeMap<String, String>,
}

/// Creates those topics of `specs` that are missing, and waits until each partition of them has a leader.
/// Topics that exist are not touched. Two processes may do this at once.
///
/// # Errors
/// A topic can't be created or described, or gets no leader in time.
pub async fn ensure_topics(
    cluster: &Cluster,
    specs: &[TopicSpec],
    defaults: &TopicDefaults,
) -> Result<Vec<CreatedTopic>, KafkaError> {
    let missing = missing(cluster, specs).await?;
    if missing.is_empty() {
        return Ok(Vec::new());
    }
    let brokers = broker_count(cluster).await?;
    let wanted: Vec<CreatedTopic> =
        missing.into_iter().map(|spec| resolve(spec, defaults, brokers)).collect::<Result<_, _>>()?;
    let (mut created, mut partitions) = (Vec::new(), BTreeMap::new());
    for topic in wanted {
        let is_ours = create(cluster, &topic, false).await?;
        // Who made it meanwhile may have wanted fewer.
        partitions.insert(topic.name.clone(), if is_ours { topic.partitions } else { 1 });
        created.extend(is_ours.then_some(topic));
    }
    await_leaders(cluster, &partitions).await?;
    Ok(created)
}

/// Fills in what `spec` leaves open: the replication factor from the settings or the cluster's size, and
/// `min.insync.replicas` from the settings or the replication factor.
///
/// # Errors
/// The two contradict each other, so that no record could ever be written with acks=all.
pub fn resolve(spec: &TopicSpec, defaults: &TopicDefaults, brokers: usize) -> Result<CreatedTopic, KafkaError> {
    let fitting = i16::try_from(brokers).unwrap_or(USUAL_REPLICAS).clamp(1, USUAL_REPLICAS);
    let replication_factor = spec.replication_factor.or(defaults.replication_factor).unwrap_or(fitting);
    let mut config = spec.config.clone();
    if !config.contains_key(MIN_INSYNC_REPLICAS) {
        let usual = if replication_factor >= 3 { 2 } else { 1 };
        let replicas = defaults.min_insync_replicas.unwrap_or(usual);
        config.insert(MIN_INSYNC_REPLICAS.to_owned(), replicas.to_string());
    }
    let min_insync = config[MIN_INSYNC_REPLICAS].parse::<i16>().ok();
    if let Some(min_insync) = min_insync.filter(|min_insync| *min_insync > replication_factor) {
        return Err(KafkaError::InvalidTopic {
            topic: spec.name.clone(),
            reason: format!(
                "{MIN_INSYNC_REPLICAS} {min_insync} is more than the replication factor {replication_factor}, so \
                 nothing could be written"
            ),
        });
    }
    Ok(CreatedTopic { name: spec.name.clone(), partitions: spec.partitions, replication_factor, config })
}

/// Creates one topic, or only has the broker check it; `false` when it exists already.
///
/// # Errors
/// The broker refuses it.
pub async fn create(cluster: &Cluster, topic: &CreatedTopic, validate_only: bool) -> Result<bool, KafkaError> {
    let what = || KafkaError::request(format!("create topic {:?}", topic.name));
    let mut new = NewTopic::new(&topic.name, topic.partitions, topic.replication_factor).map_err(what())?;
    for (key, value) in &topic.config {
        new = new.with_config(key, value);
    }
    let options = krafka::admin::CreateTopicsOptions::default().validate_only(validate_only);
    let results = client(cluster).await?.create_topics([new], options).await.map_err(what())?;
    match results.into_values().next().unwrap_or(Ok(())) {
        Ok(()) => Ok(true),
        Err(error) if is_code(&error, ErrorCode::TopicAlreadyExists) => Ok(false),
        Err(error) => Err(what()(error)),
    }
}

/// Waits until every broker knows at least so many partitions of each topic, each with a leader, so that the first record can
/// be written and whoever asks next finds it. Where the brokers choose how many (-1), one is enough.
///
/// # Errors
/// That is not so after a while.
pub async fn await_leaders(cluster: &Cluster, partitions: &BTreeMap<String, i32>) -> Result<(), KafkaError> {
    let is_led = |topic: &str, told: &Layout| {
        let Ok(led) = told else { return false };
        let enough = i32::try_from(led.len()).is_ok_and(|told| told >= partitions[topic].max(1));
        enough && led.values().all(Option::is_some)
    };
    let topics: Vec<String> = partitions.keys().cloned().collect();
    match everywhere(cluster, &topics, LEADER_TIMEOUT, is_led).await?.into_iter().next() {
        None => Ok(()),
        Some(topic) => Err(KafkaError::NoLeader { topic, waited: LEADER_TIMEOUT }),
    }
}

async fn missing<'a>(cluster: &Cluster, specs: &'a [TopicSpec]) -> Result<Vec<&'a TopicSpec>, KafkaError> {
    let found = layout(cluster, specs.iter().map(|spec| &spec.name)).await?;
    for (spec, topic) in specs.iter().filter_map(|spec| Some((spec, found.get(&spec.name)?))) {
        let (topic, partitions) = (&topic.name, topic.partitions.len());
        if i32::try_from(partitions).is_ok_and(|partitions| partitions < spec.partitions) {
            tracing::warn!(
                topic,
                partitions,
                wanted = spec.partitions,
                "topic has fewer partitions than its app wants"
            );
        }
    }
    let mut missing: Vec<&TopicSpec> = specs.iter().filter(|spec| !found.contains_key(&spec.name)).collect();
    // Two apps may share a topic.
    missing.sort_by_key(|spec| &spec.name);
    missing.dedup_by_key(|spec| &spec.name);
    Ok(missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(spec: &TopicSpec, defaults: &TopicDefaults, brokers: usize) -> (i16, String) {
        let topic = resolve(spec, defaults, brokers).unwrap();
        (topic.replication_factor, topic.config[MIN_INSYNC_REPLICAS].clone())
    }

    #[test]
    fn replicas_follow_the_size_of_the_cluster() {
        let spec = TopicSpec::new("orders", 3);
        for (brokers, replicas, min_insync) in [(0, 1, "1"), (1, 1, "1"), (2, 2, "1"), (3, 3, "2"), (9, 3, "2")] {
            assert_eq!(resolved(&spec, &TopicDefaults::default(), brokers), (replicas, min_insync.to_owned()));
        }
    }

    #[test]
    fn the_topic_wins_over_the_settings_and_they_over_the_cluster() {
        let settings = TopicDefaults { replication_factor: Some(4), min_insync_replicas: Some(3) };
        let open = TopicSpec::new("orders", 3);
        assert_eq!(resolved(&open, &settings, 1), (4, "3".to_owned()));
        let closed = TopicSpec { replication_factor: Some(2), ..open }.with_config(MIN_INSYNC_REPLICAS, "2");
        assert_eq!(resolved(&closed, &settings, 1), (2, "2".to_owned()));
    }

    #[test]
    fn a_topic_that_could_never_be_written_is_refused() {
        let settings = TopicDefaults { replication_factor: None, min_insync_replicas: Some(2) };
        let error = resolve(&TopicSpec::new("orders", 3), &settings, 1).unwrap_err();
        assert!(error.to_string().contains("min.insync.replicas 2 is more than the replication factor 1"), "{error}");
    }
}
