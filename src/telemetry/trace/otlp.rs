//! Spans as the messages of OTLP, the OpenTelemetry protocol (<https://opentelemetry.io/docs/specs/otlp/>).

use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::Link;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span as OtlpSpan, Status};
use prost::Message;

use super::TraceContext;
use super::span::{Span, Value};

/// The name of this program to others.
const SERVICE: &str = env!("CARGO_PKG_NAME");
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// In the flags of a span and of a link: the trace is recorded.
const SAMPLED: u32 = 1;

/// The request that tells of `spans` of the process called `instance`.
pub fn request(spans: Vec<Span>, instance: &str) -> Vec<u8> {
    let resource = [("service.name", SERVICE), ("service.version", VERSION), ("service.instance.id", instance)];
    let resource = resource.map(|(key, value)| attribute(key, any_value::Value::StringValue(value.to_owned())));
    let scope = InstrumentationScope {
        name: SERVICE.to_owned(),
        version: VERSION.to_owned(),
        ..InstrumentationScope::default()
    };
    let scope_spans =
        ScopeSpans { scope: Some(scope), spans: spans.into_iter().map(span).collect(), ..ScopeSpans::default() };
    let resource_spans = ResourceSpans {
        resource: Some(Resource { attributes: resource.to_vec(), ..Resource::default() }),
        scope_spans: vec![scope_spans],
        ..ResourceSpans::default()
    };
    ExportTraceServiceRequest { resource_spans: vec![resource_spans] }.encode_to_vec()
}

/// How many spans were refused of those that an answer is about, and why.
pub fn refused(answer: &[u8]) -> Option<(u64, String)> {
    // One that can't be read says nothing: the status said that they were taken.
    let partial = ExportTraceServiceResponse::decode(answer).ok()?.partial_success?;
    let count = u64::try_from(partial.rejected_spans).ok().filter(|count| *count > 0)?;
    Some((count, partial.error_message))
}

fn span(span: Span) -> OtlpSpan {
    let Span { context, parent, links, kind, name, began_ns, ended_ns, attributes, error } = span;
    let value = |value| match value {
        Value::Text(text) => any_value::Value::StringValue(text.into_owned()),
        Value::Number(number) => any_value::Value::IntValue(number),
    };
    let (trace_id, span_id) = ids(context);
    OtlpSpan {
        trace_id,
        span_id,
        parent_span_id: parent.map(|parent| parent.to_be_bytes().to_vec()).unwrap_or_default(),
        flags: SAMPLED,
        name: name.into_owned(),
        kind: kind as i32,
        start_time_unix_nano: began_ns,
        end_time_unix_nano: ended_ns,
        attributes: attributes.into_iter().map(|(key, told)| attribute(key, value(told))).collect(),
        links: links.into_iter().map(link).collect(),
        status: error.map(|error| Status { message: error.into_owned(), code: StatusCode::Error as i32 }),
        ..OtlpSpan::default()
    }
}

fn link(context: TraceContext) -> Link {
    let (trace_id, span_id) = ids(context);
    Link { trace_id, span_id, flags: SAMPLED, ..Link::default() }
}

fn ids(context: TraceContext) -> (Vec<u8>, Vec<u8>) {
    (context.trace_id.to_be_bytes().to_vec(), context.span_id.to_be_bytes().to_vec())
}

fn attribute(key: &str, value: any_value::Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use opentelemetry_proto::tonic::collector::trace::v1::ExportTracePartialSuccess;
    use opentelemetry_proto::tonic::trace::v1::span::SpanKind;

    use super::super::span::Kind;
    use super::*;

    #[test]
    fn a_span_is_told_as_the_protocol_has_it() {
        let context = TraceContext { trace_id: 1, span_id: 2, sampled: true };
        let told = Span::ended(Kind::Consumer, "process orders", context, Duration::from_secs(1))
            .under(Some(3))
            .linked(vec![TraceContext { trace_id: 4, span_id: 5, sampled: true }])
            .with("messaging.system", "kafka")
            .with("messaging.kafka.offset", 7_i64)
            .failed(Some(("poison", "no JSON".to_owned())));
        let (began, ended) = (told.began_ns, told.ended_ns);
        let request = ExportTraceServiceRequest::decode(&request(vec![told], "here")[..]).unwrap();
        let [resource] = &request.resource_spans[..] else { panic!("{request:?}") };
        let attributes = &resource.resource.as_ref().unwrap().attributes;
        assert_eq!(attributes.iter().map(|told| told.key.as_str()).next(), Some("service.name"));
        let [span] = &resource.scope_spans[0].spans[..] else { panic!("{request:?}") };
        let id = |low: u8, length: usize| [vec![0; length - 1], vec![low]].concat();
        assert_eq!((&span.trace_id, &span.span_id, &span.parent_span_id), (&id(1, 16), &id(2, 8), &id(3, 8)));
        assert_eq!((&span.links[0].trace_id, &span.links[0].span_id), (&id(4, 16), &id(5, 8)));
        assert_eq!((span.name.as_str(), span.kind), ("process orders", SpanKind::Consumer as i32));
        assert_eq!((span.start_time_unix_nano, span.end_time_unix_nano), (began, ended));
        assert_eq!(ended - began, 1_000_000_000);
        let names: Vec<_> = span.attributes.iter().map(|told| told.key.as_str()).collect();
        assert_eq!(names, ["messaging.system", "messaging.kafka.offset", "error.type"]);
        let status = span.status.as_ref().unwrap();
        assert_eq!((status.message.as_str(), status.code), ("no JSON", StatusCode::Error as i32));
    }

    #[test]
    fn what_was_refused_is_read_from_the_answer() {
        let answer = |rejected_spans| {
            let partial = ExportTracePartialSuccess { rejected_spans, error_message: "too old".to_owned() };
            ExportTraceServiceResponse { partial_success: Some(partial) }.encode_to_vec()
        };
        assert_eq!(refused(&answer(3)), Some((3, "too old".to_owned())));
        assert_eq!((refused(&answer(0)), refused(b""), refused(b"no protobuf")), (None, None, None));
    }
}
