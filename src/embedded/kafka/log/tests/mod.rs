//! What the tests of the log share, and the tests of the whole of it.

mod append;
mod disk_full;
mod read;
mod recovery;
mod reopen;
mod retention;
mod sequences;
mod time;

use std::fs;
use std::path::{Path, PathBuf};

use bytes::{Bytes, BytesMut};
use kafka_protocol::records::{
    Compression, NO_PARTITION_LEADER_EPOCH, NO_PRODUCER_EPOCH, NO_PRODUCER_ID, NO_SEQUENCE, Record, RecordBatchEncoder,
    RecordEncodeOptions, TimestampType,
};
use tempfile::TempDir;

use super::{Appended, Log, LogSettings, files};

/// The time of all appends that don't care.
pub const NOW: i64 = 1_000_000;

/// Who writes a batch, and the sequence of its first record.
#[derive(Clone, Copy)]
pub struct Producer {
    pub id: i64,
    pub epoch: i16,
    pub sequence: i32,
}

/// A batch of records (timestamp, value), as a client sends it.
pub fn batch(records: &[(i64, &str)]) -> Bytes {
    produced(records, 0, None)
}

/// A batch of records (timestamp, value), compressed by Kafka's number.
pub fn produced(records: &[(i64, &str)], compression: i16, producer: Option<Producer>) -> Bytes {
    let none = Producer { id: NO_PRODUCER_ID, epoch: NO_PRODUCER_EPOCH, sequence: NO_SEQUENCE };
    let producer = producer.unwrap_or(none);
    let record = |(place, (timestamp, value)): (usize, &(i64, &str))| Record {
        transactional: false,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: NO_PARTITION_LEADER_EPOCH,
        producer_id: producer.id,
        producer_epoch: producer.epoch,
        timestamp_type: TimestampType::Creation,
        offset: place as i64,
        sequence: producer.sequence.wrapping_add(place as i32),
        timestamp: *timestamp,
        key: None,
        value: Some(Bytes::copy_from_slice(value.as_bytes())),
        headers: Default::default(),
    };
    let records: Vec<_> = records.iter().enumerate().map(record).collect();
    let compression = match compression {
        0 => Compression::None,
        1 => Compression::Gzip,
        2 => Compression::Snappy,
        3 => Compression::Lz4,
        4 => Compression::Zstd,
        other => panic!("no compression {other}"),
    };
    let mut bytes = BytesMut::new();
    RecordBatchEncoder::encode(&mut bytes, &records, &RecordEncodeOptions { version: 2, compression }).unwrap();
    bytes.freeze()
}

/// The batch as the log has it at an offset.
pub fn placed(batch: &Bytes, base_offset: i64) -> Bytes {
    let mut bytes = batch.to_vec();
    bytes[..8].copy_from_slice(&base_offset.to_be_bytes());
    bytes[12..16].copy_from_slice(&[0; 4]);
    bytes.into()
}

/// Settings under which nothing is rolled or removed.
pub fn settings() -> LogSettings {
    LogSettings {
        segment_bytes: 1 << 30,
        segment_ms: i64::MAX,
        retention_bytes: -1,
        retention_ms: -1,
        max_message_bytes: 1 << 20,
        log_append_time: false,
    }
}

/// A directory, in memory where that is possible: what is tested here doesn't need a disk.
pub fn dir() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory).unwrap() } else { tempfile::tempdir().unwrap() }
}

/// Opens a log from which nothing is to be cut.
pub fn open(dir: &TempDir, settings: &LogSettings, clean: bool) -> Log {
    let opened = Log::open(dir.path().to_owned(), settings.clone(), clean).unwrap();
    assert_eq!(opened.cut, 0);
    opened.log
}

/// Appends a batch that is taken, and returns it as the log has it.
pub fn append(log: &mut Log, batch: &Bytes) -> Bytes {
    let end = log.end_offset();
    let appended = log.append(batch.clone(), NOW).unwrap();
    let expected = Appended { base_offset: end, end_offset: log.end_offset(), log_append_time: -1, duplicate: false };
    assert_eq!(appended, expected);
    placed(batch, end)
}

/// All batches of the log.
pub fn all(log: &Log) -> Bytes {
    log.read(log.start_offset(), usize::MAX, false).unwrap()
}

/// The files of the log with this extension, in order.
pub fn segment_files(dir: &TempDir, extension: &str) -> Vec<PathBuf> {
    let paths = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = paths.filter(|path| path.extension().is_some_and(|found| found == extension)).collect();
    files.sort();
    files
}
