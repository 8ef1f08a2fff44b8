//! What goes, and what stays.

use kafka_protocol::error::ResponseError;

use super::*;

/// A log with one batch a segment, of one record with this timestamp.
fn log(dir: &TempDir, timestamps: &[i64]) -> (Log, u64) {
    let size = batch(&[(0, "a")]).len() as u64;
    let mut log = open(dir, &LogSettings { segment_bytes: size, ..settings() }, true);
    timestamps.iter().for_each(|&timestamp| drop(append(&mut log, &batch(&[(timestamp, "a")]))));
    (log, size)
}

#[test]
fn nothing_goes_without_a_limit() {
    let dir = dir();
    let (mut log, _) = log(&dir, &[1, 2, 3]);
    log.retain(i64::MAX).unwrap();
    assert_eq!((log.start_offset(), log.end_offset()), (0, 3));
}

#[test]
fn segments_go_when_their_newest_record_is_too_old() {
    let dir = dir();
    let (mut log, size) = log(&dir, &[100, 400, 200, 300]);
    log.configure(LogSettings { retention_ms: 1_000, ..settings() });
    log.retain(1_100).unwrap();
    assert_eq!(log.start_offset(), 0);
    log.retain(1_101).unwrap();
    // The second one holds back those after it.
    log.retain(1_400).unwrap();
    assert_eq!((log.start_offset(), log.size()), (1, size * 3));
    log.retain(1_401).unwrap();
    assert_eq!((log.start_offset(), log.end_offset(), log.size()), (4, 4, 0));
    assert_eq!((segment_files(&dir, "log").len(), all(&log).len()), (1, 0));
    append(&mut log, &batch(&[(1, "a")]));
    drop(log);
    let log = open(&dir, &settings(), false);
    assert_eq!((log.start_offset(), log.end_offset()), (4, 5));
}

#[test]
fn records_without_a_timestamp_are_as_old_as_their_file() {
    let dir = dir();
    let (mut log, _) = log(&dir, &[-1, -1]);
    log.configure(LogSettings { retention_ms: 1_000, ..settings() });
    log.retain(NOW).unwrap();
    assert_eq!(log.start_offset(), 0);
    log.retain(i64::MAX / 2).unwrap();
    assert_eq!(log.start_offset(), 2);
}

#[test]
fn the_oldest_go_while_there_is_enough_without_them() {
    let dir = dir();
    let (mut log, size) = log(&dir, &[1, 2, 3, 4]);
    log.configure(LogSettings { retention_bytes: size as i64 * 2 + 1, ..settings() });
    log.retain(NOW).unwrap();
    assert_eq!((log.start_offset(), log.size()), (1, size * 3));
    log.configure(LogSettings { retention_bytes: 0, ..settings() });
    log.retain(NOW).unwrap();
    assert_eq!((log.start_offset(), log.end_offset(), log.size()), (4, 4, 0));
}

#[test]
fn deleted_records_stay_deleted() {
    let dir = dir();
    let (mut log, size) = log(&dir, &[1, 2, 3]);
    assert_eq!(log.delete_before(4), Err(ResponseError::OffsetOutOfRange));
    assert_eq!(log.delete_before(-1), Err(ResponseError::OffsetOutOfRange));
    assert_eq!(log.delete_before(2), Ok(2));
    assert_eq!(log.delete_before(1), Ok(2));
    assert_eq!((log.size(), segment_files(&dir, "log").len()), (size, 1));
    assert_eq!(log.delete_before(3), Ok(3));
    assert_eq!((log.start_offset(), log.end_offset(), all(&log).len()), (3, 3, 0));
    drop(log);
    for clean in [false, true] {
        let log = open(&dir, &settings(), clean);
        assert_eq!((log.start_offset(), log.end_offset()), (3, 3));
        log.close().unwrap();
    }
}

#[test]
fn offsets_never_go_back() {
    let dir = dir();
    let (mut log, _) = log(&dir, &[1, 2, 3]);
    log.delete_before(3).unwrap();
    drop(log);
    fs::write(&segment_files(&dir, "log")[0], b"").unwrap();
    let mut log = open(&dir, &settings(), false);
    assert_eq!((log.start_offset(), log.end_offset()), (3, 3));
    append(&mut log, &batch(&[(1, "a")]));
    assert_eq!(segment_files(&dir, "log").len(), 1);
}

#[test]
fn silent_producers_are_forgotten() {
    let dir = dir();
    let mut log = open(&dir, &settings(), true);
    append(&mut log, &produced(&[(NOW, "a")], 0, Some(Producer { id: 4, epoch: 0, sequence: 0 })));
    log.retain(NOW + 86_399_999).unwrap();
    assert_eq!(log.producers().len(), 1);
    log.retain(NOW + 86_400_000).unwrap();
    assert_eq!(log.producers().len(), 0);
}
