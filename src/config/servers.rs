//! How to reach Kafka and Redis.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::values::{Values, masked_url};
use super::{ConfigError, EmbeddedSettings};
use crate::listen::reachable;

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

impl fmt::Debug for Sasl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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

impl fmt::Debug for RedisSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisSettings").field("url", &masked_url(&self.url)).field("tls_ca", &self.tls_ca).finish()
    }
}

impl KafkaSettings {
    /// Reads and checks them.
    ///
    /// # Errors
    /// A value of another form, or one that has no effect or misses another.
    pub(super) fn read(values: &Values, embedded: &EmbeddedSettings) -> Result<Self, ConfigError> {
        if embedded.kafka {
            let because = "the embedded broker has no TLS and no logins";
            let tls = ["kafka-tls-ca", "kafka-tls-cert", "kafka-tls-key"];
            let sasl = ["kafka-sasl-mechanism", "kafka-sasl-username", "kafka-sasl-password"];
            reject_unused(values, &[tls, sasl].concat(), because)?;
            if values.text("kafka-tls").is_some_and(|tls| tls != "false") {
                return Err(values.error("kafka-tls", because));
            }
            return Ok(Self {
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
        Ok(Self { bootstrap, tls, sasl: sasl(values)?, session_timeout: values.duration("kafka-session-timeout")? })
    }

    /// Makes these the embedded broker's, which listens on `address`.
    pub fn find_embedded_at(&mut self, address: SocketAddr) {
        self.bootstrap = vec![reachable(address).to_string()];
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

impl RedisSettings {
    /// Reads and checks them.
    ///
    /// # Errors
    /// A value of another form, or one that has no effect.
    pub(super) fn read(values: &Values, embedded: &EmbeddedSettings) -> Result<Self, ConfigError> {
        let invalid = |reason: String| values.error("redis", &reason);
        if embedded.redis {
            let unused = ["redis-tls-ca", "redis-username", "redis-password"];
            reject_unused(values, &unused, "the embedded Redis has no TLS and no logins")?;
            let url = redis_url(embedded.redis_listen.into());
            return Ok(Self { url, tls_ca: None });
        }
        let mut url: url::Url = (values.text("redis").unwrap_or_default().parse()).map_err(|error| {
            invalid(format!("expected redis://host:port, rediss://host:port or embedded ({error})"))
        })?;
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
            url.set_password(Some(&password))
                .map_err(|()| values.error("redis-password", "can't be put into the URL"))?;
        }
        Ok(Self { url, tls_ca: values.path("redis-tls-ca") })
    }

    /// Makes these the embedded Redis's, which listens on `address`.
    pub fn find_embedded_at(&mut self, address: SocketAddr) {
        self.url = redis_url(address);
    }
}

fn redis_url(address: SocketAddr) -> url::Url {
    #[expect(clippy::expect_used, reason = "an address and port is always a host and port")]
    format!("redis://{}", reachable(address)).parse().expect("a URL")
}

/// Refuses settings that would protect a connection and don't, because another one is missing.
fn reject_unused(values: &Values, keys: &[&'static str], because: &str) -> Result<(), ConfigError> {
    match keys.iter().find(|key| values.text(key).is_some()) {
        Some(key) => Err(values.error(key, &format!("has no effect: {because}"))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Settings;
    use super::super::tests::resolve;

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
}
