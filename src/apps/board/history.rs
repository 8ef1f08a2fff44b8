//! Older messages: pages read from the log itself, as far back as retention goes.
//!
//! A cursor names, for each partition, the offset below which the page begins. The first one is made from the window,
//! whose messages know where they stand in the log; so pages meet without a gap or a repetition whatever the clocks
//! of the producers did.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use futures::future::try_join_all;
use tokio::sync::Mutex;

use super::message::Message;
use crate::kafka::log::{self, PartitionLog};
use crate::kafka::{Cluster, KafkaError};
use crate::redis::window::Snapshot;

/// Bytes fetched at once: a page of ordinary messages, with room.
const CHUNK_BYTES: i32 = 256 * 1024;
/// How long a reader waits for a page.
const PATIENCE: Duration = Duration::from_millis(4_500);
/// Records a partition is searched back at most for one page; beyond it the page ends early, and its cursor goes on.
const MAX_LOOK_BACK: i64 = 20_000;
/// Bytes a partition is searched back for one page, about.
const MAX_BYTES: usize = 8 * 1024 * 1024;

/// Where a page begins: the offset, exclusive, in each partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor(BTreeMap<i32, i64>);

impl Cursor {
    /// The cursor behind the newest `shown` messages of a window of `topic`; `None` when nothing can be older.
    pub fn behind(snapshot: &Snapshot, topic: &str, shown: usize) -> Option<Self> {
        let number = |partition: &str| partition.strip_prefix(topic)?.strip_prefix(':')?.parse::<i32>().ok();
        let positions = |range: &[(String, i64)]| -> Vec<(i32, i64)> {
            range.iter().filter_map(|(partition, offset)| Some((number(partition)?, *offset))).collect()
        };
        let split = shown.min(snapshot.positions.len());
        let (seen, unseen) = (positions(&snapshot.positions[..split]), positions(&snapshot.positions[split..]));
        let mut offsets = BTreeMap::new();
        for (partition, applied) in &snapshot.offsets {
            let Some(partition) = number(partition) else { continue };
            let of = |positions: &[(i32, i64)]| {
                positions.iter().filter(|(p, _)| *p == partition).map(|(_, offset)| *offset).collect::<Vec<_>>()
            };
            let oldest_seen = of(&seen).into_iter().min();
            let newest_unseen = of(&unseen).into_iter().max().map(|offset| offset + 1);
            offsets.insert(partition, oldest_seen.or(newest_unseen).unwrap_or(*applied));
        }
        offsets.values().any(|&offset| offset > 0).then_some(Self(offsets))
    }

    /// Reads a cursor as [`Display`](std::fmt::Display) wrote it; `None` when it isn't one.
    pub fn parse(text: &str) -> Option<Self> {
        let offsets = text.strip_prefix("v1")?.split('.').skip(1).map(|part| {
            let (partition, offset) = part.split_once('-')?;
            let (partition, offset) = (partition.parse().ok()?, offset.parse().ok()?);
            (partition >= 0 && offset >= 0).then_some((partition, offset))
        });
        let offsets: BTreeMap<i32, i64> = offsets.collect::<Option<_>>()?;
        (!offsets.is_empty()).then_some(Self(offsets))
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("v1")?;
        self.0.iter().try_for_each(|(partition, offset)| write!(f, ".{partition}-{offset}"))
    }
}

/// A page of older messages, newest first.
#[derive(Debug)]
pub struct Page {
    /// The messages.
    pub messages: Vec<Message<'static>>,
    /// Where the next page begins; `None` at the start of the log.
    pub next: Option<Cursor>,
}

/// The log of the board's topic.
pub struct History {
    cluster: Cluster,
    topic: String,
    /// The partitions as they were last looked up.
    logs: Mutex<Vec<PartitionLog>>,
}

impl History {
    /// The history of `topic`; nothing is read yet.
    pub fn new(cluster: Cluster, topic: String) -> Self {
        Self { cluster, topic, logs: Mutex::default() }
    }

    /// The topic.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// The partitions. They are looked up again for a cursor that names others: some were added since.
    async fn logs(&self, cursor: &Cursor) -> Result<Vec<PartitionLog>, KafkaError> {
        let mut logs = self.logs.lock().await;
        if cursor.0.keys().any(|partition| !logs.iter().any(|log| log.partition() == *partition)) {
            *logs = log::open(&self.cluster, &self.topic).await?;
        }
        Ok(logs.clone())
    }

    /// The newest `limit` messages before `cursor`.
    ///
    /// # Errors
    /// When Kafka doesn't answer.
    pub async fn page(&self, cursor: &Cursor, limit: usize) -> Result<Page, KafkaError> {
        let read = tokio::time::timeout(PATIENCE, self.read(cursor, limit));
        read.await.unwrap_or_else(|_| Err(KafkaError::Slow { topic: self.topic.clone(), waited: PATIENCE }))
    }

    async fn read(&self, cursor: &Cursor, limit: usize) -> Result<Page, KafkaError> {
        let logs = self.logs(cursor).await?;
        let tails = logs.iter().filter_map(|log| Some(Tail::read(log, *cursor.0.get(&log.partition())?, limit)));
        let mut tails = try_join_all(tails).await?;
        let mut messages = Vec::with_capacity(limit);
        let mut ids = HashSet::new();
        while messages.len() < limit && !tails.iter().any(Tail::ended_early) {
            let newest =
                (tails.iter_mut()).filter(|tail| !tail.records.is_empty()).max_by_key(|tail| tail.newest_time());
            let Some(message) = newest.and_then(Tail::take) else { break };
            // A retried POST can stand in the log twice; it is shown once.
            if ids.insert(message.id.clone()) {
                messages.push(message);
            }
        }
        let more = tails.iter().any(|tail| tail.position() > tail.start);
        let next = more.then(|| Cursor(tails.iter().map(|tail| (tail.partition, tail.position())).collect()));
        Ok(Page { messages, next })
    }
}

/// The end of a partition below a cursor, as far as it was searched.
struct Tail {
    partition: i32,
    /// The oldest offset that is kept.
    start: i64,
    /// The oldest offset that was searched.
    floor: i64,
    /// Everything from here on was shown.
    before: i64,
    /// Offset and message, oldest first.
    records: Vec<(i64, Message<'static>)>,
}

impl Tail {
    /// Reads the newest `limit` messages below `before`, going further back where records are no messages.
    async fn read(log: &PartitionLog, before: i64, limit: usize) -> Result<Self, KafkaError> {
        let (start, end) = futures::try_join!(log.start(), log.end())?;
        let before = before.clamp(start, end.max(start));
        let mut tail = Self { partition: log.partition(), start, floor: before, before, records: Vec::new() };
        let (mut reach, mut bytes) = (limit as i64, 0);
        while tail.records.len() < limit
            && tail.floor > start
            && before - tail.floor < MAX_LOOK_BACK
            && bytes < MAX_BYTES
        {
            let from = (tail.floor - reach).max(start);
            bytes += tail.extend_back_to(log, from, limit).await?;
            reach = if bytes < MAX_BYTES / 8 { reach * 2 } else { limit as i64 };
        }
        Ok(tail)
    }

    /// Reads from `from` on up to the floor, keeps the newest `limit` messages, and lowers the floor to the oldest of
    /// them; the bytes that were read.
    async fn extend_back_to(&mut self, log: &PartitionLog, from: i64, limit: usize) -> Result<usize, KafkaError> {
        let (mut next, mut bytes, mut older) = (from, 0, VecDeque::new());
        let mut floor = from;
        while next < self.floor {
            let chunk = log.read(next, self.floor, CHUNK_BYTES).await?;
            next = chunk.next;
            for record in &chunk.records {
                bytes += record.value.as_ref().map_or(0, Bytes::len);
                if let Ok(message) = Message::decode(record.value.as_deref()) {
                    older.push_back((record.offset, message.into_owned()));
                }
                if older.len() + self.records.len() > limit
                    && let Some((dropped, _)) = older.pop_front()
                {
                    floor = dropped + 1;
                }
            }
        }
        self.records.splice(0..0, older);
        self.floor = floor;
        Ok(bytes)
    }

    fn newest_time(&self) -> i64 {
        self.records.last().map_or(i64::MIN, |(_, message)| message.timestamp)
    }

    fn take(&mut self) -> Option<Message<'static>> {
        let (offset, message) = self.records.pop()?;
        self.before = offset;
        Some(message)
    }

    /// Where the next page goes on.
    fn position(&self) -> i64 {
        if self.records.is_empty() { self.floor } else { self.before }
    }

    /// Whether there may be older messages that were not read: then nothing older of other partitions may come first.
    fn ended_early(&self) -> bool {
        self.records.is_empty() && self.floor > self.start
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn snapshot(positions: &[(&str, i64)], offsets: &[(&str, i64)]) -> Snapshot {
        let own = |pairs: &[(&str, i64)]| {
            pairs.iter().map(|(name, offset)| ((*name).to_owned(), *offset)).collect::<Vec<_>>()
        };
        Snapshot { positions: own(positions), offsets: own(offsets).into_iter().collect(), ..Snapshot::default() }
    }

    #[test]
    fn the_first_cursor_begins_where_the_window_ends() {
        // Newest first: offsets 9 and 8 of partition 0 are shown, 4 of partition 1 is not, partition 2 is all older.
        let snapshot = snapshot(&[("t:0", 9), ("t:0", 8), ("t:1", 4)], &[("t:0", 10), ("t:1", 5), ("t:2", 7)]);
        assert_eq!(Cursor::behind(&snapshot, "t", 2), Some(Cursor([(0, 8), (1, 5), (2, 7)].into())));
        assert_eq!(Cursor::behind(&snapshot, "t", 9), Some(Cursor([(0, 8), (1, 4), (2, 7)].into())));
    }

    #[test]
    fn a_window_that_shows_everything_has_nothing_behind_it() {
        let snapshot = snapshot(&[("t:0", 1), ("t:0", 0)], &[("t:0", 2), ("t:1", 0)]);
        assert_eq!(Cursor::behind(&snapshot, "t", 2), None);
    }

    #[test]
    fn a_cursor_survives_its_text() {
        let cursor = Cursor([(0, 12), (11, 0)].into());
        assert_eq!(Cursor::parse(&cursor.to_string()), Some(cursor));
        for text in ["", "v1", "v1.", "v1.0", "v1.0-x", "v2.0-1", "v1.-1-2", "v1.0--2"] {
            assert_eq!(Cursor::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_cursor_survives_its_text_and_no_text_makes_parsing_panic(
            offsets in proptest::collection::btree_map(0..=i32::MAX, 0..=i64::MAX, 1..20),
            text in "v1[-.0-9a-f]{0,60}|.{0,60}",
        ) {
            let cursor = Cursor(offsets);
            prop_assert_eq!(Cursor::parse(&cursor.to_string()), Some(cursor));
            if let Some(cursor) = Cursor::parse(&text) {
                prop_assert_eq!(Cursor::parse(&cursor.to_string()), Some(cursor));
            }
        }
    }
}
