//! An endpoint of OTLP/HTTP: takes spans as a collector does, and remembers them.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span as OtlpSpan;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use prost::Message;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::eventually;

/// A span as it was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// The trace, 32 hexadecimal digits.
    pub trace: String,
    /// The span, 16 hexadecimal digits.
    pub id: String,
    /// The span that it follows from; empty when there is none.
    pub parent: String,
    /// Its name.
    pub name: String,
    /// What it is to others.
    pub kind: SpanKind,
    /// When it began and ended, in nanoseconds since the epoch.
    pub time: (u64, u64),
    /// Its attributes, as text.
    pub attributes: BTreeMap<String, String>,
    /// What went wrong, if anything did.
    pub error: Option<String>,
    /// The service that told it.
    pub service: String,
}

/// An endpoint.
#[derive(Debug)]
pub struct Otlp {
    /// Where it listens, as a URL.
    pub url: String,
    spans: Arc<Mutex<Vec<Span>>>,
    task: JoinHandle<()>,
}

impl Otlp {
    /// Starts one on a free port.
    pub async fn start() -> Self {
        Self::start_on(0).await
    }

    /// Starts one on this port.
    pub async fn start_on(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let spans = Arc::default();
        let task = tokio::spawn(serve(listener, Arc::clone(&spans)));
        Self { url, spans, task }
    }

    /// The spans of a trace that were told of so far.
    pub fn spans(&self, trace: &str) -> Vec<Span> {
        self.all().into_iter().filter(|span| span.trace == trace).collect()
    }

    /// All that were told of so far.
    pub fn all(&self) -> Vec<Span> {
        self.spans.lock().unwrap().clone()
    }

    /// Waits until a trace has all that `wanted` names; its spans.
    pub async fn has(&self, trace: &str, wanted: &[&str], timeout: Duration) -> Vec<Span> {
        eventually(&format!("spans {wanted:?} of trace {trace}"), timeout, async || {
            let spans = self.spans(trace);
            wanted.iter().all(|name| spans.iter().any(|span| span.name == *name)).then_some(spans)
        })
        .await
    }
}

impl Drop for Otlp {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The one span of this name.
pub fn only<'a>(spans: &'a [Span], name: &str) -> &'a Span {
    let mut found = spans.iter().filter(|span| span.name == name);
    match (found.next(), found.next()) {
        (Some(only), None) => only,
        _ => panic!("one {name:?} in {spans:#?}"),
    }
}

async fn serve(listener: TcpListener, spans: Arc<Mutex<Vec<Span>>>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let spans = Arc::clone(&spans);
        let service = service_fn(move |request| take(request, Arc::clone(&spans)));
        tokio::spawn(async move {
            // Who breaks off is a kboard that ends.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn take(request: Request<Incoming>, spans: Arc<Mutex<Vec<Span>>>) -> Result<Response<Full<Bytes>>, Infallible> {
    let is_traces = request.method() == Method::POST
        && request.uri().path() == "/v1/traces"
        && request.headers()["content-type"] == "application/x-protobuf";
    let body = request.into_body().collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let mut response = Response::new(Full::new(Bytes::new()));
    match ExportTraceServiceRequest::decode(body) {
        Ok(request) if is_traces => spans.lock().unwrap().extend(read(request)),
        _ => *response.status_mut() = StatusCode::BAD_REQUEST,
    }
    Ok(response)
}

fn read(request: ExportTraceServiceRequest) -> Vec<Span> {
    let mut all = Vec::new();
    for resource in request.resource_spans {
        let of_resource = attributes(resource.resource.unwrap_or_default().attributes);
        let service = of_resource["service.name"].clone();
        all.extend(resource.scope_spans.into_iter().flat_map(|scope| scope.spans).map(|span| told(span, &service)));
    }
    all
}

fn told(span: OtlpSpan, service: &str) -> Span {
    assert_eq!((span.trace_id.len(), span.span_id.len()), (16, 8), "{span:?}");
    Span {
        trace: hex(&span.trace_id),
        id: hex(&span.span_id),
        parent: hex(&span.parent_span_id),
        kind: span.kind(),
        name: span.name,
        time: (span.start_time_unix_nano, span.end_time_unix_nano),
        attributes: attributes(span.attributes),
        error: span.status.filter(|status| status.code == 2).map(|status| status.message),
        service: service.to_owned(),
    }
}

fn attributes(attributes: Vec<KeyValue>) -> BTreeMap<String, String> {
    let text = |KeyValue { key, value, .. }| match value.and_then(|value| value.value) {
        Some(Value::StringValue(text)) => (key, text),
        Some(Value::IntValue(number)) => (key, number.to_string()),
        other => panic!("{key} = {other:?}"),
    };
    attributes.into_iter().map(text).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
