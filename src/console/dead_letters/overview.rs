//! All dead-letter topics.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::{FutureExt, StreamExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use warp::http::StatusCode;
use warp::reply::Response;

use crate::console::Console;
use crate::console::frame::{self, Frame, Section};
use crate::console::refusal::Refusal;
use crate::console::request::{Params, Request};
use crate::console::route::Route;
use crate::kafka::admin::topics;
use crate::kafka::dead_letter::is_dead_letter_topic;
use crate::kafka::dead_letter::letter::Letter;
use crate::kafka::dead_letter::survey::{Limits, survey};
use crate::kafka::{Cluster, KafkaError};

/// How far into each topic is looked.
const LIMITS: Limits = Limits { offsets: 2_000, time: Duration::from_millis(500) };
/// Origins of a topic that are named.
const ORIGINS: usize = 3;
/// Topics that are looked into at once.
const AT_ONCE: usize = 8;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::page("/console/dead-letters", page),
        Route::get(
            "/api/console/dead-letters",
            "The dead-letter topics, with what their newest letters say",
            |console, _: Params, _: Nothing| async move { overview(&console).await },
        ),
    ]
}

#[derive(Deserialize, JsonSchema)]
struct Nothing {}

/// The dead-letter topics.
#[derive(Debug, Serialize, JsonSchema)]
struct Overview {
    /// Those with letters first, the newest first.
    topics: Vec<Summary>,
}

/// A dead-letter topic.
#[derive(Debug, Default, Serialize, JsonSchema)]
struct Summary {
    /// Its name.
    topic: String,
    /// The topics that those of its letters come from that were looked at.
    origins: BTreeSet<String>,
    /// Offsets that it spans: letters, and marks of those that were sent back.
    offsets: i64,
    /// How many of them, the newest, were looked at for what follows.
    scanned: i64,
    /// Letters among them.
    letters: usize,
    /// Those that were not sent back.
    waiting: usize,
    /// The time of the newest letter, in milliseconds since the epoch.
    newest: Option<i64>,
    /// The kind of error that most of those waiting died of, and of how many that is so.
    most: Option<(String, usize)>,
    /// Why it could not be looked into.
    problem: Option<String>,
}

impl Summary {
    fn address(&self) -> String {
        super::address(&self.topic)
    }

    fn is_complete(&self) -> bool {
        self.scanned >= self.offsets
    }

    /// The first of the origins, and how many there are besides.
    fn origins_text(&self) -> String {
        let named = self.origins.iter().take(ORIGINS).map(String::as_str).collect::<Vec<_>>().join(", ");
        match self.origins.len().saturating_sub(ORIGINS) {
            0 => named,
            more => format!("{named} and {more} more"),
        }
    }
}

async fn overview(console: &Console) -> Result<Overview, Refusal> {
    let mut names = topics::names(&console.cluster, false).await?;
    names.retain(|name| is_dead_letter_topic(name));
    let summaries = names.into_iter().map(|name| summary(&console.cluster, name).boxed());
    let summaries: Vec<_> = summaries.collect();
    let mut topics: Vec<Summary> = futures::stream::iter(summaries).buffer_unordered(AT_ONCE).collect().await;
    topics.sort_by(|a, b| (b.waiting > 0, b.newest, &a.topic).cmp(&(a.waiting > 0, a.newest, &b.topic)));
    Ok(Overview { topics })
}

/// What is known of `topic`; that it can't be looked into is no failure of the others.
async fn summary(cluster: &Cluster, topic: String) -> Summary {
    match look(cluster, &topic).await {
        Ok(found) => Summary { topic, ..found },
        Err(error) => Summary { topic, problem: Some(error.to_string()), ..Summary::default() },
    }
}

async fn look(cluster: &Cluster, topic: &str) -> Result<Summary, KafkaError> {
    let mut origins = BTreeSet::new();
    let take = |letter: &Letter, _: &_| {
        origins.extend(letter.origin.clone());
        Some(letter.kind())
    };
    let survey = survey(cluster, topic, LIMITS, take).await?;
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    let waiting = survey.waiting();
    let (letters, newest) = (survey.found.len(), survey.found.first().map(|letter| letter.timestamp));
    for letter in survey.found.into_iter().filter(|letter| !letter.sent_back) {
        *kinds.entry(letter.taken).or_default() += 1;
    }
    Ok(Summary {
        origins,
        offsets: survey.total,
        scanned: survey.scanned,
        letters,
        waiting,
        newest,
        most: kinds.into_iter().max_by_key(|(_, count)| *count),
        ..Summary::default()
    })
}

#[derive(askama::Template)]
#[template(path = "console/dead-letters/overview.html")]
struct Page {
    frame: Frame,
    topics: Vec<Summary>,
}

async fn page(console: Arc<Console>, request: Request) -> Result<Response, Refusal> {
    let Overview { topics } = overview(&console).await?;
    let frame = Frame::new(&console, Section::DeadLetters, &request);
    Ok(frame::page(&request, StatusCode::OK, &Page { frame, topics }))
}
