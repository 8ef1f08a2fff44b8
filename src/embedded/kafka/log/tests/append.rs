//! What is taken, what isn't, and where it goes.

use kafka_protocol::error::ResponseError;

use super::*;

#[test]
fn batches_get_the_next_offsets() {
    let dir = dir();
    let mut log = open(&dir, &settings(), true);
    let first = append(&mut log, &batch(&[(1, "a"), (2, "b")]));
    let second = append(&mut log, &batch(&[(3, "c")]));
    assert_eq!((log.start_offset(), log.end_offset(), log.size()), (0, 3, (first.len() + second.len()) as u64));
    assert_eq!(all(&log), [first, second].concat());
}

#[test]
fn what_is_refused_leaves_no_trace() {
    let dir = dir();
    let good = batch(&[(1, "a")]);
    let mut log = open(&dir, &LogSettings { max_message_bytes: good.len(), ..settings() }, true);
    let mut corrupt = good.to_vec();
    corrupt[65] ^= 1;
    assert_eq!(log.append(corrupt.into(), NOW), Err(ResponseError::CorruptMessage));
    assert_eq!(log.append(batch(&[(1, "aa")]), NOW), Err(ResponseError::MessageTooLarge));
    assert_eq!(log.append(batch(&[(NOW + 3_600_001, "a")]), NOW), Err(ResponseError::InvalidTimestamp));
    log.configure(LogSettings { segment_bytes: good.len() as u64 - 1, ..settings() });
    assert_eq!(log.append(good, NOW), Err(ResponseError::RecordListTooLarge));
    assert_eq!((log.end_offset(), log.size(), segment_files(&dir, "log")[0].metadata().unwrap().len()), (0, 0, 0));
}

#[test]
fn a_segment_is_full_by_size_and_by_age() {
    let dir = dir();
    let one = batch(&[(NOW, "a")]);
    let mut log =
        open(&dir, &LogSettings { segment_bytes: one.len() as u64 * 2, segment_ms: 1_000, ..settings() }, true);
    for now in [0, 1, 2, 1_001, 1_002, 2_000, 2_001, 3_000] {
        log.append(one.clone(), NOW + now).unwrap();
    }
    let bases: Vec<_> = log.segments().map(|segment| segment.base_offset()).collect();
    assert_eq!(bases, [0, 2, 4, 6]);
    log.close().unwrap();
    // The age is counted from the timestamp of the first batch.
    let mut log = open(&dir, &LogSettings { segment_ms: 1_000, ..settings() }, true);
    log.append(one.clone(), NOW + 999).unwrap();
    log.append(one, NOW + 1_000).unwrap();
    assert_eq!(log.segments().last().unwrap().base_offset(), 9);
}

#[test]
fn with_log_append_time_the_broker_has_the_say() {
    let dir = dir();
    let settings = LogSettings { log_append_time: true, ..settings() };
    let mut log = open(&dir, &settings, true);
    let producer = Producer { id: 1, epoch: 0, sequence: 0 };
    // However far ahead the producer's clock is.
    let batch = produced(&[(NOW * 1_000, "a"), (5, "b")], 4, Some(producer));
    let expected = Appended { base_offset: 0, end_offset: 2, log_append_time: NOW, duplicate: false };
    assert_eq!(log.append(batch.clone(), NOW), Ok(expected));
    assert_eq!(log.append(batch.clone(), NOW + 7), Ok(Appended { duplicate: true, ..expected }));
    drop(log);
    // The new checksum is right, or recovery would cut the batch.
    let log = open(&dir, &settings, false);
    assert_eq!((log.end_offset(), log.offset_for_time(NOW).unwrap()), (2, Some((0, NOW))));
    assert_eq!(all(&log)[61..], batch[61..]);
}

#[test]
fn offsets_that_are_far_apart_are_in_different_segments() {
    let dir = dir();
    let mut log = open(&dir, &settings(), true);
    // A compressed batch may claim any number of records.
    let mut claims = produced(&[(1, "a")], 1, None).to_vec();
    claims[23..27].copy_from_slice(&(i32::MAX - 1).to_be_bytes());
    claims[57..61].copy_from_slice(&i32::MAX.to_be_bytes());
    let crc = crc32c::crc32c(&claims[21..]);
    claims[17..21].copy_from_slice(&crc.to_be_bytes());
    let claims = Bytes::from(claims);
    let batches: Vec<_> = (0..3).map(|_| append(&mut log, &claims)).collect();
    assert_eq!(log.sealed.len(), 2);
    assert_eq!(log.offset_for_time(1).unwrap(), Some((0, 1)));
    drop(log);
    let mut log = open(&dir, &settings(), false);
    assert_eq!((log.end_offset(), all(&log)), (i64::from(i32::MAX) * 3, batches.concat().into()));
    // The records that are claimed and missing have the timestamp of the batch.
    let within = i64::from(i32::MAX) * 2 + 5;
    log.delete_before(within).unwrap();
    assert_eq!(log.max_timestamp().unwrap(), Some((within, 1)));
}
