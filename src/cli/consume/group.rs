//! A member of a group that an app owns.

use crate::apps::GroupSpec;
use crate::cli::members::Members;
use crate::cli::{Status, shutdown, start};
use crate::config::Settings;
use crate::web::health;

/// Consumes until a signal.
pub async fn run(group: &'static GroupSpec, settings: &Settings) -> anyhow::Result<Status> {
    let stop = shutdown::on_signal()?;
    let metrics = start::metrics()?;
    let services = start::services(settings, stop.clone()).await?;
    let members = Members::start(&services, [group]);
    let health = health::Health {
        cluster: services.cluster.clone(),
        redis: services.redis.clone(),
        groups: members.health.clone(),
    };
    let (address, server) =
        start::serve(settings.metrics_listen, "--metrics-listen", health::routes(health, metrics), stop.clone())?;
    tracing::info!(group = services.prefix.apply(group.name), "consuming; metrics at http://{address}/metrics");
    let consumed = members.join(&services).await;
    server.await?;
    start::stop(&services).await;
    consumed.map(|()| Status::Success)
}
