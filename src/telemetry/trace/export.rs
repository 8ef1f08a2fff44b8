//! Tells the endpoint of spans, in batches, in the order in which they ended, and never in the way of the work: who tells of
//! one puts it into a queue, and where that is full it is counted and forgotten.

use std::iter;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::endpoint::{Endpoint, SendError};
use super::otlp;
use super::span::Span;
use crate::backoff::Backoff;
use crate::telemetry::instruments::SpanInstruments;
use crate::telemetry::seldom::Seldom;

/// Spans that wait to be told of at most: some megabytes.
const QUEUE: usize = 8_192;
/// Spans of a request at most.
const BATCH: usize = 1_024;
/// How long a span waits for others.
const INTERVAL: Duration = Duration::from_secs(1);
/// For how long a request is made anew until its spans are given up. Meanwhile the queue fills.
const PATIENCE: Duration = Duration::from_secs(30);
/// The longest pause that an endpoint may ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How long what is left may take at the end.
const FINISH: Duration = Duration::from_secs(1);

/// That the endpoint is away is known after the first time.
static AWAY: Seldom = Seldom::every(Duration::from_secs(60));
/// So is what it doesn't want.
static REFUSED: Seldom = Seldom::every(Duration::from_secs(60));

/// Where spans wait to be told of.
pub struct Queue {
    spans: mpsc::Sender<Span>,
    /// Told when there is a batch: to wake the exporter for each span would cost more than the span.
    has_batch: Arc<Notify>,
}

impl Queue {
    /// Takes a span in. For what there is no room for, it answers `false` and has no words made.
    pub fn put(&self, span: impl FnOnce() -> Span) -> bool {
        let Ok(place) = self.spans.try_reserve() else { return false };
        place.send(span());
        if self.spans.max_capacity() - self.spans.capacity() >= BATCH {
            self.has_batch.notify_one();
        }
        true
    }
}

/// The exporter of the process.
pub struct Exporter {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Exporter {
    /// Starts telling `endpoint` of what comes into the queue.
    pub fn start(endpoint: Endpoint, instruments: SpanInstruments) -> (Self, Queue) {
        let (sender, spans) = mpsc::channel(QUEUE);
        let (stop, has_batch) = (CancellationToken::new(), Arc::<Notify>::default());
        let worker = Worker {
            endpoint,
            spans,
            has_batch: Arc::clone(&has_batch),
            in_hand: 0,
            instance: uuid::Uuid::new_v4().to_string(),
            stop: stop.clone(),
            instruments,
            backoff: Backoff::new(Duration::from_millis(200), Duration::from_secs(5)),
        };
        (Self { stop, task: tokio::spawn(worker.run()) }, Queue { spans: sender, has_batch })
    }

    /// Tells of what is left, within a time.
    pub async fn finish(self) {
        self.stop.cancel();
        // It ends by itself, and a panic of its own was told.
        let _ = self.task.await;
    }
}

struct Worker {
    endpoint: Endpoint,
    spans: mpsc::Receiver<Span>,
    has_batch: Arc<Notify>,
    /// Spans that were taken out of the queue, and are neither told of nor given up.
    in_hand: usize,
    /// Tells this process from others of this program.
    instance: String,
    stop: CancellationToken,
    instruments: SpanInstruments,
    backoff: Backoff,
}

impl Worker {
    async fn run(mut self) {
        let stop = self.stop.clone();
        tokio::select! {
            () = self.tell_all() => {}
            () = async { stop.cancelled().await; sleep(FINISH).await } => {}
        }
        let left = self.in_hand + self.spans.len();
        if left > 0 {
            self.instruments.unreachable.increment(left as u64);
            tracing::warn!(
                endpoint = self.endpoint.address(),
                spans = left,
                "ended before these spans could be told of"
            );
        }
    }

    async fn tell_all(&mut self) {
        while !self.stop.is_cancelled() {
            self.wait().await;
            self.send_batch().await;
        }
        self.spans.close();
        while !self.spans.is_empty() {
            self.send_batch().await;
        }
    }

    /// Waits until there is a batch, or for what comes within the interval.
    async fn wait(&self) {
        if self.spans.len() >= BATCH {
            return;
        }
        tokio::select! {
            () = self.has_batch.notified() => {}
            () = sleep(INTERVAL) => {}
            () = self.stop.cancelled() => {}
        }
    }

    async fn send_batch(&mut self) {
        let spans: Vec<Span> = iter::from_fn(|| self.spans.try_recv().ok()).take(BATCH).collect();
        if spans.is_empty() {
            return;
        }
        self.in_hand = spans.len();
        let since = Instant::now();
        let body = Bytes::from(otlp::request(spans, &self.instance));
        loop {
            let error = match self.endpoint.send(body.clone()).await {
                Ok(answer) => return self.taken(&answer),
                Err(error) => error,
            };
            AWAY.warn("spans can't be told of", &error);
            let is_given_up = !error.is_retriable() || since.elapsed() > PATIENCE || self.stop.is_cancelled();
            if is_given_up {
                self.dropped(&error);
            }
            self.pause(&error).await;
            if is_given_up {
                return;
            }
        }
    }

    /// Leaves the endpoint alone for a while: also before the next batch.
    async fn pause(&mut self, error: &SendError) {
        let asked_for = error.retry_after().unwrap_or_default().min(LONGEST_PAUSE);
        let pause = self.backoff.after_failure().max(asked_for);
        tokio::select! {
            () = sleep(pause) => {}
            () = self.stop.cancelled() => {}
        }
    }

    fn taken(&mut self, answer: &[u8]) {
        let count = std::mem::take(&mut self.in_hand) as u64;
        if self.backoff.is_failing() {
            tracing::info!(endpoint = self.endpoint.address(), "spans are told of again");
        }
        self.backoff.reset();
        let refused = otlp::refused(answer);
        let rejected = refused.as_ref().map_or(0, |(rejected, _)| (*rejected).min(count));
        self.instruments.exported.increment(count - rejected);
        if let Some((_, reason)) = refused {
            REFUSED.warn("the endpoint refused spans", &reason.escape_debug());
            self.instruments.refused.increment(rejected);
        }
    }

    fn dropped(&mut self, error: &SendError) {
        let count = std::mem::take(&mut self.in_hand) as u64;
        match error {
            SendError::Away { .. } => self.instruments.unreachable.increment(count),
            SendError::Refused { .. } => self.instruments.refused.increment(count),
        }
    }
}
