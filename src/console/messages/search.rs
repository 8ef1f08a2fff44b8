//! A search through a topic: all of it at the speed of the log, in either direction, and at every step able to say what
//! it has seen.
//!
//! A log can only be read forward. To find the newest first, the search takes windows from the end, each wide enough for
//! some tenths of a second, and shows what a window has once it is through with it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::Serialize;

use super::browse::{Entry, Part, Way, newest_first};
use super::cut::Cut;
use super::extent::Extent;
use super::sift::{Failure, SHOWN_FAILURES, Sieve, Sifted};
use crate::kafka::Cluster;
use crate::kafka::fetch::{Isolation, Range, Scan, ScanOptions};

/// Offsets of the first window.
const FIRST_WINDOW: f64 = 5_000.0;
/// The widest window.
const WIDEST: f64 = 4e6;
/// How much wider a window may be than the one before.
const WIDER: f64 = 4.0;
/// How long a window should take.
const PACE: Duration = Duration::from_millis(300);
/// Bytes of records that may be read ahead.
const MEMORY: usize = 16 * 1024 * 1024;

/// How far a search is.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct Tally {
    /// Records looked at.
    pub scanned: u64,
    /// Offsets behind the search, of `total`. Compaction, retention and transactions leave offsets without a record.
    pub covered: u64,
    /// Offsets of the range that is searched.
    pub total: u64,
    /// Records that match.
    pub found: u64,
    /// Records of which the filter can't say whether they match, and pieces of the log that can't be read.
    pub errors: u64,
    /// The first of those.
    pub examples: Vec<Failure>,
    /// Bytes read, as they are stored.
    pub bytes: u64,
    /// Partitions that could not be read to the end.
    pub away: Vec<String>,
}

impl Tally {
    /// Takes in what came of a chunk.
    pub fn add<T>(&mut self, sifted: &mut Sifted<T>) {
        self.scanned += sifted.records;
        self.errors += sifted.failed;
        let room = SHOWN_FAILURES.saturating_sub(self.examples.len());
        self.examples.extend(sifted.failures.drain(..).take(room));
    }

    /// How much of the range is behind the search, in percent.
    pub fn percent(&self) -> f64 {
        if self.total == 0 { 100.0 } else { self.covered as f64 * 100.0 / self.total as f64 }
    }
}

/// Why a search ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum End {
    /// Everything was looked at.
    Complete,
    /// As much was found as was wanted.
    Limit,
}

/// A search. Dropping it ends the reading.
pub struct Search<T> {
    cluster: Cluster,
    topic: Arc<str>,
    isolation: Isolation,
    parts: Vec<Part>,
    sieve: Sieve<T>,
    limit: usize,
    direction: Direction<T>,
    /// How far it is.
    pub tally: Tally,
    /// Why it ended, once it has.
    pub end: Option<End>,
}

enum Direction<T> {
    Forth { scan: Scan, at: Vec<i64> },
    Back { upper: Vec<i64>, width: f64, window: Option<Window<T>> },
}

/// A piece of each partition, read forward.
struct Window<T> {
    scan: Scan,
    lower: Vec<i64>,
    began: Instant,
    found: Vec<Entry<T>>,
    /// Of each partition: matches before this were dropped, since there were enough newer ones.
    dropped: Vec<i64>,
}

impl<T: Send + 'static> Search<T> {
    /// Searches `extent` on its `way` until `limit` records are found.
    pub fn start(
        cluster: &Cluster,
        extent: &Extent,
        way: &Way,
        sieve: Sieve<T>,
        isolation: Isolation,
        limit: usize,
    ) -> Self {
        let (cluster, topic, parts) = (cluster.clone(), Arc::clone(&extent.topic), extent.parts.clone());
        let at = |cut: &Cut| -> Vec<i64> {
            parts.iter().enumerate().map(|(place, part)| cut.at(place, part.start, part.end)).collect()
        };
        let direction = match way {
            Way::After(cut) => {
                let at = at(cut);
                let ends: Vec<i64> = parts.iter().map(|part| part.end).collect();
                Direction::Forth { scan: scan(&cluster, &topic, &parts, &at, &ends, isolation), at }
            }
            Way::Before(cut) => Direction::Back { upper: at(cut), width: FIRST_WINDOW, window: None },
        };
        let away = extent.away.iter().map(|(partition, reason)| format!("partition {partition}: {reason}")).collect();
        let tally = Tally { total: extent.span(), away, ..Tally::default() };
        let mut search = Self { cluster, topic, isolation, parts, sieve, limit, direction, tally, end: None };
        search.cover();
        search
    }

    /// The next matches, if there are any in what is read next; `None` when the search has ended. A future that is dropped
    /// loses what it was about to find: the search ends with it.
    pub async fn next(&mut self) -> Option<Vec<Entry<T>>> {
        if self.end.is_some() {
            return None;
        }
        let found = match &mut self.direction {
            Direction::Forth { .. } => self.forth().await,
            Direction::Back { .. } => self.back().await,
        };
        self.tally.found += found.len() as u64;
        self.cover();
        Some(found)
    }

    /// Whether what was found so far was given out: between two windows, or anywhere on the way forward.
    pub fn is_settled(&self) -> bool {
        !matches!(&self.direction, Direction::Back { window: Some(_), .. })
    }

    /// Where it goes on, and which way.
    pub fn way(&self) -> Way {
        match &self.direction {
            Direction::Forth { at, .. } => Way::After(Cut(at.clone())),
            Direction::Back { upper, .. } => Way::Before(Cut(upper.clone())),
        }
    }

    /// The partitions that are not through, each with the offset where it stopped.
    pub fn stopped_at(&self) -> Vec<(i32, i64)> {
        let open = |(part, at): (&Part, &i64)| match &self.direction {
            Direction::Forth { .. } => (*at < part.end).then_some((part.partition, *at)),
            Direction::Back { .. } => (*at > part.start).then_some((part.partition, *at)),
        };
        let (Direction::Forth { at, .. } | Direction::Back { upper: at, .. }) = &self.direction;
        self.parts.iter().zip(at).filter_map(open).collect()
    }

    async fn forth(&mut self) -> Vec<Entry<T>> {
        let Direction::Forth { scan, at } = &mut self.direction else { return Vec::new() };
        let chunk = match scan.next().await {
            None => {
                self.end = Some(End::Complete);
                return Vec::new();
            }
            Some(Err(error)) => {
                self.tally.away.push(error.to_string());
                return Vec::new();
            }
            Some(Ok(chunk)) => chunk,
        };
        let (range, next) = (chunk.range, chunk.next);
        self.tally.bytes += chunk.bytes;
        let room = self.limit - usize::try_from(self.tally.found).unwrap_or(usize::MAX).min(self.limit);
        let mut sifted = self.sieve.sift(self.parts[range].partition, chunk, room).await;
        self.tally.add(&mut sifted);
        at[range] = next.min(self.parts[range].end);
        if sifted.entries.len() >= room {
            self.end = Some(End::Limit);
            at[range] = sifted.entries.last().map_or(at[range], |last| last.last + 1);
        }
        sifted.entries
    }

    async fn back(&mut self) -> Vec<Entry<T>> {
        let Direction::Back { upper, width, window } = &mut self.direction else { return Vec::new() };
        let open = match window {
            Some(open) => open,
            None => {
                let left: i64 = self.parts.iter().zip(upper.iter()).map(|(part, upper)| upper - part.start).sum();
                if left == 0 {
                    self.end = Some(End::Complete);
                    return Vec::new();
                }
                // Of each partition the same part of what is left: they get through at the same time.
                let share = (*width / left as f64).min(1.0);
                let low = |(part, upper): (&Part, &i64)| upper - ((upper - part.start) as f64 * share).ceil() as i64;
                let lower: Vec<i64> = self.parts.iter().zip(upper.iter()).map(low).collect();
                let scan = scan(&self.cluster, &self.topic, &self.parts, &lower, upper, self.isolation);
                let dropped = lower.clone();
                window.insert(Window { scan, lower, began: Instant::now(), found: Vec::new(), dropped })
            }
        };
        match open.scan.next().await {
            Some(Ok(chunk)) => {
                let range = chunk.range;
                self.tally.bytes += chunk.bytes;
                let mut sifted = self.sieve.sift(self.parts[range].partition, chunk, usize::MAX).await;
                self.tally.add(&mut sifted);
                open.found.append(&mut sifted.entries);
                let room = self.limit - usize::try_from(self.tally.found).unwrap_or(usize::MAX).min(self.limit);
                if open.found.len() > 4 * room.max(16) {
                    open.keep_newest(room, &self.parts);
                }
                Vec::new()
            }
            Some(Err(error)) => {
                self.tally.away.push(error.to_string());
                Vec::new()
            }
            None => {
                let room = self.limit - usize::try_from(self.tally.found).unwrap_or(usize::MAX).min(self.limit);
                let enough = open.found.len() >= room;
                open.keep_newest(room, &self.parts);
                let offsets: i64 = upper.iter().zip(&open.lower).map(|(upper, lower)| upper - lower).sum();
                let pace = offsets as f64 * PACE.as_secs_f64() / open.began.elapsed().as_secs_f64().max(1e-3);
                *width = pace.clamp(FIRST_WINDOW, (*width * WIDER).min(WIDEST));
                upper.clone_from(&open.dropped);
                let found = std::mem::take(&mut open.found);
                *window = None;
                if enough {
                    self.end = Some(End::Limit);
                }
                found
            }
        }
    }

    /// Counts what is behind the search.
    fn cover(&mut self) {
        let behind: i64 = match &self.direction {
            Direction::Forth { at, .. } => self.parts.iter().zip(at).map(|(part, at)| at - part.start).sum(),
            Direction::Back { upper, window, .. } => {
                let above: i64 = self.parts.iter().zip(upper).map(|(part, upper)| part.end - upper).sum();
                let within = window.as_ref().map_or(0, |window| {
                    let through = window.scan.progress().iter().zip(&window.lower).zip(upper);
                    through.map(|((progress, lower), upper)| progress.next.min(*upper) - lower).sum()
                });
                above + within
            }
        };
        self.tally.covered = behind.max(0).unsigned_abs();
    }
}

impl<T> Window<T> {
    /// Drops all but the newest `room`, and remembers where the search has to look again.
    fn keep_newest(&mut self, room: usize, parts: &[Part]) {
        let mut found = newest_first(std::mem::take(&mut self.found));
        for dropped in found.drain(room.min(found.len())..) {
            let place = parts.iter().position(|part| part.partition == dropped.partition);
            if let Some(before) = place.and_then(|place| self.dropped.get_mut(place)) {
                *before = (*before).max(dropped.last + 1);
            }
        }
        self.found = found;
    }
}

fn scan(cluster: &Cluster, topic: &Arc<str>, parts: &[Part], from: &[i64], to: &[i64], isolation: Isolation) -> Scan {
    let range = |((part, from), to): ((&Part, &i64), &i64)| Range {
        topic: Arc::clone(topic),
        partition: part.partition,
        from: *from,
        to: Some(*to),
    };
    let ranges = parts.iter().zip(from).zip(to).map(range).collect();
    Scan::start(cluster, ranges, &ScanOptions { isolation, memory: MEMORY })
}
