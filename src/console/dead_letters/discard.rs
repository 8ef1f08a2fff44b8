//! Discarding letters: Kafka can't take one record out, only all before an offset.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use warp::http::{Method, StatusCode};
use warp::reply::Response;

use super::send_back::PREVIEW;
use crate::console::Console;
use crate::console::form::{Fields, confirmed};
use crate::console::frame::{self, Frame, Section};
use crate::console::human;
use crate::console::refusal::Refusal;
use crate::console::request::{Params, Request};
use crate::console::route::Route;
use crate::kafka::admin::clear::{self, Before, Cut};
use crate::kafka::dead_letter::letter::Letter;
use crate::kafka::dead_letter::survey::survey;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::page("/console/dead-letters/{topic}/discard", page),
        Route::form("/console/dead-letters/{topic}/discard", submitted),
        Route::action(
            Method::POST,
            "/api/console/dead-letters/{topic}/discard",
            "Deletes letters for ever: all, or those of one partition up to an offset",
            |console, params: Params, wanted: Discarding| async move {
                discard(&console, params.text("topic"), &wanted).await
            },
        ),
    ]
}

/// Which letters are to go.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
struct Discarding {
    /// Only those of this partition.
    partition: Option<i32>,
    /// Only those up to this offset, that one included; needs a partition.
    up_to: Option<i64>,
    /// The name of the dead-letter topic, as a confirmation; not for a dry run.
    confirm: String,
    /// Whether it is only told what would go.
    dry_run: bool,
}

/// What went, or would go.
#[derive(Debug, Serialize, JsonSchema)]
struct Discarded {
    /// The dead-letter topic.
    topic: String,
    /// How many letters.
    letters: usize,
    /// How many of them were never sent back.
    waiting: usize,
    /// Whether the whole topic was looked at for these numbers; if not, they are at least these.
    complete: bool,
    /// Whether nothing went, since that was not asked for.
    dry_run: bool,
}

async fn discard(console: &Console, topic: &str, wanted: &Discarding) -> Result<Discarded, Refusal> {
    let before = match (wanted.partition, wanted.up_to) {
        (None, Some(_)) => return Err(Refusal::field("partition", "an offset needs its partition")),
        (_, Some(up_to)) => Before::Offset(up_to.saturating_add(1)),
        (_, None) => Before::Now,
    };
    let cuts = clear::plan(&console.cluster, topic, wanted.partition, before).await?;
    let goes = |partition: i32, offset: i64| {
        let of_it = |cut: &&Cut| cut.partition == partition;
        cuts.iter().find(of_it).is_some_and(|cut| (cut.range.start..cut.start).contains(&offset))
    };
    let going = |letter: &Letter, _: &_| goes(letter.partition, letter.offset).then_some(());
    let survey = survey(&console.cluster, topic, PREVIEW, going).await?;
    if !wanted.dry_run {
        confirmed(&wanted.confirm, topic)?;
        clear::carry_out(&console.cluster, topic, &cuts).await?;
    }
    Ok(Discarded {
        topic: topic.to_owned(),
        letters: survey.found.len(),
        waiting: survey.waiting(),
        complete: survey.is_complete(),
        dry_run: wanted.dry_run,
    })
}

#[derive(askama::Template)]
#[template(path = "console/dead-letters/discard.html")]
struct Page {
    frame: Frame,
    wanted: Discarding,
    would: Discarded,
    error: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Query {
    partition: Option<i32>,
    up_to: Option<i64>,
}

async fn page(console: Arc<Console>, request: Request) -> Result<Response, Refusal> {
    let Query { partition, up_to } = request.query()?;
    let wanted = Discarding { partition, up_to, ..Discarding::default() };
    show(&console, request, StatusCode::OK, wanted, None).await
}

async fn show(
    console: &Console,
    request: Request,
    status: StatusCode,
    wanted: Discarding,
    error: Option<String>,
) -> Result<Response, Refusal> {
    let asked = Discarding { dry_run: true, ..wanted.clone() };
    let would = discard(console, request.params.text("topic"), &asked).await?;
    let frame = Frame::new(console, Section::DeadLetters, &request);
    Ok(frame::page(&request, status, &Page { frame, wanted, would, error }))
}

async fn submitted(
    console: Arc<Console>,
    request: Request,
    fields: Vec<(String, String)>,
) -> Result<Response, Refusal> {
    let fields = Fields::new(fields);
    let wanted = Discarding {
        partition: fields.number("partition")?,
        up_to: fields.number("up_to")?,
        confirm: fields.text("confirm").to_owned(),
        dry_run: false,
    };
    match discard(&console, request.params.text("topic"), &wanted).await {
        Ok(discarded) => {
            let location = super::address(&discarded.topic);
            Ok(frame::done(&location, &format!("{} discarded", human::counted(discarded.letters, "letter"))))
        }
        Err(refusal) if refusal.field == Some("confirm") => {
            show(&console, request, refusal.status, wanted, Some(refusal.reason)).await
        }
        Err(refusal) => Err(refusal),
    }
}
