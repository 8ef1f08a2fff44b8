//! `kboard broker`: the embedded servers by themselves.

use anyhow::bail;

use super::embedded::Servers;
use super::{Status, shutdown, start};
use crate::config::Settings;
use crate::listen;
use crate::web::{self, health};

/// Run a Kafka broker and a Redis on this machine: one node each, for development, tests and small installations.
///
/// They speak Kafka's and Redis's protocols: kcat, Kafka's own tools, redis-cli and every client library work with them,
/// as kboard does. They have no replication, no TLS and no logins, so they listen on loopback; the broker has no
/// transactions and no compaction.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kboard broker                                      on 127.0.0.1:9092 and :6379, data in the user's data folder
  kboard broker --data /var/lib/kboard --fsync always
  kboard broker --kafka-listen 0.0.0.0:9092 --kafka-advertise kafka.example:9092
  kboard broker --redis redis://cache:6379           the broker alone
  kboard broker --kafka-auto-create on               kcat -P -t new makes the topic

Then, for instance:
  kboard topics create orders --partitions 3
  kboard produce --topic orders hello
  kcat -b 127.0.0.1:9092 -L
  redis-cli ping

Metrics: /metrics on --metrics-listen.")]
pub struct Args {}

/// Serves until a signal.
pub async fn run(_: &Args, settings: &Settings) -> anyhow::Result<Status> {
    if !settings.embedded.kafka && !settings.embedded.redis {
        bail!("--kafka and --redis name servers that are there already: there is nothing to start");
    }
    start::raise_file_limit();
    let stop = shutdown::on_signal()?;
    let page = listen::bind(settings.metrics_listen, "--metrics-listen").await?;
    let metrics = start::metrics()?;
    let mut settings = settings.clone();
    let Some(servers) = stop.run_until_cancelled(Servers::start(&mut settings)).await else {
        return Ok(Status::Interrupted);
    };
    let servers = servers?;
    let page_address = page.local_addr()?;
    let server = tokio::spawn(web::server::serve(page, health::process(health::scrape(metrics)), stop.clone()));
    let (kafka, redis) = (settings.kafka.bootstrap.join(","), settings.redis.url.as_str());
    tracing::info!(kafka, redis, "ready; metrics at http://{page_address}/metrics");
    servers.support(async { Ok(server.await?) }, &stop).await.map(|()| Status::Success)
}
