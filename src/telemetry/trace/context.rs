//! The W3C trace context (<https://www.w3.org/TR/trace-context/>): how whoever carries a trace on knows it.

use std::borrow::Borrow;

use uuid::Uuid;

/// A trace context: the trace and the span that something was made in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace; not zero.
    pub trace_id: u128,
    /// The span; not zero.
    pub span_id: u64,
    /// Whether the trace is recorded.
    pub sampled: bool,
}

impl TraceContext {
    /// A new trace, which is not recorded.
    pub fn random() -> Self {
        Self { trace_id: Uuid::new_v4().as_u128().max(1), span_id: random_span(), sampled: false }
    }

    /// Reads a `traceparent` header; `None` when it isn't one. Of a version to come, what version 00 knows is read, as the
    /// standard asks.
    pub fn parse(header: &str) -> Option<Self> {
        let mut parts = header.split('-');
        let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let is_known = match version {
            "00" => parts.next().is_none(),
            "ff" => false,
            other => is_hex(other, 2),
        };
        if !is_known || !is_hex(span, 16) || !is_hex(flags, 2) {
            return None;
        }
        let trace_id = trace_id_of(trace)?;
        let span_id = u64::from_str_radix(span, 16).ok().filter(|&id| id != 0)?;
        let sampled = u8::from_str_radix(flags, 16).ok()? & 1 == 1;
        Some(Self { trace_id, span_id, sampled })
    }

    /// Reads the header of a trace that is recorded. Of the others only the ends are read: they are most where one trace in a
    /// hundred is recorded, and each record has one.
    pub fn parse_sampled(header: &[u8]) -> Option<Self> {
        let ends_odd = || header.last().and_then(|&end| char::from(end).to_digit(16)).is_some_and(|end| end & 1 == 1);
        // A version to come may end with something else.
        let may_be = !header.starts_with(b"00-") || ends_odd();
        let text = may_be.then(|| std::str::from_utf8(header).ok()).flatten()?;
        Self::parse(text).filter(|context| context.sampled)
    }

    /// The same trace, seen from a new span.
    pub fn child(self) -> Self {
        Self { span_id: random_span(), ..self }
    }

    /// The same trace, seen from the span that follows from this one and `what`: whoever works it out gets the same, so that
    /// what is done anew, after a crash or a conflict, is the same span.
    pub fn derived(self, what: impl Borrow<str>) -> Self {
        let space = Uuid::from_u128(self.trace_id ^ u128::from(self.span_id));
        let (_, low) = Uuid::new_v5(&space, what.borrow().as_bytes()).as_u64_pair();
        Self { span_id: low.max(1), ..self }
    }

    /// The `traceparent` header.
    pub fn header(&self) -> String {
        format!("00-{:032x}-{:016x}-{:02x}", self.trace_id, self.span_id, u8::from(self.sampled))
    }
}

/// Reads a trace id, 32 hexadecimal digits that aren't all zero.
pub fn trace_id_of(text: &str) -> Option<u128> {
    is_hex(text, 32).then(|| u128::from_str_radix(text, 16).ok()).flatten().filter(|&id| id != 0)
}

fn is_hex(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

fn random_span() -> u64 {
    (Uuid::new_v4().as_u128() as u64).max(1)
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
    fn what_follows_is_the_same_for_all_who_ask_and_another_for_each_question() {
        let context = TraceContext { trace_id: 7, span_id: 8, sampled: true };
        let next = context.derived("a");
        assert_eq!((next, next.trace_id, next.sampled), (context.derived("a".to_owned()), 7, true));
        assert!(next.span_id != context.span_id && next != context.derived("b"));
        assert_ne!(next, TraceContext { span_id: 9, ..context }.derived("a"));
    }

    #[test]
    fn a_malformed_traceparent_is_no_trace() {
        let zeros = format!("00-{}-{}-01", "0".repeat(32), "0".repeat(16));
        for header in ["", "00", "00-xyz-abc-01", "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", &zeros] {
            assert_eq!(TraceContext::parse(header), None, "{header}");
        }
    }

    #[test]
    fn of_a_version_to_come_what_is_known_is_read() {
        let (trace, span) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
        let known = TraceContext::parse(&format!("00-{trace}-{span}-01"));
        assert!(known.is_some());
        for header in [format!("01-{trace}-{span}-01"), format!("cc-{trace}-{span}-01-what-may-be")] {
            assert_eq!(
                (TraceContext::parse(&header), TraceContext::parse_sampled(header.as_bytes())),
                (known, known),
                "{header}"
            );
        }
        assert_eq!(TraceContext::parse(&format!("00-{trace}-{span}-01-what")), None, "this version has no more");
    }

    proptest! {
        #[test]
        fn no_header_makes_parsing_panic(header in "00-[0-9a-f-]{0,60}|.{0,60}") {
            if let Some(context) = TraceContext::parse(&header) {
                prop_assert_eq!(TraceContext::parse(&context.header()), Some(context));
            }
        }

        #[test]
        fn a_header_whose_trace_is_recorded_is_read_as_every_other(
            header in "[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-fA-F]{2}(-.{0,3})?|00-[0-9a-f-]{0,60}|.{0,60}",
        ) {
            let recorded = TraceContext::parse(&header).filter(|context| context.sampled);
            prop_assert_eq!(TraceContext::parse_sampled(header.as_bytes()), recorded);
        }
    }
}
