//! What a fetch gets.

use kafka_protocol::error::ResponseError;
use proptest::prelude::*;

use super::*;

/// A log of three segments with two batches each, of two records and the same size.
fn six(dir: &TempDir) -> (Log, Vec<Bytes>) {
    let one = batch(&[(1, "a"), (2, "b")]);
    let mut log = open(dir, &LogSettings { segment_bytes: one.len() as u64 * 2, ..settings() }, true);
    let batches = (0..6).map(|_| append(&mut log, &one)).collect();
    assert_eq!(log.sealed.len(), 2);
    (log, batches)
}

#[test]
fn batches_are_whole_and_no_more_than_asked_for() {
    let dir = dir();
    let (log, batches) = six(&dir);
    let size = batches[0].len();
    for (offset, max_bytes, first, end) in [
        (0, size, 0, 1),
        (1, size, 0, 1),
        (2, size * 2 - 1, 1, 2),
        (2, size * 2, 1, 3),
        (3, size * 4 + 5, 1, 5),
        (3, usize::MAX, 1, 6),
        (11, usize::MAX, 5, 6),
    ] {
        for at_least_one in [false, true] {
            let read = log.read(offset, max_bytes, at_least_one).unwrap();
            assert_eq!(read, batches[first..end].concat(), "{max_bytes} bytes from {offset}");
        }
    }
}

#[test]
fn the_first_batch_is_read_even_if_it_is_too_large() {
    let dir = dir();
    let (log, batches) = six(&dir);
    assert_eq!(log.read(4, 1, false).unwrap(), Bytes::new());
    assert_eq!(log.read(4, 1, true).unwrap(), batches[2]);
    assert_eq!(log.read(4, 0, true).unwrap(), batches[2]);
}

#[test]
fn there_is_nothing_at_the_end_and_an_error_outside() {
    let dir = dir();
    let (mut log, _) = six(&dir);
    assert_eq!(log.read(12, 100, true).unwrap(), Bytes::new());
    assert_eq!(log.read(13, 100, true), Err(ResponseError::OffsetOutOfRange));
    assert_eq!(log.read(-1, 100, true), Err(ResponseError::OffsetOutOfRange));
    log.delete_before(5).unwrap();
    assert_eq!(log.read(4, 100, true), Err(ResponseError::OffsetOutOfRange));
    assert!(!log.read(5, 100, true).unwrap().is_empty());
}

#[test]
fn a_lost_file_is_a_storage_error() {
    let dir = dir();
    let (log, batches) = six(&dir);
    fs::remove_file(&segment_files(&dir, "log")[0]).unwrap();
    assert_eq!(log.read(0, 100, true), Err(ResponseError::KafkaStorageError));
    assert_eq!(log.read(4, usize::MAX, true).unwrap(), batches[2..].concat());
}

#[test]
fn a_lost_segment_is_a_gap() {
    let dir = dir();
    let (log, batches) = six(&dir);
    log.close().unwrap();
    fs::remove_file(&segment_files(&dir, "log")[1]).unwrap();
    for clean in [true, false] {
        let log = open(&dir, &settings(), clean);
        assert_eq!(log.read(5, usize::MAX, true).unwrap(), batches[4..].concat());
        assert_eq!(all(&log), [&batches[..2], &batches[4..]].concat().concat());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn it_reads_what_a_list_of_batches_has(
        sizes in prop::collection::vec((1..6_usize, 0..3_000_usize), 1..60),
        segment_bytes in 4_000..40_000_u64,
        reads in prop::collection::vec((any::<prop::sample::Index>(), 0..30_000_usize, any::<bool>()), 1..20),
    ) {
        let dir = dir();
        let mut log = open(&dir, &LogSettings { segment_bytes: segment_bytes.max(20_000), ..settings() }, true);
        let mut batches = Vec::new();
        for (count, size) in sizes {
            let value = "x".repeat(size);
            let base_offset = log.end_offset();
            batches.push((base_offset, append(&mut log, &batch(&vec![(1, value.as_str()); count]))));
        }
        for (offset, max_bytes, at_least_one) in reads {
            let offset = offset.index(log.end_offset() as usize) as i64;
            let first = batches.partition_point(|(base_offset, _)| *base_offset <= offset) - 1;
            let mut expected = Vec::new();
            for (place, (_, batch)) in batches[first..].iter().enumerate() {
                if expected.len() + batch.len() > max_bytes && !(place == 0 && at_least_one) {
                    break;
                }
                expected.extend_from_slice(batch);
            }
            prop_assert_eq!(log.read(offset, max_bytes, at_least_one).unwrap(), expected);
        }
    }
}
