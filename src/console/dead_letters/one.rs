//! One letter: its history, what is in it, and the way back.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use warp::http::{Method, StatusCode};
use warp::reply::Response;

use crate::console::Console;
use crate::console::form::Fields;
use crate::console::frame::{self, Frame, Section};
use crate::console::human;
use crate::console::produce::content::{Content, Format};
use crate::console::produce::record::{Header, bytes_of, content_of, headers_of};
use crate::console::refusal::Refusal;
use crate::console::request::{Params, Request};
use crate::console::route::Route;
use crate::console::topics;
use crate::kafka::dead_letter::letter::Letter;
use crate::kafka::dead_letter::send_back::SendBack;
use crate::kafka::dead_letter::survey::{Limits, find, survey};
use crate::kafka::event::header_str;
use crate::kafka::watch::Snapshot;
use crate::processor::retry::record::{Failed, HISTORY};

/// How far is looked for the mark that a letter was sent back.
const MARKS: Limits = Limits { offsets: 20_000, time: std::time::Duration::from_secs(2) };

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::page("/console/dead-letters/{topic}/{partition}/{offset}", page),
        Route::form("/console/dead-letters/{topic}/{partition}/{offset}", submitted),
        Route::get(
            "/api/console/dead-letters/{topic}/{partition}/{offset}",
            "A dead letter: its history, and the record that would be sent back",
            |console, params: Params, _: Nothing| async move { Ok(letter(&console, &params).await?.1) },
        ),
        Route::action(
            Method::POST,
            "/api/console/dead-letters/{topic}/{partition}/{offset}/send-back",
            "Sends a letter back to where it came from, changed if that is asked for, and marks it",
            |console, params: Params, changes: Changes| async move { send_back(&console, &params, changes).await },
        ),
    ]
}

#[derive(Deserialize, JsonSchema)]
struct Nothing {}

/// A dead letter.
#[derive(Debug, Serialize, JsonSchema)]
struct LetterView {
    /// The dead-letter topic.
    topic: String,
    /// Its partition.
    partition: i32,
    /// Its offset.
    offset: i64,
    /// When it was written, in milliseconds since the epoch.
    timestamp: i64,
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
    /// When it was given up, in milliseconds since the epoch.
    failed_at: Option<i64>,
    /// How often it was sent back before.
    retries: u32,
    /// The attempts that failed, the first one first, if whoever gave it up told of them.
    history: Vec<FailedAttempt>,
    /// How many bytes its value had, if the dead-letter topic did not take it.
    missing_bytes: Option<u64>,
    /// Whether it was sent back; unknown if that is further on in the topic than was looked.
    sent_back: Option<bool>,
    /// The key.
    key: Content,
    /// The value.
    value: Content,
    /// The headers that it is sent back with.
    headers: Vec<Header>,
    /// The page of the record that it was, if that is still kept.
    origin_address: Option<String>,
    /// The page of the group, if there still is one.
    group_address: Option<String>,
}

impl LetterView {
    fn new(letter: &Letter, sent_back: Option<bool>) -> Self {
        let header = |(name, value): &(String, Option<bytes::Bytes>)| Header {
            name: name.clone(),
            value: Content::of(value.as_deref()),
        };
        Self {
            topic: letter.topic.clone(),
            partition: letter.partition,
            offset: letter.offset,
            timestamp: letter.timestamp,
            origin: letter.origin.clone(),
            origin_partition: letter.origin_partition,
            origin_offset: letter.origin_offset,
            group: letter.group.clone(),
            error: letter.error.clone(),
            attempts: letter.attempts,
            failed_at: letter.failed_at,
            retries: letter.retries,
            history: history(letter),
            missing_bytes: letter.missing_bytes,
            sent_back,
            key: Content::of(letter.key.as_deref()),
            value: Content::of_value(letter.value.as_deref()),
            headers: letter.revived().headers.iter().map(header).collect(),
            origin_address: None,
            group_address: None,
        }
    }

    /// Adds the addresses of what is still there: what a letter tells of itself may be anything.
    fn with_addresses(mut self, snapshot: &Snapshot) -> Self {
        let group = self.group.as_deref().filter(|group| snapshot.groups.contains_key(*group));
        self.group_address = group.map(|group| format!("/console/groups/{}", frame::segment(group)));
        self.origin_address = self.origin_in(snapshot);
        self
    }

    fn origin_in(&self, snapshot: &Snapshot) -> Option<String> {
        let (topic, number, offset) = (self.origin.as_deref()?, self.origin_partition?, self.origin_offset?);
        let partition = snapshot.topics.get(topic)?.partition(number)?;
        let is_kept = (partition.earliest?..partition.latest?).contains(&offset);
        is_kept.then(|| format!("{}/messages/{number}/{offset}", topics::address(topic)))
    }

    /// Whether the attempts tell why it was given up.
    fn error_is_told(&self) -> bool {
        self.history.last().is_some_and(|last| Some(last.error.as_str()) == self.error.as_deref())
    }

    fn record_address(&self) -> String {
        format!("{}/messages/{}/{}", topics::address(&self.topic), self.partition, self.offset)
    }

    fn address(&self) -> String {
        format!("{}/{}/{}", super::address(&self.topic), self.partition, self.offset)
    }
}

/// An attempt that failed.
#[derive(Debug, Serialize, JsonSchema)]
struct FailedAttempt {
    /// Which one it was, from 1.
    attempt: u32,
    /// When it failed, in milliseconds since the epoch.
    at: i64,
    /// Why.
    error: String,
}

/// What a letter tells of the attempts before it; nothing if it is from a program that tells it otherwise.
fn history(letter: &Letter) -> Vec<FailedAttempt> {
    let told = header_str(&letter.headers, HISTORY).and_then(|text| serde_json::from_str::<Vec<Failed>>(text).ok());
    let attempt = |Failed { attempt, at, error }| FailedAttempt { attempt, at, error };
    told.unwrap_or_default().into_iter().map(attempt).collect()
}

/// The letter that the address names.
async fn letter(console: &Console, params: &Params) -> Result<(Letter, LetterView), Refusal> {
    let (topic, partition, offset) = (params.text("topic"), params.number("partition")?, params.number("offset")?);
    let found = find(&console.cluster, topic, partition, offset).await?;
    let letter = found.ok_or_else(|| {
        Refusal::not_found(format!("there is no letter at {topic}:{partition}:{offset}; it may have been discarded"))
    })?;
    let marks = survey(&console.cluster, topic, MARKS, |_, _| None::<()>).await?;
    let sent_back = match marks.sent_back.contains(&(letter.partition, letter.offset)) {
        true => Some(true),
        false => marks.is_complete().then_some(false),
    };
    let view = LetterView::new(&letter, sent_back).with_addresses(&console.watch.snapshot());
    Ok((letter, view))
}

/// What is to be different in the record that is sent back; what is left out stays.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
struct Changes {
    /// The key.
    key: Option<Content>,
    /// The value.
    value: Option<Content>,
    /// All headers; without it those of the letter, less the letter's own, with
    /// `x-retry-count` one higher and, in `x-retry-group`, the group that gave it up and is the only one to handle it.
    headers: Option<Vec<Header>>,
}

/// Where a record went back to.
#[derive(Debug, Serialize, JsonSchema)]
struct SentBack {
    /// The topic.
    topic: String,
    /// The partition.
    partition: i32,
    /// The offset there.
    offset: Option<i64>,
}

async fn send_back(console: &Console, params: &Params, changes: Changes) -> Result<SentBack, Refusal> {
    let (letter, _) = letter(console, params).await?;
    let mut record = letter.revived();
    if let Some(key) = changes.key {
        record.key = key.bytes().map_err(|reason| Refusal::field("key", reason))?;
    }
    if let Some(value) = changes.value {
        record.value = value.bytes().map_err(|reason| Refusal::field("value", reason))?;
    }
    if let Some(headers) = changes.headers {
        record.headers = bytes_of(&headers)?;
    }
    let mut back = SendBack::start(&console.cluster, &letter.topic).await?;
    let outcome = back.send(&[(&letter, record)]).await;
    back.close().await;
    match outcome?.pop() {
        Some(Ok(place)) => {
            Ok(SentBack { topic: letter.origin.unwrap_or_default(), partition: place.partition, offset: place.offset })
        }
        Some(Err(reason)) => Err(Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, format!("not sent back: {reason}"))),
        None => Err(Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "not sent back")),
    }
}

#[derive(askama::Template)]
#[template(path = "console/dead-letters/one.html")]
struct Page {
    frame: Frame,
    letter: LetterView,
    error: Option<Refusal>,
}

impl Page {
    fn error_at(&self, field: &str) -> Option<&str> {
        let error = self.error.as_ref()?;
        (error.field.unwrap_or_default() == field).then_some(error.reason.as_str())
    }

    /// The rows of headers that the form has: the headers, and an open one.
    fn rows(&self) -> Vec<Header> {
        let open = Header { name: String::new(), value: Content::default() };
        self.letter.headers.iter().cloned().chain([open]).collect()
    }
}

async fn page(console: Arc<Console>, request: Request) -> Result<Response, Refusal> {
    let (_, letter) = letter(&console, &request.params).await?;
    let frame = Frame::new(&console, Section::DeadLetters, &request);
    Ok(frame::page(&request, StatusCode::OK, &Page { frame, letter, error: None }))
}

async fn submitted(
    console: Arc<Console>,
    request: Request,
    fields: Vec<(String, String)>,
) -> Result<Response, Refusal> {
    let fields = Fields::new(fields);
    let (key, value, headers) = (content_of(&fields, "key"), content_of(&fields, "value"), headers_of(&fields));
    let changes = Changes { key: Some(key.clone()), value: Some(value.clone()), headers: Some(headers.clone()) };
    match send_back(&console, &request.params, changes).await {
        Ok(SentBack { topic, partition, offset }) => {
            let place = human::maybe_count(offset);
            let location = super::address(request.params.text("topic"));
            Ok(frame::done(&location, &format!("Sent back to {topic}, partition {partition}, offset {place}")))
        }
        Err(refusal) if refusal.status.is_client_error() && refusal.status != StatusCode::NOT_FOUND => {
            let (_, letter) = letter(&console, &request.params).await?;
            let letter = LetterView { key, value, headers, ..letter };
            let (frame, status) = (Frame::new(&console, Section::DeadLetters, &request), refusal.status);
            Ok(frame::page(&request, status, &Page { frame, letter, error: Some(refusal) }))
        }
        Err(refusal) => Err(refusal),
    }
}
