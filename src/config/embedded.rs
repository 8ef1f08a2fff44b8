//! The servers that kboard brings itself.

use std::net::{SocketAddr, SocketAddrV4};
use std::path::PathBuf;

use super::ConfigError;
use super::values::Values;

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

impl EmbeddedSettings {
    /// Reads and checks them.
    ///
    /// # Errors
    /// A value of another form.
    pub(super) fn read(values: &Values) -> Result<Self, ConfigError> {
        Ok(Self {
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
}

fn kafka_advertise(values: &Values) -> Result<Option<(String, u16)>, ConfigError> {
    let Some(text) = values.text("kafka-advertise") else { return Ok(None) };
    let split = text.rsplit_once(':').filter(|(host, _)| !host.is_empty());
    let parsed = split.and_then(|(host, port)| Some((host.to_owned(), port.parse().ok()?)));
    parsed.map(Some).ok_or_else(|| values.error("kafka-advertise", "expected host:port, such as kafka.example:9092"))
}
