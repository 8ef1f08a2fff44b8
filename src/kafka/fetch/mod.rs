//! Reads records by offset, at the speed of the log, with all that is known of each: the batch it came in, headers as
//! they are, and whether its transaction was aborted. For looking into topics; groups have [`super::consumer`].
//!
//! - [`fetch()`]: one piece of one partition; [`record()`]: one record.
//! - [`Scan`]: all of many partitions, or what comes from now on.
//! - [`offsets`]: where partitions begin and end, and where they were at a time.
//! - [`committed`]: how far groups are.

mod collect;
mod committed;
mod leaders;
mod offsets;
mod partition;
mod request;
mod scan;

use std::time::Duration;

use super::{Cluster, KafkaError};
pub use crate::record_batch::{Batch, Compression, Headers, Record, TimestampType, Unreadable};
pub use committed::{Committed, committed};
pub use offsets::{At, Located, offsets};
pub use partition::{fetch, record};
pub use scan::{Chunk, Progress, Range, Scan, ScanOptions};

/// What of transactions is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Isolation {
    /// Everything up to the high watermark; records of aborted transactions are marked, and those from the last stable
    /// offset on may still be aborted.
    #[default]
    All,
    /// What is committed: nothing of aborted transactions, nothing from the last stable offset on.
    Committed,
}

/// How [`fetch`] reads.
#[derive(Clone, Debug)]
pub struct FetchOptions {
    /// What of transactions is read.
    pub isolation: Isolation,
    /// Bytes that are asked for, as they are stored. One batch is read even if it is larger.
    pub bytes: usize,
    /// How long the broker may wait for a record when there is none.
    pub max_wait: Duration,
    /// Bytes of memory that the records may take, about; the rest is read by going on at [`Fetched::next`]. One record is
    /// read even if it is larger.
    pub memory: usize,
}

impl Default for FetchOptions {
    fn default() -> Self {
        Self { isolation: Isolation::All, bytes: 1024 * 1024, max_wait: Duration::ZERO, memory: 32 * 1024 * 1024 }
    }
}

/// A piece of a partition.
#[derive(Debug)]
pub struct Fetched {
    /// Its records, in order.
    pub records: Vec<Record>,
    /// What couldn't be read between them, in order.
    pub unreadable: Vec<Unreadable>,
    /// The offset at which it goes on. Offsets before it that are neither here nor unreadable have no record: markers of
    /// transactions, what compaction or retention removed, and with [`Isolation::Committed`] what was aborted.
    pub next: i64,
    /// The first offset that is still kept.
    pub log_start: i64,
    /// The offset after the last that is replicated: the end, as far as readers see it.
    pub high_watermark: i64,
    /// Before this offset, all transactions have ended.
    pub last_stable: i64,
}
