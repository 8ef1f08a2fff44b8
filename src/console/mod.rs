//! The Kafka console: pages under `/console`, the same as JSON under `/api/console`.
//!
//! Every address is one line of a table ([`route`]): its method, its template, whether it changes anything, what its
//! document says. The table is what requests are dispatched by, what read-only mode refuses by, what metrics are labelled
//! with, and what the OpenAPI document is made of.
//!
//! - [`route`], [`request`], [`refusal`]: the table, what a handler is given, and what it says when it can't.
//! - [`guard`]: who may do what: modes, the token that other sites' pages don't have, the names we answer to.
//! - [`frame`]: what all pages share: the section, notices.
//! - [`openapi`]: the document of the API.
//! - [`decode`]: what is shown of bytes.
//! - [`filter`]: the search language.
//! - [`watch`]: the cluster as it is, looked at every few seconds.

pub mod decode;
pub mod filter;
pub mod frame;
pub mod guard;
pub mod openapi;
pub mod refusal;
pub mod request;
pub mod route;
pub mod watch;

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::config::{ConsoleMode, TopicDefaults};
use crate::kafka::Cluster;
use crate::web::Routes;
pub use guard::Guard;
use route::Route;
use watch::Watch;

/// What the console's pages share.
pub struct Console {
    /// The cluster it looks into.
    pub cluster: Cluster,
    /// How topics are created.
    pub defaults: TopicDefaults,
    /// What may be done.
    pub guard: Guard,
    /// The cluster as it was a moment ago.
    pub watch: Watch,
    /// Cancelled when the process is asked to end: streams end with it.
    pub shutdown: CancellationToken,
}

impl Console {
    /// A console on `cluster`, which is watched from now on.
    pub fn start(
        cluster: Cluster,
        defaults: TopicDefaults,
        mode: ConsoleMode,
        loopback: bool,
        shutdown: CancellationToken,
    ) -> Self {
        let watch = Watch::start(cluster.clone(), shutdown.clone());
        Self { cluster, defaults, guard: Guard::new(mode, loopback), watch, shutdown }
    }
}

/// The routes of the console.
pub fn routes(console: Console) -> Routes {
    let mut table: Vec<Route> = [guard::routes()].into_iter().flatten().collect();
    table.push(openapi::route(&table));
    route::serve(Arc::new(console), table)
}
