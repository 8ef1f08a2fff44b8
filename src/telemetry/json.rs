//! Log lines as JSON, one object a line: time, level and fields, and what the work at hand belongs to.

use std::fmt;

use serde::ser::{SerializeMap, Serializer as _};
use serde_json::Serializer;
use tracing::{Event, Subscriber};
use tracing_serde::{AsSerde, SerdeMapVisitor};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::trace::current;

/// Writes events as lines of JSON. A line that belongs to a trace or a correlation has their ids: `trace_id`, `span_id`,
/// `correlation_id`.
pub struct JsonLines;

impl<S, N> FormatEvent<S, N> for JsonLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut time = String::new();
        SystemTime.format_time(&mut Writer::new(&mut time))?;
        let line = encode(&time, event).map_err(|_| fmt::Error)?;
        writeln!(writer, "{}", String::from_utf8_lossy(&line))
    }
}

fn encode(time: &str, event: &Event<'_>) -> serde_json::Result<Vec<u8>> {
    let mut line = Vec::with_capacity(256);
    let mut serializer = Serializer::new(&mut line);
    let mut map = serializer.serialize_map(None)?;
    map.serialize_entry("timestamp", time)?;
    map.serialize_entry("level", &event.metadata().level().as_serde())?;
    let mut visitor = SerdeMapVisitor::new(map);
    event.record(&mut visitor);
    let mut map = visitor.take_serializer()?;
    let ids = current::with(|current| (current.context, current.correlation.borrow().clone()));
    let (context, correlation) = ids.unwrap_or_default();
    if let Some(context) = context {
        map.serialize_entry("trace_id", &format_args!("{:032x}", context.trace_id))?;
        map.serialize_entry("span_id", &format_args!("{:016x}", context.span_id))?;
    }
    if let Some(correlation) = correlation {
        map.serialize_entry("correlation_id", &String::from_utf8_lossy(&correlation))?;
    }
    map.end()?;
    Ok(line)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use bytes::Bytes;
    use serde_json::{Value, json};
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;
    use crate::telemetry::trace::{Current, TraceContext};

    /// What was written.
    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_says_which_trace_and_correlation_it_belongs_to() {
        let written = Written::default();
        let writer = written.clone();
        let layer = tracing_subscriber::fmt::layer().event_format(JsonLines).with_writer(move || writer.clone());
        let context = TraceContext { trace_id: 0xab, span_id: 0xcd, sampled: false };
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            Current::new(Some(context))
                .of(Some(Bytes::from_static(b"c-1")))
                .within(|| tracing::warn!(order = 7, "late"));
            tracing::info!(name = %"a \"b\"", "alone");
        });
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        let mut lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert!(lines.iter_mut().all(|line| line.as_object_mut().unwrap().remove("timestamp").is_some()));
        let (trace_id, span_id) = (format!("{:032x}", 0xab), format!("{:016x}", 0xcd));
        let ids = json!({ "level": "WARN", "message": "late", "order": 7,
            "trace_id": trace_id, "span_id": span_id, "correlation_id": "c-1" });
        assert_eq!(lines, [ids, json!({ "level": "INFO", "message": "alone", "name": "a \"b\"" })]);
    }
}
