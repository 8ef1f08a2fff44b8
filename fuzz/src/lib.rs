//! What is fuzzed: one module a target, each with a function that takes any bytes and panics if it finds a fault, and with
//! the inputs to begin with. `tests/fuzz.rs` runs the same for a moment, without nightly.

pub mod batch;
pub mod connection;
pub mod decode;
pub mod journal;
pub mod recovery;
pub mod request;
pub mod search;

use std::path::Path;

use bytes::{Bytes, BytesMut};
use kafka_protocol::records::{
    Compression, NO_PARTITION_LEADER_EPOCH, Record, RecordBatchEncoder, RecordEncodeOptions, TimestampType,
};
use kboard::embedded::kafka::log::LogSettings;
use tempfile::TempDir;

/// One thing that is fuzzed.
pub struct Target {
    /// Its name.
    pub name: &'static str,
    /// Takes any bytes, and panics if it finds a fault.
    pub run: fn(&[u8]),
    /// Inputs to begin with.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All of them, but for what only nightly's build may see: the board's parsers, whose unit tests do the same.
pub const TARGETS: [Target; 7] = [
    Target { name: "batch", run: batch::run, seeds: batch::seeds },
    Target { name: "connection", run: connection::run, seeds: connection::seeds },
    Target { name: "decode", run: decode::run, seeds: decode::seeds },
    Target { name: "journal", run: journal::run, seeds: journal::seeds },
    Target { name: "recovery", run: recovery::run, seeds: recovery::seeds },
    Target { name: "request", run: request::run, seeds: request::seeds },
    Target { name: "search", run: search::run, seeds: search::seeds },
];

/// The time of all appends.
const NOW: i64 = 1_000_000;
/// Where the checksum of a batch is, and the first byte that it covers.
const CRC: usize = 17;
const CHECKED: usize = 21;
/// What the length of a batch doesn't count, and where it is.
const OVERHEAD: usize = 12;
const LENGTH: usize = 8;

/// A directory in memory where that is possible.
fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.expect("a directory")
}

fn settings() -> LogSettings {
    LogSettings {
        segment_bytes: 16_000,
        segment_ms: i64::MAX,
        retention_bytes: -1,
        retention_ms: -1,
        max_message_bytes: 1 << 20,
        log_append_time: false,
    }
}

/// A batch as an idempotent producer sends it.
fn produced(producer_id: i64, sequence: i32, timestamps: &[i64], value: &str, compression: Compression) -> Bytes {
    let record = |(place, timestamp): (usize, &i64)| Record {
        transactional: false,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: NO_PARTITION_LEADER_EPOCH,
        producer_id,
        producer_epoch: 0,
        timestamp_type: TimestampType::Creation,
        offset: place as i64,
        sequence: sequence + place as i32,
        timestamp: *timestamp,
        key: Some(Bytes::from_static(b"key")),
        value: Some(Bytes::copy_from_slice(value.as_bytes())),
        headers: Default::default(),
    };
    let records: Vec<_> = timestamps.iter().enumerate().map(record).collect();
    let mut bytes = BytesMut::new();
    RecordBatchEncoder::encode(&mut bytes, &records, &RecordEncodeOptions { version: 2, compression })
        .expect("a batch");
    bytes.freeze()
}

/// Gives a batch the length and the checksum that its bytes ask for.
fn seal(batch: &mut [u8]) {
    if batch.len() > CHECKED {
        let length = (batch.len() - OVERHEAD) as u32;
        batch[LENGTH..LENGTH + 4].copy_from_slice(&length.to_be_bytes());
        let crc = crc32c::crc32c(&batch[CHECKED..]);
        batch[CRC..CRC + 4].copy_from_slice(&crc.to_be_bytes());
    }
}
