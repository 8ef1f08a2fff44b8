//! All of many partitions, read ahead of who looks at it.

use std::sync::Arc;

use super::{Cluster, Isolation, KafkaError, Record, Unreadable};

/// A part of a partition to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    /// The topic.
    pub topic: Arc<str>,
    /// The partition.
    pub partition: i32,
    /// The first offset to read.
    pub from: i64,
    /// The offset to stop before, which is not beyond the end of the log; `None` to go on for ever.
    pub to: Option<i64>,
}

/// How a [`Scan`] reads.
#[derive(Clone, Debug)]
pub struct ScanOptions {
    /// What of transactions is read.
    pub isolation: Isolation,
    /// Bytes of memory that it may take for what is read ahead, about.
    pub memory: usize,
}

impl Default for ScanOptions {
    fn default() -> Self {
        Self { isolation: Isolation::All, memory: 32 * 1024 * 1024 }
    }
}

/// Reads ranges of partitions, several at once, while the caller looks at what is there. Dropping it ends that.
#[derive(Debug)]
pub struct Scan {
    progress: Vec<Progress>,
}

/// Some records of one range, in order.
#[derive(Debug)]
pub struct Chunk {
    /// The place of the range among those given.
    pub range: usize,
    /// The records.
    pub records: Vec<Record>,
    /// What couldn't be read between them, in order.
    pub unreadable: Vec<Unreadable>,
    /// The offset at which the range goes on.
    pub next: i64,
    /// The end of the log as the leader told it with this: its high watermark.
    pub high_watermark: i64,
    /// Bytes of this part of the log as it is stored.
    pub bytes: u64,
}

/// How far a range has been read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Everything before this offset was given out.
    pub next: i64,
    /// Bytes read, as they are stored.
    pub bytes: u64,
    /// Records given out.
    pub records: u64,
    /// Whether nothing more comes: the range was read, or it failed.
    pub done: bool,
}

impl Scan {
    /// Begins to read `ranges`.
    pub fn start(cluster: &Cluster, ranges: Vec<Range>, options: &ScanOptions) -> Self {
        let _ = (cluster, ranges, options);
        todo!()
    }

    /// The next records of any range; those of one range come in the order of their offsets. `None` when all ranges were
    /// read. After an error, the others go on. Dropping the future loses nothing.
    ///
    /// # Errors
    /// When a range can't be read to its end: its topic is gone, its leader doesn't answer.
    pub async fn next(&mut self) -> Option<Result<Chunk, KafkaError>> {
        todo!()
    }

    /// How far each range has been given out, in the order of the ranges.
    pub fn progress(&self) -> &[Progress] {
        &self.progress
    }
}
