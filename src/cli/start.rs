//! What every role of the apps starts with: Kafka and Redis connected, topics made, metrics on.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio_util::sync::CancellationToken;

use crate::apps::{self, App, Prefix, Services};
use crate::backoff::Backoff;
use crate::config::Settings;
use crate::kafka::admin::ensure_topics;
use crate::kafka::{Cluster, KafkaError, Producer};
use crate::redis::{Redis, RedisError, facts};
use crate::telemetry::metrics as m;
use crate::telemetry::process::ProcessFacts;
use crate::telemetry::trace;
use crate::telemetry::trace::export::Exporter;
use crate::web::Part;

/// How often histograms are drained, so that they don't grow between scrapes, and the process is looked at.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);
/// How long the producer may take to send what it has at the end.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// Installs the process's metrics and keeps them in order.
pub fn metrics() -> anyhow::Result<PrometheusHandle> {
    let handle = m::install().context("metrics")?;
    let upkeep = handle.clone();
    let mut process = ProcessFacts::new();
    tokio::spawn(async move {
        let mut interval = tokio::time::interval(UPKEEP_INTERVAL);
        loop {
            interval.tick().await;
            upkeep.run_upkeep();
            process.look();
        }
    });
    Ok(handle)
}

/// Tells of traces from now on, if there is anybody to tell.
pub fn traces(settings: &Settings) -> anyhow::Result<Option<Exporter>> {
    trace::start(&settings.traces).context("--otlp-endpoint")
}

/// A connection is a file descriptor: the soft limit of 1,024 that most systems set would be the limit of viewers.
pub fn raise_file_limit() {
    if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
        tracing::warn!(%error, "can't raise the limit of open files");
    }
}

/// Connects to Kafka.
///
/// # Errors
/// When it isn't there within `startup-timeout`.
pub async fn cluster(settings: &Settings, shutdown: &CancellationToken) -> anyhow::Result<Cluster> {
    let cluster = Cluster::new(settings.kafka.clone());
    let deadline = Instant::now() + settings.startup_timeout;
    patiently("Kafka", deadline, shutdown, KafkaError::is_retriable, || cluster.ping()).await?;
    Ok(cluster)
}

/// Connects to Kafka and Redis, creates the missing topics of `apps` and says which.
///
/// # Errors
/// When one of the two isn't there within `startup-timeout`.
pub async fn services(
    settings: &Settings,
    apps: &[&App],
    site: Arc<[Part]>,
    shutdown: CancellationToken,
) -> anyhow::Result<Services> {
    let prefix = Prefix(settings.topic_prefix.clone());
    let deadline = Instant::now() + settings.startup_timeout;
    let topics = apps::topics(apps, &prefix);
    let kafka = async {
        let cluster = cluster(settings, &shutdown).await?;
        for topic in ensure_topics(&cluster, &topics, &settings.topics).await? {
            let (partitions, replication_factor) = (topic.partitions, topic.replication_factor);
            tracing::info!(topic = topic.name, partitions, replication_factor, "created topic");
        }
        let producer = Producer::start(&cluster, topics.iter().map(|topic| topic.name.clone())).await?;
        anyhow::Ok((cluster, producer))
    };
    let connect = || Redis::connect(&settings.redis);
    let redis = patiently("Redis", deadline, &shutdown, RedisError::is_retriable, connect);
    let ((cluster, producer), redis) = tokio::try_join!(kafka, redis)?;
    let state_retention = settings.state_retention;
    Ok(Services { cluster, producer, redis, prefix, state_retention, site, shutdown })
}

/// Has what Redis tells about itself among the metrics, for processes that serve them.
pub fn watch_redis(services: &Services) {
    tokio::spawn(facts::watch(services.redis.clone(), services.shutdown.clone()));
}

/// Tries until `deadline`, telling once that it waits; what waiting can't cure ends it at once.
async fn patiently<T, E, F>(
    what: &str,
    deadline: Instant,
    shutdown: &CancellationToken,
    is_retriable: impl Fn(&E) -> bool,
    attempt: impl Fn() -> F,
) -> anyhow::Result<T>
where
    E: std::error::Error + Send + Sync + 'static,
    F: Future<Output = Result<T, E>>,
{
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(2));
    loop {
        match attempt().await {
            Ok(value) => return Ok(value),
            Err(error) if !is_retriable(&error) => return Err(error.into()),
            Err(error) if Instant::now() >= deadline => {
                return Err(anyhow::Error::new(error).context(format!("{what} is not there")));
            }
            Err(error) => {
                if !backoff.is_failing() {
                    tracing::warn!("waiting for {what}: {error}");
                }
                tokio::select! {
                    () = shutdown.cancelled() => return Err(anyhow::Error::new(error).context("interrupted")),
                    () = tokio::time::sleep(backoff.after_failure()) => {}
                }
            }
        }
    }
}

/// Ends what [`services`] started.
pub async fn stop(services: &Services) {
    services.producer.close(FLUSH_TIMEOUT).await;
    services.redis.close().await;
}
