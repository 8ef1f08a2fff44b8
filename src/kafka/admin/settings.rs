//! The settings of topics: what is set on them, what would be in force without.

use std::collections::{BTreeMap, HashMap};

use krafka::admin::{ConfigEntry, ConfigOp, ConfigResource, DescribeConfigsOptions, IncrementalAlterConfigsOptions};
use krafka::error::ErrorCode;
use serde::Serialize;

use super::{client, is_code};
use crate::kafka::{Cluster, KafkaError};

/// What becomes of old segments.
pub const CLEANUP_POLICY: &str = "cleanup.policy";
/// For how many milliseconds records are kept.
pub const RETENTION_MS: &str = "retention.ms";
/// How many bytes of a partition are kept.
pub const RETENTION_BYTES: &str = "retention.bytes";

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
    /// What values it has.
    #[serde(skip)]
    pub kind: Kind,
    /// Whether the brokers keep the value to themselves.
    #[serde(skip)]
    pub sensitive: bool,
    /// Whether no topic can have its own.
    #[serde(skip)]
    pub read_only: bool,
    /// What it does, in the brokers' words; only [`documented`] asks for that.
    #[serde(skip)]
    pub documentation: Option<String>,
}

/// What values a setting has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// Text, or what the broker is too old to tell.
    #[default]
    Text,
    /// `true` or `false`.
    Boolean,
    /// A number.
    Number,
    /// Texts with commas between.
    List,
}

impl Kind {
    /// The kind to which Kafka gives this number.
    fn of(number: i8) -> Self {
        match number {
            1 => Self::Boolean,
            3..=6 => Self::Number,
            7 => Self::List,
            _ => Self::Text,
        }
    }
}

/// What a topic keeps and for how long.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keeping {
    /// What becomes of old segments: `delete`, `compact`, or both.
    pub cleanup_policy: String,
    /// How long records are kept, in milliseconds; `None` is for ever.
    pub retention_ms: Option<i64>,
    /// How large a partition may grow, in bytes; `None` is without limit.
    pub retention_bytes: Option<i64>,
}

impl Keeping {
    /// Whether older records of a key are removed, so that offsets are missing between those that are left.
    pub fn is_compacted(&self) -> bool {
        self.cleanup_policy.split(',').any(|policy| policy.trim() == "compact")
    }

    /// Whether records can be deleted by an offset.
    pub fn deletes(&self) -> bool {
        self.cleanup_policy.split(',').any(|policy| policy.trim() == "delete")
    }
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
    let mut topics = ask(cluster, resources, options).await?;
    add_broker_defaults(cluster, &mut topics).await?;
    Ok(topics)
}

/// Every setting of `topic` with its documentation.
///
/// # Errors
/// There is no such topic, or its settings can't be described.
pub async fn documented(cluster: &Cluster, topic: &str) -> Result<Settings, KafkaError> {
    let options = DescribeConfigsOptions::default().include_synonyms(true).include_documentation(true);
    let mut topics = ask(cluster, vec![ConfigResource::topic(topic)], options).await?;
    add_broker_defaults(cluster, &mut topics).await?;
    topics.remove(topic).ok_or_else(|| KafkaError::unknown_topic(topic))
}

/// What each of `topics` that exists keeps; nothing else is asked, so it may be many.
///
/// # Errors
/// A topic's settings can't be described.
pub async fn keeping(
    cluster: &Cluster,
    topics: impl IntoIterator<Item = impl Into<String>>,
) -> Result<HashMap<String, Keeping>, KafkaError> {
    let resources = topics.into_iter().map(ConfigResource::topic).collect();
    let names = [CLEANUP_POLICY, RETENTION_MS, RETENTION_BYTES].map(str::to_owned).to_vec();
    let topics = ask(cluster, resources, DescribeConfigsOptions::default().config_names(names)).await?;
    let keeping = |settings: Settings| {
        // Negative is without limit.
        let limit = |key| settings.get(key).and_then(|setting| setting.value.parse().ok()).filter(|limit| *limit >= 0);
        Keeping {
            cleanup_policy: settings.get(CLEANUP_POLICY).map(|setting| setting.value.clone()).unwrap_or_default(),
            retention_ms: limit(RETENTION_MS),
            retention_bytes: limit(RETENTION_BYTES),
        }
    };
    Ok(topics.into_iter().map(|(name, settings)| (name, keeping(settings))).collect())
}

async fn ask(
    cluster: &Cluster,
    resources: Vec<ConfigResource>,
    options: DescribeConfigsOptions,
) -> Result<HashMap<String, Settings>, KafkaError> {
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
        kind: Kind::of(entry.config_type),
        sensitive: entry.is_sensitive,
        read_only: entry.read_only,
        documentation: entry.documentation,
        value: entry.value.unwrap_or_default(),
    };
    (entry.name, setting)
}
