//! All of many partitions, read ahead of who looks at it.
//!
//! A task of its own asks each leader for what comes next while it decodes what came, and hands that out in chunks. It
//! stops at [`ScanOptions::memory`] until its caller takes some.

mod driver;
mod turn;

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_util::task::AbortOnDropHandle;

use super::{Cluster, Isolation, KafkaError, Record, Unreadable};
use driver::Driver;

/// A part of a partition to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    /// The topic.
    pub topic: Arc<str>,
    /// The partition.
    pub partition: i32,
    /// The first offset to read.
    pub from: i64,
    /// The offset to stop before, which is not beyond the end of the log; `None` to go on with what is still to come.
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
    news: mpsc::UnboundedReceiver<News>,
    /// The memory of the chunk that was given out last; asking for another gives it back.
    held: Option<OwnedSemaphorePermit>,
    _driver: AbortOnDropHandle<()>,
}

/// What the driver has to say of a range.
#[derive(Debug)]
enum News {
    Chunk(Chunk, OwnedSemaphorePermit),
    /// Nothing more comes.
    Done(usize),
    Failed(usize, KafkaError),
}

/// Some records of one range, in order; none where a piece of the log had none.
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
        let progress = ranges.iter().map(|range| Progress { next: range.from, ..Progress::default() }).collect();
        let (sender, news) = mpsc::unbounded_channel();
        let driver = Driver::new(cluster.clone(), ranges, options.clone(), sender);
        let _driver = AbortOnDropHandle::new(tokio::spawn(driver.run()));
        Self { progress, news, held: None, _driver }
    }

    /// The next records of any range; those of one range come in the order of their offsets. `None` when all ranges were
    /// read. After an error, the others go on. Dropping the future loses nothing.
    ///
    /// # Errors
    /// When a range can't be read to its end: its topic is gone, its leader doesn't answer.
    pub async fn next(&mut self) -> Option<Result<Chunk, KafkaError>> {
        self.held = None;
        loop {
            match self.news.recv().await? {
                News::Chunk(chunk, memory) => {
                    self.held = Some(memory);
                    let progress = &mut self.progress[chunk.range];
                    progress.next = chunk.next;
                    progress.bytes += chunk.bytes;
                    progress.records += chunk.records.len() as u64;
                    return Some(Ok(chunk));
                }
                News::Done(range) => self.progress[range].done = true,
                News::Failed(range, error) => {
                    self.progress[range].done = true;
                    return Some(Err(error));
                }
            }
        }
    }

    /// How far each range has been given out, in the order of the ranges.
    pub fn progress(&self) -> &[Progress] {
        &self.progress
    }
}
