//! The task that sends.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use tokio::sync::mpsc;

use super::{Emission, Job, Shared};
use crate::backoff::Backoff;
use crate::kafka::KafkaError;

/// Acknowledged records are removed from Redis so many at a time, …
const REMOVE_AT: usize = 2_000;
/// … or after so long.
const REMOVE_AFTER: Duration = Duration::from_millis(5);

/// Sends, one group's records in order.
pub struct Sender {
    shared: Arc<Shared>,
    jobs: mpsc::UnboundedReceiver<Job>,
    on_their_way: FuturesUnordered<BoxFuture<'static, (Emission, Result<(), KafkaError>)>>,
    acknowledged: Vec<(String, String)>,
    failed: Vec<Emission>,
    backoff: Backoff,
}

impl Sender {
    pub fn new(shared: Arc<Shared>, jobs: mpsc::UnboundedReceiver<Job>) -> Self {
        Self {
            shared,
            jobs,
            on_their_way: FuturesUnordered::new(),
            acknowledged: Vec::new(),
            failed: Vec::new(),
            backoff: Backoff::new(Duration::from_millis(100), Duration::from_secs(5)),
        }
    }

    pub async fn run(mut self) {
        let mut is_ending = false;
        loop {
            let is_idle = self.on_their_way.is_empty() && self.failed.is_empty();
            if is_idle && is_ending && self.acknowledged.is_empty() {
                return;
            }
            let is_full = self.acknowledged.len() >= REMOVE_AT;
            tokio::select! {
                biased;
                Some((emission, result)) = self.on_their_way.next(), if !is_full => self.settle(emission, result),
                // While anything has failed, nothing new goes before it.
                job = self.jobs.recv(), if !is_full && !is_ending && self.failed.is_empty() => match job {
                    Some(Job::Send(emissions)) => self.send(emissions).await,
                    Some(Job::Finish) | None => is_ending = true,
                },
                () = tokio::time::sleep(if is_full { Duration::ZERO } else { REMOVE_AFTER }), if !self.acknowledged.is_empty() => {
                    self.remove().await;
                }
                () = std::future::ready(()), if self.on_their_way.is_empty() && !self.failed.is_empty() => {
                    self.send_again().await;
                }
            }
        }
    }

    /// Gives records to the producer, in order. Each is kept beside until it is acknowledged: its bytes are shared.
    async fn send(&mut self, emissions: Vec<Emission>) {
        for emission in emissions {
            if !self.failed.is_empty() {
                self.failed.push(emission);
                continue;
            }
            match self.shared.producer.enqueue(emission.record.clone()).await {
                Ok(delivery) => self.on_their_way.push(Box::pin(async { (emission, delivery.await) })),
                Err(error) => self.settle(emission, Err(error)),
            }
        }
    }

    fn settle(&mut self, emission: Emission, result: Result<(), KafkaError>) {
        match result {
            Ok(()) => self.acknowledged.push((emission.home, emission.id)),
            Err(error) if error.is_retriable() => {
                if self.failed.is_empty() && !self.backoff.is_failing() {
                    tracing::warn!(group = self.shared.group, %error, "can't send; trying again");
                }
                self.failed.push(emission);
            }
            Err(error) => {
                // It would hold up everything behind it for ever. It stays in Redis: the next member tries it once more.
                let (home, id) = (&emission.home, &emission.id);
                tracing::error!(group = self.shared.group, home, id, %error, "Kafka will not take a record; it stays in the outbox");
                self.shared.instruments.refused.increment(1);
                self.shared.done(1);
            }
        }
    }

    /// Sends what failed once more, unless it did arrive and only its acknowledgement did not.
    async fn send_again(&mut self) {
        tokio::time::sleep(self.backoff.after_failure()).await;
        let mut failed = std::mem::take(&mut self.failed);
        failed.sort_by(|a, b| a.id.cmp(&b.id));
        let count = failed.len();
        match self.shared.not_sent(failed.clone()).await {
            Ok(missing) => {
                self.shared.done(count - missing.len());
                self.send(missing).await;
            }
            Err(reason) => {
                tracing::debug!(reason, "can't look into the log");
                self.failed = failed;
            }
        }
    }

    async fn remove(&mut self) {
        let acknowledged = std::mem::take(&mut self.acknowledged);
        let count = acknowledged.len();
        match self.shared.remove(acknowledged.clone()).await {
            Ok(()) => {
                self.backoff.reset();
                self.shared.done(count);
            }
            Err(error) => {
                // They are found in the log if nobody comes to remove them.
                tracing::debug!(%error, "can't empty the outbox");
                self.acknowledged = acknowledged;
                tokio::time::sleep(self.backoff.after_failure()).await;
            }
        }
    }
}
