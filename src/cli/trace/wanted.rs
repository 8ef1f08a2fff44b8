//! Whether a record belongs to a correlation or a trace, and what it says of itself.

use memchr::memmem::Finder;
use serde::Serialize;
use serde_json::Value;

use crate::kafka::event::{CORRELATION_ID, EVENT_TYPE, RETRY_COUNT, SOURCE, TRACE_ID, TRACEPARENT};
use crate::kafka::fetch::Record;
use crate::telemetry::trace::TraceContext;
use crate::telemetry::trace::context::trace_id_of;

/// Names that headers have with others.
const CORRELATION_ALIAS: &str = "correlation-id";
const TYPE_ALIAS: &str = "event-type";

/// What is looked for.
#[derive(Clone, Debug)]
pub struct Wanted {
    id: String,
    /// Whether it is hexadecimal, which means the same in capitals.
    is_hex: bool,
    /// A value that has it contains one of these; there are none for an id that JSON may write in other ways.
    finders: Vec<Finder<'static>>,
}

/// What a record says of itself, in its headers or, if they don't, in its value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Said {
    /// What happened.
    pub event_type: Option<String>,
    /// Who wrote it.
    pub source: Option<String>,
    /// Its correlation.
    pub correlation_id: Option<String>,
    /// Its trace.
    pub trace_id: Option<String>,
    /// The span that sent it.
    pub span_id: Option<String>,
    /// How often it was tried before, where it is a copy for that.
    pub retry_count: Option<u32>,
}

impl Wanted {
    /// Reads what somebody looks for.
    ///
    /// # Errors
    /// There is nothing to look for.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.is_empty() {
            return Err("an id can't be empty".to_owned());
        }
        // Elsewhere they are written in capitals, too; on the wire they never are.
        let lower = text.to_lowercase();
        let (id, is_hex) = match TraceContext::parse(&lower) {
            Some(context) => (format!("{:032x}", context.trace_id), true),
            None if trace_id_of(&lower).is_some() => (lower, true),
            None => (text.to_owned(), false),
        };
        let is_plain = id.chars().all(|c| c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '/'));
        let forms = match is_plain {
            false => Vec::new(),
            true if is_hex => vec![id.clone(), id.to_uppercase()],
            true => vec![id.clone()],
        };
        let finders = forms.iter().map(|form| Finder::new(form).into_owned()).collect();
        Ok(Self { id, is_hex, finders })
    }

    /// What is looked for.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What `record` says of itself, if it belongs to what is looked for.
    pub fn find(&self, record: &Record) -> Option<Said> {
        let is_in_headers = record.headers.iter().any(|(name, value)| self.is_said_by(name, value));
        if !is_in_headers && !record.value.as_deref().is_some_and(|value| self.may_be_in(value)) {
            return None;
        }
        let envelope: Value =
            record.value.as_deref().and_then(|value| serde_json::from_slice(value).ok()).unwrap_or_default();
        (is_in_headers || self.is_said_in(&envelope)).then(|| Said::of(record, &envelope))
    }

    /// Whether a value says so, whatever the headers beside it say.
    fn is_said_in(&self, envelope: &Value) -> bool {
        let mut parts = [envelope, &envelope["metadata"]].into_iter();
        let is_this = |part: &Value| text(part).is_some_and(|id| self.is(id.as_bytes()));
        parts.any(|part| is_this(&part["correlationId"]) || is_this(&part["traceId"]))
    }

    fn may_be_in(&self, value: &[u8]) -> bool {
        self.finders.is_empty() || self.finders.iter().any(|finder| finder.find(value).is_some())
    }

    fn is(&self, id: &[u8]) -> bool {
        if self.is_hex { id.eq_ignore_ascii_case(self.id.as_bytes()) } else { id == self.id.as_bytes() }
    }

    fn is_said_by(&self, name: &[u8], value: Option<&[u8]>) -> bool {
        let Some(value) = value else { return false };
        match () {
            () if is(name, CORRELATION_ID) || is(name, CORRELATION_ALIAS) || is(name, TRACE_ID) => self.is(value),
            () if is(name, TRACEPARENT) => traceparent(value).is_some_and(|(trace_id, _)| trace_id == self.id),
            () => false,
        }
    }
}

impl Said {
    /// What `record` says in its headers and, as JSON, in its value.
    fn of(record: &Record, envelope: &Value) -> Self {
        let own = |name: &str| text(&envelope[name]);
        let of_metadata = |name: &str| text(&envelope["metadata"][name]);
        let header = |wanted: &[&str]| {
            let found = record.headers.iter().find(|(name, _)| wanted.iter().any(|wanted| is(name, wanted)));
            found.and_then(|(_, value)| Some(String::from_utf8_lossy(value?).into_owned()))
        };
        let trace = header(&[TRACEPARENT]).and_then(|value| traceparent(value.as_bytes()));
        let (in_traceparent, span_id) = trace.unzip();
        let known = || header(&[TRACE_ID]).or_else(|| own("traceId")).or_else(|| of_metadata("traceId"));
        let correlation = || own("correlationId").or_else(|| of_metadata("correlationId"));
        Self {
            event_type: header(&[EVENT_TYPE, TYPE_ALIAS]).or_else(|| own("eventType")),
            source: header(&[SOURCE]).or_else(|| of_metadata("source")),
            correlation_id: header(&[CORRELATION_ID, CORRELATION_ALIAS]).or_else(correlation),
            trace_id: in_traceparent.or_else(known),
            span_id,
            retry_count: header(&[RETRY_COUNT]).and_then(|count| count.parse().ok()),
        }
    }
}

/// A part of an envelope, if it is a text, or a number as some have for ids.
fn text(part: &Value) -> Option<String> {
    match part {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Whether a header is called so; others write its name otherwise.
fn is(name: &[u8], wanted: &str) -> bool {
    name.eq_ignore_ascii_case(wanted.as_bytes())
}

/// The trace and the span of a `traceparent`.
fn traceparent(value: &[u8]) -> Option<(String, String)> {
    let context = TraceContext::parse(std::str::from_utf8(value).ok()?)?;
    Some((format!("{:032x}", context.trace_id), format!("{:016x}", context.span_id)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record_batch::testing;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    fn record(headers: &[(&str, &str)], value: &str) -> Record {
        let headers = headers.iter().map(|(name, value)| (name.as_bytes(), Some(value.as_bytes()))).collect();
        testing::record(Some(value.as_bytes()), headers)
    }

    fn found(id: &str, headers: &[(&str, &str)], value: &str) -> bool {
        Wanted::parse(id).unwrap().find(&record(headers, value)).is_some()
    }

    #[test]
    fn a_record_belongs_where_its_headers_or_its_value_say_so() {
        let traceparent = format!("00-{TRACE}-00f067aa0ba902b7-01");
        for (headers, value) in [
            (&[("x-correlation-id", "c-1")][..], ""),
            (&[("Correlation-Id", "c-1")], "no JSON"),
            (&[], r#"{"correlationId":"c-1"}"#),
            (&[], r#"{"metadata":{"correlationId":"c-1"},"other":[1]}"#),
            (&[("x-correlation-id", "other")], r#"{"correlationId":"c-1"}"#),
        ] {
            assert!(found("c-1", headers, value), "{headers:?} {value}");
        }
        for (headers, value) in [
            (&[("traceparent", traceparent.as_str())][..], ""),
            (&[("x-trace-id", TRACE)], ""),
            (&[], r#"{"traceId":"4bf92f3577b34da6a3ce929d0e0e4736"}"#),
            (&[], r#"{"metadata":{"traceId":"4bf92f3577b34da6a3ce929d0e0e4736"}}"#),
        ] {
            for id in [TRACE, &TRACE.to_uppercase(), &traceparent] {
                assert!(found(id, headers, value), "{id} {headers:?} {value}");
            }
        }
    }

    #[test]
    fn ids_are_found_however_json_and_others_write_them() {
        for (id, headers, value) in [
            ("ABCDEFABCDEFABCDEFABCDEFABCDEF99", &[("x-correlation-id", "ABCDEFABCDEFABCDEFABCDEFABCDEF99")][..], ""),
            ("abcdefabcdefabcdefabcdefabcdef99", &[], r#"{"traceId":"ABCDEFABCDEFABCDEFABCDEFABCDEF99"}"#),
            ("shop/123", &[], r#"{"correlationId":"shop\/123"}"#),
            ("p\"q", &[], r#"{"correlationId":"p\"q"}"#),
            ("4711", &[], r#"{"correlationId":4711}"#),
            ("c-1", &[], r#"{"eventType":{"x":1},"metadata":"text","correlationId":"c-1"}"#),
            ("c-1", &[], r#"{"metadata":{"source":1,"correlationId":"c-1"}}"#),
        ] {
            assert!(found(id, headers, value), "{id} {headers:?} {value}");
        }
        let capitals = format!("00-{}-00F067AA0BA902B7-01", TRACE.to_uppercase());
        assert!(found(&capitals, &[("x-trace-id", TRACE)], ""));
    }

    #[test]
    fn a_text_that_only_mentions_an_id_does_not_belong_to_it() {
        for (headers, value) in [
            (&[("x-correlation-id", "c-12")][..], r#"{"note":"c-1"}"#),
            (&[("x-note", "c-1")], r#"["c-1"]"#),
            (&[], "c-1"),
            (&[], r#"{"correlationId":7,"note":"c-1"}"#),
        ] {
            assert!(!found("c-1", headers, value), "{headers:?} {value}");
        }
    }

    #[test]
    fn what_headers_say_counts_before_what_the_value_says() {
        let value = r#"{"eventType":"B","correlationId":"other","metadata":{"source":"shop","traceId":"t"}}"#;
        let said =
            Wanted::parse("c-1").unwrap().find(&record(&[("x-correlation-id", "c-1"), ("event-type", "A")], value));
        let text = |text: &str| Some(text.to_owned());
        let expected = Said {
            event_type: text("A"),
            source: text("shop"),
            correlation_id: text("c-1"),
            trace_id: text("t"),
            span_id: None,
            retry_count: None,
        };
        assert_eq!(said, Some(expected));
    }

    #[test]
    fn nothing_is_no_id() {
        assert!(Wanted::parse(" ").is_err());
    }
}
