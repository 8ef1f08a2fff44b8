//! `kboard broker`: the embedded Kafka broker by itself.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context, bail};

use super::{Status, shutdown, start};
use crate::config::{EmbeddedSettings, Settings};
use crate::embedded::kafka::{self, Advertised, BrokerSettings};
use crate::listen;
use crate::web::{self, health};

/// The folder under the user's data folder.
const FOLDER: &str = "kboard";

/// Run a Kafka broker on this machine: one node, for development, tests and small installations.
///
/// It speaks Kafka's protocol: kcat, Kafka's own tools and every client library work with it, as kboard does. It has no
/// replication, no transactions, no compaction, no TLS and no logins, so it listens on loopback.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kboard broker                                      on 127.0.0.1:9092, data in the user's data folder
  kboard broker --data /var/lib/kboard --fsync always
  kboard broker --kafka-listen 0.0.0.0:9092 --kafka-advertise kafka.example:9092

Then, for instance:
  kboard topics create orders --partitions 3
  kboard produce --topic orders hello
  kcat -b 127.0.0.1:9092 -L

Metrics: /metrics on --metrics-listen.")]
pub struct Args {}

/// Serves until a signal.
pub async fn run(_: &Args, settings: &Settings) -> anyhow::Result<Status> {
    let stop = shutdown::on_signal()?;
    let embedded = &settings.embedded;
    let listener = listen::bind(embedded.kafka_listen, "--kafka-listen").await?;
    let page = listen::bind(settings.metrics_listen, "--metrics-listen").await?;
    let metrics = start::metrics()?;
    let folder = folder(embedded)?;
    let advertised = advertised(embedded, listener.local_addr()?);
    let address = format!("{}:{}", advertised.host, advertised.port);
    let settings = BrokerSettings { folder: folder.clone(), advertised, fsync: embedded.fsync };
    let broker = kafka::start(listener, settings).await?;
    let page_address = page.local_addr()?;
    let server = tokio::spawn(web::server::serve(page, health::process(metrics), stop.clone()));
    let data = folder.display();
    tracing::info!(kafka = address, %data, "a broker of one node, without replication; metrics at http://{page_address}/metrics");
    stop.cancelled().await;
    let stopped = broker.stop().await.context("the next start will read the logs again");
    server.await?;
    stopped.map(|()| Status::Success)
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
    let host = if bound.ip().is_unspecified() { "localhost".to_owned() } else { bound.ip().to_string() };
    Advertised { host, port: bound.port() }
}
