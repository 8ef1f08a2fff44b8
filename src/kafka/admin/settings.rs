//! The settings of topics: what is set on them, what would be in force without.

use std::collections::{BTreeMap, HashMap};

use krafka::admin::{ConfigEntry, ConfigOp, ConfigResource, DescribeConfigsOptions, IncrementalAlterConfigsOptions};
use serde::Serialize;

use super::client;
use crate::kafka::{Cluster, KafkaError};

/// Kafka's number for "set on the topic itself" among the sources of a setting.
const SOURCE_TOPIC: i8 = 1;

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

/// Settings by name.
pub type Settings = BTreeMap<String, Setting>;

/// Every setting of each of `topics`.
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
    let settings = described.into_iter().map(|(resource, entries)| {
        let entries =
            entries.map_err(KafkaError::request(format!("describe settings of topic {:?}", resource.name)))?;
        Ok((resource.name, entries.into_iter().map(setting).collect()))
    });
    settings.collect()
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
