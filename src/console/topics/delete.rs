//! Deleting topics, one or many at once.

use std::collections::BTreeSet;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use warp::http::{Method, StatusCode};
use warp::reply::Response;

use super::row::{self, Row};
use crate::console::Console;
use crate::console::form::{Fields, confirmed};
use crate::console::frame::{self, Frame, Section};
use crate::console::human;
use crate::console::refusal::Refusal;
use crate::console::request::{Params, Request};
use crate::console::route::Route;
use crate::kafka::admin::topics;

pub(super) fn routes() -> Vec<Route> {
    vec![
        // Not below /console/topics: a topic may have any name.
        Route::page("/console/delete-topics", page),
        Route::form("/console/delete-topics", submitted),
        Route::action(
            Method::DELETE,
            "/api/console/topics/{topic}",
            "Deletes a topic with all its records, for ever",
            |console, params: Params, deletion: Deletion| async move {
                let topic = params.text("topic").to_owned();
                confirmed(&deletion.confirm, &topic)?;
                delete(&console, vec![topic]).await
            },
        ),
    ]
}

/// The consent to a deletion.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Deletion {
    /// The name of the topic.
    confirm: String,
}

/// What was deleted.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Deleted {
    /// The topics that are gone.
    deleted: Vec<String>,
}

async fn delete(console: &Console, names: Vec<String>) -> Result<Deleted, Refusal> {
    let rows = rows(console, &names).await?;
    if let Some(row) = rows.iter().find(|row| row.internal) {
        let reason = format!("topic {:?} belongs to Kafka itself, which does not work without it", row.name);
        return Err(Refusal::forbidden(reason));
    }
    let mut deleted = Vec::new();
    for name in names {
        topics::delete(&console.cluster, &name).await.map_err(|error| {
            let refusal = Refusal::from(error);
            let done =
                if deleted.is_empty() { String::new() } else { format!("; deleted before: {}", deleted.join(", ")) };
            Refusal { reason: format!("{}{done}", refusal.reason), ..refusal }
        })?;
        deleted.push(name);
    }
    Ok(Deleted { deleted })
}

/// The topics `names`, which all must exist.
async fn rows(console: &Console, names: &[String]) -> Result<Vec<Row>, Refusal> {
    if names.is_empty() {
        return Err(Refusal::bad_request("no topic is selected; go back and select some"));
    }
    for name in names {
        super::one::exists(console, name).await?;
    }
    let described = topics::describe(&console.cluster, names).await?;
    let snapshot = console.watch.snapshot();
    let mut readers = row::readers(&snapshot);
    let row = |topic: &topics::Topic| Row::new(console, topic, readers.remove(topic.name.as_str()).unwrap_or_default());
    Ok(described.iter().map(row).collect())
}

/// What is typed to confirm: the name of the one topic, or how many they are.
fn wanted(names: &[String]) -> String {
    match names {
        [only] => only.clone(),
        many => format!("delete {} topics", many.len()),
    }
}

#[derive(askama::Template)]
#[template(path = "console/topics/delete.html")]
struct Page {
    frame: Frame,
    rows: Vec<Row>,
    wanted: String,
    error: Option<String>,
}

impl Page {
    fn offsets(&self) -> i64 {
        self.rows.iter().filter_map(|row| row.offsets).sum()
    }

    fn groups(&self) -> usize {
        self.rows.iter().flat_map(|row| &row.groups).collect::<BTreeSet<_>>().len()
    }
}

/// The query names the topics, each as `topic`.
async fn page(console: Arc<Console>, request: Request) -> Result<Response, Refusal> {
    let given = url::form_urlencoded::parse(request.query.as_bytes());
    let names: BTreeSet<String> =
        given.filter(|(name, _)| name == "topic").map(|(_, topic)| topic.into_owned()).collect();
    let names: Vec<String> = names.into_iter().collect();
    show(&console, request, StatusCode::OK, &names, None).await
}

async fn show(
    console: &Console,
    request: Request,
    status: StatusCode,
    names: &[String],
    error: Option<String>,
) -> Result<Response, Refusal> {
    let rows = rows(console, names).await?;
    let frame = Frame::new(console, Section::Topics, &request);
    Ok(frame::page(&request, status, &Page { frame, rows, wanted: wanted(names), error }))
}

async fn submitted(
    console: Arc<Console>,
    request: Request,
    fields: Vec<(String, String)>,
) -> Result<Response, Refusal> {
    let fields = Fields::new(fields);
    let names: BTreeSet<String> = fields.all("topic").map(str::to_owned).collect();
    let names: Vec<String> = names.into_iter().collect();
    if let Err(refusal) = confirmed(fields.text("confirm"), &wanted(&names)) {
        return show(&console, request, refusal.status, &names, Some(refusal.reason)).await;
    }
    let Deleted { deleted } = delete(&console, names).await?;
    let notice = match deleted.as_slice() {
        [only] => format!("Topic {only} was deleted"),
        many => format!("{} were deleted", human::counted(many.len(), "topic")),
    };
    Ok(frame::done("/console/topics", &notice))
}
