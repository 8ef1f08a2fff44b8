//! Settings: flag > environment (`KBOARD_*`) > `kboard.toml` > default.
//!
//! [`table`] declares every setting once, [`sources`] finds out who set it, [`values`] reads it, and [`Settings`] is the
//! typed result that the rest of the program is given. Nothing below `cli` reads a flag or a variable.

pub mod sources;
pub mod table;
pub mod tls;
mod traces;
mod values;

use std::net::{SocketAddr, SocketAddrV4};
use std::path::PathBuf;
use std::time::Duration;

use regex::Regex;
use sources::{Resolved, Source};
use values::Values;

use crate::listen::reachable;
pub use traces::{Sample, TraceSettings};
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

/// How to authenticate to Kafka with SASL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SaslMechanism {
    /// PLAIN (RFC 4616): the password crosses the wire, so use TLS with it.
    Plain,
    /// SCRAM-SHA-256 (RFC 7677).
    ScramSha256,
    /// SCRAM-SHA-512.
    ScramSha512,
}

/// SASL credentials. `Debug` leaves the password out.
#[derive(Clone)]
pub struct Sasl {
    /// The mechanism.
    pub mechanism: SaslMechanism,
    /// The user.
    pub username: String,
    /// The password.
    pub password: String,
}

impl std::fmt::Debug for Sasl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sasl")
            .field("mechanism", &self.mechanism)
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

/// TLS to a server, from PEM files.
#[derive(Clone, Debug, Default)]
pub struct Tls {
    /// CA certificates; the system's when `None`.
    pub ca: Option<PathBuf>,
    /// Client certificate and key for mutual TLS.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// How to reach Kafka.
#[derive(Clone, Debug)]
pub struct KafkaSettings {
    /// Bootstrap servers, `host:port`.
    pub bootstrap: Vec<String>,
    /// TLS, when asked for.
    pub tls: Option<Tls>,
    /// SASL, when asked for.
    pub sasl: Option<Sasl>,
    /// The group session timeout.
    pub session_timeout: Duration,
}

/// How to reach Redis. `Debug` leaves passwords out.
#[derive(Clone)]
pub struct RedisSettings {
    /// `redis://` or `rediss://` URL; credentials given apart from it are already merged in.
    pub url: url::Url,
    /// CA certificates for `rediss://`; the system's when `None`.
    pub tls_ca: Option<PathBuf>,
}

impl std::fmt::Debug for RedisSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisSettings").field("url", &masked_url(&self.url)).field("tls_ca", &self.tls_ca).finish()
    }
}

/// How topics that kboard creates are made.
#[derive(Clone, Debug, Default)]
pub struct TopicDefaults {
    /// Replication factor; from the cluster's size when `None`.
    pub replication_factor: Option<i16>,
    /// `min.insync.replicas`; from the replication factor when `None`.
    pub min_insync_replicas: Option<i16>,
}

/// The servers that kboard brings itself.
#[derive(Clone, Debug)]
pub struct EmbeddedSettings {
    /// Whether Kafka is the embedded broker.
    pub kafka: bool,
    /// Whether Redis is the embedded one.
    pub redis: bool,
    /// The folder of their data; one of the user's when `None`.
    pub data: Option<PathBuf>,
    /// Where the broker listens.
    pub kafka_listen: SocketAddr,
    /// Where it tells clients to connect; where it listens when `None`.
    pub kafka_advertise: Option<(String, u16)>,
    /// Whether asking it for a topic makes it.
    pub kafka_auto_create: bool,
    /// Where the Redis listens.
    pub redis_listen: SocketAddrV4,
    /// When the broker forces records to the disk.
    pub fsync: Fsync,
}

/// When records are forced to the disk; until then they survive the process, but not the machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fsync {
    /// Before they are acknowledged.
    Always,
    /// Every second or two.
    Interval,
    /// When the system does so by itself, as in Kafka.
    #[default]
    Never,
}

/// What the console may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConsoleMode {
    /// Everything.
    Full,
    /// Look.
    ReadOnly,
    /// Nothing: there is none.
    Off,
}

impl ConsoleMode {
    /// Its name among the settings.
    pub fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::ReadOnly => "read-only",
            Self::Off => "off",
        }
    }
}

/// What `/metrics` tells of the cluster.
#[derive(Clone, Debug, Default)]
pub struct ExportSettings {
    /// Whether it does; as the console when `None`, which has the cluster watched anyway.
    pub on: Option<bool>,
    /// Only topics whose name matches; all when `None`.
    pub topics: Option<Regex>,
    /// Only groups whose name matches; all when `None`.
    pub groups: Option<Regex>,
}

impl ExportSettings {
    /// Whether a topic of this name is told of.
    pub fn has_topic(&self, name: &str) -> bool {
        self.topics.as_ref().is_none_or(|pattern| pattern.is_match(name))
    }

    /// Whether a group of this name is told of.
    pub fn has_group(&self, name: &str) -> bool {
        self.groups.as_ref().is_none_or(|pattern| pattern.is_match(name))
    }
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
    /// What `serve`'s metrics tell of the cluster.
    pub export: ExportSettings,
    /// Where a consumer process, or `broker`, shows its metrics.
    pub metrics_listen: SocketAddr,
    /// Where traces go.
    pub traces: TraceSettings,
    /// Put before the names of the apps' topics and groups.
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
        let embedded = embedded_settings(&values)?;
        Ok(Self {
            kafka: kafka_settings(&values, &embedded)?,
            redis: redis_settings(&values, &embedded)?,
            listen: values.required("listen", "an address and port, such as 127.0.0.1:3000")?,
            apps: apps(&values),
            console: match values.text("console").as_deref() {
                None => None,
                Some("full") => Some(ConsoleMode::Full),
                Some("read-only") => Some(ConsoleMode::ReadOnly),
                Some("off") => Some(ConsoleMode::Off),
                Some(_) => return Err(values.error("console", "expected full, read-only or off")),
            },
            export: ExportSettings {
                on: match values.text("export").as_deref() {
                    None => None,
                    Some("on") => Some(true),
                    Some("off") => Some(false),
                    Some(_) => return Err(values.error("export", "expected on or off")),
                },
                topics: values.parse("export-topics", "a regular expression, such as ^orders")?,
                groups: values.parse("export-groups", "a regular expression, such as ^billing")?,
            },
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
    let names = text.split(',').map(str::trim).filter(|name| !name.is_empty() && *name != "none");
    Some(names.map(str::to_owned).collect())
}

fn state_retention(values: &Values) -> Result<Duration, ConfigError> {
    let retention = values.duration("state-retention")?;
    let is_long_enough = retention >= SHORTEST_RETENTION;
    is_long_enough.then_some(retention).ok_or_else(|| values.error("state-retention", "expected 1m or more"))
}

fn embedded_settings(values: &Values) -> Result<EmbeddedSettings, ConfigError> {
    Ok(EmbeddedSettings {
        kafka: values.is_embedded("kafka"),
        redis: values.is_embedded("redis"),
        data: values.path("data"),
        kafka_listen: values.required("kafka-listen", "an address and port, such as 127.0.0.1:9092")?,
        kafka_advertise: kafka_advertise(values)?,
        kafka_auto_create: match values.text("kafka-auto-create").as_deref() {
            Some("on") => true,
            Some("off") | None => false,
            Some(_) => return Err(values.error("kafka-auto-create", "expected on or off")),
        },
        redis_listen: values.required("redis-listen", "an IPv4 address and port, such as 127.0.0.1:6379")?,
        fsync: match values.text("fsync").as_deref() {
            Some("always") => Fsync::Always,
            Some("interval") => Fsync::Interval,
            Some("never") | None => Fsync::Never,
            Some(_) => return Err(values.error("fsync", "expected always, interval or never")),
        },
    })
}

fn kafka_advertise(values: &Values) -> Result<Option<(String, u16)>, ConfigError> {
    let Some(text) = values.text("kafka-advertise") else { return Ok(None) };
    let split = text.rsplit_once(':').filter(|(host, _)| !host.is_empty());
    let parsed = split.and_then(|(host, port)| Some((host.to_owned(), port.parse().ok()?)));
    parsed.map(Some).ok_or_else(|| values.error("kafka-advertise", "expected host:port, such as kafka.example:9092"))
}

impl KafkaSettings {
    /// Makes these the embedded broker's, which listens on `address`.
    pub fn find_embedded_at(&mut self, address: SocketAddr) {
        self.bootstrap = vec![reachable(address).to_string()];
    }
}

impl RedisSettings {
    /// Makes these the embedded Redis's, which listens on `address`.
    pub fn find_embedded_at(&mut self, address: SocketAddr) {
        self.url = redis_url(address);
    }
}

fn redis_url(address: SocketAddr) -> url::Url {
    #[expect(clippy::expect_used, reason = "an address and port is always a host and port")]
    format!("redis://{}", reachable(address)).parse().expect("a URL")
}

fn kafka_settings(values: &Values, embedded: &EmbeddedSettings) -> Result<KafkaSettings, ConfigError> {
    if embedded.kafka {
        let because = "the embedded broker has no TLS and no logins";
        let tls = ["kafka-tls-ca", "kafka-tls-cert", "kafka-tls-key"];
        let sasl = ["kafka-sasl-mechanism", "kafka-sasl-username", "kafka-sasl-password"];
        reject_unused(values, &[tls, sasl].concat(), because)?;
        if values.text("kafka-tls").is_some_and(|tls| tls != "false") {
            return Err(values.error("kafka-tls", because));
        }
        return Ok(KafkaSettings {
            bootstrap: vec![reachable(embedded.kafka_listen).to_string()],
            tls: None,
            sasl: None,
            session_timeout: values.duration("kafka-session-timeout")?,
        });
    }
    let bootstrap: Vec<String> = (values.text("kafka").unwrap_or_default().split(','))
        .map(|server| server.trim().to_owned())
        .filter(|server| !server.is_empty())
        .collect();
    let has_port = |server: &String| {
        server.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
    };
    if bootstrap.is_empty() || !bootstrap.iter().all(has_port) {
        return Err(values.error("kafka", "expected host:port, several with commas between, or embedded"));
    }
    let tls = match values.text("kafka-tls").as_deref() {
        Some("true") => Some(Tls { ca: values.path("kafka-tls-ca"), identity: identity(values)? }),
        Some("false") | None => {
            reject_unused(values, &["kafka-tls-ca", "kafka-tls-cert", "kafka-tls-key"], "kafka-tls is not true")?;
            None
        }
        Some(_) => return Err(values.error("kafka-tls", "expected true or false")),
    };
    Ok(KafkaSettings {
        bootstrap,
        tls,
        sasl: sasl(values)?,
        session_timeout: values.duration("kafka-session-timeout")?,
    })
}

/// Refuses settings that would protect a connection and don't, because another one is missing.
fn reject_unused(values: &Values, keys: &[&'static str], because: &str) -> Result<(), ConfigError> {
    match keys.iter().find(|key| values.text(key).is_some()) {
        Some(key) => Err(values.error(key, &format!("has no effect: {because}"))),
        None => Ok(()),
    }
}

fn identity(values: &Values) -> Result<Option<(PathBuf, PathBuf)>, ConfigError> {
    match (values.path("kafka-tls-cert"), values.path("kafka-tls-key")) {
        (Some(cert), Some(key)) => Ok(Some((cert, key))),
        (None, None) => Ok(None),
        (Some(_), None) => Err(values.error("kafka-tls-cert", "set kafka-tls-key too")),
        (None, Some(_)) => Err(values.error("kafka-tls-key", "set kafka-tls-cert too")),
    }
}

fn sasl(values: &Values) -> Result<Option<Sasl>, ConfigError> {
    let mechanism = match values.text("kafka-sasl-mechanism").map(|name| name.to_lowercase()).as_deref() {
        None => {
            reject_unused(values, &["kafka-sasl-username", "kafka-sasl-password"], "kafka-sasl-mechanism is not set")?;
            return Ok(None);
        }
        Some("plain") => SaslMechanism::Plain,
        Some("scram-sha-256") => SaslMechanism::ScramSha256,
        Some("scram-sha-512") => SaslMechanism::ScramSha512,
        Some(_) => return Err(values.error("kafka-sasl-mechanism", "expected plain, scram-sha-256 or scram-sha-512")),
    };
    let required =
        |key| values.text(key).ok_or_else(|| values.error(key, "kafka-sasl-mechanism is set, so this must be too"));
    Ok(Some(Sasl { mechanism, username: required("kafka-sasl-username")?, password: required("kafka-sasl-password")? }))
}

fn redis_settings(values: &Values, embedded: &EmbeddedSettings) -> Result<RedisSettings, ConfigError> {
    let invalid = |reason: String| values.error("redis", &reason);
    if embedded.redis {
        let unused = ["redis-tls-ca", "redis-username", "redis-password"];
        reject_unused(values, &unused, "the embedded Redis has no TLS and no logins")?;
        let url = redis_url(embedded.redis_listen.into());
        return Ok(RedisSettings { url, tls_ca: None });
    }
    let mut url: url::Url = (values.text("redis").unwrap_or_default().parse())
        .map_err(|error| invalid(format!("expected redis://host:port, rediss://host:port or embedded ({error})")))?;
    if !matches!(url.scheme(), "redis" | "rediss") || url.host_str().is_none_or(str::is_empty) {
        return Err(invalid("expected redis://host:port, rediss://host:port or embedded".to_owned()));
    }
    if url.scheme() == "redis" {
        reject_unused(
            values,
            &["redis-tls-ca"],
            "the URL begins with redis://, which is without TLS; rediss:// is with",
        )?;
    }
    if let Some(username) = values.text("redis-username") {
        url.set_username(&username).map_err(|()| values.error("redis-username", "can't be put into the URL"))?;
    }
    if let Some(password) = values.text("redis-password") {
        url.set_password(Some(&password)).map_err(|()| values.error("redis-password", "can't be put into the URL"))?;
    }
    Ok(RedisSettings { url, tls_ca: values.path("redis-tls-ca") })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::sources::Sources;
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn resolve(flags: &[(&str, &str)], environment: &[(&str, &str)], file: &str) -> Result<Vec<Resolved>, ConfigError> {
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
    fn the_embedded_servers_are_the_default_and_found_where_they_listen() {
        let settings = |flags: &[(&str, &str)]| Settings::from_resolved(&resolve(flags, &[], "").unwrap());
        let found = |flags: &[(&str, &str)]| {
            let settings = settings(flags).unwrap();
            let places = (settings.kafka.bootstrap.join(","), settings.redis.url.to_string());
            (settings.embedded.kafka, places.0, settings.embedded.redis, places.1)
        };
        let (kafka, redis) = ("127.0.0.1:9092".to_owned(), "redis://127.0.0.1:6379".to_owned());
        assert_eq!(found(&[]), (true, kafka.clone(), true, redis));
        let elsewhere = [("kafka-listen", "0.0.0.0:9192"), ("redis-listen", "0.0.0.0:6479")];
        let (kafka_there, redis_there) = ("127.0.0.1:9192".to_owned(), "redis://127.0.0.1:6479".to_owned());
        assert_eq!(found(&elsewhere), (true, kafka_there, true, redis_there));
        let real = "redis://cache:1".to_owned();
        assert_eq!(found(&[("redis", "redis://cache:1")]), (true, kafka, false, real));
        for (key, value) in [
            ("kafka-tls", "true"),
            ("kafka-tls-ca", "x.pem"),
            ("kafka-sasl-username", "x"),
            ("redis-password", "x"),
            ("redis-listen", "[::1]:6379"),
        ] {
            let error = settings(&[(key, value)]).unwrap_err().to_string();
            assert!(error.contains(key), "{error}");
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
