//! One record: everything that is known of it.

use std::sync::Arc;

use askama::Template;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use warp::http::StatusCode;
use warp::http::header::{CONTENT_DISPOSITION, HeaderValue};
use warp::reply::Response;

use super::browse::{self, Part, Size, Way};
use super::cut::Cut;
use super::extent::Extent;
use super::query::{Query, with};
use super::reader::{Reader, Show};
use super::row::Moment;
use crate::console::decode::{self, DETAIL, Format, Shown};
use crate::console::frame::{Frame, Section};
use crate::console::refusal::Refusal;
use crate::console::request::{Params, Request};
use crate::console::{Console, frame, human, topics};
use crate::kafka::dead_letter::{ORIGIN_OFFSET, ORIGIN_PARTITION, ORIGIN_TOPIC};
use crate::kafka::fetch::{FetchOptions, Isolation, Record, fetch};
use crate::kafka::record_json::RecordJson;
use crate::web::reply;

/// Bytes of a header that are shown on one line.
const HEADER: usize = 4 * 1024;

/// How a record is shown.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RecordQuery {
    /// How the key is read.
    key: Format,
    /// How the value is read.
    value: Format,
    /// How headers are read.
    headers: Format,
    /// Whether all of a large value is shown.
    all: bool,
}

/// Which bytes of a record.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RawQuery {
    /// The part of the record.
    part: RawPart,
    /// Which header, counted from 0.
    header: usize,
}

/// A part of a record.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum RawPart {
    #[default]
    Value,
    Key,
    Header,
}

#[derive(Template)]
#[template(path = "console/messages/record.html")]
struct RecordPage<'a> {
    frame: Frame,
    topic: &'a str,
    address: String,
    partition: i32,
    offset: i64,
    time: Option<Moment>,
    time_millis: i64,
    time_of: &'static str,
    previous: Option<String>,
    next: Option<String>,
    /// The list, at this record.
    around: String,
    key: Field,
    value: Field,
    headers: Vec<Header>,
    facts: Vec<(&'static str, String)>,
    aborted: bool,
    again: String,
    origin: Option<Origin>,
    json: String,
}

/// A key or a value.
struct Field {
    id: &'static str,
    name: &'static str,
    size: String,
    /// `None` for null.
    shown: Option<Shown>,
    empty: bool,
    /// How much of it is shown, when it is not all.
    cut: Option<String>,
    /// The page that shows all of it.
    all: Option<String>,
    /// Formats to choose from: name, address, whether it is this one.
    formats: Vec<(&'static str, String, bool)>,
    raw: String,
}

struct Header {
    name: decode::Markup,
    /// `None` for null.
    shown: Option<Shown>,
    empty: bool,
    size: String,
    raw: String,
}

/// Where a dead letter came from.
struct Origin {
    text: String,
    address: Option<String>,
}

/// What stands where a record was asked for.
enum Place {
    Record(Box<Record>),
    /// A refusal in words.
    Nothing(String),
}

/// The page.
pub async fn page(console: Arc<Console>, request: Request) -> Result<Response, Refusal> {
    let (topic, partition, offset) = place(&request.params)?;
    let topic = topic.to_owned();
    let query: RecordQuery = request.query()?;
    let record = match find(&console, &topic, partition, offset).await? {
        Place::Record(record) => record,
        Place::Nothing(reason) => return Err(Refusal::not_found(reason)),
    };
    let (previous, next) = neighbours(&console, &topic, partition, offset).await?;
    let address = topics::address(&topic);
    let here = format!("{address}/messages/{partition}/{offset}");
    let at = |offset: i64| format!("{address}/messages/{partition}/{offset}{}", with(&request.query, &[("all", None)]));
    let raw = |query: &str| format!("/api{here}/raw?{query}");
    let formats = |name: &'static str, chosen: Format| {
        let each = |format: Format| {
            let value = (format != Format::Auto).then_some(format.name());
            (format.label(), format!("{here}{}", with(&request.query, &[(name, value)])), format == chosen)
        };
        Format::ALL.map(each).into()
    };
    let field = |id, name, bytes: Option<&[u8]>, format: Format, limit: usize| {
        let shown = bytes.filter(|bytes| !bytes.is_empty()).map(|bytes| decode::show(bytes, format, limit));
        let cut = shown.as_ref().zip(bytes).filter(|(shown, bytes)| shown.bytes < bytes.len());
        let cut = cut.map(|(shown, bytes)| {
            format!("the first {} of {}", human::size(Some(shown.bytes as u64)), human::size(Some(bytes.len() as u64)))
        });
        Field {
            id,
            name,
            size: bytes.map_or_else(String::new, |bytes| human::size(Some(bytes.len() as u64))),
            empty: bytes.is_some_and(<[u8]>::is_empty),
            shown,
            all: cut.is_some().then(|| format!("{here}{}", with(&request.query, &[("all", Some("true"))]))),
            cut,
            formats: formats(id, format),
            raw: raw(&format!("part={id}")),
        }
    };
    let header = |(number, (name, value)): (usize, (&[u8], Option<&[u8]>))| Header {
        name: decode::preview(Some(name), Format::Text, None),
        shown: value.filter(|value| !value.is_empty()).map(|value| decode::show(value, query.headers, HEADER)),
        empty: value.is_some_and(<[u8]>::is_empty),
        size: value.map_or_else(String::new, |value| human::size(Some(value.len() as u64))),
        raw: raw(&format!("part=header&header={number}")),
    };
    let limit = if query.all { usize::MAX } else { DETAIL };
    let around = Cut(vec![offset + 1]).to_string();
    let body = RecordPage {
        frame: Frame::new(&console, Section::Topics, &request),
        topic: &topic,
        partition,
        offset,
        time: Moment::new(record.timestamp),
        time_millis: record.timestamp,
        time_of: record.timestamp_type().name(),
        previous: previous.map(at),
        next: next.map(at),
        around: format!("{address}/messages?partition={partition}&before={around}"),
        key: field("key", "Key", record.key.as_deref(), query.key, limit),
        value: field("value", "Value", record.value.as_deref(), query.value, limit),
        headers: record.headers.iter().enumerate().map(header).collect(),
        facts: facts(&record),
        aborted: record.aborted,
        again: format!("/console/produce?copy={}:{partition}:{offset}", frame::segment(&topic)),
        origin: origin(&record),
        json: format!("/api{here}"),
        address,
    };
    Ok(frame::page(&request, StatusCode::OK, &body))
}

/// What is known of the record and its batch.
fn facts(record: &Record) -> Vec<(&'static str, String)> {
    let batch = &record.batch;
    let mut facts = vec![
        ("Size", human::size(Some(record.size() as u64))),
        ("Compression", batch.compression.name().to_owned()),
        ("Batch", format!("{} in {}", human::counted(batch.records, "record"), human::size(Some(batch.bytes as u64)))),
        ("Leader epoch", batch.leader_epoch.to_string()),
    ];
    if batch.producer_id >= 0 {
        facts.push(("Producer id", batch.producer_id.to_string()));
        facts.push(("Producer epoch", batch.producer_epoch.to_string()));
        let sequence = i64::from(batch.base_sequence) + (record.offset - batch.base_offset);
        facts.push(("Sequence", sequence.to_string()));
    }
    let transaction = match (batch.transactional, record.aborted) {
        (false, _) => "none",
        (true, true) => "aborted",
        (true, false) => "committed, or still open",
    };
    facts.push(("Transaction", transaction.to_owned()));
    facts
}

fn origin(record: &Record) -> Option<Origin> {
    let header = |wanted: &str| {
        let found = record.headers.iter().find(|(name, _)| *name == wanted.as_bytes())?;
        std::str::from_utf8(found.1?).ok()
    };
    let topic = header(ORIGIN_TOPIC)?;
    let partition = header(ORIGIN_PARTITION).and_then(|text| text.parse::<i32>().ok());
    let offset = header(ORIGIN_OFFSET).and_then(|text| text.parse::<i64>().ok());
    let (text, address) = match partition.zip(offset) {
        Some((partition, offset)) => (
            format!("{topic} {partition}:{offset}"),
            Some(format!("{}/messages/{partition}/{offset}", topics::address(topic))),
        ),
        None => (topic.to_owned(), None),
    };
    Some(Origin { text, address })
}

/// A record, as the API has it.
#[derive(Serialize, JsonSchema)]
pub struct OneRecord {
    /// The record.
    #[schemars(with = "RecordJson")]
    record: Box<RawValue>,
    /// Bytes of key, value and headers.
    size: usize,
    /// Whether its transaction was aborted.
    aborted: bool,
    /// How its batch is compressed.
    compression: &'static str,
    /// Bytes of the batch as it is stored.
    batch_bytes: usize,
    /// Records in it.
    batch_records: i32,
    /// Whether a transaction wrote it.
    transactional: bool,
    /// The producer's id; -1 without one.
    producer_id: i64,
    /// The producer's epoch; -1 without one.
    producer_epoch: i16,
    /// The leader's epoch when it was appended.
    leader_epoch: i32,
    /// The offset of the record before it.
    previous: Option<i64>,
    /// The offset of the record behind it.
    next: Option<i64>,
}

/// A question without parameters.
#[derive(Deserialize, JsonSchema)]
pub struct Nothing {}

/// The record, for programs.
pub async fn answer(console: Arc<Console>, params: Params, _: Nothing) -> Result<OneRecord, Refusal> {
    let (topic, partition, offset) = place(&params)?;
    let record = match find(&console, topic, partition, offset).await? {
        Place::Record(record) => record,
        Place::Nothing(reason) => return Err(Refusal::not_found(reason)),
    };
    let (previous, next) = neighbours(&console, topic, partition, offset).await?;
    let json = serde_json::value::to_raw_value(&RecordJson::new(topic, partition, &record));
    let json = json.map_err(|error| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    let batch = &record.batch;
    Ok(OneRecord {
        record: json,
        size: record.size(),
        aborted: record.aborted,
        compression: batch.compression.name(),
        batch_bytes: batch.bytes,
        batch_records: batch.records,
        transactional: batch.transactional,
        producer_id: batch.producer_id,
        producer_epoch: batch.producer_epoch,
        leader_epoch: batch.leader_epoch,
        previous,
        next,
    })
}

/// The bytes of a part of the record, as a file.
pub async fn raw(console: Arc<Console>, params: Params, query: RawQuery) -> Result<Response, Refusal> {
    let (topic, partition, offset) = place(&params)?;
    let record = match find(&console, topic, partition, offset).await? {
        Place::Record(record) => record,
        Place::Nothing(reason) => return Err(Refusal::not_found(reason)),
    };
    let (name, bytes) = match query.part {
        RawPart::Value => ("value", record.value),
        RawPart::Key => ("key", record.key),
        RawPart::Header => {
            let header = record.headers.iter().nth(query.header);
            let (_, value) = header.ok_or_else(|| Refusal::not_found("the record has no such header"))?;
            ("header", value.map(bytes::Bytes::copy_from_slice))
        }
    };
    let bytes =
        bytes.ok_or_else(|| Refusal::not_found(format!("the {name} is null: there are no bytes to download")))?;
    let response = reply::bytes(StatusCode::OK, "application/octet-stream", bytes);
    let disposition = format!("attachment; filename=\"{topic}-{partition}-{offset}.{name}\"");
    let disposition = HeaderValue::from_str(&disposition).unwrap_or(HeaderValue::from_static("attachment"));
    Ok(reply::with(response, CONTENT_DISPOSITION, disposition))
}

fn place(params: &Params) -> Result<(&str, i32, i64), Refusal> {
    Ok((params.text("topic"), params.number("partition")?, params.number::<i64>("offset")?))
}

/// The record at `offset`, or why there is none.
async fn find(console: &Console, topic: &str, partition: i32, offset: i64) -> Result<Place, Refusal> {
    let only = Query { partition: Some(partition), ..Query::default() };
    let extent = Extent::of(console, topic, &only).await?;
    let Part { start, end, .. } = extent.parts[0];
    if offset < start {
        return Ok(Place::Nothing(format!(
            "offset {offset} is no longer kept: partition {partition} begins at {start} now"
        )));
    }
    if offset >= end {
        return Ok(Place::Nothing(format!(
            "offset {offset} is not written yet: partition {partition} ends before {end}"
        )));
    }
    let options = FetchOptions { isolation: Isolation::All, bytes: 1, ..FetchOptions::default() };
    let fetched = fetch(&console.cluster, topic, partition, offset, &options).await?;
    if let Some(piece) =
        fetched.unreadable.iter().find(|piece| piece.base_offset <= offset && piece.last_offset >= offset)
    {
        return Ok(Place::Nothing(format!("offset {offset} can't be read: {}", piece.reason)));
    }
    match fetched.records.into_iter().find(|record| record.offset == offset) {
        Some(record) => Ok(Place::Record(Box::new(record))),
        None => Ok(Place::Nothing(format!(
            "there is no record at offset {offset}: compaction removed it, or it is the marker of a transaction"
        ))),
    }
}

/// The offsets of the records before and behind, if there are any.
async fn neighbours(
    console: &Console,
    topic: &str,
    partition: i32,
    offset: i64,
) -> Result<(Option<i64>, Option<i64>), Refusal> {
    let only = Query { partition: Some(partition), ..Query::default() };
    let extent = Extent::of(console, topic, &only).await?;
    let show: Show<()> = Arc::new(|_, _| ((), 0));
    let reader = Reader { cluster: &console.cluster, topic, isolation: Isolation::All, show };
    let one = Size { entries: 1, weight: usize::MAX };
    let (before, after) = (Way::Before(Cut(vec![offset])), Way::After(Cut(vec![offset + 1])));
    let (before, after) = tokio::try_join!(
        browse::page(&reader, &extent.parts, &before, one),
        browse::page(&reader, &extent.parts, &after, one),
    )?;
    let only = |page: browse::Page<()>| page.entries.first().map(|entry| entry.offset);
    Ok((only(before), only(after)))
}
