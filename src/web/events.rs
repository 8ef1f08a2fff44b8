//! Streams of events: what a request says of where it goes on, and the answer that never ends.

use warp::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use warp::reply::Response;

use super::headers::text;
use super::query::Query;
use super::reply;
use crate::live::frame::EventId;
use crate::live::sse::SseStream;

/// The last event that the viewer has seen, if it has seen any. The header wins over the parameter: a browser that reconnects
/// by itself repeats the address it began with, and adds what it has seen since.
pub fn last_seen(query: &Query, headers: &HeaderMap) -> Option<EventId> {
    let header = text(headers, HeaderName::from_static("last-event-id")).filter(|id| !id.is_empty());
    let last = header.or(query.get("last_event_id").filter(|id| !id.is_empty()))?;
    // An id that isn't one of ours is like one of another life: the viewer starts over.
    Some(EventId::parse(last).unwrap_or_else(|| EventId { epoch: String::new(), seq: u64::MAX }))
}

/// The answer that is `stream`.
pub fn reply(stream: SseStream) -> Response {
    let response = warp::Reply::into_response(warp::reply::stream(stream));
    let response = reply::with(response, CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    let response = reply::with(response, CACHE_CONTROL, HeaderValue::from_static("no-cache, no-transform"));
    // nginx would hold events back until its buffer is full.
    reply::with(response, HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"))
}
