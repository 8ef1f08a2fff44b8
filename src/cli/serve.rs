//! `kboard serve`: the web server with every app, and their consumer groups in the same process.

use super::members::Members;
use super::{Status, shutdown, start};
use crate::apps;
use crate::config::Settings;
use crate::listen;
use crate::web::{self, assets, health};

/// Serve the apps' pages and APIs, and run their consumer groups.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kboard serve --kafka 127.0.0.1:9092 --redis redis://127.0.0.1:6379
  KBOARD_KAFKA=broker:9092 KBOARD_REDIS=redis://cache:6379 kboard serve --listen 0.0.0.0:3000
  kboard serve --no-consumers              only the web server; run `kboard consume` beside it

Then open http://127.0.0.1:3000. Health: /healthz, /readyz. Metrics: /metrics, /api/metrics.")]
pub struct Args {
    /// Leave the consumer groups to other processes.
    #[arg(long)]
    no_consumers: bool,
}

/// Serves until a signal.
pub async fn run(args: &Args, settings: &Settings) -> anyhow::Result<Status> {
    raise_file_limit();
    let stop = shutdown::on_signal()?;
    let listener = listen::bind(settings.listen, "--listen").await?;
    let metrics = start::metrics()?;
    let services = start::services(settings, stop.clone()).await?;
    let groups = apps::groups().filter(|_| !args.no_consumers);
    let members = Members::start(&services, groups);
    let health = health::Health {
        cluster: services.cluster.clone(),
        redis: services.redis.clone(),
        topics: apps::topics(&services.prefix).into_iter().map(|topic| topic.name).collect(),
        groups: members.health.clone(),
    };
    let subscriber = services.redis.subscriber().await?;
    let mut routes = assets::routes().or(health::routes(health, metrics));
    for app in apps::REGISTRY {
        routes = (app.mount)(services.clone(), subscriber.clone()).await?.or(routes);
    }
    let address = listener.local_addr()?;
    let server = tokio::spawn(web::server::serve(listener, routes, stop.clone()));
    tracing::info!(kafka = services.cluster.servers(), redis = services.redis.address(), "serving http://{address}");
    stop.cancelled().await;
    let consumed = members.join().await;
    server.await?;
    start::stop(&services).await;
    consumed.map(|()| Status::Success)
}

/// A stream is a file descriptor: the soft limit of 1,024 that most systems set would be the limit of viewers.
fn raise_file_limit() {
    if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
        tracing::warn!(%error, "can't raise the limit of open files");
    }
}
