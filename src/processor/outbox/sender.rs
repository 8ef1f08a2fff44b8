//! The task that sends.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use tokio::sync::mpsc;

use super::{Emission, Job, Shared};
use crate::backoff::Backoff;
use crate::kafka::KafkaError;
use crate::telemetry::trace::Current;

/// Acknowledged records are removed from Redis so many at a time, …
const REMOVE_AT: usize = 2_000;
/// … or after so long.
const REMOVE_AFTER: Duration = Duration::from_millis(5);

/// Where a record stands in the outbox: its home and its id.
pub type Place = (String, String);

/// Sends, one group's records in order.
pub struct Sender {
    shared: Arc<Shared>,
    jobs: mpsc::UnboundedReceiver<Job>,
    on_their_way: FuturesUnordered<BoxFuture<'static, (Place, Result<(), KafkaError>)>>,
    acknowledged: Vec<Place>,
    failed: Vec<Place>,
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
                Some((place, result)) = self.on_their_way.next(), if !is_full => self.settle(place, result),
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

    /// Gives records to the producer, in order. If one fails, it is read from the outbox again.
    async fn send(&mut self, emissions: Vec<Emission>) {
        for Emission { home, id, record, step } in emissions {
            let place = (home, id);
            if !self.failed.is_empty() {
                self.failed.push(place);
                continue;
            }
            match Current::new(step).scope(self.shared.producer.enqueue(record)).await {
                Ok(delivery) => self.on_their_way.push(Box::pin(async { (place, delivery.await) })),
                Err(error) => self.settle(place, Err(error)),
            }
        }
    }

    fn settle(&mut self, place: Place, result: Result<(), KafkaError>) {
        match result {
            Ok(()) => self.acknowledged.push(place),
            Err(error) if error.is_retriable() => {
                if self.failed.is_empty() && !self.backoff.is_failing() {
                    tracing::warn!(group = self.shared.group, %error, "can't send; trying again");
                }
                self.failed.push(place);
            }
            Err(error) => {
                // It would hold up everything behind it for ever. It stays in Redis: the next member tries it once more.
                let (home, id) = place;
                tracing::error!(group = self.shared.group, home, id, %error, "Kafka will not take a record; it stays in the outbox");
                self.shared.instruments.refused.increment(1);
                self.shared.done(1);
            }
        }
    }

    /// Sends what failed once more, unless it did arrive and only its acknowledgement did not.
    async fn send_again(&mut self) {
        tokio::time::sleep(self.backoff.after_failure()).await;
        match self.missing().await {
            Ok(missing) => {
                let found = self.failed.len() - missing.len();
                self.failed.clear();
                self.shared.done(found);
                self.send(missing).await;
            }
            Err(reason) => tracing::debug!(group = self.shared.group, reason, "can't send again yet"),
        }
    }

    /// What failed and is not in the log.
    async fn missing(&mut self) -> Result<Vec<Emission>, String> {
        let mut failed: BTreeMap<&str, HashSet<&str>> = BTreeMap::new();
        for (home, id) in &self.failed {
            failed.entry(home).or_default().insert(id);
        }
        let mut missing = Vec::new();
        for (home, ids) in failed {
            let mut left = self.shared.left(home).await.map_err(|error| error.to_string())?;
            left.retain(|emission| ids.contains(emission.id.as_str()));
            missing.extend(self.shared.not_sent(left).await?);
        }
        Ok(missing)
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
