//! `kboard serve`: the web server with every app, and their consumer groups in the same process.

use std::sync::Arc;

use anyhow::{anyhow, bail};
use fred::interfaces::ClientLike;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use warp::Filter;

use super::embedded::Servers;
use super::members::Members;
use super::{Status, shutdown, start};
use crate::apps::{self, App, Prefix};
use crate::config::{ConsoleMode, Settings};
use crate::console::runs::Runs;
use crate::console::{self, Admission, Console, Guard, export};
use crate::kafka::Cluster;
use crate::kafka::dead_letter::is_dead_letter_topic;
use crate::kafka::watch::{INTERVAL, Watch};
use crate::listen;
use crate::web::health::Scrape;
use crate::web::{self, Part, READ, Routes, assets, dead_letters, health, reply};

/// Serve the apps' pages and APIs, and run their consumer groups.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kboard serve                             with a Kafka broker and a Redis of its own, on 127.0.0.1:9092 and :6379
  kboard serve --kafka broker:9092 --redis redis://cache:6379
  KBOARD_KAFKA=broker:9092 KBOARD_REDIS=redis://cache:6379 kboard serve --listen 0.0.0.0:3000
  kboard serve --no-consumers              only the web server; run `kboard consume` beside it
  kboard serve --apps none --kafka broker:9092    only the Kafka console, which needs no Redis

Then open http://127.0.0.1:3000, and /console there to see inside. Health: /healthz, /readyz. Metrics: /metrics, /api/metrics; dead letters: /metrics/dlq.")]
pub struct Args {
    /// Leave the consumer groups to other processes.
    #[arg(long)]
    no_consumers: bool,
}

/// Serves until a signal.
pub async fn run(args: &Args, settings: &Settings) -> anyhow::Result<Status> {
    start::raise_file_limit();
    let apps = selected(settings)?;
    let stop = shutdown::on_signal()?;
    let listener = listen::bind(settings.listen, "--listen").await?;
    let metrics = start::metrics()?;
    let traces = start::traces(settings)?;
    let mut settings = settings.clone();
    // Only apps keep anything there.
    settings.embedded.redis &= !apps.is_empty();
    let Some(embedded) = stop.run_until_cancelled(Servers::start(&mut settings)).await else {
        return Ok(Status::Interrupted);
    };
    let embedded = embedded?;
    let serving = async {
        if apps.is_empty() {
            return serve_console(&settings, listener, metrics, &stop).await;
        }
        serve(args, &apps, &settings, listener, metrics, &stop).await
    };
    let served = embedded.support(serving, &stop).await;
    if let Some(traces) = traces {
        traces.finish().await;
    }
    served.map(|()| Status::Success)
}

fn selected(settings: &Settings) -> anyhow::Result<Vec<&'static App>> {
    let known = || apps::all().into_iter().map(|app| app.name).collect::<Vec<_>>().join(", ");
    apps::selected(settings.apps.as_deref())
        .map_err(|name| anyhow!("there is no app {name:?}; --apps takes all, none, or some of: {}", known()))
}

/// The console alone.
async fn serve_console(
    settings: &Settings,
    listener: TcpListener,
    metrics: PrometheusHandle,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    if console_mode(settings) == ConsoleMode::Off {
        bail!("there is nothing to serve: --apps is none and --console is off, as it is by default beyond loopback");
    }
    let cluster = start::cluster(settings, stop).await?;
    let health = health::Health { cluster: cluster.clone(), redis: None, topics: Vec::new(), groups: Vec::new() };
    let home = Routes::new(warp::path::end().map(|| reply::see_other("/console")).boxed(), &[("/", READ)]);
    let watch = watch(settings, &cluster, stop);
    let routes = assets::routes().or(health::routes(health, scrape(settings, metrics, watch.as_ref()))).or(home);
    let routes = with_console(settings, cluster.clone(), watch, site(settings, &[]), routes, stop);
    let address = listener.local_addr()?;
    tracing::info!(kafka = cluster.servers(), "serving the console at http://{address}/console");
    web::server::serve(listener, routes, stop.clone()).await;
    Ok(())
}

async fn serve(
    args: &Args,
    apps: &[&'static App],
    settings: &Settings,
    listener: TcpListener,
    metrics: PrometheusHandle,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let site = site(settings, apps);
    let services = start::services(settings, apps, Arc::clone(&site), stop.clone()).await?;
    start::watch_redis(&services);
    let groups = apps.iter().flat_map(|app| app.groups).filter(|_| !args.no_consumers);
    let members = Members::start(&services, groups);
    let topics: Vec<String> = apps::topics(apps, &services.prefix).into_iter().map(|topic| topic.name).collect();
    let letters = topics.iter().filter(|topic| is_dead_letter_topic(topic)).cloned().collect();
    let letters = dead_letters::routes(services.cluster.clone(), letters);
    let health = health::Health {
        cluster: services.cluster.clone(),
        redis: Some(services.redis.clone()),
        topics,
        groups: members.health.clone(),
    };
    let subscriber = services.redis.subscriber().await?;
    let watch = watch(settings, &services.cluster, stop);
    let mut routes = assets::routes().or(health::routes(health, scrape(settings, metrics, watch.as_ref()))).or(letters);
    for app in apps {
        routes = (app.mount)(services.clone(), subscriber.clone()).await?.or(routes);
    }
    if apps.iter().all(|app| app.home.address != "/")
        && let Some(first) = apps.first()
    {
        let home = first.home.address;
        routes = routes.or(Routes::new(warp::path::end().map(move || reply::see_other(home)).boxed(), &[("/", READ)]));
    }
    let routes = with_console(settings, services.cluster.clone(), watch, site, routes, stop);
    if settings.console.is_none() && console_mode(settings) == ConsoleMode::Off {
        tracing::info!(
            "there is no console beyond loopback, as it has no login; --console read-only or full makes one"
        );
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

/// Looks at the cluster for the console and the exporter; nobody does when both are off.
fn watch(settings: &Settings, cluster: &Cluster, stop: &CancellationToken) -> Option<Watch> {
    let is_wanted = console_mode(settings) != ConsoleMode::Off || settings.export.on == Some(true);
    is_wanted.then(|| Watch::start(cluster.clone(), INTERVAL, stop.clone()))
}

/// What the process tells about itself and, unless told not to, about the cluster that it watches.
fn scrape(settings: &Settings, metrics: PrometheusHandle, watch: Option<&Watch>) -> Scrape {
    match watch.filter(|_| settings.export.on != Some(false)).cloned() {
        None => health::scrape(metrics),
        Some(watch) => {
            let export = settings.export.clone();
            Arc::new(move || metrics.render() + &export::text(&watch, &export))
        }
    }
}

/// `routes`, and the console's unless it is off.
fn with_console(
    settings: &Settings,
    cluster: Cluster,
    watch: Option<Watch>,
    site: Arc<[Part]>,
    routes: Routes,
    stop: &CancellationToken,
) -> Routes {
    let mode = console_mode(settings);
    let Some(watch) = watch.filter(|_| mode != ConsoleMode::Off) else { return routes };
    let admission = Admission {
        loopback: settings.listen.ip().is_loopback(),
        proxied: settings.console.is_some(),
        hosts: settings.console_hosts.clone(),
    };
    let (defaults, guard) = (settings.topics.clone(), Guard::new(mode, admission));
    let prefix = Prefix(settings.topic_prefix.clone());
    let projections = apps::groups().map(|group| prefix.apply(group.name)).collect();
    let (runs, shutdown) = (Runs::default(), stop.clone());
    routes.or(console::routes(Console { cluster, defaults, guard, watch, projections, runs, site, shutdown }))
}

/// What there is to go to.
fn site(settings: &Settings, apps: &[&'static App]) -> Arc<[Part]> {
    let console = (console_mode(settings) != ConsoleMode::Off).then_some(console::HOME);
    apps.iter().map(|app| app.home).chain(console).collect()
}

/// Nobody has to log in: who can reach the console may do what it does.
fn console_mode(settings: &Settings) -> ConsoleMode {
    let usual = if settings.listen.ip().is_loopback() { ConsoleMode::Full } else { ConsoleMode::Off };
    settings.console.unwrap_or(usual)
}
