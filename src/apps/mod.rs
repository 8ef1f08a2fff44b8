//! The applications, and the registry that lists them.
//!
//! An app is data plus functions: the topics it needs, the groups it runs, its routes, its generator. `serve` mounts
//! what the registry lists, `consume --group` and `replay` look a group up in it. Adding an app is one folder here and
//! one line in [`REGISTRY`].

pub mod board;
pub mod orders;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fred::clients::SubscriberClient;
use futures::future::BoxFuture;
use rand::Rng;
use tokio_util::sync::CancellationToken;

use crate::kafka::admin::TopicSpec;
use crate::kafka::consumer::GroupHealth;
use crate::kafka::event::Headers;
use crate::kafka::replay::{Progress, Range, ReplayError, Report};
use crate::kafka::{Cluster, KafkaError, Producer};
use crate::redis::Redis;
use crate::web::{Part, Routes};

/// Every app of this build.
pub const REGISTRY: &[App] = &[board::APP, orders::APP];

/// An application.
pub struct App {
    /// Its name on the command line.
    pub name: &'static str,
    /// Where its pages begin.
    pub home: Part,
    /// The topics it needs.
    pub topics: fn(&Prefix) -> Vec<TopicSpec>,
    /// The consumer groups it runs.
    pub groups: &'static [GroupSpec],
    /// Its keys in Redis: each a name, or the beginning of names with a `*` after it. A reset removes what they mean, so that
    /// they mean no other app's.
    pub keys: fn(&Prefix) -> Vec<String>,
    /// Starts what its routes need, and makes them.
    pub mount: fn(Services, SubscriberClient) -> BoxFuture<'static, anyhow::Result<Routes>>,
    /// Makes up realistic records.
    pub generate: Generator,
}

/// A consumer group of an app.
pub struct GroupSpec {
    /// Its name, before the prefix.
    pub name: &'static str,
    /// Its topics, before the prefix.
    pub topics: &'static [&'static str],
    /// Topics it writes to, before the prefix, whose records tell what it has done: a rebuild reads them too.
    pub emits: &'static [&'static str],
    /// Consumes until the token is cancelled.
    pub run: fn(Services, GroupHealth) -> BoxFuture<'static, Result<(), KafkaError>>,
    /// Rebuilds its state from the log.
    pub rebuild: fn(Services, Range, Progress) -> BoxFuture<'static, Result<Report, ReplayError>>,
}

/// What apps are given to work with. Cheap to clone.
#[derive(Clone)]
pub struct Services {
    /// Kafka.
    pub cluster: Cluster,
    /// The shared producer.
    pub producer: Producer,
    /// Redis.
    pub redis: Redis,
    /// Put before the names of topics, groups and keys.
    pub prefix: Prefix,
    /// How long something is remembered after it has ended.
    pub state_retention: Duration,
    /// What the site has besides, for navigation.
    pub site: Arc<[Part]>,
    /// Cancelled when the process is asked to end.
    pub shutdown: CancellationToken,
}

/// Put before the names of an app's topics, groups and keys, so that several installations share a cluster.
#[derive(Clone, Debug, Default)]
pub struct Prefix(pub String);

impl Prefix {
    /// `name` with the prefix before it.
    pub fn apply(&self, name: &str) -> String {
        format!("{}{name}", self.0)
    }
}

/// A record that an app's generator made up.
#[derive(Clone, Debug)]
pub struct Generated {
    /// The topic, before the prefix.
    pub topic: String,
    /// The key.
    pub key: Option<Bytes>,
    /// The value.
    pub value: Bytes,
    /// The headers, in order.
    pub headers: Headers,
}

/// Makes up one realistic record of an app; the same random numbers make the same content.
pub type Generator = fn(&mut dyn Rng) -> Generated;

/// All apps.
pub fn all() -> Vec<&'static App> {
    REGISTRY.iter().collect()
}

/// The apps named `names`, or all of them.
///
/// # Errors
/// The first name that no app has.
pub fn selected(names: Option<&[String]>) -> Result<Vec<&'static App>, String> {
    let Some(names) = names else { return Ok(all()) };
    names.iter().map(|name| app(name).ok_or_else(|| name.clone())).collect()
}

/// The app named `name`.
pub fn app(name: &str) -> Option<&'static App> {
    REGISTRY.iter().find(|app| app.name == name)
}

/// The group whose full name, prefix included, is `name`.
pub fn group(name: &str, prefix: &Prefix) -> Option<&'static GroupSpec> {
    groups().find(|group| prefix.apply(group.name) == name)
}

/// Every group of every app.
pub fn groups() -> impl Iterator<Item = &'static GroupSpec> {
    REGISTRY.iter().flat_map(|app| app.groups)
}

/// The topics of `apps`.
pub fn topics(apps: &[&App], prefix: &Prefix) -> Vec<TopicSpec> {
    apps.iter().flat_map(|app| (app.topics)(prefix)).collect()
}
