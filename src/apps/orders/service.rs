//! What the services of the app have in common: how each becomes a group.

use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;

use super::retry::retry;
use super::switches::LiveSwitches;
use crate::apps::{GroupSpec, Prefix, Services};
use crate::kafka::KafkaError;
use crate::kafka::consumer::GroupHealth;
use crate::kafka::replay::{Progress, Range, ReplayError, Report};
use crate::processor::{self, Processor, Setup, View};
use crate::redis::Window;

/// How many announcements are kept for viewers who join.
pub const NEWS: usize = 100;

/// A processor of this app.
pub trait Service: Processor {
    /// Its group, before the prefix.
    const GROUP: &str;
    /// What it consumes, before the prefix.
    const TOPICS: &[&str];
    /// What it writes to, before the prefix.
    const EMITS: &[&str];
    /// Whether viewers are told of changes.
    const ANNOUNCES: bool;

    /// The service, with `prefix` before the names of topics. It remembers what it did for `retention`.
    fn new(prefix: Prefix, switches: LiveSwitches, retention: Duration) -> Self;
}

/// The group that a service is.
pub const fn group<S: Service>() -> GroupSpec {
    GroupSpec { name: S::GROUP, topics: S::TOPICS, emits: S::EMITS, run: run::<S>, rebuild: rebuild::<S> }
}

fn run<S: Service>(services: Services, health: GroupHealth) -> BoxFuture<'static, Result<(), KafkaError>> {
    async move {
        let service = service::<S>(&services).await;
        let shutdown = services.shutdown.clone();
        processor::run(setup::<S>(services), service, health, shutdown).await
    }
    .boxed()
}

fn rebuild<S: Service>(
    services: Services,
    range: Range,
    progress: Progress,
) -> BoxFuture<'static, Result<Report, ReplayError>> {
    async move {
        let service = service::<S>(&services).await;
        processor::rebuild(setup::<S>(services), service, range, progress).await
    }
    .boxed()
}

/// The states of a service, to look at.
pub fn view<S: Service>(services: &Services) -> View<S::State> {
    View::new(services.redis.clone(), &services.prefix.0, S::GROUP)
}

/// What a service that [announces](Service::ANNOUNCES) tells viewers.
pub fn news<S: Service>(services: &Services) -> Window {
    View::<S::State>::window(services.redis.clone(), &services.prefix.0, S::GROUP, NEWS)
}

async fn service<S: Service>(services: &Services) -> S {
    let Services { redis, prefix, state_retention, shutdown, .. } = services.clone();
    S::new(prefix.clone(), LiveSwitches::follow(redis, prefix, shutdown).await, state_retention)
}

fn setup<S: Service>(services: Services) -> Setup {
    let window = S::ANNOUNCES.then(|| news::<S>(&services));
    let Services { cluster, producer, redis, prefix, .. } = services;
    let full = |names: &[&str]| names.iter().map(|name| prefix.apply(name)).collect();
    let (group, topics, emits, retry) = (S::GROUP.to_owned(), full(S::TOPICS), full(S::EMITS), retry(&prefix));
    Setup { cluster, producer, redis, group, prefix: prefix.0, topics, emits, retry, window }
}
