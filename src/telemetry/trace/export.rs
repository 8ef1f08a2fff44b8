//! Tells the endpoint of spans, in batches, in the order in which they ended, and never in the way of the work: who tells of
//! one puts it into a queue, and where that is full it is counted and forgotten.

use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::endpoint::{Endpoint, SendError};
use super::otlp;
use super::span::Span;
use crate::backoff::Backoff;
use crate::telemetry::instruments::SpanInstruments;
use crate::telemetry::seldom::Seldom;

/// Spans that wait to be told of at most: some megabytes.
pub const QUEUE: usize = 8_192;
/// Spans of a request at most.
const BATCH: usize = 1_024;
/// How long a span waits for others.
const INTERVAL: Duration = Duration::from_secs(1);
/// How often a request is made until its spans are given up. Meanwhile the queue fills.
const ATTEMPTS: u32 = 5;
/// How long what is left may take at the end.
const FINISH: Duration = Duration::from_secs(1);

/// That the endpoint is away is known after the first time.
static AWAY: Seldom = Seldom::every(Duration::from_secs(60));
/// So is what it doesn't want.
static REFUSED: Seldom = Seldom::every(Duration::from_secs(60));

/// The exporter of the process.
pub struct Exporter {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Exporter {
    /// Starts telling `endpoint` of what comes through `queue`.
    pub fn start(endpoint: Endpoint, queue: mpsc::Receiver<Span>, instruments: SpanInstruments) -> Self {
        let stop = CancellationToken::new();
        let worker = Worker {
            endpoint,
            queue,
            instance: uuid::Uuid::new_v4().to_string(),
            stop: stop.clone(),
            instruments,
            backoff: Backoff::new(Duration::from_millis(200), Duration::from_secs(5)),
        };
        Self { stop, task: tokio::spawn(worker.run()) }
    }

    /// Tells of what is left, within a time.
    pub async fn finish(self) {
        self.stop.cancel();
        let mut task = self.task;
        if tokio::time::timeout(FINISH, &mut task).await.is_err() {
            task.abort();
            tracing::warn!("some spans were not told of");
        }
    }
}

struct Worker {
    endpoint: Endpoint,
    queue: mpsc::Receiver<Span>,
    /// Tells this process from others of this program.
    instance: String,
    stop: CancellationToken,
    instruments: SpanInstruments,
    backoff: Backoff,
}

impl Worker {
    async fn run(mut self) {
        while !self.stop.is_cancelled() {
            let spans = self.gather().await;
            self.send(spans).await;
        }
        self.queue.close();
        let mut spans = Vec::new();
        while self.queue.recv_many(&mut spans, BATCH).await > 0 {
            self.send(std::mem::take(&mut spans)).await;
        }
    }

    /// A batch, or what came within the interval.
    async fn gather(&mut self) -> Vec<Span> {
        let mut spans = Vec::with_capacity(BATCH);
        let gathered = async {
            loop {
                let room = BATCH - spans.len();
                if room == 0 || self.queue.recv_many(&mut spans, room).await == 0 {
                    break;
                }
            }
        };
        tokio::select! {
            () = gathered => {}
            () = tokio::time::sleep(INTERVAL) => {}
            () = self.stop.cancelled() => {}
        }
        spans
    }

    async fn send(&mut self, spans: Vec<Span>) {
        if spans.is_empty() {
            return;
        }
        let count = spans.len() as u64;
        let body = Bytes::from(otlp::request(spans, &self.instance));
        for attempt in 1..=ATTEMPTS {
            match self.endpoint.send(body.clone()).await {
                Ok(answer) => return self.taken(count, &answer),
                Err(error) => {
                    AWAY.warn("spans can't be told of", &error);
                    if !error.is_retriable() || attempt == ATTEMPTS || self.stop.is_cancelled() {
                        return self.dropped(&error, count);
                    }
                }
            }
            tokio::select! {
                () = tokio::time::sleep(self.backoff.after_failure()) => {}
                () = self.stop.cancelled() => {}
            }
        }
    }

    fn taken(&mut self, count: u64, answer: &[u8]) {
        self.backoff.reset();
        let refused = otlp::refused(answer);
        let rejected = refused.as_ref().map_or(0, |(rejected, _)| (*rejected).min(count));
        self.instruments.exported.increment(count - rejected);
        if let Some((_, reason)) = refused {
            REFUSED.warn("the endpoint refused spans", &reason.escape_debug());
            self.instruments.refused.increment(rejected);
        }
    }

    fn dropped(&self, error: &SendError, count: u64) {
        match error {
            SendError::Away { .. } => self.instruments.unreachable.increment(count),
            SendError::Refused { .. } => self.instruments.refused.increment(count),
        }
    }
}
