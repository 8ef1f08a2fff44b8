//! Removing records from a topic.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use warp::http::{Method, StatusCode};
use warp::reply::Response;

use super::one::{Head, Overview, overview};
use crate::console::Console;
use crate::console::form::{Fields, confirmed};
use crate::console::frame::{self, Frame, Section};
use crate::console::human;
use crate::console::refusal::Refusal;
use crate::console::request::{Params, Request};
use crate::console::route::Route;
use crate::kafka::admin::clear::{self, Before, Cut};
use crate::kafka::admin::settings;
use crate::time;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::page("/console/topics/{topic}/clear", page),
        Route::form("/console/topics/{topic}/clear", submitted),
        Route::action(
            Method::POST,
            "/api/console/topics/{topic}/clear",
            "Deletes the oldest records of a topic or of one partition, for ever",
            |console, params: Params, clearing: Clearing| async move {
                clear(&console, params.text("topic"), &clearing).await
            },
        ),
    ]
}

/// Which records are to go.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Clearing {
    /// Only those of this partition.
    partition: Option<i32>,
    /// Only those with lower offsets than this.
    offset: Option<i64>,
    /// Only those from before this time: RFC 3339, milliseconds since the epoch, or how long ago, such as `2d`.
    time: Option<String>,
    /// The name of the topic, as a confirmation; not for a dry run.
    confirm: String,
    /// Whether it is only told what would go.
    dry_run: bool,
}

/// What went, or would go.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Cleared {
    /// The topic.
    topic: String,
    /// By partition.
    partitions: Vec<CutView>,
    /// How many offsets in all.
    removed: i64,
    /// Whether nothing went, since that was not asked for.
    dry_run: bool,
}

/// What goes of one partition.
#[derive(Debug, Serialize, JsonSchema)]
struct CutView {
    /// The partition.
    partition: i32,
    /// Its first offset before.
    from: i64,
    /// Its first offset after.
    to: i64,
    /// How many offsets stay.
    left: i64,
}

impl From<&Cut> for CutView {
    fn from(cut: &Cut) -> Self {
        let (from, to) = (cut.range.start, cut.start);
        Self { partition: cut.partition, from, to, left: cut.range.end - cut.start }
    }
}

impl Clearing {
    fn before(&self) -> Result<Before, Refusal> {
        match (self.offset, self.time.as_deref()) {
            (Some(_), Some(_)) => Err(Refusal::field("time", "an offset and a time exclude each other")),
            (Some(offset), None) => Ok(Before::Offset(offset)),
            (None, Some(text)) => match time::parse(text) {
                Ok(time) => Ok(Before::Time(time.as_millisecond())),
                Err(reason) => Err(Refusal::field("time", reason)),
            },
            (None, None) => Ok(Before::Now),
        }
    }
}

async fn clear(console: &Console, topic: &str, clearing: &Clearing) -> Result<Cleared, Refusal> {
    super::one::exists(console, topic).await?;
    let cuts = clear::plan(&console.cluster, topic, clearing.partition, clearing.before()?).await?;
    if !clearing.dry_run {
        confirmed(&clearing.confirm, topic)?;
        clear::carry_out(&console.cluster, topic, &cuts).await?;
    }
    let removed = cuts.iter().map(Cut::removed).sum();
    let partitions = cuts.iter().map(CutView::from).collect();
    Ok(Cleared { topic: topic.to_owned(), partitions, removed, dry_run: clearing.dry_run })
}

#[derive(askama::Template)]
#[template(path = "console/topics/clear.html")]
struct Page {
    frame: Frame,
    head: Head,
    topic: Overview,
    /// Whether its policy lets records be deleted.
    deletes: bool,
    typed: Fields,
    /// What would go, once that was asked.
    preview: Option<Cleared>,
    error: Option<Refusal>,
}

impl Page {
    fn error_at(&self, field: &str) -> Option<&str> {
        let error = self.error.as_ref()?;
        (error.field.unwrap_or("what") == field).then_some(error.reason.as_str())
    }

    fn is(&self, name: &str, value: &str) -> bool {
        self.typed.text(name) == value
    }
}

async fn page(console: Arc<Console>, request: Request) -> Result<Response, Refusal> {
    show(&console, request, StatusCode::OK, Fields::default(), None, None).await
}

async fn show(
    console: &Console,
    request: Request,
    status: StatusCode,
    typed: Fields,
    preview: Option<Cleared>,
    error: Option<Refusal>,
) -> Result<Response, Refusal> {
    let topic = overview(console, request.params.text("topic")).await?;
    let name = topic.row.name.clone();
    let keeping = settings::keeping(&console.cluster, [&name]).await?;
    let deletes = keeping.get(&name).is_none_or(settings::Keeping::deletes);
    let (frame, head) = (Frame::new(console, Section::Topics, &request), Head::new(&name, "clear"));
    Ok(frame::page(&request, status, &Page { frame, head, topic, deletes, typed, preview, error }))
}

/// The first button asks what would go, the second one does it.
async fn submitted(
    console: Arc<Console>,
    request: Request,
    fields: Vec<(String, String)>,
) -> Result<Response, Refusal> {
    let typed = Fields::new(fields);
    let topic = &request.params.text("topic").to_owned();
    let cleared = match read(&typed) {
        Ok(clearing) => clear(&console, topic, &clearing).await,
        Err(refusal) => Err(refusal),
    };
    match cleared {
        Ok(cleared) if cleared.dry_run => show(&console, request, StatusCode::OK, typed, Some(cleared), None).await,
        Ok(cleared) => {
            let notice = format!("{} of {topic} deleted", human::counted(cleared.removed, "offset"));
            Ok(frame::done(&super::address(topic), &notice))
        }
        Err(refusal) if refusal.status.is_client_error() => {
            let asked = read(&typed).ok().map(|clearing| Clearing { dry_run: true, ..clearing });
            let preview = match &asked {
                Some(clearing) if refusal.field == Some("confirm") => clear(&console, topic, clearing).await.ok(),
                _ => None,
            };
            show(&console, request, refusal.status, typed, preview, Some(refusal)).await
        }
        Err(refusal) => Err(refusal),
    }
}

fn read(fields: &Fields) -> Result<Clearing, Refusal> {
    let missing = |field, what| move || Refusal::field(field, what);
    let (offset, time) = match fields.text("what") {
        "offset" => (Some(fields.number("offset")?.ok_or_else(missing("offset", "say which offset"))?), None),
        "time" => (None, Some(fields.given("time").ok_or_else(missing("time", "say which time"))?.to_owned())),
        _ => (None, None),
    };
    Ok(Clearing {
        partition: fields.number("partition")?,
        offset,
        time,
        confirm: fields.text("confirm").to_owned(),
        dry_run: fields.given("act").is_none(),
    })
}
