//! The embedded broker under faults: killed, torn, out of room, and with a clock that jumps.

mod support;

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::produce_response::PartitionProduceResponse;
use kafka_protocol::messages::{GroupId, ListOffsetsRequest, OffsetCommitRequest, ProduceRequest};
use kafka_protocol::records::Compression;
use support::clock::now_ms;
use support::traffic::Traffic;
use support::wire::{Sender, Wire, batch, text};
use support::{Chance, Clock, Embedded, rounds};

/// On a busy machine.
const SOON: Duration = Duration::from_secs(60);
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
    traffic.is_at_rest("calm", SOON).await;
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
            append_rubbish(&mut chance, &broker.data().join("groups.journal"));
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

/// Days ahead and back, in the middle of work and across restarts. The topic has the broker's time on its records: were it
/// the producers', a broker whose clock is behind would refuse them, as Kafka does.
#[tokio::test]
async fn a_clock_that_jumps_harms_no_group_and_no_search_by_time() {
    let mut broker = Embedded::start().await;
    let clock = Clock::of(&mut broker.kboard);
    broker.die_and_come_back().await;
    for (topic, partitions) in [("orders", "6"), ("times", "1")] {
        let config = "message.timestamp.type=LogAppendTime";
        broker.ok(&["topics", "create", topic, "--partitions", partitions, "--config", config]).await;
    }
    let mut traffic = Traffic::start(&broker.address, "orders", PARTITIONS, 2, &["calm", "restless"]).await;
    traffic.goes_on(100, SOON).await;
    traffic.is_at_rest("calm", SOON).await;
    let calm = traffic.joins("calm");
    let mut times = Vec::new();
    for (round, hours) in [0, 24, 0, -24, 0, 24, -48, 48].into_iter().enumerate() {
        clock.set(hours);
        match round % 4 {
            3 => broker.die_and_come_back().await,
            1 => {
                // Everybody has something to commit and a sign of life to give under the new clock first.
                traffic.goes_on(50, SOON).await;
                assert!(broker.kboard.sigterm().await.success());
                broker.kboard.relaunch();
                broker.kboard.alive().await;
            }
            _ => {}
        }
        for _ in 0..10 {
            times.push(append(&broker.address, "times").await);
        }
        let (_, time) = times[times.len() - 1];
        assert!(Clock::shows(time, hours), "the broker's clock doesn't jump");
        traffic.goes_on(100, SOON).await;
        for &(_, time) in &times {
            for wanted in [time - 1, time, time + 1] {
                let first = times.iter().find(|(_, time)| *time >= wanted).copied().unwrap_or((-1, -1));
                assert_eq!(offset_for_time(&broker.address, "times", wanted).await, first, "{wanted} of {times:?}");
            }
        }
    }
    assert_eq!(traffic.joins("calm"), calm, "a group that nobody joined or left had to rebalance");
    traffic.end(SOON).await;
}

/// No room, and then room for a part of a batch only. A limit on the size of files does it, which every write beyond it fails
/// for, as on a full disk.
#[tokio::test]
async fn without_room_nothing_is_taken_and_nothing_breaks_and_with_room_it_goes_on() {
    let mut broker = Embedded::start().await;
    broker.ok(&["topics", "create", "orders", "--partitions", "1"]).await;
    let mut sequence = 0;
    for round in 0..3 {
        let sent = |number: i32| {
            let sender = Sender { producer_id: 5, sequence: number };
            batch(sender, now_ms(), &[format!("{number} {}", "x".repeat(500))], Compression::None)
        };
        for _ in 0..10 {
            assert_eq!(produce(&broker.address, "orders", sent(sequence)).await.base_offset, i64::from(sequence));
            sequence += 1;
        }
        assert_eq!(commit(&broker.address, i64::from(sequence)).await, 0);
        let segment = partition_folder(&broker, 0).join("00000000000000000000.log");
        let size = segment.metadata().unwrap().len();
        broker.kboard.process().limit_files(Some([0, size + 100, size][round]));
        for _ in 0..3 {
            let refused = produce(&broker.address, "orders", sent(sequence)).await;
            assert_eq!((refused.error_code, refused.base_offset), (ResponseError::KafkaStorageError.code(), -1));
        }
        if round == 0 {
            assert_eq!(commit(&broker.address, 1_000).await, ResponseError::CoordinatorNotAvailable.code());
            assert!(!broker.run(&["topics", "create", "more"]).await.status.success());
        }
        assert_eq!(values(&broker).await.len(), sequence as usize, "what is there can be read");
        broker.kboard.process().limit_files(None);
        // The client sends again what was refused.
        for _ in 0..2 {
            assert_eq!(produce(&broker.address, "orders", sent(sequence)).await.base_offset, i64::from(sequence));
        }
        sequence += 1;
        assert_eq!(commit(&broker.address, i64::from(sequence)).await, 0);
        broker.ok(&["topics", "create", &format!("more-{round}")]).await;
        if round == 1 {
            broker.die_and_come_back().await;
        }
    }
    broker.die_and_come_back().await;
    let there: Vec<String> = (0..sequence).map(|number| number.to_string()).collect();
    assert_eq!(values(&broker).await, there);
    let log = broker.kboard.process().log();
    assert!(!log.contains("cut ") && log.contains("can't append"), "{log}");
    assert!(log.lines().filter(|line| line.contains("can't append")).count() < 9, "one line for many refusals: {log}");
}

/// The first word of every value of "orders".
async fn values(broker: &Embedded) -> Vec<String> {
    let read = broker.ok(&["consume", "--topic", "orders", "--until-end", "--format", "value"]).await;
    read.lines().map(|line| line.split(' ').next().unwrap().to_owned()).collect()
}

/// Commits an offset as a consumer without a group does; the error's number.
async fn commit(address: &str, offset: i64) -> i16 {
    let partition =
        OffsetCommitRequestPartition::default().with_committed_offset(offset).with_committed_metadata(Some(text("")));
    let topic = OffsetCommitRequestTopic::default().with_name(text("orders").into()).with_partitions(vec![partition]);
    let request = OffsetCommitRequest::default()
        .with_group_id(GroupId(text("audit")))
        .with_generation_id_or_member_epoch(-1)
        .with_topics(vec![topic]);
    let mut wire = Wire::connect(address).await.unwrap();
    wire.call(6, &request).await.unwrap().topics[0].partitions[0].error_code
}

/// Appends a record to the partition 0; its offset, and the time (ms) it was given.
async fn append(address: &str, topic: &str) -> (i64, i64) {
    let nobody = Sender { producer_id: -1, sequence: -1 };
    let written = produce(address, topic, batch(nobody, 0, &["now".to_owned()], Compression::None)).await;
    assert_eq!(written.error_code, 0);
    (written.base_offset, written.log_append_time_ms)
}

async fn produce(address: &str, topic: &str, batch: Bytes) -> PartitionProduceResponse {
    let data = PartitionProduceData::default().with_index(0).with_records(Some(batch));
    let data = TopicProduceData::default().with_name(text(topic).into()).with_partition_data(vec![data]);
    let request = ProduceRequest::default().with_acks(-1).with_timeout_ms(10_000).with_topic_data(vec![data]);
    let mut wire = Wire::connect(address).await.unwrap();
    wire.call(9, &request).await.unwrap().responses.remove(0).partition_responses.remove(0)
}

/// The first record of partition 0 with this timestamp (ms) or a later one: its offset and its timestamp.
async fn offset_for_time(address: &str, topic: &str, timestamp: i64) -> (i64, i64) {
    let asked = ListOffsetsPartition::default().with_timestamp(timestamp);
    let asked = ListOffsetsTopic::default().with_name(text(topic).into()).with_partitions(vec![asked]);
    let request = ListOffsetsRequest::default().with_replica_id((-1).into()).with_topics(vec![asked]);
    let mut wire = Wire::connect(address).await.unwrap();
    let found = wire.call(7, &request).await.unwrap().topics.remove(0).partitions.remove(0);
    assert_eq!(found.error_code, 0);
    (found.offset, found.timestamp)
}

fn partition_folder(broker: &Embedded, partition: i32) -> PathBuf {
    broker.data().join(format!("topics/orders-{partition}"))
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
