//! A member of a group that an app owns.

use std::sync::Arc;

use crate::apps::{self, GroupSpec};
use crate::cli::members::Members;
use crate::cli::{Status, shutdown, start};
use crate::config::Settings;
use crate::listen;
use crate::web::{self, health};

/// Consumes until a signal.
pub async fn run(group: &'static GroupSpec, settings: &Settings) -> anyhow::Result<Status> {
    let stop = shutdown::on_signal()?;
    let listener = listen::bind(settings.metrics_listen, "--metrics-listen").await?;
    let metrics = start::metrics()?;
    let traces = start::traces(settings)?;
    let services = start::services(settings, &apps::all(), Arc::default(), stop.clone()).await?;
    start::watch_redis(&services);
    let members = Members::start(&services, [group]);
    let health = health::Health {
        cluster: services.cluster.clone(),
        redis: Some(services.redis.clone()),
        topics: group.topics.iter().map(|topic| services.prefix.apply(topic)).collect(),
        groups: members.health.clone(),
    };
    let address = listener.local_addr()?;
    let server = tokio::spawn(web::server::serve(listener, health::routes(health, health::scrape(metrics)), stop));
    tracing::info!(group = services.prefix.apply(group.name), "consuming; metrics at http://{address}/metrics");
    let consumed = members.join().await;
    server.await?;
    start::stop(&services).await;
    if let Some(traces) = traces {
        traces.finish().await;
    }
    consumed.map(|()| Status::Success)
}
