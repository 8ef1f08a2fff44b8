//! The consumer runtime: one for every group.
//!
//! It polls, asks the group's [`Handler`] what each record means, sends poison to the dead-letter topic, has the
//! effects applied together with their offsets, and commits to Kafka for the tools to see. In order within a
//! partition; one poll's worth of records in memory.
//!
//! ```text
//! poll ──> work in hand ──> plan ──> dead letters ──> apply ──> commit
//!   ^          │ (pausing its partitions)                │
//!   └──────────┴──────────── backoff <───────────────────┘ unavailable
//! ```
//!
//! **The state's own offset is the truth.** A newly assigned partition stays paused until the handler has said where
//! its state stands, and the runtime seeks there; what Kafka has as committed plays no part. While the store or Kafka
//! is away the runtime keeps polling with its partitions paused, so it stays in the group, and tries again with
//! exponential backoff and jitter.

mod assignment;
mod handler;
mod health;
mod work;

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use krafka::consumer::{AutoOffsetReset, Consumer, OffsetAndMetadata, PartitionAssignmentStrategy, TopicPartition};
use krafka::{CloseOptions, KrafkaError};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::event::now_ms;
use super::{Cluster, KafkaError, Producer, dead_letter};
use crate::backoff::Backoff;
use assignment::{Assignment, Listener};
use work::{Plan, Work};

pub use handler::{ApplyError, Effect, Handler, Outcome, PartitionEffects};
pub use health::GroupHealth;

/// Records a poll hands out at most: large enough that one script call carries thousands of messages while a backlog
/// is drained, small enough that a batch is applied in milliseconds.
const MAX_POLL_RECORDS: i32 = 5_000;
/// How often offsets are committed to Kafka.
const COMMIT_INTERVAL: Duration = Duration::from_millis(500);
/// How often the state is asked whether it still stands where this member left it: a partition to which nobody writes
/// brings no batch that would tell.
const CHECK_INTERVAL: Duration = Duration::from_secs(5);
/// How long a poll without records waits.
const IDLE_POLL: Duration = Duration::from_secs(1);
/// Attempts at a record that asks for a retry before it is a dead letter.
const MAX_ATTEMPTS: u32 = 5;
/// How long leaving the group may take at the end.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(3);

/// One group's membership: what to consume and as whom.
#[derive(Clone, Debug)]
pub struct Group {
    /// The group's id.
    pub id: String,
    /// Its topics.
    pub topics: Vec<String>,
}

/// Consumes `group` until `shutdown`, then finishes the batch in hand, commits and leaves the group.
///
/// # Errors
/// Only what can't get better by waiting, such as refused credentials.
pub async fn run<H: Handler>(
    group: Group,
    handler: H,
    cluster: &Cluster,
    producer: Producer,
    health: GroupHealth,
    shutdown: CancellationToken,
) -> Result<(), KafkaError> {
    let mut runtime = Runtime::start(group, handler, cluster, producer, health).await?;
    let result = runtime.consume(&shutdown).await;
    runtime.stop().await;
    result
}

struct Runtime<H: Handler> {
    group: Group,
    handler: H,
    consumer: Arc<Consumer>,
    producer: Producer,
    assignment: Assignment,
    health: GroupHealth,
    work: Work,
    /// Whether something that the group needs is away; then the next attempt comes after the backoff.
    stalled: bool,
    backoff: Backoff,
    commit: Option<JoinHandle<()>>,
    last_commit: Instant,
    last_check: Instant,
}

impl<H: Handler> Runtime<H> {
    async fn start(
        group: Group,
        handler: H,
        cluster: &Cluster,
        producer: Producer,
        health: GroupHealth,
    ) -> Result<Self, KafkaError> {
        let assignment = Assignment::default();
        let slot = Arc::new(OnceLock::new());
        let listener = Listener {
            group: group.id.clone(),
            assignment: assignment.clone(),
            health: health.clone(),
            consumer: Arc::clone(&slot),
        };
        let session_timeout = cluster.settings().session_timeout;
        let consumer = (cluster.consuming().await?.consumer(&group.id))
            .enable_auto_commit(false)
            .auto_offset_reset(AutoOffsetReset::Earliest)
            .partition_assignment_strategy(PartitionAssignmentStrategy::CooperativeSticky)
            .session_timeout(session_timeout)
            .heartbeat_interval(session_timeout / 3)
            .max_poll_records(MAX_POLL_RECORDS)
            .max_buffered_records(2 * MAX_POLL_RECORDS)
            .max_partition_fetch_bytes(4 * 1024 * 1024)
            .rebalance_listener(listener)
            .build()
            .await
            .map_err(KafkaError::request(format!("join group {}", group.id)))?;
        let consumer = Arc::new(consumer);
        // Nobody else has the slot yet, so it is empty.
        let _ = slot.set(Arc::downgrade(&consumer));
        consumer.subscribe(&group.topics).await.map_err(KafkaError::request("subscribe"))?;
        Ok(Self {
            group,
            handler,
            consumer,
            producer,
            assignment,
            health,
            work: Work::default(),
            stalled: false,
            backoff: Backoff::new(Duration::from_millis(50), Duration::from_secs(2)),
            commit: None,
            last_commit: Instant::now(),
            last_check: Instant::now(),
        })
    }

    async fn consume(&mut self, shutdown: &CancellationToken) -> Result<(), KafkaError> {
        while !shutdown.is_cancelled() {
            let wait = if self.stalled { self.backoff.after_failure() } else { IDLE_POLL };
            let polled = tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                polled = self.poll(wait) => polled,
            };
            match polled {
                Ok(()) => {}
                Err(error) if error.is_fatal() => {
                    return Err(KafkaError::request(format!("consume as group {}", self.group.id))(error));
                }
                Err(error) => {
                    self.stall("poll", &error.to_string());
                    tokio::select! {
                        () = shutdown.cancelled() => break,
                        () = tokio::time::sleep(self.backoff.after_failure()) => {}
                    }
                    continue;
                }
            }
            if let Err(error) = self.advance().await {
                self.recover(error).await;
            } else if self.stalled && self.work.is_empty() {
                tracing::info!(group = %self.group.id, "working again");
                self.stalled = false;
                self.backoff.reset();
                self.health.set_stalled(false);
            }
            self.report().await;
            self.commit_in_background();
        }
        Ok(())
    }

    /// Polls, with the partitions paused whose records are still in hand. Records of partitions that were given away,
    /// or whose position is not known (again), are dropped: they will be read once that is settled.
    async fn poll(&mut self, wait: Duration) -> Result<(), KrafkaError> {
        let in_hand = self.work.partitions();
        for partition in &in_hand {
            self.consumer.pause(partition.topic(), &[partition.partition()]).await;
        }
        let records = tokio::select! {
            biased;
            records = self.consumer.poll(wait) => records?,
            // What was just assigned is paused until its state is asked: nothing of it would end this poll.
            () = self.assignment.grown() => Vec::new(),
        };
        let ready = self.assignment.positioned();
        self.work.add(records);
        self.work.retain(|partition| ready.contains(partition));
        for partition in in_hand.iter().filter(|partition| ready.contains(partition)) {
            self.consumer.resume(partition.topic(), &[partition.partition()]).await;
        }
        Ok(())
    }

    /// Positions what is new, then handles what is in hand.
    async fn advance(&mut self) -> Result<(), ApplyError> {
        for partition in self.assignment.unpositioned() {
            self.position(partition).await?;
        }
        self.check_state().await?;
        self.check_log()?;
        if self.work.is_empty() {
            return Ok(());
        }
        let started = Instant::now();
        let plan = {
            let standings = self.assignment.lock();
            let expected = |partition: &TopicPartition| standings.get(partition).and_then(|standing| standing.next);
            self.work.plan(&self.handler, expected, MAX_ATTEMPTS)
        };
        self.send_dead_letters(&plan).await?;
        self.handler.apply(&plan.effects).await?;
        self.applied(&plan, started.elapsed());
        self.work.done(&plan);
        if plan.retrying {
            return Err(ApplyError::Unavailable("a record asked to be tried again".to_owned()));
        }
        Ok(())
    }

    /// Asks the state where it stands in a new partition, and goes there.
    async fn position(&self, partition: TopicPartition) -> Result<(), ApplyError> {
        let unavailable = |error: KrafkaError| ApplyError::Unavailable(error.to_string());
        let (topic, number) = (partition.topic(), partition.partition());
        let (start, end) = self.consumer.fetch_watermarks(topic, number).await.map_err(unavailable)?;
        let mut next = self.handler.position(&partition).await?;
        if let Some(offset) = next.filter(|&offset| offset > end) {
            tracing::warn!(group = %self.group.id, topic, partition = number, offset, end, "the state is ahead of the log, which was truncated or made anew; reading it from its start");
            self.handler.rewound(std::slice::from_ref(&partition)).await?;
            next = None;
        }
        if let Some(offset) = next.filter(|&offset| offset < start) {
            tracing::warn!(group = %self.group.id, topic, partition = number, offset, start, lost = start - offset, "retention removed records before they were handled");
        }
        let seek = next.unwrap_or(start).max(start);
        self.consumer.seek(topic, number, seek).await.map_err(unavailable)?;
        self.consumer.resume(topic, &[number]).await;
        if let Some(standing) = self.assignment.lock().get_mut(&partition) {
            standing.next = next;
            standing.positioned = true;
        }
        tracing::debug!(group = %self.group.id, topic, partition = number, offset = seek, "positioned");
        Ok(())
    }

    /// Asks the state, now and then, whether it still stands where this member left it.
    async fn check_state(&mut self) -> Result<(), ApplyError> {
        if self.last_check.elapsed() < CHECK_INTERVAL {
            return Ok(());
        }
        let mut behind = Vec::new();
        for (partition, next) in self.assignment.applied() {
            let stored = self.handler.position(&partition).await?;
            if stored.is_none_or(|stored| stored < next) {
                behind.push((partition, stored));
            }
        }
        self.last_check = Instant::now();
        if behind.is_empty() { Ok(()) } else { Err(ApplyError::RolledBack(behind)) }
    }

    /// Notices a log that begins again below what was applied: the topic was deleted and made anew, or truncated. The
    /// state would take its records for ones that it has seen, and skip them.
    fn check_log(&self) -> Result<(), ApplyError> {
        let first = self.work.first_offsets();
        let anew: Vec<_> = (self.assignment.applied().into_iter())
            .filter(|(partition, next)| first.get(partition).is_some_and(|first| first < next))
            .map(|(partition, _)| (partition, None))
            .collect();
        if anew.is_empty() { Ok(()) } else { Err(ApplyError::RolledBack(anew)) }
    }

    async fn send_dead_letters(&mut self, plan: &Plan<H::Effect>) -> Result<(), ApplyError> {
        for (record, reason, attempts) in &plan.dead {
            let (topic, partition, offset) = (&*record.topic, record.partition, record.offset);
            dead_letter::send(&self.producer, &self.group.id, record, reason, *attempts)
                .await
                .map_err(|error| ApplyError::Unavailable(error.to_string()))?;
            self.work.dead_lettered(record);
            let reason = dead_letter::brief(reason);
            tracing::warn!(group = %self.group.id, topic, partition, offset, reason, "record sent to the dead-letter topic");
        }
        Ok(())
    }

    fn applied(&self, plan: &Plan<H::Effect>, took: Duration) {
        let mut standings = self.assignment.lock();
        for (effects, taken) in plan.effects.iter().zip(&plan.taken) {
            if let Some(standing) = standings.get_mut(&effects.partition) {
                standing.next = Some(effects.next);
                standing.last_timestamp = taken.last_timestamp;
                standing.instruments.batch((taken.records - taken.dead) as u64, taken.dead as u64, took);
            }
        }
    }

    /// Reacts to a failed [`advance`](Self::advance): the records stay in hand, unless the state has to go back.
    async fn recover(&mut self, error: ApplyError) {
        let ApplyError::RolledBack(partitions) = error else {
            return self.stall("unavailable", &error.to_string());
        };
        let forget: Vec<_> =
            partitions.iter().filter(|(_, stored)| stored.is_none()).map(|(tp, _)| tp.clone()).collect();
        tracing::warn!(group = %self.group.id, partitions = partitions.len(), lost = forget.len(), "the state or the log was lost or rolled back; going back in the log");
        if let Err(error) = self.handler.rewound(&forget).await {
            return self.stall("unavailable", &error.to_string());
        }
        // What happened to one partition has most likely happened to all: each asks the state anew.
        self.work.retain(|_| false);
        self.assignment.unposition();
    }

    fn stall(&mut self, kind: &'static str, reason: &str) {
        if !self.stalled {
            tracing::warn!(group = %self.group.id, reason, "waiting");
            self.stalled = true;
            self.health.set_stalled(true);
        }
        for standing in self.assignment.lock().values() {
            standing.instruments.error(kind);
        }
    }

    /// Keeps the gauges of position and lag true, from what the last fetch said: no request is sent for it.
    async fn report(&self) {
        let lag = self.consumer.lag().await;
        let now = now_ms();
        for (partition, standing) in self.assignment.lock().iter() {
            let Some(next) = standing.next else { continue };
            let end = lag.get(partition).and_then(|lag| lag.high_watermark);
            let age = Duration::from_millis(now.saturating_sub(standing.last_timestamp).max(0).unsigned_abs());
            standing.instruments.position(next, end, age);
        }
    }

    /// Commits what was handled, at most every [`COMMIT_INTERVAL`] and never in the way of the next batch.
    fn commit_in_background(&mut self) {
        let busy = self.commit.as_ref().is_some_and(|commit| !commit.is_finished());
        if busy || self.last_commit.elapsed() < COMMIT_INTERVAL {
            return;
        }
        let offsets = self.assignment.uncommitted(|_| true);
        if offsets.is_empty() {
            return;
        }
        self.last_commit = Instant::now();
        let commit = commit(Arc::clone(&self.consumer), self.assignment.clone(), offsets);
        self.commit = Some(tokio::spawn(commit));
    }

    /// Commits the last offsets and leaves the group.
    async fn stop(&mut self) {
        if let Some(commit) = self.commit.take() {
            let _ = tokio::time::timeout(CLOSE_TIMEOUT, commit).await;
        }
        // Closing revokes the partitions, and the listener commits what is left of them.
        if let Err(error) = self.consumer.close_with(CloseOptions::new().timeout(CLOSE_TIMEOUT)).await {
            tracing::warn!(group = %self.group.id, %error, "did not leave the group in order");
        }
    }
}

async fn commit(consumer: Arc<Consumer>, assignment: Assignment, offsets: Vec<(TopicPartition, OffsetAndMetadata)>) {
    match consumer.commit_offsets(offsets.clone()).await {
        Ok(()) => assignment.committed(&offsets),
        Err(error) => tracing::debug!(%error, "commit failed; the next one covers it"),
    }
}
