//! Closed or killed, then opened again: everything acknowledged is there.

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Append {
        records: Vec<(i64, usize)>,
        compression: i16,
        idempotent: bool,
    },
    Flush,
    /// Closed if `in_order`, or killed; then opened as that, or as if it had been killed.
    Reopen {
        in_order: bool,
        clean: bool,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let records = prop::collection::vec((-1..NOW, 0..1_500_usize), 1..12);
    let append = (records, 0..=4_i16, any::<bool>()).prop_map(|(records, compression, idempotent)| Step::Append {
        records,
        compression,
        idempotent,
    });
    let reopen = any::<(bool, bool)>().prop_map(|(in_order, clean)| Step::Reopen { in_order, clean });
    prop_oneof![20 => append, 1 => Just(Step::Flush), 2 => reopen]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn everything_acknowledged_is_there(
        steps in prop::collection::vec(step(), 1..80), segment_bytes in 20_000..60_000_u64,
    ) {
        let dir = dir();
        let settings = LogSettings { segment_bytes, ..settings() };
        let mut log = open(&dir, &settings, true);
        let (mut expected, mut sequence, mut next_offset) = (Vec::new(), 0, 0);
        for step in steps.into_iter().chain([Step::Reopen { in_order: false, clean: false }]) {
            match step {
                Step::Append { records, compression, idempotent } => {
                    let values: Vec<_> = records.iter().map(|(_, size)| "v".repeat(*size)).collect();
                    let values = values.iter().map(String::as_str);
                    let records: Vec<_> = records.iter().map(|(timestamp, _)| *timestamp).zip(values).collect();
                    let producer = idempotent.then_some(Producer { id: 9, epoch: 1, sequence });
                    sequence += if idempotent { records.len() as i32 } else { 0 };
                    next_offset += records.len() as i64;
                    expected.extend_from_slice(&append(&mut log, &produced(&records, compression, producer)));
                    prop_assert_eq!(log.end_offset(), next_offset);
                }
                Step::Flush => log.flush().unwrap(),
                Step::Reopen { in_order, clean } => {
                    let producers = log.producers();
                    if in_order { log.close().unwrap() } else { drop(log) }
                    log = open(&dir, &settings, clean && in_order);
                    prop_assert_eq!(log.producers(), producers);
                    prop_assert_eq!((log.start_offset(), log.end_offset()), (0, next_offset));
                    prop_assert_eq!(&all(&log), &expected);
                }
            }
        }
    }
}

#[test]
fn a_clean_start_looks_at_no_batch_that_the_indexes_cover() {
    let dir = dir();
    let mut log = open(&dir, &settings(), true);
    let value = "v".repeat(2_000);
    for time in 0..100 {
        let producer = Producer { id: time / 10, epoch: 0, sequence: time as i32 % 10 };
        append(&mut log, &produced(&[(time, &value)], 0, Some(producer)));
    }
    let (size, producers) = (log.size(), log.producers());
    log.close().unwrap();
    // Were the headers before the last index entry looked at, this would be noticed.
    let path = segment_files(&dir, "log").remove(0);
    let mut bytes = fs::read(&path).unwrap();
    bytes[..100_000].fill(0);
    fs::write(&path, bytes).unwrap();
    let log = open(&dir, &settings(), true);
    assert_eq!((log.end_offset(), log.size(), log.producers()), (100, size, producers));
    assert_eq!(log.read(90, usize::MAX, true).unwrap().len() as u64, size / 10);
    assert_eq!(log.offset_for_time(80).unwrap(), Some((80, 80)));
}

#[test]
fn a_clean_start_that_finds_no_order_looks_again() {
    let dir = dir();
    let mut log = open(&dir, &settings(), true);
    let first = append(&mut log, &batch(&[(1, "a")]));
    append(&mut log, &batch(&[(2, "b")]));
    log.close().unwrap();
    let path = segment_files(&dir, "log").remove(0);
    fs::write(&path, &fs::read(&path).unwrap()[..first.len() + 30]).unwrap();
    let opened = Log::open(dir.path().to_owned(), settings(), true).unwrap();
    assert_eq!((opened.cut, all(&opened.log)), (30, first));
}

#[test]
fn lost_and_damaged_small_files_cost_only_time() {
    let dir = dir();
    let producer = |sequence| Some(Producer { id: 3, epoch: 0, sequence });
    let one = |sequence| produced(&[(1, "a")], 0, producer(sequence));
    let settings = LogSettings { segment_bytes: one(0).len() as u64 * 3, ..settings() };
    let mut log = open(&dir, &settings, true);
    let batches: Vec<_> = (0..10).map(|sequence| append(&mut log, &one(sequence))).collect();
    let producers = log.producers();
    log.close().unwrap();
    for name in ["recovery-point", "producers"] {
        for clean in [true, false] {
            fs::write(dir.path().join(name), b"rubbish").unwrap();
            let log = open(&dir, &settings, clean);
            assert_eq!((all(&log), log.producers()), (batches.concat().into(), producers.clone()));
            fs::remove_file(dir.path().join(name)).unwrap();
            let log = open(&dir, &settings, clean);
            assert_eq!((all(&log), log.producers()), (batches.concat().into(), producers.clone()));
            log.close().unwrap();
        }
    }
}

#[test]
fn what_is_no_segment_is_left_alone_and_lonely_indexes_go() {
    let dir = dir();
    let mut log = open(&dir, &settings(), true);
    append(&mut log, &batch(&[(1, "a")]));
    drop(log);
    for name in ["notes.log", "17.log", "00000000000000000042.index", "00000000000000000042.timeindex"] {
        fs::write(dir.path().join(name), b"x").unwrap();
    }
    let log = open(&dir, &settings(), false);
    assert_eq!((log.end_offset(), segment_files(&dir, "log").len(), segment_files(&dir, "index").len()), (1, 3, 0));
    assert_eq!(segment_files(&dir, "timeindex").len(), 0);
}

#[test]
fn only_what_is_not_known_to_be_on_the_disk_is_scanned() {
    let dir = dir();
    let one = batch(&[(1, "a")]);
    let settings = LogSettings { segment_bytes: one.len() as u64 * 2, ..settings() };
    let mut log = open(&dir, &settings, true);
    (0..6).for_each(|_| drop(append(&mut log, &one)));
    log.flush().unwrap();
    drop(log);
    // Records of the first segment, under a checksum that nobody is to compute.
    let path = segment_files(&dir, "log").remove(0);
    let mut bytes = fs::read(&path).unwrap();
    bytes[65] ^= 1;
    fs::write(&path, bytes).unwrap();
    let log = open(&dir, &settings, false);
    assert_eq!(log.end_offset(), 6);
    drop(log);
    fs::remove_file(dir.path().join("recovery-point")).unwrap();
    let opened = Log::open(dir.path().to_owned(), settings, false).unwrap();
    assert_eq!((opened.cut, opened.log.end_offset()), (one.len() as u64 * 6, 0));
}

#[test]
fn the_recovery_point_is_never_ahead_of_the_disk() {
    let dir = dir();
    let one = batch(&[(1, "a")]);
    let settings = LogSettings { segment_bytes: one.len() as u64 * 2, ..settings() };
    let point = || files::read_offset(dir.path(), files::RECOVERY_POINT).unwrap();
    let mut log = open(&dir, &settings, true);
    for base_offset in [0, 2, 4] {
        (0..2).for_each(|_| drop(append(&mut log, &one)));
        log.flush().unwrap();
        assert_eq!(point(), Some(base_offset));
    }
    append(&mut log, &one);
    // Whoever drops a log waits for what it has started.
    drop(log);
    assert_eq!(point(), Some(6));
    open(&dir, &settings, false).close().unwrap();
    assert_eq!(point(), Some(7));
    // It goes back with the log.
    fs::write(segment_files(&dir, "log").pop().unwrap(), b"").unwrap();
    let log = Log::open(dir.path().to_owned(), settings, false).unwrap().log;
    assert_eq!((log.end_offset(), point()), (6, Some(6)));
}

#[test]
fn segments_that_overlap_are_refused() {
    let dir = dir();
    let mut log = open(&dir, &settings(), true);
    append(&mut log, &batch(&[(1, "a"), (1, "b")]));
    drop(log);
    let inside = placed(&batch(&[(1, "a")]), 1);
    fs::write(dir.path().join("00000000000000000001.log"), inside).unwrap();
    assert!(Log::open(dir.path().to_owned(), settings(), false).is_err());
}
