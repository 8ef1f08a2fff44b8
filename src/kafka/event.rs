//! Events: identifiers, the headers that travel with every record, and the trace they belong to.

use bytes::Bytes;

use crate::telemetry::trace::{Current, TraceContext};

/// Identifies the event; a UUIDv7.
pub const EVENT_ID: &str = "x-event-id";
/// What happened, e.g. `MessagePosted`.
pub const EVENT_TYPE: &str = "x-event-type";
/// The version of the event's shape.
pub const EVENT_VERSION: &str = "x-event-version";
/// Ties together everything that one request set off.
pub const CORRELATION_ID: &str = "x-correlation-id";
/// The trace the event belongs to, as 32 hexadecimal digits.
pub const TRACE_ID: &str = "x-trace-id";
/// The program that wrote the event.
pub const SOURCE: &str = "x-source";
/// When the event happened, in milliseconds since the epoch.
pub const TIMESTAMP: &str = "x-timestamp";
/// How often the record was sent back to its topic after it had failed.
pub const RETRY_COUNT: &str = "x-retry-count";
/// When a record that failed is due to be tried again, in milliseconds since the epoch.
pub const RETRY_AT: &str = "x-retry-at";
/// The group that a retried record is for: the others of its topic have dealt with it.
pub const RETRY_GROUP: &str = "x-retry-group";
/// The W3C trace context (<https://www.w3.org/TR/trace-context/>).
pub const TRACEPARENT: &str = "traceparent";
/// What makes a repeated request the same one; a projection shows it once.
pub const IDEMPOTENCY_KEY: &str = "x-idempotency-key";

/// Where the trace id stands in a `traceparent` header: after the version.
const TRACE_ID_IN_HEADER: std::ops::Range<usize> = 3..35;

/// Headers of a record, in order.
pub type Headers = Vec<(String, Option<Bytes>)>;

/// What a record says about itself, beside its value.
#[derive(Clone, Debug)]
pub struct EventMeta {
    /// The event's type.
    pub event_type: &'static str,
    /// The version of its shape.
    pub version: &'static str,
    /// The correlation, usually the id of the request or of the first event.
    pub correlation_id: Bytes,
    /// The trace.
    pub trace: TraceContext,
    /// When it happened, in milliseconds since the epoch.
    pub timestamp: i64,
}

impl EventMeta {
    /// The headers of the event with id `event_id`.
    pub fn headers(&self, event_id: &Bytes) -> Headers {
        let header = |name: &str, value: Bytes| (name.to_owned(), Some(value));
        let constant = |value: &'static str| Bytes::from_static(value.as_bytes());
        let traceparent = Bytes::from(self.trace.header());
        vec![
            header(EVENT_ID, event_id.clone()),
            header(EVENT_TYPE, constant(self.event_type)),
            header(EVENT_VERSION, constant(self.version)),
            header(CORRELATION_ID, self.correlation_id.clone()),
            header(TRACE_ID, traceparent.slice(TRACE_ID_IN_HEADER)),
            header(SOURCE, constant("kboard")),
            header(TIMESTAMP, Bytes::from(self.timestamp.to_string())),
            header(TRACEPARENT, traceparent),
        ]
    }
}

/// The value of the first header with this name, as text.
pub fn header_str<'a>(headers: &'a Headers, name: &str) -> Option<&'a str> {
    let (_, value) = headers.iter().find(|(key, _)| key == name)?;
    std::str::from_utf8(value.as_ref()?).ok()
}

/// The trace that a record with these headers belongs to, and the span that it was sent in.
pub fn trace_of(headers: &Headers) -> Option<TraceContext> {
    let text = std::str::from_utf8(traceparent(headers)?).ok()?;
    TraceContext::parse(text)
}

/// The last `traceparent`: ours stands at the end, and each record is asked for it.
pub fn traceparent(headers: &Headers) -> Option<&Bytes> {
    headers.iter().rfind(|(name, _)| name == TRACEPARENT)?.1.as_ref()
}

/// What work on a record with these headers belongs to, in the span `context`; without one, in that which sent the record.
pub fn work_on(headers: &Headers, context: Option<TraceContext>) -> Current {
    let correlation = headers.iter().find(|(name, _)| name == CORRELATION_ID).and_then(|(_, value)| value.clone());
    Current::new(context.or_else(|| trace_of(headers))).of(correlation)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_carries_what_identifies_it() {
        let trace = TraceContext::random();
        let id = Bytes::from_static(b"the id");
        let meta =
            EventMeta { event_type: "Posted", version: "1", correlation_id: id.clone(), trace, timestamp: 1_700 };
        let headers = meta.headers(&id);
        let header = |name| header_str(&headers, name).unwrap();
        assert_eq!((header(EVENT_ID), header(EVENT_TYPE), header(EVENT_VERSION)), ("the id", "Posted", "1"));
        assert_eq!((header(CORRELATION_ID), header(SOURCE), header(TIMESTAMP)), ("the id", "kboard", "1700"));
        assert_eq!(header(TRACE_ID), format!("{:032x}", trace.trace_id));
        assert_eq!(trace_of(&headers), Some(trace));
        let work = work_on(&headers, None);
        assert_eq!((work.context, work.correlation.into_inner()), (Some(trace), Some(id)));
    }
}
