//! The Kafka console: pages under `/console`, the same as JSON under `/api/console`.
//!
//! Every address is one line of a table ([`route`]): its method, its template, whether it changes anything, what its
//! document says. The table is what requests are dispatched by, what read-only mode refuses by, what metrics are labelled
//! with, and what the OpenAPI document is made of.
//!
//! - [`route`], [`request`], [`refusal`]: the table, what a handler is given, and what it says when it can't.
//! - [`guard`]: who may do what: modes, the token that other sites' pages don't have, the names we answer to.
//! - [`frame`]: what all pages share: the section, notices; [`form`], [`spark`]: what forms send, small lines beside a number.
//! - [`overview`], [`groups`]: the dashboard; consumer groups.
//! - [`topics`]: topics and what can be done with them.
//! - [`messages`]: the records of a topic: pages, search, live, export; [`filter`]: the search language; [`decode`]: what is
//!   shown of bytes.
//! - [`produce`]: writing records; [`runs`]: work that goes on while one looks at it.
//! - [`dead_letters`]: what could not be handled, and the ways back.
//! - [`openapi`]: the document of the API.
//! - [`export`]: the cluster as it was looked at, for Prometheus.

pub mod dead_letters;
pub mod decode;
pub mod export;
pub mod filter;
pub mod form;
pub mod frame;
pub mod groups;
pub mod guard;
pub mod messages;
pub mod openapi;
pub mod overview;
pub mod produce;
pub mod refusal;
pub mod request;
pub mod route;
pub mod runs;
pub mod spark;
pub mod topics;

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::config::TopicDefaults;
use crate::kafka::Cluster;
use crate::kafka::watch::{INTERVAL, Watch};
use crate::web::{Part, Routes};
pub use crate::web::{chart, human};
use chart::Window;
pub use guard::{Admission, Guard};
use route::Route;
use runs::Runs;

/// Where its pages begin.
pub const HOME: Part = Part { name: "Console", address: "/console" };

/// What its charts show: all that the watch remembers.
const WINDOW: Window = Window { minutes: 15, step: INTERVAL.as_millis() as i64 };

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
    /// Groups that keep where they are beside their state, and not in Kafka.
    pub projections: Vec<String>,
    /// Work that goes on.
    pub runs: Runs,
    /// What the site has besides.
    pub site: Arc<[Part]>,
    /// Cancelled when the process is asked to end: streams end with it.
    pub shutdown: CancellationToken,
}

/// The routes of the console.
pub fn routes(console: Console) -> Routes {
    route::serve(Arc::new(console), table())
}

/// Every address of the console.
fn table() -> Vec<Route> {
    let areas = [
        guard::routes(),
        overview::routes(),
        topics::routes(),
        messages::routes(),
        groups::routes(),
        produce::routes(),
        dead_letters::routes(),
        runs::routes(),
    ];
    let mut table: Vec<Route> = areas.into_iter().flatten().collect();
    table.push(openapi::route(&table));
    table
}

#[cfg(test)]
mod tests {
    use futures::StreamExt;
    use warp::http::{HeaderMap, Method, StatusCode};

    use super::guard::TOKEN_HEADER;
    use super::request::{Params, Request};
    use super::*;
    use crate::config::{ConsoleMode, KafkaSettings};

    /// A console on a cluster that isn't there.
    fn console(mode: ConsoleMode) -> Arc<Console> {
        let bootstrap = vec!["127.0.0.1:1".to_owned()];
        let settings = KafkaSettings { bootstrap, tls: None, sasl: None, session_timeout: Default::default() };
        let stopped = CancellationToken::new();
        stopped.cancel();
        let cluster = Cluster::new(settings);
        let watch = Watch::start(cluster.clone(), INTERVAL, stopped.clone());
        let guard = Guard::new(mode, Admission { loopback: true, ..Admission::default() });
        Arc::new(Console {
            cluster,
            defaults: Default::default(),
            guard,
            watch,
            projections: Vec::new(),
            runs: Runs::default(),
            site: Arc::default(),
            shutdown: stopped,
        })
    }

    async fn answer(console: &Arc<Console>, method: &Method, path: &str, token: &str, body: &str) -> StatusCode {
        let mut headers = HeaderMap::new();
        headers.insert("host", "localhost:3000".parse().unwrap());
        headers.insert(TOKEN_HEADER, token.parse().unwrap());
        let body = bytes::Bytes::from(body.to_owned());
        let body = futures::stream::iter([Ok(body)]).boxed();
        let request = Request { params: Params::default(), query: String::new(), headers, body };
        route::answer(console, &table(), method, path, request).await.status()
    }

    #[tokio::test]
    async fn every_action_is_refused_in_a_read_only_console_and_without_the_token() {
        let (reader, actor) = (console(ConsoleMode::ReadOnly), console(ConsoleMode::Full));
        let actions = table();
        let actions = actions.iter().filter(|route| route.method != Method::GET);
        for Route { method, template, .. } in actions {
            let path = template.replace(['{', '}'], "");
            for body in ["{}", "token="] {
                let token = reader.guard.token();
                let refused =
                    answer(&reader, method, &path, token, &body.replace("token=", &format!("token={token}"))).await;
                assert_eq!(refused, StatusCode::FORBIDDEN, "{method} {template}, read-only");
                assert_eq!(answer(&actor, method, &path, "", body).await, StatusCode::FORBIDDEN, "{method} {template}");
            }
        }
    }

    #[test]
    fn the_document_describes_every_address_of_the_api() {
        let table = table();
        let document = openapi::document(&table);
        for route in table.iter().filter(|route| route.template.starts_with("/api/")) {
            let operation = &document["paths"][route.template][route.method.as_str().to_lowercase()];
            let summary = operation["summary"].as_str().unwrap_or_default();
            assert!(!summary.is_empty(), "{} {}", route.method, route.template);
        }
        let text = document.to_string();
        let named = text.split("\"#/components/schemas/").skip(1).map(|rest| rest.split('"').next().unwrap());
        for name in named {
            assert!(document["components"]["schemas"][name].is_object(), "{name}");
        }
    }
}
