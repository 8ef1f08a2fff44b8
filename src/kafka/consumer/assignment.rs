//! Which partitions this member has, and where each stands.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use krafka::consumer::{Consumer, ConsumerRebalanceListener, OffsetAndMetadata, TopicPartition};

use super::health::GroupHealth;
use crate::telemetry::instruments::PartitionInstruments;
use crate::telemetry::metrics as m;

/// A partition's standing in this member.
pub struct Standing {
    /// The next offset to handle, once the state has been asked; `None` when the state has seen nothing yet.
    pub next: Option<i64>,
    /// Where reading began, once the state has been asked.
    pub start: i64,
    /// Whether the state has been asked; until then the partition is paused.
    pub positioned: bool,
    /// The offset last committed to Kafka.
    pub committed: Option<i64>,
    /// Timestamp (ms) of the last handled record, if any.
    pub last_timestamp: Option<i64>,
    /// The topic's id.
    pub log: String,
    /// Its metrics.
    pub instruments: PartitionInstruments,
}

impl Standing {
    /// The offset of the record to handle next.
    pub fn offset(&self) -> i64 {
        self.next.unwrap_or(self.start)
    }
}

/// The assignment, shared between the loop and the rebalance listener. The listener runs inside `poll`, so the two
/// never touch it at once; the mutex only says so to the compiler.
#[derive(Clone, Default)]
pub struct Assignment {
    partitions: Arc<Mutex<HashMap<TopicPartition, Standing>>>,
}

impl Assignment {
    /// The partitions, to read and change.
    pub fn lock(&self) -> MutexGuard<'_, HashMap<TopicPartition, Standing>> {
        self.partitions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Partitions whose state has not been asked for its position yet.
    pub fn unpositioned(&self) -> Vec<TopicPartition> {
        self.select(|standing| !standing.positioned)
    }

    /// Partitions that are being handled.
    pub fn positioned(&self) -> Vec<TopicPartition> {
        self.select(|standing| standing.positioned)
    }

    /// Whether any partition is being handled.
    pub fn handles_any(&self) -> bool {
        self.lock().values().any(|standing| standing.positioned)
    }

    /// Partitions that are being handled, each with the offset after what was applied, if anything was, and the topic's
    /// id.
    pub fn handled(&self) -> Vec<(TopicPartition, Option<i64>, String)> {
        (self.lock().iter())
            .filter(|(_, standing)| standing.positioned)
            .map(|(partition, standing)| (partition.clone(), standing.next, standing.log.clone()))
            .collect()
    }

    /// Has every partition ask the state for its position again.
    pub fn unposition(&self) {
        self.lock().values_mut().for_each(|standing| standing.positioned = false);
    }

    fn select(&self, matches: impl Fn(&Standing) -> bool) -> Vec<TopicPartition> {
        self.lock().iter().filter(|(_, standing)| matches(standing)).map(|(partition, _)| partition.clone()).collect()
    }

    /// Offsets that Kafka has not heard of yet, of those partitions that `select` takes. Where nothing was handled so
    /// far it is the offset at which reading began: a tool that compares it with the end shows the lag from there.
    pub fn uncommitted(&self, select: impl Fn(&TopicPartition) -> bool) -> Vec<(TopicPartition, OffsetAndMetadata)> {
        (self.lock().iter())
            .filter(|(partition, standing)| standing.positioned && select(partition))
            .filter(|(_, standing)| standing.committed != Some(standing.offset()))
            .map(|(partition, standing)| (partition.clone(), OffsetAndMetadata::new(standing.offset())))
            .collect()
    }

    /// Counts a failure that concerns every partition.
    pub fn count_error(&self, kind: &'static str) {
        self.lock().values().for_each(|standing| standing.instruments.error(kind));
    }

    /// Notes that offsets were committed.
    pub fn committed(&self, offsets: &[(TopicPartition, OffsetAndMetadata)]) {
        let mut partitions = self.lock();
        for (partition, committed) in offsets {
            if let Some(standing) = partitions.get_mut(partition) {
                standing.committed = Some(committed.offset);
            }
        }
    }
}

/// Keeps the [`Assignment`] true through rebalances.
pub struct Listener {
    pub group: String,
    pub assignment: Assignment,
    pub health: GroupHealth,
    /// Set once the consumer that owns this listener exists.
    pub consumer: Arc<OnceLock<Weak<Consumer>>>,
}

impl Listener {
    fn consumer(&self) -> Option<Arc<Consumer>> {
        self.consumer.get().and_then(Weak::upgrade)
    }

    fn forget(&self, partitions: &[TopicPartition]) {
        let mut standings = self.assignment.lock();
        for standing in partitions.iter().filter_map(|partition| standings.remove(partition)) {
            standing.instruments.given_back();
        }
        drop(standings);
        self.count_rebalance();
        if !partitions.is_empty() {
            tracing::info!(group = %self.group, partitions = %names(partitions), "partitions given back");
        }
    }

    fn count_rebalance(&self) {
        metrics::counter!(m::CONSUMER_REBALANCES.name, "consumer_group" => self.group.clone()).increment(1);
    }
}

impl ConsumerRebalanceListener for Listener {
    async fn on_partitions_assigned(&self, partitions: &[TopicPartition]) {
        if let Some(consumer) = self.consumer() {
            // Nothing may be fetched before the state has said where it stands.
            for partition in partitions {
                consumer.pause(partition.topic(), &[partition.partition()]).await;
            }
        }
        let mut standings = self.assignment.lock();
        for partition in partitions {
            let instruments = PartitionInstruments::new(&self.group, partition.topic(), partition.partition());
            standings.insert(
                partition.clone(),
                Standing {
                    next: None,
                    start: 0,
                    positioned: false,
                    committed: None,
                    last_timestamp: None,
                    log: String::new(),
                    instruments,
                },
            );
        }
        drop(standings);
        self.count_rebalance();
        self.health.set_joined(true);
        if !partitions.is_empty() {
            tracing::info!(group = %self.group, partitions = %names(partitions), "partitions assigned");
        }
    }

    async fn on_partitions_revoked(&self, partitions: &[TopicPartition]) {
        let offsets = self.assignment.uncommitted(|partition| partitions.contains(partition));
        if let Some(consumer) = self.consumer()
            && !offsets.is_empty()
            && let Err(error) = consumer.commit_offsets(offsets).await
        {
            // The state's own offset is the truth, so this only makes the tools late.
            tracing::debug!(group = %self.group, %error, "final commit failed");
        }
        self.forget(partitions);
    }

    async fn on_partitions_lost(&self, partitions: &[TopicPartition]) {
        self.health.set_joined(false);
        self.forget(partitions);
    }
}

fn names(partitions: &[TopicPartition]) -> String {
    let mut names: Vec<_> = partitions.iter().map(|tp| format!("{}-{}", tp.topic(), tp.partition())).collect();
    names.sort();
    names.join(" ")
}
