//! Reads the letters of a topic, the newest first, as far as one is willing to go.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use krafka::admin::TopicPartition;

use super::letter::{Letter, headers, marked};
use crate::kafka::admin::topics;
use crate::kafka::fetch::{self, Range, Scan, ScanOptions};
use crate::kafka::{Cluster, KafkaError};

/// Offsets of each partition that are read before it is asked whether to go on.
const WINDOW: i64 = 2_000;

/// How far to go; whichever comes first.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Offsets to look at.
    pub offsets: i64,
    /// Bytes of letters to hold.
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
}

impl Survey {
    /// Whether `letter` was sent back.
    pub fn was_sent_back(&self, letter: &Letter) -> bool {
        self.sent_back.contains(&(letter.partition, letter.offset))
    }

    /// Whether everything was looked at.
    pub fn is_complete(&self) -> bool {
        self.scanned >= self.total
    }
}

/// Reads `topic` from its ends back. `keep` says of each letter whether it is wanted in the survey. A marker comes after
/// what it marks, so that of every letter found it is known whether it was sent back.
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
    let led: Vec<TopicPartition> = topics::layout_of(cluster, topic).await?.led().collect();
    let mut open: Vec<(i32, std::ops::Range<i64>)> =
        topics::ranges(cluster, &led).await?.into_iter().map(|(key, range)| (key.partition, range)).collect();
    let mut survey = Survey { total: open.iter().map(|(_, range)| range.end - range.start).sum(), ..Survey::default() };
    let mut bytes = 0;
    loop {
        open.retain(|(_, range)| !range.is_empty());
        let left = limits.offsets - survey.scanned;
        if open.is_empty() || left <= 0 || bytes >= limits.bytes || started.elapsed() >= limits.time {
            break;
        }
        let share = left / i64::try_from(open.len()).unwrap_or(i64::MAX);
        let mut windows = Vec::new();
        for (partition, range) in &mut open {
            let window = range.start.max(range.end - WINDOW.min(share).max(1))..range.end;
            survey.scanned += window.end - window.start;
            range.end = window.start;
            windows.push(Range {
                topic: topic.into(),
                partition: *partition,
                from: window.start,
                to: Some(window.end),
            });
        }
        for letter in survey.read(cluster, topic, windows).await? {
            if keep(&letter) {
                bytes += size(&letter);
                survey.letters.push(letter);
            }
        }
    }
    survey.letters.sort_by_key(|letter| std::cmp::Reverse((letter.timestamp, letter.partition, letter.offset)));
    Ok(survey)
}

impl Survey {
    /// The letters in some parts of partitions; markers are taken note of.
    async fn read(&mut self, cluster: &Cluster, topic: &str, windows: Vec<Range>) -> Result<Vec<Letter>, KafkaError> {
        let partitions: Vec<i32> = windows.iter().map(|window| window.partition).collect();
        let mut scan = Scan::start(cluster, windows, &ScanOptions::default());
        let mut letters = Vec::new();
        while let Some(chunk) = scan.next().await {
            let chunk = chunk?;
            let partition = partitions[chunk.range];
            for record in chunk.records.iter().filter(|record| !record.aborted) {
                match Letter::read(topic, partition, record) {
                    Some(letter) => letters.push(letter),
                    None => {
                        let offsets = marked(&headers(record)).unwrap_or_default();
                        self.sent_back.extend(offsets.into_iter().map(|offset| (partition, offset)));
                    }
                }
            }
        }
        Ok(letters)
    }
}

/// One letter; `None` when there is none with this offset.
///
/// # Errors
/// There is no such topic or partition, or it can't be read.
pub async fn find(cluster: &Cluster, topic: &str, partition: i32, offset: i64) -> Result<Option<Letter>, KafkaError> {
    let found = fetch::record(cluster, topic, partition, offset).await?;
    Ok(found.and_then(|record| Letter::read(topic, partition, &record)))
}

/// Bytes of a letter, about.
fn size(letter: &Letter) -> usize {
    let length = |bytes: &Option<bytes::Bytes>| bytes.as_ref().map_or(0, bytes::Bytes::len);
    let headers: usize = letter.headers.iter().map(|(name, value)| name.len() + length(value)).sum();
    length(&letter.key) + length(&letter.value) + headers
}
