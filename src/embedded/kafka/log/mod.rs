//! The log of one partition: record batches as they came, in files, so that they outlive the process.
//!
//! # On disk
//! A partition's directory holds its segments, each named by its first offset with 20 digits:
//! - `.log`: the batches, one after the other. The broker writes two fields of them that no checksum covers: the base
//!   offset and the leader epoch (and with log append time also the largest timestamp, its type, and the checksum).
//! - `.index`, `.timeindex`: one entry about every 4 KiB of batches; rebuilt when they are missing or not plausible.
//!
//! And three small files: `recovery-point` (what comes before it is on the disk, not only in the page cache),
//! `start-offset` (what comes before it was deleted on request), `producers` (the idempotent producers at an offset).
//!
//! # Map
//! - `batch`: what is checked of a batch that arrives; its format is in [`crate::record_batch`].
//! - `segment`, `index`, `walk`: a segment's files, and the way through them.
//! - `open`, [`recovery`]: what of a log is there; the torn tail is cut.
//! - `append`, `read`, `time`, `retention`, `sync`: what one does with a log; this file has the log itself.
//! - `producers`: sequence numbers. `files`: the small files.

mod append;
mod batch;
mod files;
mod index;
mod open;
mod producers;
mod read;
pub mod recovery;
mod retention;
mod segment;
mod sync;
#[cfg(test)]
mod tests;
mod time;
mod walk;

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::sync::Arc;

use kafka_protocol::error::ResponseError;

use crate::telemetry::seldom::Seldom;
use producers::Producers;
use segment::Segment;
use sync::Syncer;
pub use sync::Unsynced;

/// That the disk fails: with a full one, every request of every producer finds out.
static FAILED: Seldom = Seldom::new();

/// How a partition's log is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// Bytes of a segment, at most; no batch may be larger.
    pub segment_bytes: u64,
    /// How long (ms) a segment is written to, at most.
    pub segment_ms: i64,
    /// Bytes that are kept, at least; -1 keeps all.
    pub retention_bytes: i64,
    /// How long (ms) records are kept, at least; -1 keeps them for good.
    pub retention_ms: i64,
    /// Bytes of a batch, at most.
    pub max_message_bytes: usize,
    /// Whether records have the time at which they were appended, rather than the producer's.
    pub log_append_time: bool,
}

/// The log of one partition. It is not shared: whoever needs that has it behind a mutex.
pub struct Log {
    dir: Arc<Path>,
    settings: LogSettings,
    /// The segments that are complete, oldest first.
    sealed: VecDeque<Segment>,
    /// The segment that is appended to.
    active: Segment,
    /// When (ms) the first batch of the active segment was written, if that is known.
    began_ms: Option<i64>,
    start_offset: i64,
    producers: Producers,
    syncer: Syncer,
    /// Everything before this offset was brought to the disk.
    synced: i64,
    /// The offset at which the `producers` file was written.
    producers_saved: Option<i64>,
}

/// A log that was opened.
pub struct Opened {
    /// The log.
    pub log: Log,
    /// Bytes of a torn tail that were removed.
    pub cut: u64,
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Offset of its first record.
    pub base_offset: i64,
    /// The offset after its last record's.
    pub end_offset: i64,
    /// When (ms) it was appended; -1 if its records keep the producer's timestamps.
    pub log_append_time: i64,
    /// It was there already, from an attempt whose answer got lost: nothing was written.
    pub duplicate: bool,
}

/// An idempotent producer that the log knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerInfo {
    /// Its id.
    pub producer_id: i64,
    /// The newest epoch of that id.
    pub epoch: i16,
    /// Sequence number of the last record.
    pub last_sequence: i32,
    /// The largest timestamp (ms) of the last batch.
    pub last_timestamp: i64,
}

impl Log {
    /// The first offset that can be read.
    pub fn start_offset(&self) -> i64 {
        self.start_offset
    }

    /// The offset that the next record gets; also the high watermark and the last stable offset.
    pub fn end_offset(&self) -> i64 {
        self.active.next_offset()
    }

    /// Bytes of all batches.
    pub fn size(&self) -> u64 {
        self.segments().map(Segment::size).sum()
    }

    /// Changes the settings. What is too old or too much by the new ones goes with the next [`retain`](Self::retain).
    pub fn configure(&mut self, settings: LogSettings) {
        self.settings = settings;
    }

    /// The idempotent producers it knows, by id.
    pub fn producers(&self) -> Vec<ProducerInfo> {
        self.producers.list()
    }

    /// All segments, oldest first.
    fn segments(&self) -> impl Iterator<Item = &Segment> {
        self.sealed.iter().chain([&self.active])
    }

    /// An error on the wire in place of one of the disk, which goes to the log.
    fn storage_error(&self, doing: &str, error: &io::Error) -> ResponseError {
        FAILED.error(&format!("can't {doing} in {}", self.dir.display()), error);
        ResponseError::KafkaStorageError
    }
}
