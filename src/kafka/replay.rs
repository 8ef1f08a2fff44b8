//! Replays: a group's state is rebuilt from the log beside the live one, and put in its place in one step.
//!
//! The partitions are read at once and merged by time, so the rebuilt state sees the records in the order in which
//! they were written, whatever partition they are in. While it is built, a fence holds every consumer off the live
//! state; the fence lapses by itself when the replay dies.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use krafka::ConsumerRecord;
use krafka::consumer::TopicPartition;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::KafkaError;
use super::consumer::{ApplyError, Effect, Handler, Outcome, PartitionEffects};
use super::log::PartitionLog;

/// How long the fence lasts unless it is renewed.
const FENCE: Duration = Duration::from_secs(15);
/// How often it is renewed.
const RENEW: Duration = Duration::from_secs(4);
/// Records applied at once.
const BATCH: usize = 10_000;
/// Bytes of a partition read at once.
const CHUNK_BYTES: i32 = 4 * 1024 * 1024;

/// A handler whose state can be rebuilt beside the live one.
pub trait Rebuild: Handler + Sized {
    /// A handler of an empty state beside the live one.
    fn shadow(&self) -> Self;
    /// Takes or renews the fence around the live state; `false` when another replay holds it.
    fn hold(&self, lasting: Duration) -> impl Future<Output = Result<bool, ApplyError>> + Send;
    /// Puts this shadow in the place of `live` and lifts the fence, in one step; `false` when the fence was lost.
    fn swap_into(&self, live: &Self) -> impl Future<Output = Result<bool, ApplyError>> + Send;
    /// Removes this shadow and lifts its fence.
    fn discard(&self) -> impl Future<Output = Result<(), ApplyError>> + Send;
}

/// Which part of the log to read.
#[derive(Clone, Debug, Default)]
pub struct Range {
    /// First and last offset (exclusive) by topic and partition.
    pub partitions: Vec<(PartitionLog, i64, i64)>,
}

impl std::fmt::Debug for PartitionLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.topic(), self.partition())
    }
}

impl Range {
    /// Offsets in the range; records are fewer where compaction or transactions left holes.
    pub fn len(&self) -> u64 {
        self.partitions.iter().map(|(_, from, to)| (to - from).max(0).unsigned_abs()).sum()
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
    /// Set by who wants no further progress, once the swap has begun.
    pub swapping: Arc<AtomicBool>,
    /// Ends the replay, leaving the live state as it was.
    pub cancelled: CancellationToken,
}

/// What a replay did.
#[derive(Clone, Copy, Debug, Default, serde::Serialize)]
pub struct Report {
    /// Records applied.
    pub applied: u64,
    /// Records that can't be handled; they went to the dead-letter topic when they were first read.
    pub poison: u64,
    /// How long it took, in seconds.
    pub seconds: f64,
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

/// Rebuilds the state of `live` from `range`.
///
/// # Errors
/// See [`ReplayError`]; whatever happens before the swap leaves the live state untouched.
///
/// # Cancel safety
/// A dropped call leaves the live state as it was, and a shadow behind; the next replay doesn't mind. Cancelling
/// through `progress` removes the shadow too.
pub async fn replay<H: Rebuild>(live: &H, range: Range, progress: Progress) -> Result<Report, ReplayError> {
    let shadow = live.shadow();
    if !shadow.hold(FENCE).await? {
        return Err(ReplayError::Held);
    }
    let built = tokio::select! {
        built = build(&shadow, range, &progress) => built,
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
        match shadow.hold(FENCE).await {
            Ok(true) => {}
            Ok(false) => return ReplayError::FenceLost,
            // Tried again before the fence lapses; if it does lapse, the swap refuses.
            Err(error) => tracing::warn!(%error, "can't renew the fence"),
        }
    }
}

async fn build<H: Rebuild>(shadow: &H, range: Range, progress: &Progress) -> Result<Report, ReplayError> {
    let started = Instant::now();
    let mut report = Report::default();
    let mut merged = Merged::start(range).await?;
    loop {
        let batch = merged.next_batch(BATCH).await?;
        if batch.is_empty() {
            break;
        }
        let mut effects = Vec::with_capacity(batch.len());
        for (partition, records) in batch {
            let (done, poison) = plan(shadow, &records);
            report.applied += done.len() as u64;
            report.poison += poison;
            let Some(last) = records.last() else { continue };
            let expected = None;
            effects.push(PartitionEffects { partition, expected, effects: done, next: last.offset + 1 });
        }
        shadow.apply(&effects).await?;
        progress.passed.store(merged.passed(), Ordering::Relaxed);
    }
    // Ranges that ended in a hole: the state stands at their end all the same.
    shadow.apply(&merged.ends()).await?;
    progress.passed.store(merged.passed(), Ordering::Relaxed);
    report.seconds = started.elapsed().as_secs_f64();
    Ok(report)
}

fn plan<H: Handler>(handler: &H, records: &[ConsumerRecord]) -> (Vec<Effect<H::Effect>>, u64) {
    let mut effects = Vec::with_capacity(records.len());
    for record in records {
        if let Outcome::Done(effect) = handler.plan(record) {
            effects.push(Effect { offset: record.offset, timestamp: record.timestamp, effect });
        }
    }
    let poison = (records.len() - effects.len()) as u64;
    (effects, poison)
}

/// All partitions of a range, merged by the time of their records.
struct Merged {
    sources: Vec<Source>,
}

struct Source {
    partition: TopicPartition,
    from: i64,
    to: i64,
    next: i64,
    chunks: mpsc::Receiver<Result<Vec<ConsumerRecord>, KafkaError>>,
    chunk: std::vec::IntoIter<ConsumerRecord>,
    head: Option<ConsumerRecord>,
}

impl Merged {
    async fn start(range: Range) -> Result<Self, KafkaError> {
        let mut sources = Vec::with_capacity(range.partitions.len());
        for (log, from, to) in range.partitions {
            let partition = TopicPartition::new(log.topic(), log.partition());
            // One chunk in hand, one waiting, one being read: the broker and the state work at the same time.
            let (sender, chunks) = mpsc::channel(1);
            tokio::spawn(read_chunks(log, from, to, sender));
            let chunk = Vec::new().into_iter();
            let mut source = Source { partition, from, to, next: from, chunks, chunk, head: None };
            source.advance().await?;
            sources.push(source);
        }
        Ok(Self { sources })
    }

    /// The next records, at most `limit`, by partition.
    async fn next_batch(&mut self, limit: usize) -> Result<Vec<(TopicPartition, Vec<ConsumerRecord>)>, KafkaError> {
        let mut batches: Vec<Vec<ConsumerRecord>> = self.sources.iter().map(|_| Vec::new()).collect();
        for _ in 0..limit {
            let earliest = (self.sources.iter().enumerate())
                .filter_map(|(index, source)| Some((index, source.head.as_ref()?)))
                // Of one millisecond, by key: that is the event's id, and those that one process gives out grow.
                .min_by(|(_, a), (_, b)| a.timestamp.cmp(&b.timestamp).then_with(|| a.key.cmp(&b.key)))
                .map(|(index, _)| index);
            let Some(index) = earliest else { break };
            let source = &mut self.sources[index];
            if let Some(record) = source.head.take() {
                source.next = record.offset + 1;
                batches[index].push(record);
            }
            source.advance().await?;
        }
        let partitions = self.sources.iter().map(|source| source.partition.clone());
        Ok(partitions.zip(batches).filter(|(_, records)| !records.is_empty()).collect())
    }

    fn passed(&self) -> u64 {
        self.sources.iter().map(|source| (source.next - source.from).max(0).unsigned_abs()).sum()
    }

    fn ends<E>(&self) -> Vec<PartitionEffects<E>> {
        (self.sources.iter())
            .map(|source| PartitionEffects {
                partition: source.partition.clone(),
                expected: None,
                effects: Vec::new(),
                next: source.to.max(source.next),
            })
            .collect()
    }
}

impl Source {
    /// Puts the next record at the head.
    async fn advance(&mut self) -> Result<(), KafkaError> {
        loop {
            self.head = self.chunk.next();
            if self.head.is_some() {
                return Ok(());
            }
            match self.chunks.recv().await {
                Some(chunk) => self.chunk = chunk?.into_iter(),
                None => return Ok(()),
            }
        }
    }
}

async fn read_chunks(
    log: PartitionLog,
    from: i64,
    to: i64,
    sender: mpsc::Sender<Result<Vec<ConsumerRecord>, KafkaError>>,
) {
    let mut next = from;
    while next < to {
        let chunk = log.read(next, CHUNK_BYTES).await.map(|mut chunk| {
            chunk.retain(|record| record.offset < to);
            chunk
        });
        // What follows is a hole up to the end of the range.
        let Some(last) = chunk.as_ref().map_or(Some(i64::MAX - 1), |chunk| chunk.last().map(|last| last.offset)) else {
            break;
        };
        next = last + 1;
        // The replay ended before its log did.
        if sender.send(chunk).await.is_err() {
            break;
        }
    }
}
