//! Traces: what one request set off, across threads, processes and topics, as spans that OpenTelemetry understands.
//!
//! - [`context`]: how a trace is known to whoever carries it on: the header `traceparent`, of requests and of records.
//! - [`current`]: what the work at hand belongs to.
//! - [`sampling`]: which traces are recorded. [`span`]: what is told of a span.
//! - [`export`]: tells the endpoint of spans, with [`otlp`] for the words and [`endpoint`] for the way.
//!
//! Contexts travel always. Spans are told of only in a process that was given an endpoint ([`start`]), and of a trace that is
//! recorded: whether it is was decided where it began, or is decided here where nobody has ([`root`]). Without an endpoint a
//! span costs the look whether there is one.

pub mod context;
pub mod current;
pub mod endpoint;
pub mod export;
pub mod otlp;
pub mod sampling;
pub mod span;

use std::sync::OnceLock;

use crate::config::TraceSettings;
use crate::config::tls::TlsError;
use crate::telemetry::instruments::SpanInstruments;
pub use context::TraceContext;
pub use current::Current;
use endpoint::Endpoint;
use export::{Exporter, Queue};
use sampling::Sampler;
pub use span::{Kind, Span};

/// Spans are told to it. There is one a process, as there is one recorder of metrics.
static TRACER: OnceLock<Tracer> = OnceLock::new();

struct Tracer {
    queue: Queue,
    sampler: Sampler,
    instruments: SpanInstruments,
}

/// Why spans can't be told of.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The endpoint can't be spoken to in a way that is safe.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// There is one endpoint a process.
    #[error("spans are told of already")]
    Twice,
}

/// Tells `settings.endpoint` of spans from now on; nobody if there is none.
///
/// # Errors
/// See [`StartError`].
pub fn start(settings: &TraceSettings) -> Result<Option<Exporter>, StartError> {
    // They are among the metrics either way.
    let instruments = SpanInstruments::new();
    let Some(url) = &settings.endpoint else { return Ok(None) };
    let endpoint = Endpoint::new(url)?;
    let address = endpoint.address();
    let (exporter, queue) = Exporter::start(endpoint, instruments.clone());
    let tracer = Tracer { queue, sampler: Sampler::new(settings.sample), instruments };
    TRACER.set(tracer).map_err(|_| StartError::Twice)?;
    tracing::info!(endpoint = address, sample = %settings.sample, "telling of spans");
    Ok(Some(exporter))
}

/// Whether spans are told of.
pub fn is_on() -> bool {
    TRACER.get().is_some()
}

/// Whether spans of this trace are told of.
pub fn is_recorded(context: &TraceContext) -> bool {
    context.sampled && is_on()
}

/// The first span of a trace.
pub fn root() -> TraceContext {
    let context = TraceContext::random();
    TraceContext { sampled: TRACER.get().is_some_and(|tracer| tracer.sampler.records(context.trace_id)), ..context }
}

/// Tells of a span that has ended, if its trace is recorded. What there is no room for is not even put into words.
pub fn tell(context: &TraceContext, span: impl FnOnce() -> Span) {
    let Some(tracer) = TRACER.get().filter(|_| context.sampled) else { return };
    if !tracer.queue.put(span) {
        tracer.instruments.queue_full.increment(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_an_endpoint_nothing_is_recorded_or_put_into_words() {
        assert!(!is_on() && !root().sampled);
        let context = TraceContext { sampled: true, ..TraceContext::random() };
        tell(&context, || unreachable!("nobody asked"));
        assert!(!is_recorded(&context));
    }
}
