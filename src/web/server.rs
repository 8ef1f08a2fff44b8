//! The accept loop. warp's own server never sets TCP_NODELAY and panics when it can't bind; this loop is also where
//! connection limits, timeouts, security headers and metrics belong.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use metrics::Gauge;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use warp::Filter;
use warp::http::header::{ALLOW, HeaderMap, HeaderName, HeaderValue};
use warp::http::{Method, StatusCode};
use warp::reply::Response;

use super::headers::text;
use super::routes::template_of;
use super::{Routes, reply};
use crate::kafka::event::TRACEPARENT;
use crate::listen::{self, Accepted};
use crate::telemetry::instruments::HttpInstruments;
use crate::telemetry::trace::{self, Current, Kind, Span, TraceContext, current};

/// Connections served at once; more wait to be accepted.
const MAX_CONNECTIONS: usize = 20_000;
/// How long a client may take over a request's head, and may keep an idle connection.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// The size of a request's head at most, and of a connection's buffers.
const BUFFER_BYTES: usize = 16 * 1024;
/// How long a client may leave what was sent to it unacknowledged, or its window closed.
const STALL_TIMEOUT: Duration = Duration::from_secs(30);
/// How long requests in hand may take once the process is asked to end.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(3);

/// What is asked all the time and is nobody's doing: its answers begin no trace.
const UNTOLD: [&str; 5] = ["/healthz", "/readyz", "/metrics", "/api/metrics", "/static/{name}"];

/// Said on every answer: types are what we say, and other sites don't learn where a link was.
const SECURITY_HEADERS: [(HeaderName, HeaderValue); 2] = [
    (HeaderName::from_static("x-content-type-options"), HeaderValue::from_static("nosniff")),
    (HeaderName::from_static("referrer-policy"), HeaderValue::from_static("same-origin")),
];

/// Serves `routes` until `shutdown`, then finishes the requests in hand.
pub async fn serve(listener: TcpListener, routes: Routes, shutdown: CancellationToken) {
    let templates: Arc<[(&'static str, &'static str)]> = routes.templates.into();
    let service = TowerToHyperService::new(warp::service(routes.filter.recover(rejected).unify()));
    let instruments = Arc::new(HttpInstruments::default());
    let connections = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let graceful = GracefulShutdown::new();
    while let Some(accepted) = shutdown.run_until_cancelled(listen::accept(&listener, &connections)).await {
        let Accepted { stream, place, .. } = accepted;
        prepare(&stream);
        let (service, templates, instruments) = (service.clone(), Arc::clone(&templates), Arc::clone(&instruments));
        let handle = service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
            let (route, methods) = template_of(&templates, request.uri().path());
            let traced = Traced::begin(request.headers(), route);
            let work = Current::new(Some(traced.context));
            let measure = Measure::start(&instruments, request.method(), route, traced);
            if request.method() == Method::HEAD {
                // hyper knows that it was a HEAD, and leaves the body out.
                *request.method_mut() = Method::GET;
            }
            let answer = service.call(request);
            work.scope(async move {
                let mut response = match answer.await {
                    Ok(response) => response,
                    Err(never) => match never {},
                };
                response.headers_mut().extend(SECURITY_HEADERS);
                if response.status() == StatusCode::METHOD_NOT_ALLOWED {
                    response.headers_mut().insert(ALLOW, HeaderValue::from_static(methods));
                }
                measure.answered(response.status());
                Ok::<Response, Infallible>(response)
            })
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            .max_buf_size(BUFFER_BYTES)
            .serve_connection(TokioIo::new(stream), handle);
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            // A client that breaks off or sends nonsense is its own affair; hyper has answered what can be answered.
            if let Err(error) = connection.await {
                tracing::trace!(%error, "connection ended");
            }
            drop(place);
        });
    }
    drop(listener);
    if tokio::time::timeout(DRAIN_TIMEOUT, graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests were cut off");
    }
}

/// A client that takes nothing any more is noticed: an improvement only, so a socket that refuses it is used as it is.
fn prepare(stream: &TcpStream) {
    #[cfg(target_os = "linux")]
    let _ = socket2::SockRef::from(stream).set_tcp_user_timeout(Some(STALL_TIMEOUT));
}

/// What no route answers.
async fn rejected(rejection: warp::Rejection) -> Result<Response, Infallible> {
    let (status, reason) = if rejection.is_not_found() {
        (StatusCode::NOT_FOUND, "there is nothing here")
    } else if rejection.find::<warp::reject::MethodNotAllowed>().is_some() {
        (StatusCode::METHOD_NOT_ALLOWED, "this method is not allowed here")
    } else {
        (StatusCode::BAD_REQUEST, "the request can't be understood")
    };
    Ok(reply::error(status, reason, None))
}

/// Where a request belongs in its trace.
#[derive(Clone, Copy)]
struct Traced {
    context: TraceContext,
    /// The span of who asks.
    caller: Option<u64>,
}

impl Traced {
    /// Who asks says which trace it is; of one that nobody began, the answer is the first span.
    fn begin(headers: &HeaderMap, route: &str) -> Self {
        let caller = text(headers, HeaderName::from_static(TRACEPARENT)).and_then(TraceContext::parse);
        let first = || if UNTOLD.contains(&route) { TraceContext::random() } else { trace::root() };
        let context = caller.map_or_else(first, TraceContext::child);
        Self { context, caller: caller.map(|caller| caller.span_id) }
    }
}

/// What stands for the status of a request whose client has hung up before it was answered, as nginx has it: what takes too long
/// would else be counted nowhere.
const HUNG_UP: u16 = 499;

/// Counts and times one request, when it is dropped.
struct Measure {
    instruments: Arc<HttpInstruments>,
    in_progress: Gauge,
    method: &'static str,
    route: &'static str,
    traced: Traced,
    started: Instant,
    status: Option<StatusCode>,
}

impl Measure {
    fn start(instruments: &Arc<HttpInstruments>, method: &Method, route: &'static str, traced: Traced) -> Self {
        let method = method_label(method);
        let in_progress = instruments.in_progress(method, route);
        in_progress.increment(1.0);
        let (instruments, started) = (Arc::clone(instruments), Instant::now());
        Self { instruments, in_progress, method, route, traced, started, status: None }
    }

    fn answered(mut self, status: StatusCode) {
        self.status = Some(status);
    }

    fn tell(&self) {
        let (method, route, Traced { context, caller }) = (self.method, self.route, self.traced);
        let took = self.started.elapsed();
        let (status, failed) = match self.status {
            Some(answered) if answered.is_server_error() => {
                (answered.as_u16(), Some((answered.as_str().to_owned(), answered.to_string())))
            }
            Some(answered) => (answered.as_u16(), None),
            None if std::thread::panicking() => (500, Some(("panic".to_owned(), "the handler panicked".to_owned()))),
            None => (HUNG_UP, Some((HUNG_UP.to_string(), "the client hung up before the answer".to_owned()))),
        };
        self.instruments.ended(method, route, status, took);
        trace::tell(&context, || {
            Span::ended(Kind::Server, format!("{method} {route}"), context, took)
                .under(caller)
                .with("http.request.method", method)
                .with("http.route", route)
                .with("http.response.status_code", i64::from(status))
                .with_some("kboard.correlation_id", current::correlation().as_deref())
                .failed(failed)
        });
    }
}

impl Drop for Measure {
    fn drop(&mut self) {
        self.in_progress.decrement(1.0);
        self.tell();
    }
}

/// The method as a label; methods nobody has heard of share one.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}
