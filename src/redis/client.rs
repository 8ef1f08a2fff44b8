//! The one place that connects to Redis.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use fred::clients::{Client, SubscriberClient};
use fred::error::ErrorKind;
use fred::interfaces::{ClientLike, EventInterface};
use fred::types::config::{Config, ReconnectPolicy, TlsConfig};
use fred::types::scripts::Script;
use fred::types::{Builder, FromValue, Value};
use metrics::gauge;

use crate::config::tls::TlsError;
use crate::config::{RedisSettings, Tls, masked_url, tls};
use crate::telemetry::instruments::RedisInstruments;
use crate::telemetry::metrics as m;
use crate::telemetry::trace::{self, Kind, Span, current};

/// How long a command may take before the caller hears that Redis is away.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(2);
/// Published messages that may wait for this process to take them. Beyond it the feed notices a gap and fills it from
/// the window, so this trades memory against work. fred allots it at once, for each of its channels: 16,384 were 15 MB.
const SUBSCRIPTION_BUFFER: usize = 2_048;
/// The same for the connection that only sends commands; of its channels the one of reconnects is listened to.
const EVENTS: usize = 16;

/// What can go wrong with Redis.
#[derive(Debug, thiserror::Error)]
pub enum RedisError {
    /// The server can't be reached, or refused the login.
    #[error("can't reach Redis at {url}: {source}")]
    Connect {
        /// The address, without its password.
        url: String,
        /// Why.
        #[source]
        source: fred::error::Error,
    },
    /// A command failed.
    #[error("Redis {operation}: {source}")]
    Command {
        /// What was asked.
        operation: &'static str,
        /// Why it failed.
        #[source]
        source: fred::error::Error,
    },
    /// A script answered something that this version doesn't know.
    #[error("Redis {operation}: unexpected answer {answer}")]
    Answer {
        /// What was asked.
        operation: &'static str,
        /// What came.
        answer: String,
    },
    /// A certificate can't be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

impl RedisError {
    /// Whether the same call may succeed later: the server is away, or busy.
    pub fn is_retriable(&self) -> bool {
        match self {
            Self::Connect { source, .. } | Self::Command { source, .. } => {
                !matches!(source.kind(), ErrorKind::Auth | ErrorKind::Config | ErrorKind::InvalidArgument)
            }
            Self::Answer { .. } | Self::Tls(_) => false,
        }
    }
}

/// A connection to Redis that mends itself. Cheap to clone.
#[derive(Clone)]
pub struct Redis {
    client: Client,
    settings: RedisSettings,
}

impl Redis {
    /// Connects.
    ///
    /// # Errors
    /// [`RedisError::Connect`] when the server doesn't answer or refuses the login.
    pub async fn connect(settings: &RedisSettings) -> Result<Self, RedisError> {
        let client = builder(settings, EVENTS)?.build().map_err(|source| refused(settings, source))?;
        client.init().await.map_err(|source| refused(settings, source))?;
        watch("commands", &client);
        Ok(Self { client, settings: settings.clone() })
    }

    /// A second connection, for subscriptions.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub async fn subscriber(&self) -> Result<SubscriberClient, RedisError> {
        let refused = |source| refused(&self.settings, source);
        let subscriber = builder(&self.settings, SUBSCRIPTION_BUFFER)?.build_subscriber_client().map_err(refused)?;
        subscriber.init().await.map_err(refused)?;
        watch("subscriber", &subscriber);
        Ok(subscriber)
    }

    /// The client, for single commands.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The address, without its password.
    pub fn address(&self) -> String {
        masked_url(&self.settings.url)
    }

    /// Asks whether the server answers.
    ///
    /// # Errors
    /// When it doesn't.
    pub async fn ping(&self) -> Result<(), RedisError> {
        self.client.ping(None).await.map_err(|source| RedisError::Command { operation: "ping", source })
    }

    /// Closes the connection.
    pub async fn close(&self) {
        // It ends with the process anyway.
        let _ = self.client.quit().await;
    }
}

/// Has commands done, which metrics and errors know as `operation`.
///
/// # Errors
/// [`RedisError::Command`].
pub async fn run<T>(
    operation: &'static str,
    commands: impl Future<Output = Result<T, fred::error::Error>>,
) -> Result<T, RedisError> {
    let started = Instant::now();
    let result = commands.await;
    let took = started.elapsed();
    RedisInstruments::new(operation).ended(took, result.is_ok());
    tell(operation, None, took, result.as_ref().err());
    result.map_err(|source| RedisError::Command { operation, source })
}

/// Tells of commands, or of a script, as a part of the work at hand: of a batch, in the trace of its first record.
fn tell(operation: &'static str, script: Option<&'static str>, took: Duration, error: Option<&fred::error::Error>) {
    let Some(work) = current::current().filter(trace::is_recorded) else { return };
    let context = work.child();
    trace::tell(&context, || {
        let name = script.map_or_else(|| operation.to_owned(), |script| format!("{operation} {script}"));
        Span::ended(Kind::Client, name, context, took)
            .under(Some(work.span_id))
            .linked(current::with(|work| work.links.clone()).unwrap_or_default())
            .with("db.system.name", "redis")
            .with("db.operation.name", operation)
            .with_some("db.stored_procedure.name", script)
            .failed(error.map(|error| (error.kind().to_str(), error.to_string())))
    });
}

/// A Lua script with its metrics; sent whole once and then called by its hash.
pub struct Call {
    operation: &'static str,
    script: Script,
    instruments: RedisInstruments,
}

impl Call {
    /// The script `source`, named `operation` in metrics and errors.
    pub fn new(operation: &'static str, source: &str) -> Self {
        Self { operation, script: Script::from_lua(source), instruments: RedisInstruments::new(operation) }
    }

    /// Runs it.
    ///
    /// # Errors
    /// [`RedisError::Command`].
    pub async fn run<T: FromValue>(&self, redis: &Redis, keys: Vec<String>, args: Vec<Value>) -> Result<T, RedisError> {
        let started = Instant::now();
        let result = self.script.evalsha_with_reload(&redis.client, keys, args).await;
        let took = started.elapsed();
        self.instruments.ended(took, result.is_ok());
        tell("EVALSHA", Some(self.operation), took, result.as_ref().err());
        result.map_err(|source| RedisError::Command { operation: self.operation, source })
    }
}

fn builder(settings: &RedisSettings, broadcast_capacity: usize) -> Result<Builder, RedisError> {
    let mut config = Config::from_url(settings.url.as_str()).map_err(|source| refused(settings, source))?;
    if settings.url.scheme() == "rediss" {
        let tls = Tls { ca: settings.tls_ca.clone(), identity: None };
        config.tls = Some(TlsConfig::from(tls::client_config(&tls)?));
    }
    let mut builder = Builder::from_config(config);
    builder
        .set_policy(ReconnectPolicy::new_exponential(0, 50, 2_000, 2))
        .with_performance_config(|performance| {
            performance.default_command_timeout = COMMAND_TIMEOUT;
            performance.broadcast_channel_capacity = broadcast_capacity;
        })
        .with_connection_config(|connection| {
            connection.connection_timeout = Duration::from_secs(3);
            connection.internal_command_timeout = COMMAND_TIMEOUT;
            // Callers know better than the client whether a command may be sent again.
            connection.max_command_attempts = 1;
            connection.unresponsive.max_timeout = Some(Duration::from_secs(5));
            connection.tcp.nodelay = Some(true);
        });
    Ok(builder)
}

fn refused(settings: &RedisSettings, source: fred::error::Error) -> RedisError {
    RedisError::Connect { url: masked_url(&settings.url), source }
}

/// Logs when a connection is lost and found, and keeps its gauge.
fn watch(kind: &'static str, client: &impl EventInterface) {
    let gauge = gauge!(m::REDIS_CONNECTED.name, "client_type" => kind);
    gauge.set(1.0);
    let connected = Arc::new(AtomicBool::new(true));
    let (lost, was_connected) = (gauge.clone(), Arc::clone(&connected));
    client.on_error(move |(error, _)| {
        lost.set(0.0);
        // Each attempt to reconnect fails with an error of its own.
        if was_connected.swap(false, Ordering::Relaxed) {
            tracing::warn!(client = kind, %error, "lost Redis; trying to reconnect");
        }
        async { Ok(()) }
    });
    client.on_reconnect(move |_| {
        gauge.set(1.0);
        if !connected.swap(true, Ordering::Relaxed) {
            tracing::info!(client = kind, "connected to Redis again");
        }
        async { Ok(()) }
    });
}
