//! Events: identifiers, the headers that travel with every record, and the trace they belong to.

use bytes::Bytes;
use uuid::Uuid;

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

/// A trace context: the trace and the span that an event was made in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace; not zero.
    pub trace_id: u128,
    /// The span; not zero.
    pub span_id: u64,
    /// Whether the caller records the trace.
    pub sampled: bool,
}

impl TraceContext {
    /// A new trace, for a request that brought none.
    pub fn random() -> Self {
        Self { trace_id: Uuid::new_v4().as_u128().max(1), span_id: random_span(), sampled: false }
    }

    /// Reads a `traceparent` header of version 00; `None` when it isn't one, as the standard asks.
    pub fn parse(header: &str) -> Option<Self> {
        let mut parts = header.split('-');
        let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let hex = |text: &str, len: usize| {
            text.len() == len && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
        };
        if version != "00" || parts.next().is_some() || !hex(trace, 32) || !hex(span, 16) || !hex(flags, 2) {
            return None;
        }
        let trace_id = u128::from_str_radix(trace, 16).ok().filter(|&id| id != 0)?;
        let span_id = u64::from_str_radix(span, 16).ok().filter(|&id| id != 0)?;
        let sampled = u8::from_str_radix(flags, 16).ok()? & 1 == 1;
        Some(Self { trace_id, span_id, sampled })
    }

    /// The same trace, seen from a new span.
    pub fn child(self) -> Self {
        Self { span_id: random_span(), ..self }
    }

    /// The `traceparent` header.
    pub fn header(&self) -> String {
        format!("00-{:032x}-{:016x}-{:02x}", self.trace_id, self.span_id, u8::from(self.sampled))
    }
}

fn random_span() -> u64 {
    (Uuid::new_v4().as_u128() as u64).max(1)
}

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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_trace_context_survives_its_header() {
        let context = TraceContext::random();
        assert_eq!(TraceContext::parse(&context.header()), Some(context));
        assert_eq!(context.child().trace_id, context.trace_id);
    }

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
        assert_eq!(TraceContext::parse(header(TRACEPARENT)), Some(trace));
    }

    #[test]
    fn a_malformed_traceparent_is_no_trace() {
        let zeros = format!("00-{}-{}-01", "0".repeat(32), "0".repeat(16));
        for header in ["", "00", "00-xyz-abc-01", "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", &zeros] {
            assert_eq!(TraceContext::parse(header), None, "{header}");
        }
    }

    proptest! {
        #[test]
        fn no_header_makes_parsing_panic(header in "00-[0-9a-f-]{0,60}|.{0,60}") {
            if let Some(context) = TraceContext::parse(&header) {
                prop_assert_eq!(TraceContext::parse(&context.header()), Some(context));
            }
        }
    }
}
