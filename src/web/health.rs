//! `/healthz` (the process lives), `/readyz` (it can do its work, or what it is missing), `/metrics`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusHandle;
use serde::Serialize;
use warp::Filter;
use warp::http::StatusCode;
use warp::reply::Response;

use super::{READ, Routes, reply};
use crate::kafka::Cluster;
use crate::kafka::consumer::GroupHealth;
use crate::redis::Redis;

/// How long Kafka or Redis may take to answer before it counts as away.
const CHECK_TIMEOUT: Duration = Duration::from_secs(2);

/// What readiness depends on. Cheap to clone.
#[derive(Clone)]
pub struct Health {
    /// Kafka.
    pub cluster: Cluster,
    /// Redis, where it is needed.
    pub redis: Option<Redis>,
    /// The topics that must be there.
    pub topics: Vec<String>,
    /// The groups that this process runs.
    pub groups: Vec<(String, GroupHealth)>,
}

/// The answer of `/readyz`.
#[derive(Debug, Serialize)]
pub struct Readiness {
    /// Whether every check passed.
    pub ready: bool,
    /// Each check: `ok`, or what is wrong.
    pub checks: BTreeMap<String, String>,
}

impl Health {
    /// Checks everything.
    pub async fn readiness(&self) -> Readiness {
        let (kafka, redis) = tokio::join!(self.check_kafka(), self.check_redis());
        let mut checks = BTreeMap::from([("kafka".to_owned(), kafka)]);
        checks.extend(redis.map(|redis| ("redis".to_owned(), redis)));
        for (group, health) in &self.groups {
            let state = match health.problem() {
                None => Ok(()),
                Some(problem) => Err(problem.to_owned()),
            };
            checks.insert(format!("group {group}"), state);
        }
        Readiness {
            ready: checks.values().all(Result::is_ok),
            checks: checks
                .into_iter()
                .map(|(name, state)| (name, state.err().unwrap_or_else(|| "ok".to_owned())))
                .collect(),
        }
    }

    async fn check_kafka(&self) -> Result<(), String> {
        within(async {
            let topics = self.cluster.missing(&self.topics).await.map_err(|error| error.to_string())?;
            match &topics[..] {
                [] => Ok(()),
                [topic, ..] => Err(format!("topic {topic} does not exist; kboard makes it when it starts")),
            }
        })
        .await
    }

    async fn check_redis(&self) -> Option<Result<(), String>> {
        let redis = self.redis.as_ref()?;
        Some(within(async { redis.ping().await.map_err(|error| error.to_string()) }).await)
    }
}

async fn within(check: impl Future<Output = Result<(), String>>) -> Result<(), String> {
    match tokio::time::timeout(CHECK_TIMEOUT, check).await {
        Ok(result) => result,
        Err(_) => Err(format!("no answer within {} s", CHECK_TIMEOUT.as_secs())),
    }
}

/// Makes the text of a scrape of `/metrics`.
pub type Scrape = Arc<dyn Fn() -> String + Send + Sync>;

/// The scrape of what the process tells about itself.
pub fn scrape(metrics: PrometheusHandle) -> Scrape {
    Arc::new(move || metrics.render())
}

/// The routes of health and metrics.
pub fn routes(health: Health, metrics: Scrape) -> Routes {
    let ready = warp::path!("readyz").and(warp::get()).then(move || {
        let health = health.clone();
        async move { answer(&health.readiness().await) }
    });
    process(metrics).or(Routes::new(ready.boxed(), &[("/readyz", READ)]))
}

/// Those of a process that depends on no other: it is ready when it is there.
pub fn process(metrics: Scrape) -> Routes {
    let alive = warp::path!("healthz")
        .and(warp::get())
        .map(|| reply::bytes(StatusCode::OK, "text/plain; charset=utf-8", "ok\n"));
    let scrape = (warp::path!("metrics").or(warp::path!("api" / "metrics")).unify())
        .and(warp::get())
        .map(move || reply::bytes(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", metrics()));
    let filter = alive.or(scrape).unify().boxed();
    Routes::new(filter, &["/healthz", "/metrics", "/api/metrics"].map(|path| (path, READ)))
}

fn answer(readiness: &Readiness) -> Response {
    let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    reply::json(status, readiness)
}
