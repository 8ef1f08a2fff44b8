//! From what is fetched to what is shown.

use std::sync::Arc;

use super::browse::{Entry, Piece, Source};
use crate::kafka::fetch::{FetchOptions, Isolation, Record, Unreadable, fetch};
use crate::kafka::{Cluster, KafkaError};

/// Bytes that are asked for at a time: enough for a page of most topics.
const FETCH_BYTES: usize = 128 * 1024;

/// What stands in a log.
pub enum Item<'a> {
    /// A record.
    Record(&'a Record),
    /// A piece that can't be read.
    Unreadable(&'a Unreadable),
}

/// Makes of an item of a partition what is shown of it, and says how many bytes that takes.
pub type Show<T> = Arc<dyn Fn(i32, Item<'_>) -> (T, usize) + Send + Sync>;

/// Reads a topic for [`super::browse`].
pub struct Reader<'a, T> {
    /// The cluster.
    pub cluster: &'a Cluster,
    /// The topic.
    pub topic: &'a str,
    /// What of transactions is read.
    pub isolation: Isolation,
    /// What is shown.
    pub show: Show<T>,
}

impl<T: Send> Source for Reader<'_, T> {
    type Shown = T;

    async fn read(&self, partition: i32, from: i64, to: i64) -> Result<Piece<T>, KafkaError> {
        let options = FetchOptions { isolation: self.isolation, bytes: FETCH_BYTES, ..FetchOptions::default() };
        let fetched = fetch(self.cluster, self.topic, partition, from, &options).await?;
        let records = fetched.records.iter().filter(|record| (from..to).contains(&record.offset));
        let mut entries: Vec<Entry<T>> = records.map(|record| entry(partition, record, &self.show)).collect();
        let unreadable = fetched.unreadable.iter().filter(|piece| piece.base_offset < to && piece.last_offset >= from);
        entries.extend(unreadable.map(|piece| gap(partition, piece, from, to, &self.show)));
        sort(&mut entries);
        Ok(Piece { entries, next: fetched.next })
    }
}

/// A record's entry.
pub fn entry<T>(partition: i32, record: &Record, show: &Show<T>) -> Entry<T> {
    let Record { offset, timestamp, .. } = *record;
    let (shown, weight) = show(partition, Item::Record(record));
    Entry { partition, offset, last: offset, timestamp, weight, shown }
}

/// The entry of as much of an unreadable piece as is between `from` and `to`; it has no time yet.
pub fn gap<T>(partition: i32, piece: &Unreadable, from: i64, to: i64, show: &Show<T>) -> Entry<T> {
    let (offset, last) = (piece.base_offset.max(from), piece.last_offset.min(to - 1));
    let (shown, weight) = show(partition, Item::Unreadable(piece));
    Entry { partition, offset, last, timestamp: -1, weight, shown }
}

/// Puts the entries of a partition into their order; what has no time gets that of the record before it.
pub fn sort<T>(entries: &mut [Entry<T>]) {
    entries.sort_by_key(|entry| entry.offset);
    let mut timestamp = -1;
    for entry in entries {
        if entry.timestamp < 0 {
            entry.timestamp = timestamp;
        }
        timestamp = entry.timestamp;
    }
}
