//! Settings: flag > environment (`KBOARD_*`) > `kboard.toml` > default.
//!
//! [`table`] declares every setting once, [`sources`] finds out who set it, [`values`] reads it, and [`Settings`] is the
//! typed result that the rest of the program is given. Nothing below `cli` reads a flag or a variable.
//!
//! Settings that belong together have a room, which reads and checks them:
//! - [`servers`]: how to reach Kafka and Redis; [`embedded`]: those that kboard brings itself.
//! - [`console`]: the console, and what `/metrics` tells of the cluster; [`traces`]: where traces go.
//!
//! [`tls`] makes a client's configuration from PEM files.

mod console;
mod embedded;
mod servers;
pub mod sources;
pub mod table;
pub mod tls;
mod traces;
mod values;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

pub use console::{ConsoleMode, ExportSettings};
pub use embedded::{EmbeddedSettings, Fsync};
pub use servers::{KafkaSettings, RedisSettings, Sasl, SaslMechanism, Tls};
use sources::{Resolved, Source};
pub use traces::{Sample, TraceSettings};
use values::Values;
pub use values::{display_value, masked_url, parse_duration};

/// What is written at the same time may be read a little later.
const SHORTEST_RETENTION: Duration = Duration::from_secs(60);

/// Why the settings can't be used; every message names the setting and who set it.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The settings file can't be read or parsed.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A key of the file names no setting.
    #[error("{}: unknown setting {key:?}; `kboard config` lists them all", path.display())]
    UnknownKey {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
    },
    /// A `KBOARD_*` variable names no setting.
    #[error("unknown variable {0}; `kboard config` lists every setting with its variable")]
    UnknownVariable(String),
    /// A value has the wrong form.
    #[error("{key} = {value:?} (from {source_}): {reason}")]
    Value {
        /// The setting.
        key: &'static str,
        /// What was given; masked for secrets.
        value: String,
        /// Who gave it.
        source_: Source,
        /// What would be right.
        reason: String,
    },
}

/// How topics that kboard creates are made.
#[derive(Clone, Debug, Default)]
pub struct TopicDefaults {
    /// Replication factor; from the cluster's size when `None`.
    pub replication_factor: Option<i16>,
    /// `min.insync.replicas`; from the replication factor when `None`.
    pub min_insync_replicas: Option<i16>,
}

/// The form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Everything the program was told, resolved and typed.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Kafka.
    pub kafka: KafkaSettings,
    /// Redis.
    pub redis: RedisSettings,
    /// Where the web server listens.
    pub listen: SocketAddr,
    /// The names of the apps that `serve` mounts; all when `None`.
    pub apps: Option<Vec<String>>,
    /// What the console may do; from where `serve` listens when `None`.
    pub console: Option<ConsoleMode>,
    /// The names that the console may be asked for by; from where `serve` listens when empty.
    pub console_hosts: Vec<String>,
    /// What `serve`'s metrics tell of the cluster.
    pub export: ExportSettings,
    /// Where a consumer process, or `broker`, shows its metrics.
    pub metrics_listen: SocketAddr,
    /// Where traces go.
    pub traces: TraceSettings,
    /// Put before the names of the apps' topics, groups and keys.
    pub topic_prefix: String,
    /// How long apps remember something after it has ended.
    pub state_retention: Duration,
    /// How topics are created.
    pub topics: TopicDefaults,
    /// The servers that kboard brings itself.
    pub embedded: EmbeddedSettings,
    /// How long to wait for Kafka and Redis at the start.
    pub startup_timeout: Duration,
    /// Log filter.
    pub log: String,
    /// Log format.
    pub log_format: LogFormat,
}

impl Settings {
    /// Types the resolved values and checks the rules that span several of them.
    ///
    /// # Errors
    /// [`ConfigError::Value`] for the first value that has the wrong form.
    pub fn from_resolved(resolved: &[Resolved]) -> Result<Self, ConfigError> {
        let values = Values(resolved);
        let embedded = EmbeddedSettings::read(&values)?;
        Ok(Self {
            kafka: KafkaSettings::read(&values, &embedded)?,
            redis: RedisSettings::read(&values, &embedded)?,
            listen: values.required("listen", "an address and port, such as 127.0.0.1:3000")?,
            apps: apps(&values),
            console: ConsoleMode::read(&values)?,
            console_hosts: console::hosts(&values),
            export: ExportSettings::read(&values)?,
            metrics_listen: values.required("metrics-listen", "an address and port, such as 127.0.0.1:9091")?,
            traces: TraceSettings::read(&values)?,
            topic_prefix: values.text("topic-prefix").unwrap_or_default(),
            state_retention: state_retention(&values)?,
            topics: TopicDefaults {
                replication_factor: values.parse("replication-factor", "a whole number from 1 up")?,
                min_insync_replicas: values.parse("min-insync-replicas", "a whole number from 1 up")?,
            },
            embedded,
            startup_timeout: values.duration("startup-timeout")?,
            log: values.text("log").unwrap_or_default(),
            log_format: match values.text("log-format").as_deref() {
                Some("json") => LogFormat::Json,
                Some("text") | None => LogFormat::Text,
                Some(_) => return Err(values.error("log-format", "expected text or json")),
            },
        })
    }
}

fn apps(values: &Values) -> Option<Vec<String>> {
    let text = values.text("apps").filter(|text| text != "all")?;
    Some(listed(&text).into_iter().filter(|name| name != "none").collect())
}

fn listed(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

fn state_retention(values: &Values) -> Result<Duration, ConfigError> {
    let retention = values.duration("state-retention")?;
    let is_long_enough = retention >= SHORTEST_RETENTION;
    is_long_enough.then_some(retention).ok_or_else(|| values.error("state-retention", "expected 1m or more"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::sources::Sources;
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    pub(super) fn resolve(
        flags: &[(&str, &str)],
        environment: &[(&str, &str)],
        file: &str,
    ) -> Result<Vec<Resolved>, ConfigError> {
        let path = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&path, file).unwrap();
        let sources =
            Sources { flags: map(flags), environment: map(environment), file: Some((path.path().to_owned(), true)) };
        sources.resolve()
    }

    fn source(resolved: &[Resolved], key: &str) -> (String, String) {
        let found = resolved.iter().find(|resolved| resolved.setting.key == key).unwrap();
        let source = match &found.source {
            Source::File(_) => "file".to_owned(),
            other => other.to_string(),
        };
        (found.value.clone().unwrap_or_default(), source)
    }

    #[test]
    fn a_flag_beats_a_variable_beats_the_file_beats_the_default() {
        let file = "kafka = \"f:1\"\nredis = \"redis://f\"\ntopic-prefix = \"f-\"\nreplication-factor = 2\n";
        let environment = [("KBOARD_KAFKA", "e:1"), ("KBOARD_REDIS", "redis://e"), ("HOME", "/")];
        let resolved = resolve(&[("kafka", "a:1")], &environment, file).unwrap();
        let settings = Settings::from_resolved(&resolved).unwrap();
        assert_eq!(source(&resolved, "kafka"), ("a:1".to_owned(), "flag".to_owned()));
        assert_eq!(source(&resolved, "redis"), ("redis://e".to_owned(), "environment".to_owned()));
        assert_eq!(source(&resolved, "topic-prefix"), ("f-".to_owned(), "file".to_owned()));
        assert_eq!(source(&resolved, "log"), ("info".to_owned(), "default".to_owned()));
        assert_eq!(settings.topics.replication_factor, Some(2));
    }

    #[test]
    fn unknown_names_are_reported() {
        let message = |result: Result<Vec<Resolved>, ConfigError>| result.unwrap_err().to_string();
        assert!(message(resolve(&[], &[("KBOARD_KAFAK", "x")], "")).contains("KBOARD_KAFAK"));
        // What Kubernetes tells every container of a service called kboard.
        let service = [
            ("KBOARD_SERVICE_HOST", "10.0.0.1"),
            ("KBOARD_PORT", "tcp://10.0.0.1:3000"),
            ("KBOARD_PORT_3000_TCP", "x"),
        ];
        assert!(resolve(&[], &service, "").is_ok());
        assert!(message(resolve(&[], &[], "kafak = 1")).contains("kafak"));
        assert!(message(resolve(&[], &[], "kafka = [1]")).contains("kafka"));
        assert!(message(resolve(&[], &[], "= x")).contains("TOML"));
    }

    #[test]
    fn a_wrong_value_names_its_setting_and_who_set_it() {
        for (key, value) in [
            ("kafka", "broker"),
            ("kafka", ""),
            ("kafka-tls", "maybe"),
            ("kafka-tls-cert", "x.pem"),
            ("kafka-tls-ca", "x.pem"),
            ("kafka-sasl-password", "x"),
            ("redis-tls-ca", "x.pem"),
            ("kafka-sasl-mechanism", "kerberos"),
            ("kafka-sasl-mechanism", "plain"),
            ("kafka-session-timeout", "soon"),
            ("redis", "http://x"),
            ("listen", "3000"),
            ("replication-factor", "x"),
            ("log-format", "xml"),
            ("otlp-endpoint", "127.0.0.1:4318"),
            ("otlp-endpoint", "grpc://collector:4317"),
            ("otlp-endpoint", "http://user@collector:4318"),
            ("otlp-endpoint", "http://collector:4318/?tenant=1"),
            ("otlp-sample", "2"),
            ("otlp-sample", "0/s"),
            ("state-retention", "59s"),
            ("state-retention", "for ever"),
        ] {
            let tls = match key {
                "kafka-tls" => value,
                "kafka-tls-ca" => "false",
                _ => "true",
            };
            let flags = [("kafka", "broker:9092"), ("redis", "redis://cache"), (key, value), ("kafka-tls", tls)];
            let resolved = resolve(&flags, &[], "").unwrap();
            let error = Settings::from_resolved(&resolved).unwrap_err().to_string();
            assert!(error.contains("kafka-sasl-username") || error.contains(key), "{error}");
            assert!(error.contains("flag") || error.contains("default"), "{error}");
        }
    }

    #[test]
    fn no_secret_is_shown() {
        let flags = [
            ("kafka", "broker:9092"),
            ("redis", "redis://user:hunter2@cache:6379"),
            ("redis-password", "hunter2"),
            ("kafka-sasl-mechanism", "plain"),
            ("kafka-sasl-username", "user"),
            ("kafka-sasl-password", "hunter2"),
        ];
        let resolved = resolve(&flags, &[], "").unwrap();
        let settings = Settings::from_resolved(&resolved).unwrap();
        let shown: String = resolved.iter().map(display_value).chain([format!("{settings:?}")]).collect();
        assert!(shown.contains("user"));
        assert!(!shown.contains("hunter2"), "{shown}");
        // With a character that has to be escaped, it is no URL.
        let resolved = resolve(&[("redis", "redis://user:hun#ter2@cache:6379")], &[], "").unwrap();
        let error = Settings::from_resolved(&resolved).unwrap_err().to_string();
        assert!(error.contains("@cache:6379") && !error.contains("ter2"), "{error}");
    }
}
