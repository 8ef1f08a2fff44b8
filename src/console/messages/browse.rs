//! A page of a topic: all partitions merged by time, on from a place between records, in either direction.
//!
//! Within a partition the order of the log holds, whatever the clocks of its producers said; between partitions, the
//! record that is next in its partition goes by its timestamp. A page is therefore a piece without holes of each
//! partition: paging on and back shows each record once each way, and where timestamps don't run backwards, the same
//! pages.

use std::collections::VecDeque;

use futures::TryStreamExt;
use futures::stream::FuturesUnordered;

use super::cut::Cut;
use crate::kafka::KafkaError;

/// Partitions that are read at once.
const AT_ONCE: usize = 8;
/// How much further back is looked where nothing was found: in a compacted log, records may be far apart.
const WIDER: i64 = 4;
/// The furthest that is looked back in one step, in offsets.
const WIDEST: i64 = 1 << 22;
/// The least that is looked back.
const NARROWEST: i64 = 8;

/// Something in a log: a record, or a piece that can't be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<T> {
    /// Its partition.
    pub partition: i32,
    /// Its offset; of a piece, the first.
    pub offset: i64,
    /// Its offset; of a piece, the last.
    pub last: i64,
    /// Milliseconds since the epoch.
    pub timestamp: i64,
    /// Bytes that it takes here, about.
    pub weight: usize,
    /// What is shown of it.
    pub shown: T,
}

/// What of a partition may be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its number.
    pub partition: i32,
    /// The first offset.
    pub start: i64,
    /// The offset after the last.
    pub end: i64,
}

/// A piece of a partition.
pub struct Piece<T> {
    /// What is in it, in order.
    pub entries: Vec<Entry<T>>,
    /// Where the partition goes on.
    pub next: i64,
}

/// Where entries come from.
pub trait Source: Sync {
    /// What is shown of a record.
    type Shown: Send;

    /// Some entries of `partition` in `from..to`, from the first on.
    fn read(
        &self,
        partition: i32,
        from: i64,
        to: i64,
    ) -> impl Future<Output = Result<Piece<Self::Shown>, KafkaError>> + Send;
}

/// Which way a page goes from its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// To what is older.
    Before(Cut),
    /// To what is newer.
    After(Cut),
}

/// How much a page may hold.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Entries.
    pub entries: usize,
    /// Bytes, about; one entry is taken whatever its weight.
    pub weight: usize,
}

/// A page.
#[derive(Debug)]
pub struct Page<T> {
    /// What is on it, the newest first.
    pub entries: Vec<Entry<T>>,
    /// Everything older is before this.
    pub lower: Cut,
    /// Everything newer is behind this.
    pub upper: Cut,
    /// Whether there may be something older.
    pub has_older: bool,
    /// Whether there may be something newer.
    pub has_newer: bool,
}

/// The page that goes `way` through `parts`.
///
/// # Errors
/// When a partition can't be read.
pub async fn page<S: Source>(source: &S, parts: &[Part], way: &Way, size: Size) -> Result<Page<S::Shown>, KafkaError> {
    let at = |cut: &Cut| -> Vec<i64> {
        parts.iter().enumerate().map(|(place, part)| cut.at(place, part.start, part.end)).collect()
    };
    let (entries, lower, upper) = match way {
        Way::Before(cut) => {
            let upper = at(cut);
            let (entries, lower) = older(source, parts, &upper, size).await?;
            (entries, lower, upper)
        }
        Way::After(cut) => {
            let lower = at(cut);
            let (entries, upper) = newer(source, parts, &lower, size).await?;
            (entries, lower, upper)
        }
    };
    Ok(Page {
        has_older: parts.iter().zip(&lower).any(|(part, lower)| *lower > part.start),
        has_newer: parts.iter().zip(&upper).any(|(part, upper)| *upper < part.end),
        entries: newest_first(entries),
        lower: Cut(lower),
        upper: Cut(upper),
    })
}

/// A partition, read backwards.
struct Back<T> {
    part: Part,
    /// What is in `entries` begins here.
    low: i64,
    window: i64,
    entries: VecDeque<Entry<T>>,
}

async fn older<S: Source>(
    source: &S,
    parts: &[Part],
    upper: &[i64],
    size: Size,
) -> Result<(Vec<Entry<S::Shown>>, Vec<i64>), KafkaError> {
    let even = 2 * size.entries.div_ceil(parts.len().max(1)).min(size.entries) as i64;
    let begin = |(part, low): (&Part, &i64)| Back {
        part: *part,
        low: *low,
        window: even.max(NARROWEST),
        entries: VecDeque::new(),
    };
    let mut backs: Vec<Back<S::Shown>> = parts.iter().zip(upper).map(begin).collect();
    let (mut page, mut weight) = (Vec::new(), 0);
    while page.len() < size.entries {
        let mut reading = FuturesUnordered::new();
        for back in &mut backs {
            if back.entries.is_empty() && back.low > back.part.start {
                reading.push(back.refill(source, size));
            }
            if reading.len() == AT_ONCE {
                reading.try_next().await?;
            }
        }
        while reading.try_next().await?.is_some() {}
        drop(reading);
        let newest = backs.iter_mut().filter(|back| !back.entries.is_empty()).max_by_key(|back| back.key());
        let Some(back) = newest else { break };
        let heavy = back.entries.back().is_some_and(|entry| weight + entry.weight > size.weight);
        if heavy && !page.is_empty() {
            break;
        }
        let Some(entry) = back.entries.pop_back() else { break };
        weight += entry.weight;
        page.push(entry);
    }
    Ok((page, backs.iter().map(Back::cut).collect()))
}

impl<T> Back<T> {
    /// By what the newest is chosen.
    fn key(&self) -> (i64, i32) {
        (self.entries.back().map_or(i64::MIN, |entry| entry.timestamp), self.part.partition)
    }

    /// Everything that was not taken is before this.
    fn cut(&self) -> i64 {
        self.entries.back().map_or(self.low, |entry| entry.last + 1)
    }

    /// Reads further and further back until there is something.
    async fn refill<S: Source<Shown = T>>(&mut self, source: &S, size: Size) -> Result<(), KafkaError> {
        while self.entries.is_empty() && self.low > self.part.start {
            let from = self.low.saturating_sub(self.window).max(self.part.start);
            let (mut at, mut begin, mut weight) = (from, from, 0);
            while at < self.low {
                let piece = source.read(self.part.partition, at, self.low).await?;
                for entry in piece.entries {
                    weight += entry.weight;
                    self.entries.push_back(entry);
                    // Only the newest can come onto this page.
                    while self.entries.len() > size.entries || (self.entries.len() > 1 && weight > size.weight) {
                        let Some(dropped) = self.entries.pop_front() else { break };
                        weight -= dropped.weight;
                        begin = dropped.last + 1;
                    }
                }
                if piece.next <= at {
                    break;
                }
                at = piece.next;
            }
            self.low = begin;
            self.window = self.window.saturating_mul(WIDER).min(WIDEST);
        }
        Ok(())
    }
}

/// A partition, read on.
struct Forth<T> {
    part: Part,
    /// What is in `entries` ends here.
    high: i64,
    entries: VecDeque<Entry<T>>,
}

async fn newer<S: Source>(
    source: &S,
    parts: &[Part],
    lower: &[i64],
    size: Size,
) -> Result<(Vec<Entry<S::Shown>>, Vec<i64>), KafkaError> {
    let begin = |(part, high): (&Part, &i64)| Forth { part: *part, high: *high, entries: VecDeque::new() };
    let mut forths: Vec<Forth<S::Shown>> = parts.iter().zip(lower).map(begin).collect();
    let (mut page, mut weight) = (Vec::new(), 0);
    while page.len() < size.entries {
        let mut reading = FuturesUnordered::new();
        for forth in &mut forths {
            if forth.entries.is_empty() && forth.high < forth.part.end {
                reading.push(forth.refill(source, size));
            }
            if reading.len() == AT_ONCE {
                reading.try_next().await?;
            }
        }
        while reading.try_next().await?.is_some() {}
        drop(reading);
        let oldest = forths.iter_mut().filter(|forth| !forth.entries.is_empty()).min_by_key(|forth| forth.key());
        let Some(forth) = oldest else { break };
        let heavy = forth.entries.front().is_some_and(|entry| weight + entry.weight > size.weight);
        if heavy && !page.is_empty() {
            break;
        }
        let Some(entry) = forth.entries.pop_front() else { break };
        weight += entry.weight;
        page.push(entry);
    }
    Ok((page, forths.iter().map(Forth::cut).collect()))
}

impl<T> Forth<T> {
    fn key(&self) -> (i64, i32) {
        (self.entries.front().map_or(i64::MAX, |entry| entry.timestamp), self.part.partition)
    }

    fn cut(&self) -> i64 {
        self.entries.front().map_or(self.high, |entry| entry.offset)
    }

    async fn refill<S: Source<Shown = T>>(&mut self, source: &S, size: Size) -> Result<(), KafkaError> {
        while self.entries.is_empty() && self.high < self.part.end {
            let piece = source.read(self.part.partition, self.high, self.part.end).await?;
            let mut weight = 0;
            let next = if piece.next > self.high { piece.next } else { self.part.end };
            self.high = next.min(self.part.end);
            for entry in piece.entries {
                weight += entry.weight;
                let full = self.entries.len() >= size.entries || (!self.entries.is_empty() && weight > size.weight);
                if full {
                    self.high = entry.offset;
                    break;
                }
                self.entries.push_back(entry);
            }
        }
        Ok(())
    }
}

/// Merges entries, of which those of one partition are all there is between two offsets: the newest first.
pub fn newest_first<T>(mut entries: Vec<Entry<T>>) -> Vec<Entry<T>> {
    entries.sort_by_key(|entry| (entry.partition, entry.offset));
    let mut parts: Vec<Vec<Entry<T>>> = Vec::new();
    for entry in entries {
        match parts.last_mut() {
            Some(part) if part.last().is_some_and(|last| last.partition == entry.partition) => part.push(entry),
            _ => parts.push(vec![entry]),
        }
    }
    let mut merged = Vec::new();
    let head = |part: &Vec<Entry<T>>| part.last().map(|entry| (entry.timestamp, entry.partition));
    while let Some(part) = parts.iter_mut().filter(|part| !part.is_empty()).max_by_key(|part| head(part)) {
        merged.extend(part.pop());
    }
    merged
}

#[cfg(test)]
mod tests;
