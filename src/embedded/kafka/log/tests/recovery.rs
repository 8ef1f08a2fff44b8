//! A log whose last segment was damaged is a prefix of what it was, and goes on from there.

use proptest::prelude::*;

use super::*;

#[derive(Clone, Copy, Debug)]
enum Damage {
    Truncate,
    Flip {
        bit: u8,
    },
    /// Bytes at the end that are no batch.
    Rubbish {
        size: usize,
    },
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        Just(Damage::Truncate),
        (0..8_u8).prop_map(|bit| Damage::Flip { bit }),
        (1..300_usize).prop_map(|size| Damage::Rubbish { size }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_is_left_is_a_prefix(
        sizes in prop::collection::vec((1..4_usize, 0..2_000_usize, 0..=4_i16), 1..50),
        segment_bytes in 10_000..40_000_u64,
        damage in damage(),
        place in any::<prop::sample::Index>(),
        closed in any::<bool>(),
    ) {
        let dir = dir();
        let settings = LogSettings { segment_bytes, ..settings() };
        let mut log = open(&dir, &settings, true);
        // Where each batch ends in the log's bytes, and the offset that follows it.
        let (mut expected, mut ends) = (Vec::new(), Vec::new());
        for (sequence, (count, size, compression)) in sizes.into_iter().enumerate() {
            let value = "v".repeat(size);
            let producer = Producer { id: sequence as i64, epoch: 0, sequence: 0 };
            let batch = produced(&vec![(1, value.as_str()); count], compression, Some(producer));
            expected.extend_from_slice(&append(&mut log, &batch));
            ends.push((expected.len(), log.end_offset()));
        }
        if closed { log.close().unwrap() } else { drop(log) }

        let path = segment_files(&dir, "log").pop().unwrap();
        let mut bytes = fs::read(&path).unwrap();
        let before = expected.len() - bytes.len();
        let place = place.index(bytes.len());
        let mut is_leader_epoch = false;
        let whole_before = |place: usize| {
            ends.iter().map(|(end, _)| *end).take_while(|end| *end <= place).last().unwrap_or(0)
        };
        let kept = match damage {
            Damage::Truncate => {
                bytes.truncate(place);
                whole_before(before + place)
            }
            Damage::Flip { bit } => {
                bytes[place] ^= 1 << bit;
                let batch = whole_before(before + place);
                // No checksum covers the leader epoch.
                is_leader_epoch = (12..16).contains(&(before + place - batch));
                if is_leader_epoch { expected.len() } else { batch }
            }
            Damage::Rubbish { size } => {
                bytes.extend((0..size).map(|index| (index * 7 + place) as u8));
                expected.len()
            }
        };
        fs::write(&path, &bytes).unwrap();

        let opened = Log::open(dir.path().to_owned(), settings.clone(), false).unwrap();
        let mut log = opened.log;
        prop_assert_eq!(log.size() as usize, kept);
        prop_assert_eq!(opened.cut as usize, before + bytes.len() - kept);
        if !is_leader_epoch {
            prop_assert_eq!(&all(&log)[..], &expected[..kept]);
        }
        let kept: Vec<_> = ends.iter().filter(|(end, _)| *end <= kept).collect();
        prop_assert_eq!(log.producers().len(), kept.len());
        prop_assert_eq!(log.end_offset(), kept.last().map_or(0, |(_, next_offset)| *next_offset));

        // It goes on, and a start that has no reason to doubt finds the same.
        append(&mut log, &batch(&[(5, "more")]));
        let (all_before, producers) = (all(&log), log.producers());
        log.close().unwrap();
        let log = open(&dir, &settings, true);
        prop_assert_eq!((all(&log), log.producers()), (all_before, producers));
    }

    #[test]
    fn damaged_indexes_are_rebuilt_or_passed_by(
        offsets in prop::collection::vec(any::<u8>(), 0..100), times in prop::collection::vec(any::<u8>(), 0..100),
        zeros in any::<bool>(), length in 0..20_usize,
    ) {
        let dir = dir();
        let settings = LogSettings { segment_bytes: 60_000, ..settings() };
        let mut log = open(&dir, &settings, true);
        let value = "v".repeat(1_500);
        let expected: Vec<_> = (0..100).map(|time| append(&mut log, &batch(&[(time, &value)]))).collect();
        log.close().unwrap();
        for (extension, bytes, size) in [("index", offsets, 8), ("timeindex", times, 12)] {
            for path in segment_files(&dir, extension) {
                let bytes = if zeros { vec![0; length * size] } else { bytes.clone() };
                fs::write(path, bytes).unwrap();
            }
        }
        let log = open(&dir, &settings, true);
        prop_assert_eq!(&all(&log), &expected.concat());
        for offset in 0..100 {
            prop_assert_eq!(&log.read(offset, 1, true).unwrap(), &expected[offset as usize]);
            prop_assert_eq!(log.offset_for_time(offset).unwrap(), Some((offset, offset)));
        }
    }
}

#[test]
fn a_torn_segment_takes_those_after_it_along() {
    let dir = dir();
    let one = batch(&[(1, "a")]);
    let size = one.len() as u64;
    let settings = LogSettings { segment_bytes: size * 2, ..settings() };
    let mut log = open(&dir, &settings, true);
    let batches: Vec<_> = (0..7).map(|_| append(&mut log, &one)).collect();
    drop(log);
    fs::remove_file(dir.path().join("recovery-point")).unwrap();
    let second = segment_files(&dir, "log").remove(1);
    fs::write(&second, &fs::read(&second).unwrap()[..one.len() + 10]).unwrap();
    let opened = Log::open(dir.path().to_owned(), settings.clone(), false).unwrap();
    assert_eq!((opened.cut, opened.log.end_offset()), (10 + size * 3, 3));
    let mut log = opened.log;
    assert_eq!(all(&log), batches[..3].concat());
    append(&mut log, &one);
    drop(log);
    assert_eq!(open(&dir, &settings, false).end_offset(), 4);
}

#[test]
fn producers_of_batches_that_were_cut_are_forgotten() {
    let dir = dir();
    let one = |sequence| produced(&[(1, "a")], 0, Some(Producer { id: 3, epoch: 0, sequence }));
    let mut log = open(&dir, &settings(), true);
    (0..4).for_each(|sequence| drop(append(&mut log, &one(sequence))));
    log.close().unwrap();
    let path = segment_files(&dir, "log").remove(0);
    fs::write(&path, &fs::read(&path).unwrap()[..one(0).len() * 2]).unwrap();
    let mut log = Log::open(dir.path().to_owned(), settings(), false).unwrap().log;
    (2..7).for_each(|sequence| drop(append(&mut log, &one(sequence))));
    let producers = log.producers();
    drop(log);
    assert_eq!(open(&dir, &settings(), false).producers(), producers);
}
