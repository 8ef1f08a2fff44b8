//! Reads the letters of a topic, the newest first, as far as one is willing to go.

use std::collections::HashSet;
use std::ops::Range;
use std::time::{Duration, Instant};

use super::letter::{Letter, marked};
use crate::kafka::log::{self, PartitionLog};
use crate::kafka::{Cluster, KafkaError};

/// Offsets of a partition that are read before the next one's turn.
const WINDOW: i64 = 1_000;
/// Bytes asked for in one request.
const READ_BYTES: i32 = 1024 * 1024;

/// How far to go; whichever comes first.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Offsets to look at.
    pub offsets: i64,
    /// Bytes of keys, values and headers to hold.
    pub bytes: usize,
    /// Time to take.
    pub time: Duration,
}

impl Limits {
    /// Everything, however long it takes; for callers that keep little of each letter.
    pub const NONE: Self = Self { offsets: i64::MAX, bytes: usize::MAX, time: Duration::MAX };
}

/// What was found.
#[derive(Debug, Default)]
pub struct Survey {
    /// The letters that were kept, the newest first.
    pub letters: Vec<Letter>,
    /// Partition and offset of the letters that were sent back.
    pub sent_back: HashSet<(i32, i64)>,
    /// Offsets looked at.
    pub scanned: i64,
    /// Offsets that there are.
    pub total: i64,
    /// The offset after the last one looked at, of each partition.
    pub ends: Vec<(i32, i64)>,
}

impl Survey {
    /// Whether `letter` was sent back.
    pub fn was_sent_back(&self, letter: &Letter) -> bool {
        self.sent_back.contains(&(letter.record.partition, letter.record.offset))
    }

    /// Whether everything was looked at.
    pub fn is_complete(&self) -> bool {
        self.scanned >= self.total
    }
}

/// Reads `topic` from its ends back. `keep` says whether a letter is wanted in the survey; all are looked at. A marker comes
/// after what it marks, so that of every letter found it is known whether it was sent back.
///
/// # Errors
/// There is no such topic, or a partition can't be read.
pub async fn survey(
    cluster: &Cluster,
    topic: &str,
    limits: Limits,
    mut keep: impl FnMut(&Letter) -> bool,
) -> Result<Survey, KafkaError> {
    let started = Instant::now();
    let mut open: Vec<(PartitionLog, Range<i64>)> = Vec::new();
    let mut survey = Survey::default();
    for log in log::open(cluster, topic).await? {
        let range = log.start().await?..log.end().await?;
        survey.total += range.end - range.start;
        survey.ends.push((log.partition(), range.end));
        open.push((log, range));
    }
    let mut bytes = 0;
    loop {
        open.retain(|(_, range)| !range.is_empty());
        if open.is_empty() {
            break;
        }
        for (log, range) in &mut open {
            if survey.scanned >= limits.offsets || bytes >= limits.bytes || started.elapsed() >= limits.time {
                survey.sort();
                return Ok(survey);
            }
            let window = range.start.max(range.end - WINDOW.min(limits.offsets - survey.scanned).max(1))..range.end;
            survey.scanned += window.end - window.start;
            range.end = window.start;
            for letter in survey.read(log, window).await? {
                if keep(&letter) {
                    bytes += size(&letter);
                    survey.letters.push(letter);
                }
            }
        }
    }
    survey.sort();
    Ok(survey)
}

impl Survey {
    /// The letters of a part of a partition; markers are taken note of.
    async fn read(&mut self, log: &PartitionLog, window: Range<i64>) -> Result<Vec<Letter>, KafkaError> {
        let mut letters = Vec::new();
        let mut next = window.start;
        while next < window.end {
            let chunk = log.read(next, window.end, READ_BYTES).await?;
            next = chunk.next;
            for record in chunk.records {
                match marked(&record) {
                    Some(offsets) => self.sent_back.extend(offsets.into_iter().map(|offset| (log.partition(), offset))),
                    None => letters.push(Letter::new(record)),
                }
            }
        }
        Ok(letters)
    }

    /// Newest first, in every partition by offset.
    fn sort(&mut self) {
        self.letters.sort_by_key(|letter| {
            let record = &letter.record;
            std::cmp::Reverse((record.timestamp, record.partition, record.offset))
        });
    }
}

/// One letter.
///
/// # Errors
/// There is no record with this offset, or it can't be read.
pub async fn find(cluster: &Cluster, topic: &str, partition: i32, offset: i64) -> Result<Option<Letter>, KafkaError> {
    let found = log::record(cluster, topic, partition, offset).await?;
    Ok(found.filter(|record| marked(record).is_none()).map(Letter::new))
}

fn size(letter: &Letter) -> usize {
    let record = &letter.record;
    let length = |bytes: &Option<bytes::Bytes>| bytes.as_ref().map_or(0, bytes::Bytes::len);
    let headers: usize = record.headers.iter().map(|(name, value)| name.len() + length(value)).sum();
    length(&record.key) + length(&record.value) + headers
}
