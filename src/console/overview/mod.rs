//! The dashboard: the cluster at a glance, as a page, as JSON, and as a stream of JSON.

mod view;

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream;
use schemars::JsonSchema;
use serde::Deserialize;
use warp::http::StatusCode;
use warp::http::header::{CONTENT_TYPE, HeaderValue};
use warp::reply::Response;

use super::frame::{self, Frame, Section};
use super::refusal::Refusal;
use super::request::{Params, Request};
use super::route::Route;
use super::{Console, human};
use crate::kafka::admin::brokers::Broker;
use crate::web::reply;
use view::Overview;

/// The addresses of the dashboard.
pub fn routes() -> Vec<Route> {
    vec![
        Route::page("/console", page),
        Route::get("/api/console/overview", "The cluster at a glance, with the last 15 minutes", overview),
        Route::stream(
            "/api/console/overview/stream",
            "The same each time that the cluster was looked at, as events named `look`",
            &["text/event-stream"],
            follow,
        ),
    ]
}

/// Brokers, as a page names them.
pub fn ids(ids: &[i32]) -> String {
    let named: Vec<String> = ids.iter().map(ToString::to_string).collect();
    format!("broker{} {}", if ids.len() == 1 { "" } else { "s" }, named.join(", "))
}

/// Bytes that a broker holds, if it tells.
pub fn held(broker: &Broker) -> Option<u64> {
    broker.problem.is_none().then(|| broker.log_dirs.iter().map(|dir| dir.bytes).sum())
}

#[derive(Deserialize, JsonSchema)]
struct Nothing {}

#[derive(askama::Template)]
#[template(path = "console/overview/page.html")]
struct Page {
    frame: Frame,
    overview: Overview,
}

async fn page(console: Arc<Console>, request: Request) -> Result<Response, Refusal> {
    let frame = Frame::new(&console, Section::Dashboard, &request);
    let page = Page { frame, overview: Overview::new(&console.watch) };
    Ok(frame::page(&request, StatusCode::OK, &page))
}

async fn overview(console: Arc<Console>, _: Params, _: Nothing) -> Result<Overview, Refusal> {
    Ok(Overview::new(&console.watch))
}

async fn follow(console: Arc<Console>, _: Params, _: Nothing) -> Result<Response, Refusal> {
    let mut looks = console.watch.looks();
    // The first event is what is known already.
    looks.mark_changed();
    let events = stream::unfold((console, looks), |(console, mut looks)| async move {
        let next = console.shutdown.run_until_cancelled(looks.changed()).await;
        next?.ok()?;
        looks.mark_unchanged();
        let event = event(&Overview::new(&console.watch));
        Some((Ok::<Bytes, Infallible>(event), (console, looks)))
    });
    let response = warp::Reply::into_response(warp::reply::stream(events));
    Ok(reply::with(response, CONTENT_TYPE, HeaderValue::from_static("text/event-stream")))
}

fn event(overview: &Overview) -> Bytes {
    // Numbers and names: this can always be written.
    let data = serde_json::to_string(overview).unwrap_or_default();
    Bytes::from(format!("event: look\nid: {}\ndata: {data}\n\n", overview.taken_at))
}
