//! The list of a topic's messages: a page of them, or what a search finds.

use std::sync::Arc;
use std::time::{Duration, Instant};

use askama::Template;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;
use warp::http::StatusCode;
use warp::reply::Response;

use super::browse::{self, Size, Way};
use super::extent::Extent;
use super::query::{Query, with};
use super::reader::{Item, Reader, Show};
use super::row::{Row, Rows};
use super::search::{End, Search, Tally};
use super::sift::Sieve;
use crate::console::decode::Format;
use crate::console::filter::Filter;
use crate::console::frame::{Frame, Section};
use crate::console::refusal::Refusal;
use crate::console::request::{Params, Request};
use crate::console::topics::{self, Head};
use crate::console::{Console, frame, human};
use crate::kafka::fetch::Unreadable;
use crate::kafka::record_json::RecordJson;

/// How long a page may search; what is then left is searched by its script, or by the next page.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long one answer of the API may search.
const API_PATIENCE: Duration = Duration::from_secs(2);
/// Bytes of records in one answer of the API.
const ANSWER_BYTES: usize = 8 * 1024 * 1024;
/// Numbers of rows to choose from.
const LIMITS: [usize; 4] = [20, 50, 100, 500];

#[derive(Template)]
#[template(path = "console/messages/list.html")]
struct ListPage<'a> {
    frame: Frame,
    head: Head,
    topic: &'a str,
    /// The topic's address.
    address: String,
    query: &'a Query,
    limits: [usize; 4],
    limit: usize,
    partitions: Vec<i32>,
    /// How keys and values are read: the field, its label, what is chosen.
    readings: [(&'static str, &'static str, Format); 2],
    columns: Vec<String>,
    rows: Vec<Row>,
    /// How many offsets there are.
    span: String,
    away: Vec<(i32, String)>,
    problem: Option<String>,
    /// Whether the problem is the search itself.
    is_search_wrong: bool,
    search: Option<SearchView>,
    older: Option<String>,
    newer: Option<String>,
    /// The same without a place, for the newest and the oldest.
    first: String,
    last: String,
    /// For the script: where records of this view come from.
    stream: String,
    tail: String,
    export: Vec<(&'static str, String)>,
}

impl ListPage<'_> {
    fn has_errors(&self) -> bool {
        self.search.as_ref().is_some_and(|search| search.tally.errors > 0)
    }

    fn is_complete(&self) -> bool {
        self.search.as_ref().is_none_or(|search| search.end == Some(End::Complete))
    }
}

/// What a search did, for the page.
struct SearchView {
    tally: Tally,
    said: String,
    is_live: bool,
    end: Option<End>,
    stopped_at: String,
    /// The page that goes on.
    on: Option<String>,
    /// The stream that goes on.
    stream: Option<String>,
}

/// The page.
pub async fn page(console: Arc<Console>, request: Request) -> Result<Response, Refusal> {
    let topic = request.params.text("topic").to_owned();
    let query: Query = request.query()?;
    let mut problem = None;
    let (extent, way) = match place(&console, &topic, &query).await {
        // What was typed wrong is said where it can be put right.
        Err(Refusal { field: Some(_), reason, .. }) => {
            problem = Some(reason);
            let plain = Query { partition: query.partition, ..Query::default() };
            place(&console, &topic, &plain).await?
        }
        found => found?,
    };
    let (mut filter, mut is_search_wrong) = (None, false);
    match Filter::parse(&query.q, query.case) {
        // Where to look is not known.
        Ok(_) if problem.is_some() => {}
        Ok(parsed) => filter = parsed.map(Arc::new),
        Err(error) => {
            problem = Some(format!("Search: {error}"));
            is_search_wrong = true;
        }
    }
    let rows = Rows::new(&topic, &query, filter.clone()).or_else(|error| {
        problem = Some(format!("Columns: {error}"));
        Rows::new(&topic, &Query { columns: String::new(), ..query.clone() }, filter.clone())
    });
    let rows = rows.map_err(|error| Refusal::field("columns", error.to_string()))?;
    let columns = rows.columns();
    let show: Show<Row> = Arc::new(move |partition, item| (rows.row(partition, item), 0));
    let address = topics::address(&topic);
    let api = format!("/api{address}");
    let here = |changes: &[(&str, Option<&str>)]| {
        let mut all = vec![("before", None), ("after", None), ("live", None)];
        all.extend_from_slice(changes);
        format!("{address}/messages{}", with(&request.query, &all))
    };
    let stream = |changes: &[(&str, Option<&str>)]| {
        let mut all = vec![("before", None), ("after", None), ("live", None), ("view", Some("rows"))];
        all.extend_from_slice(changes);
        format!("{api}/search{}", with(&request.query, &all))
    };
    let (mut older, mut newer, mut search) = (None, None, None);
    let mut entries = Vec::new();
    match filter {
        Some(_) if query.live => {
            let tally = Tally { total: extent.span(), ..Tally::default() };
            let stream = Some(stream(&[("before", query.before.as_deref()), ("after", query.after.as_deref())]));
            let on = Some(here(&[]));
            search = Some(SearchView {
                said: said(&tally),
                tally,
                is_live: true,
                end: None,
                stopped_at: String::new(),
                on,
                stream,
            });
        }
        Some(filter) => {
            let sieve = Sieve { filter: Some(filter), show };
            let mut running = Search::start(&console.cluster, &extent, &way, sieve, query.isolation(), query.limit());
            entries = run(&mut running, PATIENCE).await;
            let (end, place) = (running.end, running.way());
            let cut = match &place {
                Way::Before(cut) => ("before", cut.to_string()),
                Way::After(cut) => ("after", cut.to_string()),
            };
            let changes = [(cut.0, Some(cut.1.as_str()))];
            let goes_on = end != Some(End::Complete) && !running.stopped_at().is_empty();
            let end = if goes_on { end } else { Some(End::Complete) };
            search = Some(SearchView {
                said: said(&running.tally),
                tally: running.tally.clone(),
                is_live: false,
                end,
                stopped_at: stopped_at(&running.stopped_at()),
                on: goes_on.then(|| here(&changes)),
                stream: goes_on.then(|| stream(&changes)),
            });
        }
        None if problem.is_none() => {
            let (topic, isolation) = (topic.as_str(), query.isolation());
            let reader = Reader { cluster: &console.cluster, topic, isolation, show };
            let size = Size { entries: query.limit(), weight: usize::MAX };
            let page = browse::page(&reader, &extent.parts, &way, size).await?;
            older = page.has_older.then(|| here(&[("before", Some(&page.lower.to_string()))]));
            newer = page.has_newer.then(|| here(&[("after", Some(&page.upper.to_string()))]));
            entries = page.entries;
        }
        None => {}
    }
    if !query.is_newest_first() {
        entries.reverse();
    }
    let without_order = [("from", None), ("at", None)];
    let body = ListPage {
        frame: Frame::new(&console, Section::Topics, &request),
        head: Head::new(&topic, "messages"),
        topic: &topic,
        query: &query,
        limits: LIMITS,
        limit: query.limit(),
        partitions: extent.all.clone(),
        readings: [("key", "Read keys as", query.key), ("value", "Read values as", query.value)],
        columns,
        rows: entries.into_iter().map(|entry| entry.shown).collect(),
        span: human::counted(extent.span(), "offset"),
        away: extent.away.clone(),
        problem,
        is_search_wrong,
        search,
        older,
        newer,
        first: here(&without_order),
        last: here(&[("at", None), ("from", Some("oldest"))]),
        stream: stream(&[]),
        tail: stream(&[("follow", Some("true"))]),
        export: [("JSON lines", "ndjson"), ("CSV", "csv")]
            .map(|(name, format)| {
                let changes =
                    [("before", None), ("after", None), ("live", None), ("limit", None), ("format", Some(format))];
                (name, format!("{api}/export{}", with(&request.query, &changes)))
            })
            .into(),
        address,
    };
    Ok(frame::page(&request, StatusCode::OK, &body))
}

/// What may be looked at, where it begins and which way it goes.
async fn place(console: &Console, topic: &str, query: &Query) -> Result<(Extent, Way), Refusal> {
    let extent = Extent::of(console, topic, query).await?;
    let way = extent.way(console, query).await?;
    Ok((extent, way))
}

/// Searches until the end, or for so long; what was found is in the order of time, the newest first.
async fn run<T: Send + 'static>(search: &mut Search<T>, patience: Duration) -> Vec<browse::Entry<T>> {
    let (began, mut entries) = (Instant::now(), Vec::new());
    while let Some(mut found) = search.next().await {
        entries.append(&mut found);
        if began.elapsed() > patience && search.is_settled() {
            break;
        }
    }
    browse::newest_first(entries)
}

/// What was searched. `scan.js` says the same.
fn said(tally: &Tally) -> String {
    let (covered, total) = (human::count(tally.covered), human::count(tally.total));
    // Compaction, retention and transactions leave offsets without a record.
    if tally.scanned < tally.covered {
        return format!("{} records in {covered} of {total} offsets scanned", human::count(tally.scanned));
    }
    format!("{covered} of {total} records scanned")
}

/// `0:1234, 1:99 and 4 more`.
pub fn stopped_at(places: &[(i32, i64)]) -> String {
    let named: Vec<String> = places.iter().take(3).map(|(partition, offset)| format!("{partition}:{offset}")).collect();
    let more = if places.len() > 3 { format!(" and {} more", places.len() - 3) } else { String::new() };
    format!("{}{more}", named.join(", "))
}

/// A page of messages, as the API has it.
#[derive(Serialize, JsonSchema)]
pub struct Messages {
    /// The records, in the order that was asked for.
    #[schemars(with = "Vec<RecordJson>")]
    records: Vec<Box<RawValue>>,
    /// Pieces of the log that can't be read.
    unreadable: Vec<Piece>,
    /// What to send as `before` for the next older page; not there when nothing is older.
    older: Option<String>,
    /// What to send as `after` for the next newer page; not there when nothing is newer.
    newer: Option<String>,
    /// How far the search got, if there was one. It ends after some seconds; `older` or `newer` goes on.
    search: Option<Tally>,
    /// Whether the search has looked at everything; only of a search.
    complete: Option<bool>,
    /// Partitions that can't be read now.
    away: Vec<String>,
}

/// A piece of a log that can't be read.
#[derive(Serialize, JsonSchema)]
struct Piece {
    partition: i32,
    /// The first offset.
    offset: i64,
    /// The last offset.
    last: i64,
    /// Why.
    reason: String,
}

/// What the API shows of an item.
pub enum Shown {
    /// A record, as JSON.
    Record(Box<RawValue>),
    /// What can't be read.
    Unreadable(Unreadable),
}

/// Shows records of `topic` as JSON.
pub fn as_json(topic: &str) -> Show<Shown> {
    let topic = topic.to_owned();
    Arc::new(move |partition, item| match item {
        Item::Record(record) => match serde_json::value::to_raw_value(&RecordJson::new(&topic, partition, record)) {
            Ok(json) => {
                let weight = json.get().len();
                (Shown::Record(json), weight)
            }
            Err(error) => {
                let reason = format!("can't be written as JSON: {error}");
                let (base_offset, last_offset) = (record.offset, record.offset);
                (Shown::Unreadable(Unreadable { base_offset, last_offset, reason }), 0)
            }
        },
        Item::Unreadable(piece) => (Shown::Unreadable(piece.clone()), 0),
    })
}

/// The page, for programs.
pub async fn answer(console: Arc<Console>, params: Params, query: Query) -> Result<Messages, Refusal> {
    let topic = params.text("topic");
    let filter = Filter::parse(&query.q, query.case).map_err(|error| Refusal::field("q", error.to_string()))?;
    let extent = Extent::of(&console, topic, &query).await?;
    let way = extent.way(&console, &query).await?;
    let show = as_json(topic);
    let away = extent.away.iter().map(|(partition, reason)| format!("partition {partition}: {reason}")).collect();
    let mut messages = Messages {
        records: Vec::new(),
        unreadable: Vec::new(),
        older: None,
        newer: None,
        search: None,
        complete: None,
        away,
    };
    let mut entries = match filter {
        Some(filter) => {
            let sieve = Sieve { filter: Some(Arc::new(filter)), show };
            let mut search = Search::start(&console.cluster, &extent, &way, sieve, query.isolation(), query.limit());
            let entries = run(&mut search, API_PATIENCE).await;
            let goes_on = !search.stopped_at().is_empty();
            match search.way() {
                Way::Before(cut) => messages.older = goes_on.then(|| cut.to_string()),
                Way::After(cut) => messages.newer = goes_on.then(|| cut.to_string()),
            }
            messages.complete = Some(!goes_on);
            messages.search = Some(search.tally.clone());
            entries
        }
        None => {
            let reader = Reader { cluster: &console.cluster, topic, isolation: query.isolation(), show };
            let size = Size { entries: query.limit(), weight: ANSWER_BYTES };
            let page = browse::page(&reader, &extent.parts, &way, size).await?;
            messages.older = page.has_older.then(|| page.lower.to_string());
            messages.newer = page.has_newer.then(|| page.upper.to_string());
            page.entries
        }
    };
    if !query.is_newest_first() {
        entries.reverse();
    }
    for entry in entries {
        match entry.shown {
            Shown::Record(record) => messages.records.push(record),
            Shown::Unreadable(piece) => messages.unreadable.push(Piece {
                partition: entry.partition,
                offset: piece.base_offset,
                last: piece.last_offset,
                reason: piece.reason,
            }),
        }
    }
    Ok(messages)
}
