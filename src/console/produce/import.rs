//! Records as lines of JSON, pasted or from a file: what `kboard consume` prints and the messages' export writes.

use std::sync::Arc;

use bytes::Bytes;
use schemars::JsonSchema;
use serde::Deserialize;
use warp::http::StatusCode;
use warp::reply::Response;

use super::form::{check, outcome};
use super::record::How;
use super::send::{self, Source};
use crate::console::Console;
use crate::console::form::Fields;
use crate::console::frame::{self, Frame, Section};
use crate::console::refusal::Refusal;
use crate::console::request::{Body, Params, Request};
use crate::console::route::Route;
use crate::console::runs::{About, Run};
use crate::kafka::admin::topics;
use crate::web::reply;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::page("/console/import", page),
        Route::form("/console/import", submitted),
        Route::streaming_action(
            "/api/console/import",
            "Sends the lines of the body, each a record as JSON: key, value, headers, maybe partition and timestamp; answers \
             when all are sent, with the lines that failed",
            &["application/json"],
            |console, _: Params, query: Query, body| async move {
                let run = begin(&console, &query, body).await?;
                run.ended().await;
                Ok(reply::json(StatusCode::OK, &run.view()))
            },
        ),
    ]
}

/// Where lines go.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
struct Query {
    /// The topic, which must exist.
    topic: String,
    /// Whether each record goes to the partition that its line names.
    #[serde(default)]
    keep_partitions: bool,
    /// Whether each record has the time that its line names.
    #[serde(default)]
    keep_timestamps: bool,
    /// The partition of records that name none; chosen by `partitioner` unless it is given.
    partition: Option<i32>,
    /// How a partition is chosen: `murmur2`, `round-robin`, `sticky`, `random`.
    partitioner: Option<String>,
    /// `none`, `gzip`, `snappy`, `lz4` or `zstd`.
    compression: Option<String>,
    /// `all`, `1` or `0`.
    acks: Option<String>,
}

async fn begin(console: &Arc<Console>, query: &Query, body: Body) -> Result<Arc<Run>, Refusal> {
    let Query { topic, keep_partitions, keep_timestamps, partition, partitioner, compression, acks } = query.clone();
    let options = How { partition, partitioner, compression, acks }.options()?;
    check(console, &topic, options.partition).await?;
    let about = About {
        title: format!("Lines for {topic}"),
        unit: "record",
        topic: Some(topic.clone()),
        back: format!("/console/import?topic={}", frame::segment(&topic)),
        total: None,
    };
    let cluster = console.cluster.clone();
    let source = Source::Lines { body, keep_partitions, keep_timestamps };
    console.runs.start(about, &console.shutdown, |run| send::send(run, cluster, topic, options, source))
}

#[derive(askama::Template)]
#[template(path = "console/produce/import.html")]
struct Page {
    frame: Frame,
    typed: Fields,
    topics: Vec<String>,
    error: Option<Refusal>,
}

impl Page {
    fn error_at(&self, field: &str) -> Option<&str> {
        let error = self.error.as_ref()?;
        (error.field.unwrap_or("lines") == field).then_some(error.reason.as_str())
    }
}

#[derive(Default, Deserialize)]
struct Open {
    topic: Option<String>,
}

async fn page(console: Arc<Console>, request: Request) -> Result<Response, Refusal> {
    let topic = request.query::<Open>()?.topic.unwrap_or_default();
    let typed = Fields::new(vec![("topic".to_owned(), topic)]);
    show(&console, request, StatusCode::OK, typed, None).await
}

async fn show(
    console: &Console,
    request: Request,
    status: StatusCode,
    typed: Fields,
    error: Option<Refusal>,
) -> Result<Response, Refusal> {
    // Suggestions only: without them, a name can still be typed.
    let topics = topics::names(&console.cluster, false).await.unwrap_or_default();
    let frame = Frame::new(console, Section::Produce, &request);
    Ok(frame::page(&request, status, &Page { frame, typed, topics, error }))
}

async fn submitted(
    console: Arc<Console>,
    request: Request,
    fields: Vec<(String, String)>,
) -> Result<Response, Refusal> {
    let typed = Fields::new(fields);
    let given = |name: &str| typed.given(name).map(str::to_owned);
    let query = Query {
        topic: given("topic").unwrap_or_default(),
        keep_partitions: given("keep_partitions").is_some(),
        keep_timestamps: given("keep_timestamps").is_some(),
        ..Query::default()
    };
    let lines = Bytes::from(typed.text("lines").to_owned());
    let begun = if lines.trim_ascii().is_empty() {
        Err(Refusal::field("lines", "paste at least one line"))
    } else {
        begin(&console, &query, Box::pin(futures::stream::iter([Ok(lines)]))).await
    };
    let sent = match begun {
        Ok(run) => outcome(&run).await.map(|view| (run.address(), view.told())),
        Err(refusal) => Err(refusal),
    };
    match sent {
        Ok((address, told)) => Ok(frame::done(&address, &told)),
        Err(refusal) => {
            let status = refusal.status;
            show(&console, request, status, typed, Some(refusal)).await
        }
    }
}
