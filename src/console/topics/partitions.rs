//! More partitions for a topic; Kafka never takes any away.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use warp::http::{Method, StatusCode};
use warp::reply::Response;

use super::one::{Head, Overview, overview};
use crate::console::Console;
use crate::console::form::Fields;
use crate::console::frame::{self, Frame, Section};
use crate::console::human;
use crate::console::refusal::Refusal;
use crate::console::request::{Params, Request};
use crate::console::route::Route;
use crate::kafka::admin::apply;
use crate::kafka::admin::plan::{Action, Desired};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::page("/console/topics/{topic}/partitions", page),
        Route::form("/console/topics/{topic}/partitions", submitted),
        Route::action(
            Method::POST,
            "/api/console/topics/{topic}/partitions",
            "Gives a topic more partitions; keys that exist may go to other partitions from then on",
            |console, params: Params, more: More| async move { add(&console, params.text("topic"), more).await },
        ),
    ]
}

/// How many partitions a topic is to have.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct More {
    /// So many in all.
    total: i32,
    /// Whether the brokers are only asked for their objections.
    #[serde(default)]
    dry_run: bool,
}

/// How many partitions a topic has now, or would have.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Added {
    /// The topic.
    topic: String,
    /// So many before.
    from: i32,
    /// So many after.
    to: i32,
    /// Whether nothing was changed, since that was not asked for.
    dry_run: bool,
}

async fn add(console: &Console, topic: &str, more: More) -> Result<Added, Refusal> {
    super::one::exists(console, topic).await?;
    let desired = Desired { name: topic.to_owned(), partitions: Some(more.total), ..Desired::default() };
    let plan = apply::plan(&console.cluster, &[desired], &console.defaults).await?;
    let at_total = |refusal: Refusal| Refusal { field: Some("total"), ..refusal };
    if let Some((_, reasons)) = plan.refused().next() {
        return Err(at_total(Refusal::bad_request(reasons.join("; "))));
    }
    if let Some(objection) = apply::objections(&console.cluster, &plan, &console.defaults).await?.into_iter().next() {
        return Err(at_total(objection.into()));
    }
    for step in &plan.steps {
        if let Action::Change { partitions: Some(change), .. } = &step.action {
            if !more.dry_run {
                apply::carry_out(&console.cluster, step, &console.defaults).await?;
            }
            return Ok(Added { topic: topic.to_owned(), from: change.from, to: change.to, dry_run: more.dry_run });
        }
    }
    Err(at_total(Refusal::bad_request(format!("it has {} already", human::counted(more.total, "partition")))))
}

#[derive(askama::Template)]
#[template(path = "console/topics/partitions.html")]
struct Page {
    frame: Frame,
    head: Head,
    topic: Overview,
    typed: String,
    error: Option<String>,
}

async fn page(console: Arc<Console>, request: Request) -> Result<Response, Refusal> {
    show(&console, request, StatusCode::OK, String::new(), None).await
}

async fn show(
    console: &Console,
    request: Request,
    status: StatusCode,
    typed: String,
    error: Option<String>,
) -> Result<Response, Refusal> {
    let topic = overview(console, request.params.text("topic")).await?;
    let (frame, head) = (Frame::new(console, Section::Topics, &request), Head::new(&topic.row.name, "partitions"));
    Ok(frame::page(&request, status, &Page { frame, head, topic, typed, error }))
}

async fn submitted(
    console: Arc<Console>,
    request: Request,
    fields: Vec<(String, String)>,
) -> Result<Response, Refusal> {
    let fields = Fields::new(fields);
    let topic = &request.params.text("topic").to_owned();
    let added = match fields.number("total") {
        Ok(Some(total)) => add(&console, topic, More { total, dry_run: false }).await,
        Ok(None) => Err(Refusal::field("total", "say how many partitions it is to have")),
        Err(refusal) => Err(refusal),
    };
    match added {
        Ok(added) => {
            let notice = format!("{topic} has {} now, {} before", human::counted(added.to, "partition"), added.from);
            Ok(frame::done(&super::address(topic), &notice))
        }
        Err(refusal) if refusal.field == Some("total") => {
            show(&console, request, refusal.status, fields.text("total").to_owned(), Some(refusal.reason)).await
        }
        Err(refusal) => Err(refusal),
    }
}
