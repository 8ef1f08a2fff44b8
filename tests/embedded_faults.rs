//! The embedded broker under faults: killed, torn, out of room, and with a clock that jumps.

mod support;

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use support::traffic::Traffic;
use support::{Chance, Embedded, rounds};

/// On a busy machine.
const SOON: Duration = Duration::from_secs(30);
const PARTITIONS: i32 = 6;

/// Idempotent producers with five requests under way, a group that rests and one whose members come and go, and a broker
/// that dies at any time: also while it starts, and in part of the rounds with what a power cut would have kept from the
/// disk: the end of the log that nobody was told of.
#[tokio::test]
async fn nothing_that_anybody_was_told_of_is_lost_repeated_or_moved_by_fifty_deaths() {
    let mut chance = Chance::new();
    let mut broker = Embedded::start().await;
    let partitions = PARTITIONS.to_string();
    // The smallest segments there are, so that logs are rolled.
    let create = ["topics", "create", "orders", "--partitions", &partitions, "--config", "segment.bytes=1048576"];
    broker.ok(&create).await;
    let mut traffic = Traffic::start(&broker.address, "orders", PARTITIONS, 6, &["calm", "restless"]).await;
    traffic.goes_on(200, SOON).await;
    let calm = traffic.joins("calm");
    for _ in 0..rounds(50) {
        traffic.goes_on(30, SOON).await;
        chance.moment(0..200).await;
        broker.kboard.kill9();
        traffic.all_are_cut_off(SOON).await;
        if chance.number(0..2) == 0 {
            for partition in 0..PARTITIONS {
                tear(&mut chance, &partition_folder(&broker, partition), traffic.known_end(partition));
            }
            append_rubbish(&mut chance, &broker.folder.path().join("groups.journal"));
        }
        if chance.number(0..4) == 0 {
            broker.kboard.relaunch();
            chance.moment(0..60).await;
            broker.kboard.kill9();
        }
        broker.kboard.relaunch();
        broker.kboard.alive().await;
        traffic.has_kept_its_place().await;
    }
    traffic.goes_on(200, SOON).await;
    assert_eq!(traffic.joins("calm"), calm, "a group that nobody joined or left had to rebalance");
    eprintln!("{} records, {} joins of a restless group", traffic.records(), traffic.joins("restless"));
    traffic.end(SOON).await;
}

fn partition_folder(broker: &Embedded, partition: i32) -> PathBuf {
    broker.folder.path().join(format!("topics/orders-{partition}"))
}

/// Cuts the newest segment anywhere behind `known_end`, the offset up to which somebody knows the log, or puts there what
/// is no batch.
fn tear(chance: &mut Chance, folder: &Path, known_end: i64) {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let newest = names.filter(|path| path.extension().is_some_and(|extension| extension == "log")).max().unwrap();
    let bytes = fs::read(&newest).unwrap();
    let mut known = 0;
    while let Some(header) = bytes.get(known..known + 12) {
        let number = |range: std::ops::Range<usize>| header[range].iter().fold(0, |n, byte| n << 8 | i64::from(*byte));
        if number(0..8) >= known_end {
            break;
        }
        known += 12 + number(8..12) as usize;
    }
    match chance.number(0..3) {
        0 => append_rubbish(chance, &newest),
        _ => {
            let length = chance.number(known as u64..bytes.len() as u64 + 1);
            OpenOptions::new().write(true).open(newest).unwrap().set_len(length).unwrap();
        }
    }
}

fn append_rubbish(chance: &mut Chance, path: &Path) {
    let length = chance.number(1..300);
    let rubbish: Vec<u8> = (0..length).map(|_| chance.number(0..256) as u8).collect();
    OpenOptions::new().append(true).open(path).unwrap().write_all(&rubbish).unwrap();
}
