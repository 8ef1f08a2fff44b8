//! The embedded servers, as far as the settings ask for them.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::pin;

use anyhow::{Context, bail};
use tokio_util::sync::CancellationToken;

use crate::config::{EmbeddedSettings, Settings};
use crate::embedded::kafka::{self, Advertised, BrokerSettings};
use crate::embedded::redis;
use crate::listen;

/// The folder under the user's data folder.
const FOLDER: &str = "kboard";

/// The servers that run in this process.
#[derive(Default)]
pub struct Servers {
    kafka: Option<kafka::Running>,
    redis: Option<redis::Running>,
}

impl Servers {
    /// Starts those that the settings ask for, and tells the settings where they are.
    pub async fn start(settings: &mut Settings) -> anyhow::Result<Self> {
        if !settings.embedded.kafka && !settings.embedded.redis {
            return Ok(Self::default());
        }
        let embedded = settings.embedded.clone();
        let folder = folder(&embedded)?;
        // Both ports first: nothing is begun when one of them is taken.
        let kafka = match embedded.kafka {
            true => Some(listen::bind(embedded.kafka_listen, "--kafka-listen").await?),
            false => None,
        };
        let redis = match embedded.redis {
            true => Some(listen::bind(embedded.redis_listen.into(), "--redis-listen").await?),
            false => None,
        };
        let mut servers = Self::default();
        if let Some(listener) = redis {
            settings.redis.find_embedded_at(listener.local_addr()?);
            servers.redis = Some(redis::start(listener, &folder.join("redis")).await?);
            tracing::info!(data = %folder.display(), "a Redis of one node, without replication");
        }
        if let Some(listener) = kafka {
            let address = listener.local_addr()?;
            settings.kafka.find_embedded_at(address);
            let advertised = advertised(&embedded, address);
            let (auto_create, fsync) = (embedded.kafka_auto_create, embedded.fsync);
            let broker = BrokerSettings { folder: folder.join("kafka"), advertised, auto_create, fsync };
            // If it fails, the Redis has nothing left to write: its answers are in its file.
            servers.kafka = Some(kafka::start(listener, broker).await?);
            tracing::info!(data = %folder.display(), "a Kafka broker of one node, without replication");
        }
        Ok(servers)
    }

    /// Does `work` on them, and ends them when it is done. When one of them fails before, `stop` asks the work to end.
    ///
    /// # Errors
    /// The first failure: of a server, of the work, or of writing what makes the next start quick.
    pub async fn support(
        mut self,
        work: impl Future<Output = anyhow::Result<()>>,
        stop: &CancellationToken,
    ) -> anyhow::Result<()> {
        let mut work = pin!(work);
        let done = tokio::select! {
            done = &mut work => done,
            failure = self.failed() => {
                stop.cancel();
                // What the work says now comes of the server's failure.
                let _ = work.await;
                Err(failure)
            }
        };
        let stopped = self.stop().await;
        done.and(stopped)
    }

    async fn failed(&mut self) -> anyhow::Error {
        match &mut self.redis {
            Some(redis) => redis.ended().await.into(),
            None => std::future::pending().await,
        }
    }

    async fn stop(self) -> anyhow::Result<()> {
        let kafka = match self.kafka {
            Some(kafka) => kafka.stop().await.context("the next start will read the logs again"),
            None => Ok(()),
        };
        let redis = match self.redis {
            Some(redis) => redis.stop().await.map_err(anyhow::Error::from),
            None => Ok(()),
        };
        kafka.and(redis)
    }
}

/// Where the data is: the folder that was named, or one of the user's.
fn folder(settings: &EmbeddedSettings) -> anyhow::Result<PathBuf> {
    if let Some(folder) = &settings.data {
        return Ok(folder.clone());
    }
    let xdg = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    match xdg.or_else(|| Some(std::env::home_dir()?.join(".local/share"))) {
        Some(data) => Ok(data.join(FOLDER)),
        None => bail!("there is no home folder to keep data in; name one with --data"),
    }
}

/// Where clients are told to connect: what was said, or where it listens. What listens on every address of a machine is
/// reached on this one at least.
fn advertised(settings: &EmbeddedSettings, bound: SocketAddr) -> Advertised {
    if let Some((host, port)) = &settings.kafka_advertise {
        return Advertised { host: host.clone(), port: *port };
    }
    let host = if bound.ip().is_unspecified() {
        tracing::warn!(
            "clients are told to connect to localhost, as those on other machines can't: set --kafka-advertise"
        );
        "localhost".to_owned()
    } else {
        bound.ip().to_string()
    };
    Advertised { host, port: bound.port() }
}
