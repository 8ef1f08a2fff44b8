//! Sending back all letters that match, as a run.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use warp::http::{Method, StatusCode};
use warp::reply::Response;

use super::filter::Filter;
use crate::console::Console;
use crate::console::form::Fields;
use crate::console::frame::{self, Frame, Section};
use crate::console::refusal::Refusal;
use crate::console::request::{Params, Request};
use crate::console::route::Route;
use crate::console::runs::{About, Run};
use crate::kafka::admin::topics;
use crate::kafka::dead_letter::letter::Letter;
use crate::kafka::dead_letter::send_back::{self, Outcome};
use crate::kafka::dead_letter::survey::{Limits, survey};

/// How far is looked for the numbers that are shown before; what is sent back is all that matches, however far that is.
pub(super) const PREVIEW: Limits = Limits { offsets: i64::MAX, time: Duration::from_secs(5) };

/// Records whose places are told, the last ones.
const PLACES: usize = 20;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::page("/console/dead-letters/{topic}/send-back", page),
        Route::form("/console/dead-letters/{topic}/send-back", submitted),
        Route::action(
            Method::POST,
            "/api/console/dead-letters/{topic}/send-back",
            "Sends back all letters that match and were not sent back before; answers with the run, which goes on",
            |console, params: Params, filter: Filter| async move {
                Ok(begin(&console, params.text("topic"), filter).await?.view())
            },
        ),
    ]
}

async fn begin(console: &Arc<Console>, topic: &str, filter: Filter) -> Result<Arc<Run>, Refusal> {
    topics::layout_of(&console.cluster, topic).await?;
    let about = About {
        title: format!("Sending back from {topic}"),
        unit: "letter",
        // They may have come from many.
        topic: crate::kafka::dead_letter::origin_of(topic).map(str::to_owned),
        back: super::address(topic),
        total: None,
    };
    let (cluster, topic) = (console.cluster.clone(), topic.to_owned());
    console.runs.start(about, &console.shutdown, |run| async move {
        let take = |letter: &Letter, _: &_| filter.wants(letter).then_some(());
        let chosen = send_back::choose(&cluster, &topic, usize::MAX, take).await.map_err(|error| error.to_string())?;
        run.update(|progress| {
            progress.total = Some(chosen.letters.len() as u64);
            progress.skipped = chosen.sent_before as u64;
        });
        let tell = |letters: &[(Letter, Outcome)]| {
            run.update(|progress| {
                for (letter, outcome) in letters {
                    match outcome {
                        Ok(place) => {
                            progress.done += 1;
                            progress.places.push(*place);
                        }
                        Err(reason) => {
                            progress.failed += 1;
                            progress.fail(u64::try_from(letter.offset).unwrap_or_default(), reason.clone());
                        }
                    }
                }
                let surplus = progress.places.len().saturating_sub(PLACES);
                progress.places.drain(..surplus);
            })
        };
        let sent = send_back::send(&cluster, &topic, &chosen.places(), &run.stop, tell).await;
        sent.map_err(|error| error.to_string())
    })
}

#[derive(askama::Template)]
#[template(path = "console/dead-letters/send-back.html")]
struct Page {
    frame: Frame,
    topic: String,
    /// What the filter says.
    words: Vec<String>,
    fields: Vec<(&'static str, String)>,
    /// How many match and wait, and how many match and were sent back before.
    waiting: usize,
    sent_before: usize,
    /// Whether the whole topic was looked at for these numbers.
    complete: bool,
    origins: Vec<String>,
}

async fn page(console: Arc<Console>, request: Request) -> Result<Response, Refusal> {
    let (topic, filter) = (request.params.text("topic").to_owned(), request.query::<Filter>()?);
    let take = |letter: &Letter, _: &_| filter.wants(letter).then(|| letter.origin.clone());
    let survey = survey(&console.cluster, &topic, PREVIEW, take).await?;
    let (waiting, complete) = (survey.waiting(), survey.is_complete());
    let sent_before = survey.found.len() - waiting;
    let origins: BTreeSet<String> = survey.found.into_iter().filter_map(|letter| letter.taken).collect();
    let frame = Frame::new(&console, Section::DeadLetters, &request);
    let origins = origins.into_iter().collect();
    Ok(frame::page(
        &request,
        StatusCode::OK,
        &Page { frame, topic, words: filter.words(), fields: filter.fields(), waiting, sent_before, complete, origins },
    ))
}

async fn submitted(
    console: Arc<Console>,
    request: Request,
    fields: Vec<(String, String)>,
) -> Result<Response, Refusal> {
    let filter = Fields::new(fields).read::<Filter>()?;
    let run = begin(&console, request.params.text("topic"), filter).await?;
    Ok(frame::done(&run.address(), "Letters are being sent back"))
}
