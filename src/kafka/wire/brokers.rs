//! Connections to a cluster's brokers, for everyone who needs one.
//!
//! A broker answers the requests of a connection one after the other, so a request that may take its time keeps a
//! connection to itself: whoever asks leases one, and gives it back when all is answered. One that is given back with
//! answers outstanding is closed, which also ends the broker's waiting.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use futures::future::join_all;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{MetadataRequest, TopicName};
use kafka_protocol::protocol::{Request, StrBytes, VersionRange};
use rustls::ClientConfig;

use super::connection::Connection;
use super::layout::{Known, Layout, format_address, layouts};
use super::{WireError, handshake};
use crate::config::KafkaSettings;
use crate::config::tls::{self, TlsError};

/// How long a broker may take to answer what it can answer at once.
pub const REQUEST_PATIENCE: Duration = Duration::from_secs(10);
/// How long one of several may take that are asked the same.
const SPREAD_PATIENCE: Duration = Duration::from_secs(2);
/// Connections to one broker that are kept for whoever comes next.
const IDLE_CONNECTIONS: usize = 8;
/// How long they are kept: less than what firewalls and Kafka (10 min) leave them.
const IDLE_FOR: Duration = Duration::from_secs(4 * 60);
/// Versions of Metadata: from the one that makes no topic by asking for it.
const METADATA: VersionRange = VersionRange { min: 4, max: 12 };

/// The brokers of a cluster. Contacts none before it is asked to.
#[derive(Debug)]
pub struct Brokers {
    settings: KafkaSettings,
    tls: OnceLock<Option<Arc<ClientConfig>>>,
    known: Known,
    /// Held while the cluster is asked, so that one asks for all who wait.
    asking: tokio::sync::Mutex<()>,
    /// By address.
    idle: Mutex<HashMap<Arc<str>, Vec<Idle>>>,
}

/// A connection that nobody uses, and since when.
type Idle = (Instant, Connection);

/// A connection of one's own, for a while.
#[derive(Debug)]
pub struct Lease {
    brokers: Arc<Brokers>,
    /// There until the lease ends.
    connection: Option<Connection>,
    /// Whether somebody had it before; it may have been lost since, unnoticed.
    used: bool,
}

impl Brokers {
    /// The brokers of the cluster of `settings`.
    pub fn new(settings: KafkaSettings) -> Self {
        Self {
            settings,
            tls: OnceLock::new(),
            known: Known::default(),
            asking: tokio::sync::Mutex::new(()),
            idle: Mutex::new(HashMap::new()),
        }
    }

    /// A connection to `address`.
    ///
    /// # Errors
    /// When there is none free and none can be made.
    pub async fn lease(self: &Arc<Self>, address: &Arc<str>) -> Result<Lease, WireError> {
        if let Some(connection) = self.take_idle(address) {
            return Ok(Lease { brokers: Arc::clone(self), connection: Some(connection), used: true });
        }
        let tls = self.tls(address)?;
        let connection = handshake::open(Arc::clone(address), tls, self.settings.sasl.as_ref()).await?;
        Ok(Lease { brokers: Arc::clone(self), connection: Some(connection), used: false })
    }

    /// Asks the broker at `address`; `request` makes the request for the version that is spoken.
    ///
    /// # Errors
    /// When it doesn't answer within `patience`.
    pub async fn ask<R: Request>(
        self: &Arc<Self>,
        address: &Arc<str>,
        known: VersionRange,
        patience: Duration,
        request: impl Fn(i16) -> R,
    ) -> Result<R::Response, WireError> {
        loop {
            let lease = self.lease(address).await?;
            let version = lease.version::<R>(known)?;
            match lease.send(version, &request(version))?.receive(patience).await {
                // It was closed while nobody used it.
                Err(WireError::Lost { .. }) if lease.used => {}
                answer => return answer,
            }
        }
    }

    /// Asks any broker.
    ///
    /// # Errors
    /// When none answers; the error is that of the last one.
    pub async fn ask_any<R: Request>(
        self: &Arc<Self>,
        known: VersionRange,
        request: impl Fn(i16) -> R,
    ) -> Result<R::Response, WireError> {
        let mut addresses = self.known.addresses();
        let bootstrap = self.settings.bootstrap.iter().map(|address| Arc::from(address.as_str()));
        addresses.extend(bootstrap);
        let mut failed = None;
        for (place, address) in addresses.iter().enumerate() {
            if addresses[..place].contains(address) {
                continue;
            }
            match self.ask(address, known, REQUEST_PATIENCE, &request).await {
                Err(error) if error.is_retriable() => failed = Some(error),
                answer => return answer,
            }
        }
        Err(failed.unwrap_or_else(|| WireError::Connect {
            address: self.settings.bootstrap.join(","),
            reason: "no bootstrap server is named".to_owned(),
        }))
    }

    /// Who leads the partitions of each of `topics`: what was told some seconds ago, or what the cluster says now.
    ///
    /// # Errors
    /// When no broker answers.
    pub async fn layouts(self: &Arc<Self>, topics: &[&str]) -> Result<HashMap<String, Layout>, WireError> {
        if let (found, missing) = self.known.topics(topics)
            && missing.is_empty()
        {
            return Ok(found);
        }
        let _asking = self.asking.lock().await;
        // Somebody else may just have asked.
        let (mut found, missing) = self.known.topics(topics);
        if !missing.is_empty() {
            self.learn(&missing).await?;
            let missing: Vec<_> = missing.iter().map(String::as_str).collect();
            found.extend(self.known.topics(&missing).0);
        }
        Ok(found)
    }

    async fn learn(self: &Arc<Self>, topics: &[String]) -> Result<(), WireError> {
        let response = self.ask_any::<MetadataRequest>(METADATA, |_| about(topics)).await?;
        self.known.learn(response);
        Ok(())
    }

    /// Who leads the partitions of `topics`, by name, as each broker has it that answers soon: news spreads from one to the
    /// other. At least one has answered.
    ///
    /// # Errors
    /// When none answers.
    pub async fn layouts_by_each(
        self: &Arc<Self>,
        topics: &[String],
    ) -> Result<Vec<HashMap<String, Layout>>, WireError> {
        let cluster = self.ask_any::<MetadataRequest>(METADATA, |_| about(topics)).await?;
        let addresses: Vec<_> = cluster.brokers.iter().map(|b| format_address(&b.host, b.port)).collect();
        let asked = addresses
            .iter()
            .map(|address| self.ask::<MetadataRequest>(address, METADATA, SPREAD_PATIENCE, |_| about(topics)));
        // The first answer counts, too: by now nobody else may be there.
        let answers = std::iter::once(cluster).chain(join_all(asked).await.into_iter().flatten());
        Ok(answers.map(|answer| layouts(&answer.topics).collect()).collect())
    }

    /// Asks the cluster for `topic` anew next time: what is known of it has turned out wrong.
    pub fn forget(&self, topic: &str) {
        self.known.forget(topic);
    }

    /// Where a broker is, as the cluster said with the last layouts.
    ///
    /// # Errors
    /// [`WireError::NoLeader`] for one that has left since.
    pub fn address(&self, broker: i32) -> Result<Arc<str>, WireError> {
        self.known.address(broker).ok_or(WireError::NoLeader)
    }

    fn tls(&self, address: &str) -> Result<Option<Arc<ClientConfig>>, WireError> {
        if let Some(made) = self.tls.get() {
            return Ok(made.clone());
        }
        let failed = |error: TlsError| WireError::Tls { address: address.to_owned(), reason: error.to_string() };
        let config = self.settings.tls.as_ref().map(tls::client_config).transpose().map_err(failed)?;
        Ok(self.tls.get_or_init(|| config.map(Arc::new)).clone())
    }

    fn take_idle(&self, address: &Arc<str>) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let connections = idle.get_mut(address)?;
        connections.retain(|(since, connection)| since.elapsed() < IDLE_FOR && connection.is_free());
        connections.pop().map(|(_, connection)| connection)
    }

    fn give_back(&self, connection: Connection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let connections = idle.entry(Arc::clone(connection.address())).or_default();
        connections.retain(|(since, connection)| since.elapsed() < IDLE_FOR && connection.is_free());
        if connections.len() < IDLE_CONNECTIONS {
            connections.push((Instant::now(), connection));
        }
    }
}

/// Asks for `topics`, and makes none of them.
fn about(topics: &[String]) -> MetadataRequest {
    let name = |topic: &String| Some(TopicName(StrBytes::from_string(topic.clone())));
    let topics = topics.iter().map(|topic| MetadataRequestTopic::default().with_name(name(topic)));
    MetadataRequest::default().with_topics(Some(topics.collect())).with_allow_auto_topic_creation(false)
}

impl Lease {
    /// Whether somebody had the connection before: that it turns out to be lost says nothing about the broker.
    pub fn is_used(&self) -> bool {
        self.used
    }
}

impl Deref for Lease {
    type Target = Connection;

    #[expect(clippy::expect_used, reason = "only drop takes it")]
    fn deref(&self) -> &Connection {
        self.connection.as_ref().expect("it is there until the lease ends")
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take().filter(Connection::is_free) {
            self.brokers.give_back(connection);
        }
    }
}
