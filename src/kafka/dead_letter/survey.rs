//! Reads the letters of a topic, the newest first, as far as one is willing to go.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use krafka::admin::TopicPartition;

use super::letter::{Letter, headers, marked};
use crate::kafka::admin::topics;
use crate::kafka::fetch::{self, Range, Record, Scan, ScanOptions};
use crate::kafka::{Cluster, KafkaError};

/// Offsets of each partition that are read before it is asked whether to go on.
const WINDOW: i64 = 2_000;

/// How far to go; whichever comes first.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Offsets to look at.
    pub offsets: i64,
    /// Time to take.
    pub time: Duration,
}

impl Limits {
    /// Everything, however long it takes.
    pub const NONE: Self = Self { offsets: i64::MAX, time: Duration::MAX };
}

/// What was found.
#[derive(Debug)]
pub struct Survey<T> {
    /// The letters that something was taken of, the newest first.
    pub found: Vec<Found<T>>,
    /// Partition and offset of the letters that were sent back.
    pub sent_back: HashSet<(i32, i64)>,
    /// Offsets looked at.
    pub scanned: i64,
    /// Offsets that there are.
    pub total: i64,
}

/// A letter that something was taken of.
#[derive(Debug)]
pub struct Found<T> {
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// Its time, in milliseconds since the epoch.
    pub timestamp: i64,
    /// Whether it was sent back.
    pub sent_back: bool,
    /// What was taken of it.
    pub taken: T,
}

impl<T> Survey<T> {
    /// Whether everything was looked at.
    pub fn is_complete(&self) -> bool {
        self.scanned >= self.total
    }

    /// How many of those found were not sent back.
    pub fn waiting(&self) -> usize {
        self.found.iter().filter(|found| !found.sent_back).count()
    }
}

/// Reads `topic` from its ends back. `take` takes what is wanted of a letter, given the record that it is read from, and of
/// one that is not wanted nothing: letters may be large, and are not kept. A marker comes after what it marks, so that of every letter found it is known whether it was
/// sent back.
///
/// # Errors
/// There is no such topic, or a partition can't be read.
pub async fn survey<T>(
    cluster: &Cluster,
    topic: &str,
    limits: Limits,
    mut take: impl FnMut(&Letter, &Record) -> Option<T>,
) -> Result<Survey<T>, KafkaError> {
    let started = Instant::now();
    let led: Vec<TopicPartition> = topics::layout_of(cluster, topic).await?.led().collect();
    let mut open: Vec<(i32, std::ops::Range<i64>)> =
        topics::ranges(cluster, &led).await?.into_iter().map(|(key, range)| (key.partition, range)).collect();
    let total = open.iter().map(|(_, range)| range.end - range.start).sum();
    let mut survey = Survey { found: Vec::new(), sent_back: HashSet::new(), scanned: 0, total };
    loop {
        open.retain(|(_, range)| !range.is_empty());
        let left = limits.offsets - survey.scanned;
        if open.is_empty() || left <= 0 || started.elapsed() >= limits.time {
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
        survey.read(cluster, topic, windows, &mut take).await?;
    }
    for found in &mut survey.found {
        found.sent_back = survey.sent_back.contains(&(found.partition, found.offset));
    }
    survey.found.sort_by_key(|found| std::cmp::Reverse((found.timestamp, found.partition, found.offset)));
    Ok(survey)
}

impl<T> Survey<T> {
    /// Looks at some parts of partitions.
    async fn read(
        &mut self,
        cluster: &Cluster,
        topic: &str,
        windows: Vec<Range>,
        take: &mut impl FnMut(&Letter, &Record) -> Option<T>,
    ) -> Result<(), KafkaError> {
        let partitions: Vec<i32> = windows.iter().map(|window| window.partition).collect();
        let mut scan = Scan::start(cluster, windows, &ScanOptions::default());
        while let Some(chunk) = scan.next().await {
            let chunk = chunk?;
            let partition = partitions[chunk.range];
            for record in chunk.records.iter().filter(|record| !record.aborted) {
                let Some(letter) = Letter::read(topic, partition, record) else {
                    let offsets = marked(&headers(record)).unwrap_or_default();
                    self.sent_back.extend(offsets.into_iter().map(|offset| (partition, offset)));
                    continue;
                };
                if let Some(taken) = take(&letter, record) {
                    let Letter { offset, timestamp, .. } = letter;
                    self.found.push(Found { partition, offset, timestamp, sent_back: false, taken });
                }
            }
        }
        Ok(())
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
