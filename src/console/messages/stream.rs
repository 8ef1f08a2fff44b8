//! A search as a stream of JSON lines: what is found as it is found, and how far the search is. It stops when the client
//! goes away.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use askama::Template;
use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;
use tokio_stream::wrappers::ReceiverStream;
use warp::Reply;
use warp::http::header::{CONTENT_TYPE, HeaderValue};
use warp::reply::Response;

use super::browse::{Entry, Way};
use super::cut::Cut;
use super::extent::Extent;
use super::list::{Shown, as_json};
use super::query::{Query, ViewKind};
use super::reader::Show;
use super::row::{RowHtml, Rows};
use super::search::{End, Search, Tally};
use super::sift::Sieve;
use super::tail::Tail;
use crate::console::Console;
use crate::console::filter::Filter;
use crate::console::refusal::Refusal;
use crate::console::request::Params;

/// How often the client hears how far the search is.
const INTERVAL: Duration = Duration::from_millis(200);
/// Lines that may wait for a slow client before the search waits for it.
const AHEAD: usize = 64;

/// The type of a stream of JSON lines.
pub const NDJSON: &str = "application/x-ndjson";

/// A line of the stream.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Line<'a> {
    /// A record.
    Record { record: &'a RawValue },
    /// A piece that can't be read.
    Unreadable { partition: i32, offset: i64, last: i64, reason: &'a str },
    /// A row of the page's table.
    Row { partition: i32, offset: i64, html: String },
    /// How far it is.
    Progress(&'a Progress),
    /// The last line.
    End(&'a Progress),
}

/// How far a stream is.
#[derive(Clone, Debug, Serialize)]
pub struct Progress {
    /// What was looked at and found.
    #[serde(flatten)]
    pub tally: Tally,
    /// How much of the range is done.
    pub percent: f64,
    /// Records a second since the beginning.
    pub rate: f64,
    /// Milliseconds since the beginning.
    pub elapsed: u64,
    /// Of a followed topic: matches that were not sent, because there were too many to look at.
    pub skipped: u64,
    /// Where it goes on: what to send as `before` or `after`.
    pub place: String,
    /// Which of the two.
    pub way: &'static str,
    /// Why it ended: `complete` or `limit`.
    pub end: Option<End>,
    /// Where it stopped, when it did: partitions and offsets.
    pub stopped_at: Vec<(i32, i64)>,
}

/// What becomes a line.
pub enum Found {
    /// For programs.
    Shown(Shown),
    /// For the page.
    Row(String),
}

/// The client at the other end.
pub struct Client {
    lines: mpsc::Sender<Result<Bytes, Infallible>>,
    began: Instant,
}

/// The client went away.
pub struct Gone;

/// A search, or with `follow` what comes from now on, as JSON lines.
pub async fn search(console: Arc<Console>, params: Params, query: Query) -> Result<Response, Refusal> {
    let topic = params.text("topic").to_owned();
    let filter = Filter::parse(&query.q, query.case).map_err(|error| Refusal::field("q", error.to_string()))?;
    let filter = filter.map(Arc::new);
    let rows =
        Rows::new(&topic, &query, filter.clone()).map_err(|error| Refusal::field("columns", error.to_string()))?;
    let show: Show<Found> = match query.view {
        ViewKind::Records => {
            let json = as_json(&topic);
            Arc::new(move |partition, item| {
                let (shown, weight) = json(partition, item);
                (Found::Shown(shown), weight)
            })
        }
        ViewKind::Rows => Arc::new(move |partition, item| {
            let row = rows.row(partition, item);
            let html = RowHtml { row: &row }.render().unwrap_or_else(|error| {
                tracing::error!(%error, "a row can't be rendered");
                String::new()
            });
            (Found::Row(html), 0)
        }),
    };
    let extent = Extent::of(&console, &topic, &query).await?;
    let sieve = Sieve { filter, show };
    let (sender, receiver) = mpsc::channel(AHEAD);
    let client = Client { lines: sender, began: Instant::now() };
    let shutdown = console.shutdown.clone();
    if query.follow {
        let from = match super::query::cut("after", query.after.as_deref())? {
            Some(cut) => cut,
            None => extent.end(),
        };
        let tail = Tail::start(&console.cluster, &extent, &from, sieve, &query);
        tokio::spawn(async move { shutdown.run_until_cancelled(tail.run(client)).await });
    } else {
        let way = extent.way(&console, &query).await?;
        let search = Search::start(&console.cluster, &extent, &way, sieve, query.isolation(), query.limit());
        tokio::spawn(async move { shutdown.run_until_cancelled(run(search, client)).await });
    }
    Ok(streamed(NDJSON, receiver))
}

/// A body that comes as it is made.
pub fn streamed(media_type: &'static str, body: mpsc::Receiver<Result<Bytes, Infallible>>) -> Response {
    let mut response = warp::reply::stream(ReceiverStream::new(body)).into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

async fn run(mut search: Search<Found>, client: Client) -> Result<(), Gone> {
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        // Told while a step takes its time, too: it may be waiting for a broker.
        let mut known = client.progress(&search);
        let mut step = std::pin::pin!(search.next());
        let found = loop {
            tokio::select! {
                biased;
                () = client.away() => return Err(Gone),
                _ = ticks.tick() => {
                    client.clock(&mut known);
                    client.tell(&known).await?;
                }
                found = &mut step => break found,
            }
        };
        let Some(found) = found else { break };
        for entry in found {
            client.send(&entry).await?;
        }
    }
    client.line(&Line::End(&client.progress(&search))).await
}

impl Client {
    /// Sends what was found.
    pub async fn send(&self, entry: &Entry<Found>) -> Result<(), Gone> {
        let (partition, offset, last) = (entry.partition, entry.offset, entry.last);
        match &entry.shown {
            Found::Shown(Shown::Record(record)) => self.line(&Line::Record { record }).await,
            Found::Shown(Shown::Unreadable(piece)) => {
                self.line(&Line::Unreadable { partition, offset, last, reason: &piece.reason }).await
            }
            Found::Row(html) => self.line(&Line::Row { partition, offset, html: html.clone() }).await,
        }
    }

    fn progress(&self, search: &Search<Found>) -> Progress {
        let (way, cut) = match search.way() {
            Way::Before(cut) => ("before", cut),
            Way::After(cut) => ("after", cut),
        };
        Progress { end: search.end, stopped_at: search.stopped_at(), ..self.follow(&search.tally, way, &cut) }
    }

    /// How far a stream is that has not ended.
    pub fn follow(&self, tally: &Tally, way: &'static str, cut: &Cut) -> Progress {
        let mut progress = Progress {
            tally: tally.clone(),
            percent: tally.percent(),
            rate: 0.0,
            elapsed: 0,
            skipped: 0,
            place: cut.to_string(),
            way,
            end: None,
            stopped_at: Vec::new(),
        };
        self.clock(&mut progress);
        progress
    }

    fn clock(&self, progress: &mut Progress) {
        let elapsed = self.began.elapsed();
        progress.rate = (progress.tally.scanned as f64 / elapsed.as_secs_f64().max(1e-3)).round();
        progress.elapsed = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
    }

    /// Says how far it is.
    pub async fn tell(&self, progress: &Progress) -> Result<(), Gone> {
        self.line(&Line::Progress(progress)).await
    }

    /// Returns once the client is away.
    pub async fn away(&self) {
        self.lines.closed().await;
    }

    async fn line(&self, line: &Line<'_>) -> Result<(), Gone> {
        let mut json = match serde_json::to_vec(line) {
            Ok(json) => json,
            Err(error) => {
                tracing::error!(%error, "a line can't be written as JSON");
                return Ok(());
            }
        };
        json.push(b'\n');
        self.lines.send(Ok(json.into())).await.map_err(|_| Gone)
    }
}
