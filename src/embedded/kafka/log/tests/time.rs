//! Offsets by timestamp, against a search of all records.

use proptest::prelude::*;

use super::*;

/// Batches of timestamps with their compression; -1 for a record without one.
fn batches() -> impl Strategy<Value = Vec<(Vec<i64>, i16, usize)>> {
    let records = prop::collection::vec(prop_oneof![9 => 0..200_i64, 1 => Just(-1)], 1..8);
    prop::collection::vec((records, 0..=4_i16, prop_oneof![Just(1), Just(900)]), 0..60)
}

/// What a search of all `(offset, timestamp)` finds.
fn first_at(records: &[(i64, i64)], timestamp: i64) -> Option<(i64, i64)> {
    records.iter().find(|(_, time)| *time >= timestamp).copied()
}

fn latest(records: &[(i64, i64)]) -> Option<(i64, i64)> {
    let latest = records.iter().map(|(_, time)| *time).max().filter(|time| *time >= 0)?;
    first_at(records, latest)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn it_finds_what_a_search_of_all_records_finds(
        batches in batches(),
        deleted in any::<prop::sample::Index>(),
        log_append_time in any::<bool>(),
        ways in prop::collection::vec(any::<bool>(), 0..3),
    ) {
        let dir = dir();
        let settings = LogSettings { segment_bytes: 12_000, log_append_time, ..settings() };
        let mut log = open(&dir, &settings, true);
        let mut records = Vec::new();
        for (place, (timestamps, compression, size)) in batches.iter().enumerate() {
            let letter = |index| char::from(b'a' + ((index * 31 + index / 7) % 26) as u8);
            let value: String = (0..*size).map(letter).collect();
            let sent: Vec<_> = timestamps.iter().map(|&timestamp| (timestamp, value.as_str())).collect();
            // The clock goes back now and then.
            let now = NOW + (place as i64 * 37) % 100;
            let base_offset = log.append(produced(&sent, *compression, None), now).unwrap().base_offset;
            let stored = |timestamp| if log_append_time { now } else { timestamp };
            records.extend((base_offset..).zip(timestamps.iter().map(|&timestamp| stored(timestamp))));
        }
        let start = deleted.index(records.len() + 1);
        log.delete_before(start as i64).unwrap();
        let records = &records[start..];
        for clean in [None].into_iter().chain(ways.into_iter().map(Some)) {
            if let Some(clean) = clean {
                if clean { log.close().unwrap() } else { drop(log) }
                log = open(&dir, &settings, clean);
            }
            let times = if log_append_time { NOW - 2..NOW + 101 } else { 0..202 };
            for timestamp in times.step_by(3) {
                prop_assert_eq!(log.offset_for_time(timestamp).unwrap(), first_at(records, timestamp), "{}", timestamp);
            }
            prop_assert_eq!(log.max_timestamp().unwrap(), latest(records));
        }
    }
}

#[test]
fn an_empty_log_has_no_times() {
    let dir = dir();
    let log = open(&dir, &settings(), true);
    assert_eq!((log.offset_for_time(0).unwrap(), log.max_timestamp().unwrap()), (None, None));
}

#[test]
fn a_batch_that_cannot_be_decompressed_is_found_by_its_header() {
    let dir = dir();
    let mut log = open(&dir, &settings(), true);
    append(&mut log, &batch(&[(10, "a")]));
    let mut broken = batch(&[(15, "a"), (20, "b")]).to_vec();
    broken[22] |= 4;
    let crc = crc32c::crc32c(&broken[21..]);
    broken[17..21].copy_from_slice(&crc.to_be_bytes());
    append(&mut log, &broken.into());
    append(&mut log, &batch(&[(30, "a")]));
    let found = [5, 11, 20, 21].map(|time| log.offset_for_time(time).unwrap());
    assert_eq!(found, [Some((0, 10)), Some((1, 20)), Some((1, 20)), Some((3, 30))]);
}
