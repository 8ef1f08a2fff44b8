//! The settings of topics: what is set on them, what would be in force without.

use std::collections::{BTreeMap, HashMap};

use krafka::admin::{ConfigEntry, ConfigOp, ConfigResource, DescribeConfigsOptions, IncrementalAlterConfigsOptions};
use krafka::error::ErrorCode;
use serde::Serialize;

use super::{client, is_code};
use crate::kafka::{Cluster, KafkaError};

/// Kafka's number for "set on the topic itself" among the sources of a setting.
const SOURCE_TOPIC: i8 = 1;

/// Defaults that brokers state only in settings of their own, in the order of precedence and with the milliseconds
/// that one of each is.
const BROKER_DEFAULTS: &[(&str, &[(&str, i64)])] = &[
    ("retention.ms", &[("log.retention.ms", 1), ("log.retention.minutes", 60_000), ("log.retention.hours", 3_600_000)]),
    ("segment.ms", &[("log.roll.ms", 1), ("log.roll.hours", 3_600_000)]),
    ("segment.jitter.ms", &[("log.roll.jitter.ms", 1), ("log.roll.jitter.hours", 3_600_000)]),
];

/// A setting of a topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Setting {
    /// The value in force.
    pub value: String,
    /// The value that the brokers would use if the topic had none.
    pub default: Option<String>,
    /// Whether the topic has one of its own.
    #[serde(skip)]
    pub overridden: bool,
}

impl Setting {
    /// Whether the topic's own value hides what the default is.
    fn is_open(&self) -> bool {
        self.overridden && self.default.is_none()
    }
}

/// Settings by name.
pub type Settings = BTreeMap<String, Setting>;

/// Every setting of each of `topics` that exists.
///
/// # Errors
/// A topic's settings can't be described.
pub async fn describe(
    cluster: &Cluster,
    topics: impl IntoIterator<Item = impl Into<String>>,
) -> Result<HashMap<String, Settings>, KafkaError> {
    let resources: Vec<ConfigResource> = topics.into_iter().map(ConfigResource::topic).collect();
    let options = DescribeConfigsOptions::default().include_synonyms(true);
    let described = client(cluster).await?.describe_configs(resources, options).await;
    let described = described.map_err(KafkaError::request("describe settings"))?;
    let mut topics: HashMap<String, Settings> = HashMap::new();
    for (resource, entries) in described {
        match entries {
            Ok(entries) => drop(topics.insert(resource.name, entries.into_iter().map(setting).collect())),
            Err(error) if is_code(&error, ErrorCode::UnknownTopicOrPartition) => {}
            Err(source) => {
                return Err(KafkaError::request(format!("describe settings of topic {:?}", resource.name))(source));
            }
        }
    }
    add_broker_defaults(cluster, &mut topics).await?;
    Ok(topics)
}

/// A broker names no default of these for a topic that has one of its own, so the broker itself is asked.
async fn add_broker_defaults(cluster: &Cluster, topics: &mut HashMap<String, Settings>) -> Result<(), KafkaError> {
    let is_open = |(key, _): &&(&str, _)| topics.values().any(|topic| topic.get(*key).is_some_and(Setting::is_open));
    let open: Vec<_> = BROKER_DEFAULTS.iter().filter(is_open).collect();
    if open.is_empty() {
        return Ok(());
    }
    let admin = client(cluster).await?;
    let described = admin.describe_cluster(Default::default()).await;
    let described = described.map_err(KafkaError::request("describe the cluster"))?;
    let Some(broker) = described.brokers.first() else { return Ok(()) };
    let described = admin.describe_configs([ConfigResource::broker(broker.id)], Default::default()).await;
    let described = described.map_err(KafkaError::request("describe settings of a broker"))?;
    let entries = described.into_values().next().and_then(Result::ok).unwrap_or_default();
    let of_broker: HashMap<String, i64> =
        entries.into_iter().filter_map(|entry| Some((entry.name, entry.value?.parse().ok()?))).collect();
    for (key, sources) in open {
        // -1 is "for ever" in whatever unit.
        let scaled = |value: i64, millis: i64| if value < 0 { value } else { value * millis };
        let default = sources.iter().find_map(|(name, millis)| Some(scaled(*of_broker.get(*name)?, *millis)));
        for setting in topics.values_mut().filter_map(|topic| topic.get_mut(*key)).filter(|setting| setting.is_open()) {
            setting.default = default.map(|millis| millis.to_string());
        }
    }
    Ok(())
}

/// Changes settings of a topic: `None` gives one back to the brokers' default.
///
/// # Errors
/// The broker refuses one; then none is changed.
pub async fn alter(
    cluster: &Cluster,
    topic: &str,
    changes: impl IntoIterator<Item = (&String, Option<&String>)>,
    validate_only: bool,
) -> Result<(), KafkaError> {
    let what = || KafkaError::request(format!("change settings of topic {topic:?}"));
    let operations = changes.into_iter().map(|(key, value)| match value {
        Some(value) => ConfigOp::set(key, value),
        None => ConfigOp::delete(key),
    });
    let change = (ConfigResource::topic(topic), operations.collect());
    let options = IncrementalAlterConfigsOptions::default().validate_only(validate_only);
    let results = client(cluster).await?.incremental_alter_configs([change], options).await.map_err(what())?;
    results.into_values().collect::<Result<(), _>>().map_err(what())
}

fn setting(entry: ConfigEntry) -> (String, Setting) {
    let default = entry.synonyms.iter().find(|synonym| synonym.source != SOURCE_TOPIC);
    let setting = Setting {
        default: default.and_then(|synonym| synonym.value.clone()),
        overridden: entry.config_source == SOURCE_TOPIC,
        value: entry.value.unwrap_or_default(),
    };
    (entry.name, setting)
}
