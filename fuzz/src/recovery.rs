//! A log's folder after something happened to its files: real segments that are cut, flipped, overwritten, removed, and
//! sealed again with right checksums. Six bytes a damage: what, which file, where (two bytes), and two more.

use std::collections::BTreeMap;
use std::fs;
use std::sync::OnceLock;

use bytes::Bytes;
use kafka_protocol::records::Compression;
use kboard::embedded::kafka::log::{Log, Opened};
use tempfile::TempDir;

use super::{LENGTH, NOW, OVERHEAD, folder, produced, seal, settings};

type Files = BTreeMap<String, Vec<u8>>;

/// Opens it, looks at everything, goes on writing, and opens it again.
pub fn run(data: &[u8]) {
    let [how, damages @ ..] = data else { return };
    let mut files = whole().clone();
    damages.chunks_exact(6).for_each(|damage| inflict(damage, damages, &mut files));
    let dir = folder();
    for (name, bytes) in &files {
        fs::write(dir.path().join(name), bytes).expect("it can be written");
    }
    let Ok(Opened { mut log, .. }) = open(&dir, how & 1 == 1) else { return };
    let _ = all(&log);
    for time in [0, 50, NOW, i64::MAX] {
        let _ = log.offset_for_time(time);
    }
    let _ = (log.max_timestamp(), log.producers());
    let end = log.end_offset();
    let more = produced(-1, -1, &[NOW], "more", Compression::None);
    assert_eq!(log.append(more, NOW).map(|appended| appended.base_offset), Ok(end));
    assert_eq!(log.end_offset(), end + 1);
    let (start, size, producers) = (log.start_offset(), log.size(), log.producers());
    let records = all(&log);
    if how & 2 == 0 {
        drop(log)
    } else {
        log.close().expect("it can be closed")
    }
    // A clean start believes what an unclean one would cut.
    if how & 1 == 0 {
        let opened = open(&dir, false).expect("what it left can be opened");
        let log = opened.log;
        assert_eq!((opened.cut, log.start_offset(), log.end_offset()), (0, start, end + 1));
        assert_eq!((log.size(), log.producers(), all(&log)), (size, producers, records));
    }
}

fn open(dir: &TempDir, clean: bool) -> std::io::Result<Opened> {
    Log::open(dir.path().to_owned(), settings(), clean)
}

/// All that can be read; empty if that isn't everything.
fn all(log: &Log) -> Bytes {
    log.read(log.start_offset(), usize::MAX, true).unwrap_or_default()
}

/// The files of a log with several segments, of which the first are known to be on the disk.
fn whole() -> &'static Files {
    static FILES: OnceLock<Files> = OnceLock::new();
    FILES.get_or_init(|| {
        let dir = folder();
        let mut log = open(&dir, true).expect("a log").log;
        let value = "v".repeat(700);
        let compressions = [Compression::None, Compression::Lz4, Compression::Snappy];
        for place in 0..60 {
            let compression = compressions[place as usize % 3];
            let batch = produced(place % 4, place as i32 / 4 * 2, &[place, 99 - place], &value, compression);
            log.append(batch, NOW).expect("it is taken");
            if place == 40 {
                log.flush().expect("it can be flushed");
            }
        }
        drop(log);
        let names = fs::read_dir(dir.path()).expect("a directory").map(|entry| entry.expect("a file").file_name());
        let names = names.map(|name| name.into_string().expect("a name"));
        names.map(|name| (name.clone(), fs::read(dir.path().join(name)).expect("a file"))).collect()
    })
}

fn inflict(damage: &[u8], data: &[u8], files: &mut Files) {
    let &[what, which, high, low, first, second] = damage else { return };
    let names: Vec<String> = files.keys().cloned().collect();
    let Some(name) = names.get(usize::from(which) % names.len().max(1)) else { return };
    let Some(bytes) = files.get_mut(name) else { return };
    let place = usize::from(high) << 8 | usize::from(low);
    let place = place % (bytes.len() + 1);
    let part = &data[usize::from(first) % data.len()..];
    let part = &part[..usize::from(second).min(part.len())];
    match what % 6 {
        0 => bytes.truncate(place),
        1 => {
            if let Some(byte) = bytes.get_mut(place) {
                *byte ^= first.max(1);
            }
        }
        2 => {
            bytes.splice(place..place, part.iter().copied());
        }
        3 => {
            let end = (place + part.len()).min(bytes.len());
            bytes[place..end].copy_from_slice(&part[..end - place]);
        }
        4 => {
            files.remove(name);
        }
        _ => seal_all(bytes),
    }
}

/// Gives every batch of a segment, as far as their lengths lead, a right checksum.
fn seal_all(mut segment: &mut [u8]) {
    while let Some(length) = segment.get(LENGTH..LENGTH + 4) {
        let length = length.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
        let Some((batch, rest)) = segment.split_at_mut_checked(length.saturating_add(OVERHEAD)) else { return };
        seal(batch);
        segment = rest;
    }
}

/// No damage, and one of each kind.
pub fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = vec![vec![0], vec![1], vec![2]];
    for what in 0..6 {
        for which in 0..12 {
            seeds.push(vec![which % 4, what, which, 0x12, 0x34, 3, 9, 5, which, 0, 0, 0, 0]);
        }
    }
    seeds
}
