//! Replays: a group's state is rebuilt from the log beside the live one, and put in its place in one step.
//!
//! The partitions are read at once and merged by time, so the rebuilt state sees the records in the order in which
//! they were written, whatever partition they are in. While it is built, a fence holds every consumer off the live
//! state; the fence lapses by itself when the replay dies.

mod merged;

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use krafka::ConsumerRecord;
use krafka::consumer::TopicPartition;
use tokio_util::sync::CancellationToken;

use super::consumer::{ApplyError, Effect, Handler, Outcome, PartitionEffects};
use super::log::PartitionLog;
use super::{KafkaError, Producer, dead_letter};
use crate::backoff::Backoff;
use merged::Merged;

/// How long the fence lasts unless it is renewed.
const FENCE: Duration = Duration::from_secs(15);
/// How often it is renewed.
const RENEW: Duration = Duration::from_secs(4);
/// Records applied at once.
const BATCH: usize = 10_000;
/// The bytes of their values, about.
const BATCH_BYTES: usize = 8 * 1024 * 1024;

/// A handler whose state can be rebuilt beside the live one.
pub trait Rebuild: Handler + Sized {
    /// A handler of an empty state beside the live one.
    fn shadow(&self) -> Self;
    /// What to read, once the fence is held and the live state stands still: it may be more or less than was asked for.
    fn settle(&self, range: Range) -> impl Future<Output = Result<Range, ReplayError>> + Send {
        async { Ok(range) }
    }
    /// Where the rebuilt state will stand after `range`.
    fn stands(&self, range: &Range) -> Vec<(TopicPartition, i64)> {
        let stands = |part: &Part| (TopicPartition::new(part.log.topic(), part.log.partition()), part.to);
        range.parts.iter().map(stands).collect()
    }
    /// Takes the fence around the live state; `false` when another replay holds it.
    fn hold(&self, lasting: Duration) -> impl Future<Output = Result<bool, ApplyError>> + Send;
    /// Renews the fence; `false` when it has lapsed.
    fn keep_hold(&self, lasting: Duration) -> impl Future<Output = Result<bool, ApplyError>> + Send;
    /// Puts this shadow in the place of `live` and lifts the fence, in one step; `false` when the fence was lost.
    fn swap_into(&self, live: &Self) -> impl Future<Output = Result<bool, ApplyError>> + Send;
    /// Removes this shadow and lifts its fence.
    fn discard(&self) -> impl Future<Output = Result<(), ApplyError>> + Send;
}

/// Which part of a partition to read.
#[derive(Clone, Debug)]
pub struct Part {
    /// The partition.
    pub log: PartitionLog,
    /// The first offset.
    pub from: i64,
    /// The offset after the last.
    pub to: i64,
    /// The group has read up to here, as far as Kafka knows: what can't be handled from here on has no dead letter yet.
    pub seen: i64,
}

/// Which part of the log to read.
#[derive(Clone, Debug, Default)]
pub struct Range {
    /// The parts of all partitions.
    pub parts: Vec<Part>,
}

/// For which group a replay is, and who gets its dead letters.
#[derive(Clone)]
pub struct Letters {
    /// The producer.
    pub producer: Producer,
    /// The group; what is retried for another one is passed over.
    pub group: String,
    /// Their topic; that of the record's own topic unless one is named.
    pub topic: Option<String>,
}

impl Range {
    /// Offsets in the range; records are fewer where compaction or transactions left holes.
    pub fn len(&self) -> u64 {
        self.parts.iter().map(|part| (part.to - part.from).max(0).unsigned_abs()).sum()
    }

    /// Whether there is nothing to read.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// How far a replay has come; shared with who shows it, and who may cancel it.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    /// Offsets passed.
    pub passed: Arc<AtomicU64>,
    /// Set once everything was read, and the swap begins.
    pub swapping: Arc<AtomicBool>,
    /// Ends the replay, leaving the live state as it was.
    pub cancelled: CancellationToken,
}

/// What a replay did.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct Report {
    /// Records applied.
    pub applied: u64,
    /// Records that can't be handled; those that the group had not read yet went to the dead-letter topic.
    pub poison: u64,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// Where the state stands now.
    #[serde(skip)]
    pub stands: Vec<(TopicPartition, i64)>,
}

/// Why a replay ended without a new state; the live one is as it was.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The log can't be read.
    #[error(transparent)]
    Kafka(#[from] KafkaError),
    /// The state can't be written.
    #[error(transparent)]
    State(#[from] ApplyError),
    /// A dead letter can't be written.
    #[error("a record that can't be handled did not reach the dead-letter topic: {0}")]
    DeadLetter(#[source] KafkaError),
    /// A record asked to be tried again later.
    #[error(transparent)]
    Busy(#[from] Busy),
    /// Another replay holds the state.
    #[error("another replay is rebuilding this projection; wait for its end (a dead one lets go after 15 s)")]
    Held,
    /// The fence lapsed before the swap.
    #[error("the replay was held up for so long that it lost its fence; run it again")]
    FenceLost,
    /// It was interrupted.
    #[error("interrupted; the live state is as it was")]
    Interrupted,
}

/// A record asked to be tried again later, and a replay has no later.
#[derive(Debug, thiserror::Error)]
#[error("{topic}[{partition}] at {offset} can't be handled now: {reason}; run it again")]
pub struct Busy {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
    /// Why.
    pub reason: String,
}

/// Rebuilds the state of `live` from `range`.
///
/// # Errors
/// See [`ReplayError`]; whatever happens before the swap leaves the live state untouched.
///
/// # Cancel safety
/// A dropped call leaves the live state as it was, and a shadow behind; the next replay doesn't mind. Cancelling
/// through `progress` removes the shadow too.
pub async fn replay<H: Rebuild>(
    live: &H,
    range: Range,
    letters: &Letters,
    progress: Progress,
) -> Result<Report, ReplayError> {
    let shadow = live.shadow();
    if !shadow.hold(FENCE).await? {
        return Err(ReplayError::Held);
    }
    let built = tokio::select! {
        built = build(&shadow, range, letters, &progress) => built,
        error = keep_fence(&shadow) => Err(error),
        () = progress.cancelled.cancelled() => Err(ReplayError::Interrupted),
    };
    let swapped = match built {
        Ok(report) => {
            progress.swapping.store(true, Ordering::Relaxed);
            shadow.swap_into(live).await.map(|swapped| swapped.then_some(report)).map_err(ReplayError::from)
        }
        Err(error) => Err(error),
    };
    match swapped {
        Ok(Some(report)) => Ok(report),
        failed => {
            if let Err(error) = shadow.discard().await {
                tracing::warn!(%error, "the shadow of the replay is left behind");
            }
            Err(failed.err().unwrap_or(ReplayError::FenceLost))
        }
    }
}

/// Renews the fence until it can't.
async fn keep_fence<H: Rebuild>(shadow: &H) -> ReplayError {
    loop {
        tokio::time::sleep(RENEW).await;
        match shadow.keep_hold(FENCE).await {
            Ok(true) => {}
            Ok(false) => return ReplayError::FenceLost,
            // Tried again before the fence lapses.
            Err(error) => tracing::warn!(%error, "can't renew the fence"),
        }
    }
}

async fn build<H: Rebuild>(
    shadow: &H,
    range: Range,
    letters: &Letters,
    progress: &Progress,
) -> Result<Report, ReplayError> {
    let started = Instant::now();
    let range = shadow.settle(range).await?;
    let mut report = Report { stands: shadow.stands(&range), ..Report::default() };
    let seen: HashMap<_, _> =
        (range.parts.iter()).map(|part| ((part.log.topic().to_owned(), part.log.partition()), part.seen)).collect();
    let mut merged = Merged::start(range).await?;
    loop {
        let batch = merged.next_batch(BATCH, BATCH_BYTES).await?;
        if batch.is_empty() {
            break;
        }
        let mut effects = Vec::with_capacity(batch.len());
        for (partition, records) in batch {
            let records: Vec<_> = records.into_iter().map(Arc::new).collect();
            let (done, poison) = plan(shadow, &letters.group, &records)?;
            report.applied += done.len() as u64;
            report.poison += poison.len() as u64;
            let seen = seen.get(&(partition.topic().to_owned(), partition.partition())).copied().unwrap_or(0);
            for (record, reason) in poison.iter().filter(|(record, _)| record.offset >= seen) {
                let to = letters.topic.clone().unwrap_or_else(|| dead_letter::topic_of(&record.topic));
                let sent = dead_letter::send(&letters.producer, &to, &letters.group, record, reason, 1).await;
                sent.map_err(ReplayError::DeadLetter)?;
            }
            let Some(last) = records.last() else { continue };
            let expected = None;
            effects.push(PartitionEffects { partition, expected, effects: done, next: last.offset + 1 });
        }
        apply(shadow, &effects).await?;
        progress.passed.store(merged.passed(), Ordering::Relaxed);
    }
    // Ranges that ended in a hole: the state stands at their end all the same.
    apply(shadow, &merged.ends()).await?;
    progress.passed.store(merged.passed(), Ordering::Relaxed);
    report.seconds = started.elapsed().as_secs_f64();
    Ok(report)
}

/// Applies a batch, trying again while the store is away for a moment: what it has seen already it skips.
async fn apply<H: Rebuild>(shadow: &H, batch: &[PartitionEffects<H::Effect>]) -> Result<(), ApplyError> {
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
    let deadline = Instant::now() + FENCE;
    loop {
        match shadow.apply(batch).await {
            Err(ApplyError::Unavailable(reason)) if Instant::now() < deadline => {
                tracing::debug!(reason, "trying again");
                tokio::time::sleep(backoff.after_failure()).await;
            }
            result => return result,
        }
    }
}

type Planned<'a, E> = (Vec<Effect<E>>, Vec<(&'a Arc<ConsumerRecord>, String)>);

/// The effects of those records that concern `group`, and those that can't be handled, with the reason.
fn plan<'a, H: Handler>(
    handler: &H,
    group: &str,
    records: &'a [Arc<ConsumerRecord>],
) -> Result<Planned<'a, H::Effect>, Busy> {
    let (mut effects, mut poison) = (Vec::with_capacity(records.len()), Vec::new());
    for record in records.iter().filter(|record| handler.concerns(record, group)) {
        match handler.plan(record) {
            Outcome::Done(effect) => {
                effects.push(Effect { offset: record.offset, timestamp: record.timestamp, effect, trace: None });
            }
            Outcome::Poison(reason) => poison.push((record, reason)),
            Outcome::Retry(reason) => {
                let (topic, partition, offset) = (record.topic.to_string(), record.partition, record.offset);
                return Err(Busy { topic, partition, offset, reason });
            }
        }
    }
    Ok((effects, poison))
}
