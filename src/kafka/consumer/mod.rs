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
mod join;
mod letters;
mod reconcile;
mod work;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use krafka::consumer::{Consumer, OffsetAndMetadata, TopicPartition};
use krafka::{CloseOptions, GroupMembershipOperation, KrafkaError};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{Cluster, KafkaError, Producer, dead_letter, traces};
use crate::backoff::Backoff;
use crate::clock::now_ms;
use assignment::Assignment;
use join::join;
use work::{Plan, Work};

pub use handler::{ApplyError, Effect, Handler, Outcome, PartitionEffects, Position};
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
/// The same, while the member has no partition to read: one that is assigned is paused until its state was asked, so
/// that no record of it ends the poll.
const JOIN_POLL: Duration = Duration::from_millis(100);
/// Attempts at a record that asks for a retry before it is a dead letter.
const MAX_ATTEMPTS: u32 = 5;
/// How long the last commit, and then leaving the group, may take at the end.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(1_500);

/// One group's membership: what to consume and as whom.
#[derive(Clone, Debug)]
pub struct Group {
    /// The group's id.
    pub id: String,
    /// Its topics.
    pub topics: Vec<String>,
    /// Where its dead letters go; to the topic of its own that each of its topics has, unless one is named.
    pub dead_letters: Option<String>,
}

impl Group {
    /// The dead-letter topic for records of `topic`.
    fn dead_letters_of(&self, topic: &str) -> String {
        self.dead_letters.clone().unwrap_or_else(|| dead_letter::topic_of(topic))
    }
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
    let assignment = Assignment::default();
    let Some(consumer) = join(&group, cluster, &assignment, &health, &shutdown).await? else { return Ok(()) };
    let mut runtime = Runtime::new(group, handler, consumer, producer, assignment, health);
    let result = runtime.consume(&shutdown).await;
    runtime.stop().await;
    result
}

fn backoff() -> Backoff {
    Backoff::new(Duration::from_millis(50), Duration::from_secs(2))
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
    last_report: Instant,
}

impl<H: Handler> Runtime<H> {
    fn new(
        group: Group,
        handler: H,
        consumer: Arc<Consumer>,
        producer: Producer,
        assignment: Assignment,
        health: GroupHealth,
    ) -> Self {
        let now = Instant::now();
        Self {
            group,
            handler,
            consumer,
            producer,
            assignment,
            health,
            work: Work::default(),
            stalled: false,
            backoff: backoff(),
            commit: None,
            last_commit: now,
            last_check: now,
            last_report: now,
        }
    }

    async fn consume(&mut self, shutdown: &CancellationToken) -> Result<(), KafkaError> {
        while !shutdown.is_cancelled() {
            let wait = match self.stalled {
                true => self.backoff.after_failure(),
                false if !self.assignment.handles_any() => JOIN_POLL,
                false => self.until_tick().min(IDLE_POLL),
            };
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
        let records = self.consumer.poll(wait).await?;
        let ready = self.assignment.positioned();
        self.work.add(records);
        self.work.retain(|partition| ready.contains(partition));
        for partition in in_hand.iter().filter(|partition| ready.contains(partition)) {
            self.consumer.resume(partition.topic(), &[partition.partition()]).await;
        }
        Ok(())
    }

    /// Positions what is new, then handles what is in hand. A partition that can't be positioned, because its leader is
    /// away, keeps no other from going on.
    async fn advance(&mut self) -> Result<(), ApplyError> {
        let positioned = self.position_new().await;
        self.check().await?;
        self.check_log().await?;
        if !self.work.is_empty() {
            self.handle().await?;
        }
        self.tick().await?;
        positioned
    }

    /// How long it is until the handler has something to do by itself.
    fn until_tick(&self) -> Duration {
        let wait = |at: i64| Duration::from_millis(at.saturating_sub(now_ms()).max(0).unsigned_abs());
        self.handler.next_tick().map_or(Duration::MAX, wait)
    }

    /// Has the handler do what is due by itself, up to where the records allow it.
    async fn tick(&self) -> Result<(), ApplyError> {
        if !self.until_tick().is_zero() {
            return Ok(());
        }
        let partitions = self.assignment.positioned();
        if partitions.is_empty() {
            return Ok(());
        }
        let until = self.applied_until().await;
        self.handler.tick(&partitions, until).await
    }

    async fn handle(&mut self) -> Result<(), ApplyError> {
        let started = Instant::now();
        let mut plan = {
            let standings = self.assignment.lock();
            let expected = |partition: &TopicPartition| standings.get(partition).and_then(|standing| standing.next);
            self.work.plan(&self.handler, &self.group.id, expected, MAX_ATTEMPTS)
        };
        let sent = self.send_dead_letters(&mut plan).await;
        if !plan.effects.is_empty() {
            let apply = self.handler.apply(&plan.effects);
            traces::work_on_batch(&plan.effects).scope(apply).await?;
            self.applied(&plan, started.elapsed());
        }
        self.work.done(&plan);
        sent?;
        if plan.retrying {
            return Err(ApplyError::Unavailable("a record asked to be tried again".to_owned()));
        }
        Ok(())
    }

    fn applied(&self, plan: &Plan<H::Effect>, took: Duration) {
        traces::batch_ended(&self.group.id, &plan.effects, took);
        let mut standings = self.assignment.lock();
        for (effects, taken) in plan.effects.iter().zip(&plan.taken) {
            if let Some(standing) = standings.get_mut(&effects.partition) {
                standing.next = Some(effects.next);
                standing.last_timestamp = Some(taken.last_timestamp);
                let (unreadable, exhausted) = (taken.unreadable as u64, taken.exhausted as u64);
                standing.instruments.batch(taken.records as u64 - unreadable - exhausted, unreadable, exhausted, took);
            }
        }
    }

    /// Reacts to a failed [`advance`](Self::advance): the records stay in hand, unless the state has to go back.
    async fn recover(&mut self, mut error: ApplyError) {
        if let ApplyError::RolledBack(partitions) = &error {
            match self.go_back(partitions).await {
                Ok(()) => return,
                Err(failed) => error = failed,
            }
        }
        match error {
            // Nothing is wrong with a member that waits for the end of a replay.
            ApplyError::Fenced => self.wait("fenced", &error.to_string()),
            error => self.stall("unavailable", &error.to_string()),
        }
    }

    fn stall(&mut self, kind: &'static str, reason: &str) {
        self.wait(kind, reason);
        self.health.set_stalled(true);
    }

    fn wait(&mut self, kind: &'static str, reason: &str) {
        if !self.stalled {
            tracing::warn!(group = %self.group.id, reason, "waiting");
            self.stalled = true;
        }
        self.assignment.count_error(kind);
    }

    /// Keeps the gauges of position and lag true, from what the last fetch said: no request is sent for it. While
    /// nothing is fetched, the log's ends are asked for now and then: lag matters most when nobody works it off.
    async fn report(&mut self) {
        let ends: HashMap<_, _> = if !self.stalled {
            let known = self.consumer.lag().await;
            known.into_iter().filter_map(|(partition, lag)| Some((partition, lag.high_watermark?))).collect()
        } else if self.last_report.elapsed() >= CHECK_INTERVAL {
            self.ends().await
        } else {
            return;
        };
        self.last_report = Instant::now();
        let now = now_ms();
        for (partition, standing) in self.assignment.lock().iter().filter(|(_, standing)| standing.positioned) {
            let age =
                standing.last_timestamp.map(|at| Duration::from_millis(now.saturating_sub(at).max(0).unsigned_abs()));
            standing.instruments.position(standing.offset(), ends.get(partition).copied(), age);
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
        // A member with a name of its own would keep its place until its session ends, were it not to leave.
        let leave =
            CloseOptions::new().timeout(CLOSE_TIMEOUT).group_membership_operation(GroupMembershipOperation::LeaveGroup);
        if let Err(error) = self.consumer.close_with(leave).await {
            tracing::warn!(group = %self.group.id, %error, "did not leave the group in order");
        }
        self.health.set_joined(false);
    }
}

async fn commit(consumer: Arc<Consumer>, assignment: Assignment, offsets: Vec<(TopicPartition, OffsetAndMetadata)>) {
    match consumer.commit_offsets(offsets.clone()).await {
        Ok(()) => assignment.committed(&offsets),
        Err(error) => {
            assignment.count_error("commit");
            tracing::debug!(%error, "commit failed; the next one covers it");
        }
    }
}
