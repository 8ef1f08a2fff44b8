//! `kboard serve`: the web server with every app, and their consumer groups in the same process.

use fred::interfaces::ClientLike;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::embedded::Servers;
use super::members::Members;
use super::{Status, shutdown, start};
use crate::apps;
use crate::config::Settings;
use crate::listen;
use crate::web::{self, assets, health};

/// Serve the apps' pages and APIs, and run their consumer groups.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kboard serve                             with a Kafka broker and a Redis of its own, on 127.0.0.1:9092 and :6379
  kboard serve --kafka broker:9092 --redis redis://cache:6379
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
    start::raise_file_limit();
    let stop = shutdown::on_signal()?;
    let listener = listen::bind(settings.listen, "--listen").await?;
    let metrics = start::metrics()?;
    let mut settings = settings.clone();
    let Some(embedded) = stop.run_until_cancelled(Servers::start(&mut settings)).await else {
        return Ok(Status::Interrupted);
    };
    let embedded = embedded?;
    let serving = serve(args, &settings, listener, metrics, &stop);
    embedded.support(serving, &stop).await.map(|()| Status::Success)
}

async fn serve(
    args: &Args,
    settings: &Settings,
    listener: TcpListener,
    metrics: PrometheusHandle,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
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
    // It ends with the process anyway.
    let _ = subscriber.quit().await;
    start::stop(&services).await;
    consumed
}
