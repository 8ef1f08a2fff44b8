//! How a record holds an event: an envelope of JSON, and headers that say the same to who doesn't open it.
//!
//! Written is `{eventId, eventType, eventVersion, timestamp, correlationId, payload, metadata}`. Read is also the envelope of
//! older producers, `{id, timestamp, correlationId, traceId, version, data}`, with the type in a header.

use bytes::Bytes;
use krafka::ConsumerRecord;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use super::{Body, Event, EventType, Origin, Place, Time, check, id_of};
use crate::apps::Prefix;
use crate::kafka::Outgoing;
use crate::kafka::event::{self, EventMeta, header_str};
use crate::telemetry::trace::context::trace_id_of;

/// The version of every event's shape.
pub const VERSION: &str = "1";

/// Names that older producers give to headers of ours.
const TYPE_ALIAS: &str = "event-type";
const CORRELATION_ALIAS: &str = "correlation-id";
const VERSION_ALIAS: &str = "event-version";

/// The envelope as it is written.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Written<'a> {
    event_id: &'a str,
    event_type: &'static str,
    event_version: &'static str,
    timestamp: Time,
    correlation_id: &'a str,
    payload: &'a Body,
    metadata: WrittenMetadata<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WrittenMetadata<'a> {
    source: &'static str,
    trace_id: &'a str,
}

/// Both envelopes, as they are read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Read<'a> {
    #[serde(alias = "id")]
    event_id: Option<String>,
    event_type: Option<String>,
    #[serde(default, alias = "version", deserialize_with = "text_or_number")]
    event_version: Option<String>,
    #[serde(default)]
    timestamp: Time,
    correlation_id: Option<String>,
    trace_id: Option<String>,
    #[serde(borrow, alias = "data")]
    payload: Option<&'a RawValue>,
    #[serde(default)]
    metadata: Metadata,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    trace_id: Option<String>,
}

/// The event of a record, with its place.
///
/// # Errors
/// Why it is none, for the dead-letter topic.
pub fn read(prefix: &Prefix, record: &ConsumerRecord) -> Result<Event, String> {
    let topic = record.topic.strip_prefix(prefix.0.as_str()).unwrap_or(&record.topic);
    let value = record.value.as_deref().ok_or("the record has no value")?;
    if !value.trim_ascii_start().starts_with(b"{") {
        return Err("the value is no JSON object".to_owned()); // an array would be taken for the fields in their order
    }
    let read: Read<'_> = serde_json::from_slice(value).map_err(|error| format!("the value is no event: {error}"))?;
    let header = |names: [&str; 2]| names.into_iter().find_map(|name| header_str(&record.headers, name));
    let named = read.event_type.as_deref().or_else(|| header([event::EVENT_TYPE, TYPE_ALIAS]));
    let event_type = type_of(topic, named)?;
    let version = read.event_version.as_deref().or_else(|| header([event::EVENT_VERSION, VERSION_ALIAS]));
    check_version(event_type, version.unwrap_or(VERSION))?;
    let payload = read.payload.ok_or_else(|| format!("the {} has no payload", event_type.name()))?;
    let mut body = event_type.read(payload).map_err(|error| format!("no {}: {error}", event_type.name()))?;
    let ts = body.payload().ts();
    if *ts == Time::default() {
        *ts = read.timestamp;
    }
    if *ts == Time::default() {
        return Err(format!("the {} says no time", event_type.name()));
    }
    let told = |what: String| format!("the {} can't be: {what}", event_type.name());
    body.check().map_err(told)?;
    let id = read.event_id.or_else(|| header_str(&record.headers, event::EVENT_ID).map(str::to_owned));
    let id = id.ok_or_else(|| format!("the {} has no eventId", event_type.name()))?;
    check::id("eventId", &id).map_err(told)?;
    let correlation_id =
        read.correlation_id.or_else(|| header([event::CORRELATION_ID, CORRELATION_ALIAS]).map(str::to_owned));
    let correlation_id = correlation_id.filter(|id| check::id("correlationId", id).is_ok());
    let trace = read.metadata.trace_id.or(read.trace_id);
    let origin = origin(record, correlation_id.unwrap_or_else(|| id.clone()), trace);
    let place = Some(Place { partition: record.partition, offset: record.offset });
    Ok(Event { id, origin, body, place })
}

/// The record of an event.
pub fn write(prefix: &Prefix, event: &Event) -> Outgoing {
    let event_type = event.body.event_type();
    let envelope = Written {
        event_id: &event.id,
        event_type: event_type.name(),
        event_version: VERSION,
        timestamp: Time(event.at()),
        correlation_id: &event.origin.correlation_id,
        payload: &event.body,
        metadata: WrittenMetadata { source: "kboard", trace_id: &event.origin.trace_id },
    };
    let meta = EventMeta {
        event_type: event_type.name(),
        version: VERSION,
        correlation_id: Bytes::copy_from_slice(event.origin.correlation_id.as_bytes()),
        trace: event.origin.trace(&event.id),
        timestamp: event.at(),
    };
    Outgoing {
        topic: prefix.apply(event_type.topic()),
        key: event.key().map(|key| Bytes::copy_from_slice(key.as_bytes())),
        value: Some(Bytes::from(serde_json::to_vec(&envelope).unwrap_or_default())), // texts and numbers: all can be written
        headers: meta.headers(&Bytes::copy_from_slice(event.id.as_bytes())),
        timestamp: event.at(),
    }
}

impl Event {
    /// What decides the partition: the order, or the visit that a page view belongs to.
    fn key(&self) -> Option<&str> {
        match &self.body {
            Body::PageView(view) => view.session_id.as_deref(),
            body => body.order(),
        }
    }
}

fn type_of(topic: &str, named: Option<&str>) -> Result<EventType, String> {
    let mut of_topic = EventType::ALL.iter().copied().filter(|known| known.topic() == topic);
    let Some(name) = named else {
        return match (of_topic.next(), of_topic.next()) {
            (Some(only), None) => Ok(only),
            _ => Err("the record does not say which type of event it holds".to_owned()),
        };
    };
    match EventType::named(name) {
        Some(known) if known.topic() == topic => Ok(known),
        Some(known) => Err(format!("{name} belongs in {}, not in {topic}", known.topic())),
        None => Err(format!("there is no event type {}", name.chars().take(check::MAX_ID).collect::<String>())),
    }
}

/// `1`, `1.0.0` and `v1` are one version: only the first number says whether it can be understood.
fn check_version(event_type: EventType, version: &str) -> Result<(), String> {
    let major = version.trim_start_matches('v').split('.').next().unwrap_or_default();
    let is_known = major == VERSION;
    let told =
        || format!("{} of version {version}; version {VERSION} is the one that can be understood", event_type.name());
    is_known.then_some(()).ok_or_else(told)
}

/// Where the event comes from. One that names no trace has the one that follows from its correlation.
fn origin(record: &ConsumerRecord, correlation_id: String, trace: Option<String>) -> Origin {
    let header = |name| header_str(&record.headers, name);
    if let Some(trace) = event::trace_of(&record.headers) {
        return Origin::new(correlation_id, trace);
    }
    let is_trace = |id: &&str| trace_id_of(id).is_some();
    let known = trace.as_deref().filter(is_trace).or_else(|| header(event::TRACE_ID).filter(is_trace));
    let trace_id = known.map_or_else(|| id_of(&correlation_id).simple().to_string(), str::to_owned);
    Origin { correlation_id, trace_id, sampled: false }
}

fn text_or_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Version {
        Text(String),
        Number(u64),
    }
    Ok(Option::deserialize(deserializer)?.map(|version| match version {
        Version::Text(text) => text,
        Version::Number(number) => number.to_string(),
    }))
}
