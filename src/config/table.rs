//! Every setting, declared once: its key, default, whether it is a secret, and what it means.
//!
//! This table is what makes the flags, the `KBOARD_*` variables, the keys of `kboard.toml`, `--help` and
//! `kboard config` the same list.

/// One setting of the program.
#[derive(Debug)]
pub struct Setting {
    /// Its name in `kboard.toml`; the flag is `--key` and the variable `KBOARD_KEY` in upper case with underscores.
    pub key: &'static str,
    /// The value when nobody sets one; `None` where the absence means something.
    pub default: Option<&'static str>,
    /// Whether the value must never be printed or logged.
    pub secret: bool,
    /// Whether `-h` lists it (`--help` lists all).
    pub common: bool,
    /// The placeholder in `--help`.
    pub value_name: &'static str,
    /// What it means, for `--help` and `kboard config`.
    pub help: &'static str,
}

impl Setting {
    /// The environment variable that sets it.
    pub fn env(&self) -> String {
        format!("KBOARD_{}", self.key.replace('-', "_").to_uppercase())
    }

    const fn new(
        key: &'static str,
        default: Option<&'static str>,
        value_name: &'static str,
        help: &'static str,
    ) -> Self {
        Self { key, default, secret: false, common: false, value_name, help }
    }

    const fn common(mut self) -> Self {
        self.common = true;
        self
    }

    const fn secret(mut self) -> Self {
        self.secret = true;
        self
    }
}

/// The value of `kafka` and `redis` that means kboard's own servers.
pub const EMBEDDED: &str = "embedded";

/// All settings, in the order `kboard config` prints them.
pub const SETTINGS: &[Setting] = &[
    Setting::new(
        "kafka",
        Some(EMBEDDED),
        "HOST:PORT,…",
        "Bootstrap servers of the Kafka cluster; embedded is kboard's own broker: `serve` starts it, the others find it at --kafka-listen",
    )
    .common(),
    Setting::new("kafka-tls", Some("false"), "BOOL", "Speak TLS to Kafka"),
    Setting::new(
        "kafka-tls-ca",
        None,
        "FILE",
        "CA certificates (PEM) that sign the brokers' certificates; the system's when unset",
    ),
    Setting::new("kafka-tls-cert", None, "FILE", "Client certificate (PEM) for mutual TLS"),
    Setting::new("kafka-tls-key", None, "FILE", "Private key (PEM) of the client certificate"),
    Setting::new(
        "kafka-sasl-mechanism",
        None,
        "MECHANISM",
        "plain, scram-sha-256 or scram-sha-512; no SASL when unset",
    ),
    Setting::new("kafka-sasl-username", None, "USER", "SASL user"),
    Setting::new("kafka-sasl-password", None, "PASSWORD", "SASL password").secret(),
    Setting::new(
        "kafka-session-timeout",
        Some("10s"),
        "DURATION",
        "How long a consumer may be silent before its group gives its partitions away",
    ),
    Setting::new(
        "redis",
        Some(EMBEDDED),
        "URL",
        "Redis server, redis://host:port or rediss:// for TLS; embedded is kboard's own: `serve` starts it, the others find it at --redis-listen",
    )
    .common(),
    Setting::new("redis-username", None, "USER", "Redis ACL user"),
    Setting::new("redis-password", None, "PASSWORD", "Redis password").secret(),
    Setting::new(
        "redis-tls-ca",
        None,
        "FILE",
        "CA certificates (PEM) that sign the server's certificate; the system's when unset",
    ),
    Setting::new(
        "listen",
        Some("127.0.0.1:3000"),
        "ADDRESS:PORT",
        "Where `serve` listens; there is no login, so other than loopback only in a network you trust",
    )
    .common(),
    Setting::new(
        "apps",
        Some("all"),
        "NAME,…",
        "The apps that `serve` mounts: all, none (only the console, which needs no Redis), or their names",
    ),
    Setting::new(
        "console",
        None,
        "MODE",
        "What the Kafka console at /console may do: full, read-only or off; when unset full on loopback, else off, as there is no login",
    )
    .common(),
    Setting::new(
        "console-hosts",
        None,
        "NAME,…",
        "Names or addresses by which browsers may ask for the console; others are refused, so that no page elsewhere gets in under a name of its own. When unset, those of this machine on loopback, and any elsewhere",
    ),
    Setting::new(
        "export",
        None,
        "on|off",
        "Whether /metrics of `serve` tells of the whole cluster too, as kafka_exporter does; when unset only if there is a console",
    ),
    Setting::new("export-topics", None, "REGEX", "Only topics whose name matches are exported; all when unset"),
    Setting::new("export-groups", None, "REGEX", "Only groups whose name matches are exported; all when unset"),
    Setting::new(
        "metrics-listen",
        Some("127.0.0.1:9091"),
        "ADDRESS:PORT",
        "Where `consume --group` of an app, and `broker`, show their metrics and health",
    ),
    Setting::new(
        "otlp-endpoint",
        None,
        "URL",
        "Where traces go over OTLP/HTTP: the base address of an OpenTelemetry collector, Tempo or Jaeger, such as http://127.0.0.1:4318; nowhere when unset",
    ),
    Setting::new(
        "otlp-sample",
        Some("200/s"),
        "0..1|N/s",
        "Which of the traces that begin here are recorded: a share from 0 (none) to 1 (all), or all up to so many a second; of the others, those whose caller records them",
    ),
    Setting::new(
        "topic-prefix",
        Some(""),
        "PREFIX",
        "Put before the name of every topic and group of the apps and of their keys in Redis, so that several boards share a cluster and a Redis",
    ),
    Setting::new(
        "state-retention",
        Some("7d"),
        "DURATION",
        "How long the orders' services remember an order in Redis after it has ended: until then it is shown, and records and requests that repeat are known as such; 1m or more, and longer than a group may lag",
    ),
    Setting::new(
        "replication-factor",
        None,
        "N",
        "Of the topics that kboard creates; from the cluster's size when unset (3, or as many brokers as there are)",
    ),
    Setting::new(
        "min-insync-replicas",
        None,
        "N",
        "Of the topics that kboard creates; when unset 2 where the replication factor is 3 or more, else 1",
    ),
    Setting::new(
        "data",
        None,
        "FOLDER",
        "Where the embedded servers keep their data; kboard in the user's data folder when unset",
    ),
    Setting::new(
        "kafka-listen",
        Some("127.0.0.1:9092"),
        "ADDRESS:PORT",
        "Where the embedded broker listens; it has no login, so other than loopback only in a network you trust",
    ),
    Setting::new(
        "kafka-advertise",
        None,
        "HOST:PORT",
        "Where the embedded broker tells clients to connect, if not where it listens",
    ),
    Setting::new(
        "kafka-auto-create",
        Some("off"),
        "on|off",
        "Whether the embedded broker makes a topic that somebody asks for, with one partition, as Kafka does unless it is told otherwise",
    ),
    Setting::new(
        "redis-listen",
        Some("127.0.0.1:6379"),
        "ADDRESS:PORT",
        "Where the embedded Redis listens (IPv4); it has no login, so other than loopback only in a network you trust",
    ),
    Setting::new(
        "fsync",
        Some("never"),
        "WHEN",
        "When the embedded broker forces records to the disk: always (before they are acknowledged), interval (every second or two), or never (when the system does, as in Kafka); the embedded Redis always does",
    ),
    Setting::new("startup-timeout", Some("30s"), "DURATION", "How long to wait for Kafka and Redis at the start"),
    Setting::new("log", Some("info"), "FILTER", "What to log: error, warn, info, debug, trace, or target=level,…")
        .common(),
    Setting::new("log-format", Some("text"), "FORMAT", "text or json"),
];

/// The setting named `key`.
pub fn setting(key: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.key == key)
}
