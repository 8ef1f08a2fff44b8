//! The one place that connects to Kafka.
//!
//! Producing and consuming have a connection pool each, and so has every member of a group: on a shared one, a fetch that the
//! broker holds open delays the request behind it by up to the fetch's maximum wait (measured: p99 490 ms instead of 7 for a
//! produce request, and half a second more of every answer with each further group).

use std::sync::Arc;
use std::time::Duration;

use krafka::Kafka;
use krafka::auth::{AuthConfig, TlsConfig};
use rskafka::client::{Client, ClientBuilder, Credentials, SaslConfig};
use tokio::sync::OnceCell;

use super::wire::Brokers;
use super::{KafkaError, lookup};
use crate::config::{KafkaSettings, SaslMechanism, tls};

/// The name that brokers see in their logs and in `kboard groups describe`.
pub(super) const CLIENT_ID: &str = "kboard";
/// A response of the broker larger than this is refused: 100 MB, Kafka's own `socket.request.max.bytes`.
pub(super) const MAX_RESPONSE_BYTES: usize = 100 * 1024 * 1024;

/// A request to write must fail in time for the POST behind it to be answered.
const PRODUCE_REQUEST_TIMEOUT: Duration = Duration::from_secs(4);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// How much longer than a group's session a request of its members may take.
const SESSION_SLACK: Duration = Duration::from_secs(5);

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster").field("settings", &self.inner.settings).finish_non_exhaustive()
    }
}

/// A Kafka cluster and the clients for it, each connected when first used. Cheap to clone.
#[derive(Clone)]
pub struct Cluster {
    inner: Arc<Inner>,
}

struct Inner {
    settings: KafkaSettings,
    producing: OnceCell<Kafka>,
    consuming: OnceCell<Kafka>,
    reading: OnceCell<Client>,
    brokers: Arc<Brokers>,
}

impl Cluster {
    /// A handle to the cluster of `settings`; contacts no broker yet.
    pub fn new(settings: KafkaSettings) -> Self {
        let brokers = Arc::new(Brokers::new(settings.clone()));
        let (producing, consuming, reading) = (OnceCell::new(), OnceCell::new(), OnceCell::new());
        let inner = Inner { settings, producing, consuming, reading, brokers };
        Self { inner: Arc::new(inner) }
    }

    /// The settings it was made from.
    pub fn settings(&self) -> &KafkaSettings {
        &self.inner.settings
    }

    /// The bootstrap servers, for messages to people.
    pub fn servers(&self) -> String {
        self.inner.settings.bootstrap.join(",")
    }

    /// The client for producing and administration.
    ///
    /// # Errors
    /// [`KafkaError::Connect`] when no broker answers.
    pub async fn producing(&self) -> Result<&Kafka, KafkaError> {
        self.inner.producing.get_or_try_init(|| self.connect(PRODUCE_REQUEST_TIMEOUT)).await
    }

    /// The client for consuming, one consumer at a time.
    ///
    /// # Errors
    /// [`KafkaError::Connect`] when no broker answers.
    pub async fn consuming(&self) -> Result<&Kafka, KafkaError> {
        self.inner.consuming.get_or_try_init(|| self.member()).await
    }

    /// A client for one member of a group, with connections of its own.
    ///
    /// # Errors
    /// [`KafkaError::Connect`] when no broker answers.
    pub async fn member(&self) -> Result<Kafka, KafkaError> {
        // What the coordinator of a group answers only once a dead member's session has ended must not time out before:
        // a member that gives up comes back under another name, and leaves a ghost for whom the group waits in turn.
        let timeout = REQUEST_TIMEOUT.max(self.inner.settings.session_timeout + SESSION_SLACK);
        self.connect(timeout).await
    }

    /// The client for reading partitions by offset (history, replay).
    ///
    /// # Errors
    /// [`KafkaError::ConnectReader`] when no broker answers.
    pub async fn reading(&self) -> Result<&Client, KafkaError> {
        self.inner.reading.get_or_try_init(|| self.connect_reader()).await
    }

    /// The client for reading at log speed; contacts no broker yet.
    pub fn brokers(&self) -> &Arc<Brokers> {
        &self.inner.brokers
    }

    /// Asks whether a broker answers.
    ///
    /// # Errors
    /// When none does.
    pub async fn ping(&self) -> Result<(), KafkaError> {
        let admin = self.producing().await?.admin();
        let options = krafka::admin::DescribeClusterOptions::default();
        admin.describe_cluster(options).await.map(drop).map_err(KafkaError::request("describe the cluster"))
    }

    /// Those of `topics` that don't exist.
    ///
    /// # Errors
    /// When no broker answers.
    pub async fn missing(&self, topics: &[String]) -> Result<Vec<String>, KafkaError> {
        let known = lookup::names(&self.producing().await?.admin()).await?;
        Ok(topics.iter().filter(|topic| !known.contains(topic)).cloned().collect())
    }

    async fn connect(&self, request_timeout: Duration) -> Result<Kafka, KafkaError> {
        Kafka::builder(self.servers())
            .client_id(CLIENT_ID)
            .security(self.security())
            .request_timeout(request_timeout)
            .connect_timeout(Duration::from_secs(3))
            .max_response_size(MAX_RESPONSE_BYTES)
            .connect()
            .await
            .map_err(|source| KafkaError::Connect { servers: self.servers(), source })
    }

    fn security(&self) -> AuthConfig {
        let settings = &self.inner.settings;
        let auth = match &settings.sasl {
            None => AuthConfig::plaintext(),
            Some(sasl) => match sasl.mechanism {
                SaslMechanism::Plain => AuthConfig::sasl_plain(&sasl.username, &sasl.password),
                SaslMechanism::ScramSha256 => AuthConfig::sasl_scram_sha256(&sasl.username, &sasl.password),
                SaslMechanism::ScramSha512 => AuthConfig::sasl_scram_sha512(&sasl.username, &sasl.password),
            },
        };
        let Some(tls) = &settings.tls else { return auth };
        let mut config = match &tls.ca {
            Some(ca) => TlsConfig::new().with_ca_cert(ca.to_string_lossy()),
            None => TlsConfig::new().with_native_roots(),
        };
        if let Some((cert, key)) = &tls.identity {
            config = config.with_client_cert(cert.to_string_lossy(), key.to_string_lossy());
        }
        auth.with_tls(config)
    }

    async fn connect_reader(&self) -> Result<Client, KafkaError> {
        let settings = &self.inner.settings;
        let mut builder = ClientBuilder::new(settings.bootstrap.clone())
            .client_id(CLIENT_ID)
            .max_message_size(MAX_RESPONSE_BYTES)
            .backoff_config(rskafka::BackoffConfig {
                init_backoff: Duration::from_millis(50),
                max_backoff: Duration::from_secs(1),
                base: 2.0,
                deadline: Some(Duration::from_secs(10)),
            });
        if let Some(tls) = &settings.tls {
            builder = builder.tls_config(Arc::new(tls::client_config(tls)?));
        }
        if let Some(sasl) = &settings.sasl {
            let credentials = Credentials::new(sasl.username.clone(), sasl.password.clone());
            builder = builder.sasl_config(match sasl.mechanism {
                SaslMechanism::Plain => SaslConfig::Plain(credentials),
                SaslMechanism::ScramSha256 => SaslConfig::ScramSha256(credentials),
                SaslMechanism::ScramSha512 => SaslConfig::ScramSha512(credentials),
            });
        }
        builder.build().await.map_err(|source| KafkaError::ConnectReader { servers: self.servers(), source })
    }
}
