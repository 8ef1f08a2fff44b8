//! The letters of a topic: counted by error and by origin, filtered, the newest first.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use warp::http::StatusCode;
use warp::reply::Response;

use super::filter::Filter;
use crate::console::Console;
use crate::console::frame::{self, Frame, Section};
use crate::console::refusal::Refusal;
use crate::console::request::{Params, Request};
use crate::console::route::Route;
use crate::kafka::dead_letter::letter::Letter;
use crate::kafka::dead_letter::survey::{Limits, survey};

/// Offsets that are looked at, unless more are asked for.
const USUALLY: i64 = 10_000;
/// Offsets that are looked at, at most.
const AT_MOST: i64 = 200_000;
/// Letters of a page.
const SIZE: usize = 50;
/// Characters of a key that are shown.
const KEY: usize = 80;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::page("/console/dead-letters/{topic}", page),
        Route::get(
            "/api/console/dead-letters/{topic}",
            "The letters of a topic, the newest first, with counts by error and origin",
            |console, params: Params, query: Query| async move { listing(&console, params.text("topic"), query).await },
        ),
    ]
}

/// Which letters, and how far to look for them.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
struct Query {
    #[serde(flatten)]
    filter: Filter,
    /// Only those that wait, or only those that were sent back.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<Sent>,
    /// Which page, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<String>,
    /// How many offsets to look at, the newest: 10000, or up to 200000.
    #[serde(skip_serializing_if = "Option::is_none")]
    scan: Option<String>,
}

/// Whether a letter was sent back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Sent {
    /// It was not.
    Waiting,
    /// It was.
    Sent,
}

impl Query {
    fn limits(&self) -> Limits {
        let offsets = number(self.scan.as_deref(), USUALLY).clamp(1, AT_MOST);
        let time = Duration::from_secs(if offsets > USUALLY { 20 } else { 3 });
        Limits { offsets, time }
    }

    fn address(&self, topic: &str) -> String {
        let query = serde_html_form::to_string(self).unwrap_or_default();
        let address = super::address(topic);
        if query.is_empty() { address } else { format!("{address}?{query}") }
    }
}

/// A flattened query has only texts.
fn number<T: std::str::FromStr>(text: Option<&str>, otherwise: T) -> T {
    text.and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// The letters of a topic.
#[derive(Debug, Serialize, JsonSchema)]
struct Listing {
    /// The dead-letter topic.
    topic: String,
    /// Offsets that were looked at, the newest.
    scanned: i64,
    /// Offsets that there are.
    total: i64,
    /// Letters among those looked at.
    found: usize,
    /// Those of them that were not sent back.
    waiting: usize,
    /// By kind of error, of all that were found.
    errors: Vec<Count>,
    /// By the topic and group that they came from.
    origins: Vec<Count>,
    /// How many match what was asked for.
    matching: usize,
    /// How many of those were not sent back.
    matching_waiting: usize,
    /// A page of those that match.
    letters: Vec<Row>,
    /// Which page it is, from 1.
    page: usize,
    /// How many there are.
    pages: usize,
    #[serde(skip)]
    query: Query,
}

/// How many letters have something in common.
#[derive(Debug, Serialize, JsonSchema)]
struct Count {
    /// What they have in common.
    what: String,
    /// For origins: the group that gave up.
    group: Option<String>,
    /// How many they are.
    letters: usize,
    /// How many of them were not sent back.
    waiting: usize,
    #[serde(skip)]
    address: String,
    #[serde(skip)]
    chosen: bool,
}

/// A letter in one line.
#[derive(Debug, Serialize, JsonSchema)]
struct Row {
    /// Its partition.
    partition: i32,
    /// Its offset.
    offset: i64,
    /// When it was given up, in milliseconds since the epoch.
    failed_at: i64,
    /// The topic that it came from.
    origin: Option<String>,
    /// The partition that it came from.
    origin_partition: Option<i32>,
    /// Its offset there.
    origin_offset: Option<i64>,
    /// The group that gave up.
    group: Option<String>,
    /// Why.
    error: Option<String>,
    /// How often it was tried.
    attempts: Option<u32>,
    /// How often it was sent back before.
    retries: u32,
    /// The beginning of its key.
    key: Option<String>,
    /// Bytes of its value; `null` of a tombstone.
    value_bytes: Option<usize>,
    /// Whether it was sent back.
    sent_back: bool,
    #[serde(skip)]
    address: String,
    #[serde(skip)]
    kind: String,
    #[serde(skip)]
    wanted: bool,
}

impl Row {
    fn new(letter: &Letter, filter: &Filter) -> Self {
        Self {
            partition: letter.partition,
            offset: letter.offset,
            failed_at: letter.failed_at.unwrap_or(letter.timestamp),
            origin: letter.origin.clone(),
            origin_partition: letter.origin_partition,
            origin_offset: letter.origin_offset,
            group: letter.group.clone(),
            error: letter.error.clone(),
            attempts: letter.attempts,
            retries: letter.retries,
            key: letter.key.as_deref().map(|key| String::from_utf8_lossy(key).chars().take(KEY).collect()),
            value_bytes: letter.value.as_ref().map(bytes::Bytes::len),
            sent_back: false,
            kind: letter.kind(),
            wanted: filter.wants(letter),
            address: format!("{}/{}/{}", super::address(&letter.topic), letter.partition, letter.offset),
        }
    }
}

async fn listing(console: &Console, topic: &str, query: Query) -> Result<Listing, Refusal> {
    let row = |letter: &Letter, _: &_| Some(Row::new(letter, &query.filter));
    let survey = survey(&console.cluster, topic, query.limits(), row).await?;
    let waiting = survey.waiting();
    let rows = survey.found.into_iter().map(|found| Row { sent_back: found.sent_back, ..found.taken });
    let rows: Vec<Row> = rows.collect();

    let fresh = Query { page: None, ..query.clone() };
    let by_error = counted(
        &rows,
        |row| (row.kind.clone(), None),
        |(kind, _)| {
            let chosen = query.filter.error.as_ref() == Some(kind);
            let error = (!chosen).then(|| kind.clone());
            (Query { filter: Filter { error, ..query.filter.clone() }, ..fresh.clone() }.address(topic), chosen)
        },
    );
    let origin = |row: &Row| (row.origin.clone().unwrap_or_default(), row.group.clone());
    let by_origin = counted(&rows, origin, |(origin, group)| {
        let chosen = query.filter.origin.as_ref() == Some(origin) && query.filter.group == *group;
        let wanted = if chosen { (None, None) } else { (Some(origin.clone()), group.clone()) };
        let filter = Filter { origin: wanted.0, group: wanted.1, ..query.filter.clone() };
        (Query { filter, ..fresh.clone() }.address(topic), chosen)
    });
    let found = rows.len();
    let matching_waiting = rows.iter().filter(|row| row.wanted && !row.sent_back).count();
    let is_shown = |row: &Row| row.wanted && query.state.is_none_or(|state| (state == Sent::Sent) == row.sent_back);
    let shown: Vec<Row> = rows.into_iter().filter(is_shown).collect();
    let pages = shown.len().div_ceil(SIZE).max(1);
    let page = number(query.page.as_deref(), 1).clamp(1, pages);
    Ok(Listing {
        topic: topic.to_owned(),
        scanned: survey.scanned,
        total: survey.total,
        found,
        waiting,
        errors: by_error,
        origins: by_origin,
        matching: shown.len(),
        matching_waiting,
        letters: shown.into_iter().skip((page - 1) * SIZE).take(SIZE).collect(),
        page,
        pages,
        query,
    })
}

type Common = (String, Option<String>);

/// How many letters have what `common` takes of them in common, most first.
fn counted(rows: &[Row], common: impl Fn(&Row) -> Common, address: impl Fn(&Common) -> (String, bool)) -> Vec<Count> {
    let mut counts: BTreeMap<Common, (usize, usize)> = BTreeMap::new();
    for row in rows {
        let (count, waiting) = counts.entry(common(row)).or_default();
        *count += 1;
        *waiting += usize::from(!row.sent_back);
    }
    let count = |(common, (letters, waiting)): (Common, (usize, usize))| {
        let (address, chosen) = address(&common);
        let (what, group) = common;
        Count { what, group, letters, waiting, address, chosen }
    };
    let mut counts: Vec<Count> = counts.into_iter().map(count).collect();
    counts.sort_by_key(|count| std::cmp::Reverse(count.letters));
    counts
}

#[derive(askama::Template)]
#[template(path = "console/dead-letters/list.html")]
struct Page {
    frame: Frame,
    listing: Listing,
    /// Which letters are sent back together, for the address of that.
    filter: String,
    /// What the filter's form keeps.
    hidden: Vec<(&'static str, String)>,
    further: Option<String>,
    previous: Option<String>,
    next: Option<String>,
    unfiltered: Option<String>,
}

async fn page(console: Arc<Console>, request: Request) -> Result<Response, Refusal> {
    let topic = request.params.text("topic").to_owned();
    let listing = listing(&console, &topic, request.query()?).await?;
    let query = &listing.query;
    let turned = |page: usize| Query { page: Some(page.to_string()), ..query.clone() }.address(&topic);
    let previous = (listing.page > 1).then(|| turned(listing.page - 1));
    let next = (listing.page < listing.pages).then(|| turned(listing.page + 1));
    let more = (listing.scanned.max(USUALLY) * 10).min(AT_MOST);
    let further = (listing.scanned < listing.total && listing.scanned < AT_MOST)
        .then(|| Query { scan: Some(more.to_string()), page: None, ..query.clone() }.address(&topic));
    let is_filtered = query.filter != Filter::default() || query.state.is_some();
    let unfiltered = is_filtered.then(|| Query { scan: query.scan.clone(), ..Query::default() }.address(&topic));
    let filter = query.filter.query();
    let mut hidden = query.filter.fields();
    hidden.retain(|(name, _)| *name != "q");
    hidden.extend(query.scan.clone().map(|scan| ("scan", scan)));
    let frame = Frame::new(&console, Section::DeadLetters, &request);
    Ok(frame::page(
        &request,
        StatusCode::OK,
        &Page { frame, filter, hidden, further, previous, next, unfiltered, listing },
    ))
}
