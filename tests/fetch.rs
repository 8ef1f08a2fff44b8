//! The reading client against a real Kafka: what was written is what it reads, wherever the log has holes, whatever
//! happens to the broker meanwhile.

mod support;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ::kboard::config::KafkaSettings;
use ::kboard::kafka::fetch::{
    At, Chunk, Compression, FetchOptions, Fetched, Isolation, Range, Record, Scan, ScanOptions, TimestampType,
    committed, fetch, offsets,
};
use ::kboard::kafka::{Cluster, KafkaError};
use krafka::Kafka;
use krafka::admin::NewTopic;
use support::{Broker, eventually, median, services, tools, unique};

const SOON: Duration = Duration::from_secs(30);

fn cluster(address: &str) -> Cluster {
    let bootstrap = vec![address.to_owned()];
    Cluster::new(KafkaSettings { bootstrap, tls: None, sasl: None, session_timeout: Duration::from_secs(10) })
}

/// A topic of the test's own on the broker at `address`.
async fn topic_on(address: &str, partitions: i32, configs: &[(&str, &str)]) -> String {
    let name = unique("fetch");
    let client = Kafka::builder(address).connect().await.unwrap();
    let mut topic = NewTopic::new(&name, partitions, 1).unwrap();
    for (key, value) in configs {
        topic = topic.with_config(*key, *value);
    }
    let made = client.admin().create_topics([topic], Default::default()).await.unwrap();
    made.into_values().for_each(Result::unwrap);
    let cluster = cluster(address);
    let all: Vec<_> = (0..partitions).map(|partition| (name.as_str(), partition)).collect();
    eventually("leaders of the new topic", SOON, async || {
        let found = offsets(&cluster, &all, At::Latest, Isolation::All).await;
        found.iter().all(Result::is_ok).then_some(())
    })
    .await;
    name
}

async fn topic(partitions: i32) -> String {
    topic_on(&services::kafka(), partitions, &[]).await
}

/// Lines from 0 to below `count`.
fn numbers(count: usize) -> String {
    (0..count).map(|number| format!("{number}\n")).collect()
}

async fn produce(topic: &str, arguments: &[&str], lines: &str) {
    tools::kcat(&services::kafka(), &[&["-P", "-t", topic], arguments].concat(), lines).await;
}

fn value(record: &Record) -> String {
    String::from_utf8(record.value.as_ref().unwrap().to_vec()).unwrap()
}

fn values(records: &[Record]) -> Vec<String> {
    records.iter().map(value).collect()
}

fn range(topic: &str, partition: i32, from: i64, to: Option<i64>) -> Range {
    Range { topic: Arc::from(topic), partition, from, to }
}

/// Fetches until the end as it is.
async fn read_all(cluster: &Cluster, topic: &str, options: &FetchOptions) -> Vec<Fetched> {
    let (mut all, mut from) = (Vec::new(), 0);
    loop {
        let fetched = fetch(cluster, topic, 0, from, options).await.unwrap();
        let end = if options.isolation == Isolation::All { fetched.high_watermark } else { fetched.last_stable };
        assert!(fetched.next > from || from == end, "no progress at {from} of {end}");
        from = fetched.next;
        all.push(fetched);
        if from >= end {
            return all;
        }
    }
}

fn records(fetched: Vec<Fetched>) -> Vec<Record> {
    fetched.into_iter().flat_map(|fetched| fetched.records).collect()
}

#[tokio::test]
async fn records_are_read_exactly_as_they_were_written() {
    let (topic, address) = (topic(1).await, services::kafka());
    let status = Command::new("kcat")
        .args(["-P", "-b", &address, "-t", &topic, "-z", "lz4", "-k", "", "-H", "a=1", "-H", "a=2", "-H", "null"])
        .args(["-H", "empty=", "-H"])
        .arg(OsStr::from_bytes(b"\xff\xfe=\x80\x81"))
        .stdin(Stdio::from(std::fs::File::open("Cargo.toml").unwrap()))
        .status()
        .unwrap();
    assert!(status.success());
    produce(&topic, &["-K", ":", "-Z"], "key:\n:value\n").await;
    let cluster = cluster(&address);
    let found = records(read_all(&cluster, &topic, &FetchOptions::default()).await);
    // kcat passes over empty lines.
    let lines: Vec<_> =
        include_str!("../Cargo.toml").lines().filter(|line| !line.is_empty()).map(str::to_owned).collect();
    let (file, rest) = found.split_at(lines.len());
    assert_eq!(values(file), lines);
    for (offset, record) in (0..).zip(&found) {
        assert_eq!(record.offset, offset);
        assert_eq!(record.timestamp_type(), TimestampType::Create);
        assert!(record.timestamp > 1_700_000_000_000 && !record.aborted && !record.batch.transactional);
    }
    let headers: Vec<_> = file[0].headers.iter().collect();
    let expected: [(&[u8], Option<&[u8]>); 5] = [
        (b"a", Some(b"1")),
        (b"a", Some(b"2")),
        (b"null", None),
        (b"empty", Some(b"")),
        (b"\xff\xfe", Some(b"\x80\x81")),
    ];
    assert_eq!(headers, expected);
    let batch = &file[0].batch;
    assert_eq!((batch.compression, batch.base_offset), (Compression::Lz4, 0));
    assert!(batch.records > 1 && batch.bytes < lines.join("").len());
    assert_eq!(file[0].detached(), file[0]);
    assert_eq!((rest[0].key.as_deref(), rest[0].value.as_deref()), (Some(&b"key"[..]), None));
    assert_eq!((rest[1].key.as_deref(), rest[1].value.as_deref()), (None, Some(&b"value"[..])));
    // From the middle of a batch.
    let middle = fetch(&cluster, &topic, 0, 3, &FetchOptions::default()).await.unwrap();
    assert_eq!(value(&middle.records[0]), lines[3]);
}

#[tokio::test]
async fn every_compression_is_read_in_pieces_that_fit_the_memory() {
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let topic = topic(1).await;
        produce(&topic, &["-z", codec], &numbers(20_000)).await;
        let options = FetchOptions { memory: 500_000, ..FetchOptions::default() };
        let pieces = read_all(&cluster(&services::kafka()), &topic, &options).await;
        assert!(pieces.iter().all(|piece| piece.records.len() < 5_000), "{codec}");
        let found = records(pieces);
        assert_eq!(found[0].batch.compression.name(), codec);
        assert_eq!(values(&found), (0..20_000).map(|number| number.to_string()).collect::<Vec<_>>(), "{codec}");
    }
}

#[tokio::test]
async fn records_of_five_megabytes_are_read_whole() {
    let address = services::kafka();
    let topic = topic_on(&address, 1, &[("max.message.bytes", "6000000")]).await;
    let large = "x".repeat(5_000_000);
    let lines = format!("{large}\nsmall\n{large}\n");
    produce(&topic, &["-X", "message.max.bytes=6000000", "-z", "none"], &lines).await;
    let options = FetchOptions { bytes: 10_000, memory: 10_000, ..FetchOptions::default() };
    let pieces = read_all(&cluster(&address), &topic, &options).await;
    let lengths: Vec<_> = records(pieces).iter().map(|record| record.value.as_ref().unwrap().len()).collect();
    assert_eq!(lengths, [5_000_000, 5, 5_000_000]);
}

#[tokio::test]
async fn the_end_the_start_and_what_is_not_there() {
    let (topic, address) = (topic(2).await, services::kafka());
    let cluster = cluster(&address);
    produce(&topic, &["-p", "0"], &numbers(100)).await;
    let options = FetchOptions::default();
    let at_end = fetch(&cluster, &topic, 0, 100, &options).await.unwrap();
    assert_eq!((at_end.records.len(), at_end.next, at_end.high_watermark), (0, 100, 100));
    let empty = fetch(&cluster, &topic, 1, 0, &options).await.unwrap();
    assert_eq!((empty.records.len(), empty.next, empty.log_start), (0, 0, 0));
    let beyond = fetch(&cluster, &topic, 0, 5_000, &options).await.unwrap();
    assert_eq!((beyond.records.len(), beyond.next, beyond.high_watermark), (0, 5_000, 100));
    let admin = Kafka::builder(&address).connect().await.unwrap().admin();
    let partition = krafka::consumer::TopicPartition::new(topic.as_str(), 0);
    let deleted = admin.delete_records([(partition, 40)], Default::default()).await.unwrap();
    assert!(deleted.into_values().all(|outcome| outcome.is_ok()));
    let from_start = fetch(&cluster, &topic, 0, 3, &options).await.unwrap();
    assert_eq!((value(&from_start.records[0]).as_str(), from_start.log_start, from_start.next), ("40", 40, 100));
    let missing = fetch(&cluster, &topic, 2, 0, &options).await.unwrap_err();
    assert!(matches!(missing, KafkaError::UnknownPartition { partition: 2, count: 2, .. }), "{missing}");
    let missing = fetch(&cluster, "no-such-topic", 0, 0, &options).await.unwrap_err();
    assert!(matches!(missing, KafkaError::UnknownTopic { .. }), "{missing}");
    let started = Instant::now();
    let nobody = fetch(&self::cluster("127.0.0.1:1"), &topic, 0, 0, &options).await.unwrap_err();
    assert!(nobody.is_retriable() && nobody.to_string().contains("127.0.0.1:1"), "{nobody}");
    assert!(started.elapsed() < SOON);
}

#[tokio::test]
async fn a_fetch_at_the_end_is_answered_when_a_record_comes() {
    let topic = topic(1).await;
    let cluster = cluster(&services::kafka());
    let options = FetchOptions { max_wait: SOON, ..FetchOptions::default() };
    let waiting = fetch(&cluster, &topic, 0, 0, &options);
    let (found, ()) = tokio::join!(waiting, produce(&topic, &[], "hello\n"));
    assert_eq!(values(&found.unwrap().records), ["hello"]);
}

#[tokio::test]
async fn offsets_are_found_for_many_and_what_fails_fails_alone() {
    let (topic, address) = (topic(3).await, services::kafka());
    let cluster = cluster(&address);
    produce(&topic, &["-p", "0"], &numbers(10)).await;
    produce(&topic, &["-p", "2"], &numbers(5)).await;
    let all =
        [(topic.as_str(), 0), (topic.as_str(), 1), ("no-such-topic", 0), (topic.as_str(), 2), (topic.as_str(), 9)];
    let at = async |at| offsets(&cluster, &all, at, Isolation::All).await;
    let found = at(At::Latest).await;
    let offset = |place: usize| found[place].as_ref().unwrap().unwrap().offset;
    assert_eq!((offset(0), offset(1), offset(3)), (10, 0, 5));
    assert!(matches!(found[2], Err(KafkaError::UnknownTopic { .. })));
    assert!(matches!(found[4], Err(KafkaError::UnknownPartition { .. })));
    let records = fetch(&cluster, &topic, 0, 0, &FetchOptions::default()).await.unwrap().records;
    let last = &records[9];
    let newest = at(At::MaxTimestamp).await[0].as_ref().unwrap().unwrap();
    assert_eq!(newest.timestamp, last.timestamp);
    assert!(at(At::MaxTimestamp).await[1].as_ref().unwrap().is_none());
    let found = at(At::Time(last.timestamp + 1)).await;
    assert!(found[0].as_ref().unwrap().is_none() && found[1].as_ref().unwrap().is_none());
    assert_eq!(at(At::Time(0)).await[0].as_ref().unwrap().unwrap().offset, 0);
    assert_eq!(at(At::Earliest).await[3].as_ref().unwrap().unwrap().offset, 0);
}

#[tokio::test]
async fn what_groups_committed_is_read_for_all_of_them() {
    let (topic, address) = (topic(1).await, services::kafka());
    produce(&topic, &[], &numbers(10)).await;
    let groups: Vec<String> = (0..3).map(|_| unique("group")).collect();
    for group in &groups[..2] {
        let read = ["-G", group, "-e", "-q", "-o", "beginning", "-X", "auto.offset.reset=earliest", &topic];
        assert_eq!(tools::kcat(&address, &read, "").await, numbers(10));
    }
    let names: Vec<_> = groups.iter().map(String::as_str).collect();
    let found = committed(&cluster(&address), &names).await;
    for found in &found[..2] {
        let [only] = &found.as_ref().unwrap()[..] else { panic!("{found:?}") };
        assert_eq!((only.topic.as_str(), only.partition, only.offset), (topic.as_str(), 0, 10));
    }
    assert_eq!(found[2].as_ref().unwrap(), &[]);
}

/// Reads a scan to its end: the offsets of each range, in the order in which they came.
async fn drain(scan: &mut Scan, ranges: usize) -> Vec<Vec<i64>> {
    let mut found = vec![Vec::new(); ranges];
    while let Some(chunk) = scan.next().await {
        let Chunk { range, records, unreadable, .. } = chunk.unwrap();
        assert_eq!(unreadable, []);
        found[range].extend(records.iter().map(|record| record.offset));
    }
    found
}

#[tokio::test]
async fn a_scan_gives_every_offset_of_every_range_once_and_in_order() {
    let topic = topic(12).await;
    for partition in 0..12 {
        let codec = ["none", "gzip", "snappy", "lz4", "zstd"][partition % 5];
        produce(&topic, &["-p", &partition.to_string(), "-z", codec], &numbers(3_000 * partition)).await;
    }
    let ranges: Vec<_> =
        (0..12).map(|partition| range(&topic, partition, 100, Some(i64::from(partition) * 3_000 - 100))).collect();
    let options = ScanOptions { memory: 1_000_000, ..ScanOptions::default() };
    let mut scan = Scan::start(&cluster(&services::kafka()), ranges, &options);
    let found = drain(&mut scan, 12).await;
    for (partition, found) in (0..).zip(found) {
        assert_eq!(found, (100..(partition * 3_000 - 100).max(100)).collect::<Vec<_>>(), "partition {partition}");
    }
    for (partition, progress) in (0..).zip(scan.progress()) {
        assert!(progress.done);
        assert_eq!(progress.next, (partition * 3_000 - 100).max(100));
        assert_eq!(progress.bytes > 0, partition > 0);
    }
}

#[tokio::test]
async fn a_scan_says_which_range_failed_and_reads_the_others() {
    let topic = topic(1).await;
    produce(&topic, &[], &numbers(1_000)).await;
    let ranges = vec![range("no-such-topic", 0, 0, Some(10)), range(&topic, 0, 0, Some(1_000))];
    let mut scan = Scan::start(&cluster(&services::kafka()), ranges, &ScanOptions::default());
    let (mut failed, mut count) = (0, 0);
    while let Some(chunk) = scan.next().await {
        match chunk {
            Ok(chunk) => count += chunk.records.len(),
            Err(error) => {
                assert!(matches!(error, KafkaError::UnknownTopic { .. }), "{error}");
                failed += 1;
            }
        }
    }
    assert_eq!((failed, count), (1, 1_000));
}

#[tokio::test]
async fn following_gives_what_comes_within_moments() {
    let topic = topic(3).await;
    let cluster = cluster(&services::kafka());
    let ranges = (0..3).map(|partition| range(&topic, partition, 0, None)).collect();
    let mut scan = Scan::start(&cluster, ranges, &ScanOptions::default());
    let mut took = Vec::new();
    let client = Kafka::builder(services::kafka()).connect().await.unwrap();
    let producer = client.producer().linger(Duration::ZERO).build().await.unwrap();
    for round in 0..20 {
        let record = krafka::Record::new(topic.as_str(), format!("{round}")).partition(round % 3);
        let acknowledged = producer.send(record).await.unwrap();
        let started = Instant::now();
        loop {
            let chunk = tokio::time::timeout(SOON, scan.next()).await.unwrap().unwrap().unwrap();
            if let Some(record) = chunk.records.first() {
                assert_eq!((value(record), record.offset), (round.to_string(), acknowledged.offset));
                break;
            }
        }
        took.push(started.elapsed());
    }
    // With the wait of a request nearly all would take more: a broker answers when something has come.
    let usual = median(took);
    assert!(usual < Duration::from_millis(400), "{usual:?}");
}

#[tokio::test]
async fn aborted_transactions_are_marked_or_left_out() {
    let (topic, address) = (topic(1).await, services::kafka());
    let client = Kafka::builder(&address).connect().await.unwrap();
    let producer = client.producer().build_transactional(unique("transaction")).await.unwrap();
    let send = async |value: &str| {
        let record = krafka::Record::new(topic.as_str(), value.to_owned());
        producer.send(record).await.unwrap().offset
    };
    for (value, commit) in [("kept", true), ("aborted", false), ("kept too", true), ("aborted too", false)] {
        producer.begin().unwrap();
        send(value).await;
        send(value).await;
        if commit { producer.commit().await.unwrap() } else { producer.abort().await.unwrap() }
    }
    produce(&topic, &[], "plain\n").await;
    producer.begin().unwrap();
    send("open").await;
    producer.flush().await.unwrap();
    let cluster = cluster(&address);
    let marked = |records: &[Record]| -> Vec<(String, bool)> {
        records.iter().map(|record| (value(record), record.aborted)).collect()
    };
    let plain = |pairs: &[(&str, bool)]| -> Vec<(String, bool)> {
        pairs.iter().map(|(value, aborted)| ((*value).to_owned(), *aborted)).collect()
    };
    let (kept, aborted) = (("kept", false), ("aborted", true));
    let (kept_too, aborted_too) = (("kept too", false), ("aborted too", true));
    let all = plain(&[
        kept,
        kept,
        aborted,
        aborted,
        kept_too,
        kept_too,
        aborted_too,
        aborted_too,
        ("plain", false),
        ("open", false),
    ]);
    let committed = plain(&[kept, kept, kept_too, kept_too, ("plain", false)]);
    let options = |isolation| FetchOptions { isolation, ..FetchOptions::default() };
    let pieces = read_all(&cluster, &topic, &options(Isolation::All)).await;
    let end = pieces.last().unwrap().high_watermark;
    assert_eq!(end, 14);
    assert_eq!(pieces.last().unwrap().last_stable, 13);
    let found = records(pieces);
    assert!(found[0].batch.transactional && found[0].batch.producer_id >= 0);
    assert_eq!(marked(&found), all);
    // From within an aborted transaction.
    let within = fetch(&cluster, &topic, 0, 4, &options(Isolation::All)).await.unwrap();
    assert_eq!(marked(&within.records)[0], ("aborted".to_owned(), true));
    assert_eq!(marked(&records(read_all(&cluster, &topic, &options(Isolation::Committed)).await)), committed);
    for (isolation, expected, next) in [(Isolation::All, all, 14), (Isolation::Committed, committed, 13)] {
        let options = ScanOptions { isolation, ..ScanOptions::default() };
        let mut scan = Scan::start(&cluster, vec![range(&topic, 0, 0, Some(end))], &options);
        let mut found = Vec::new();
        while let Some(chunk) = scan.next().await {
            found.extend(marked(&chunk.unwrap().records));
        }
        assert_eq!((found, scan.progress()[0].next), (expected, next));
    }
    let latest = async |isolation| {
        offsets(&cluster, &[(&topic, 0)], At::Latest, isolation).await.remove(0).unwrap().unwrap().offset
    };
    assert_eq!((latest(Isolation::All).await, latest(Isolation::Committed).await), (14, 13));
    producer.abort().await.unwrap();
}

/// Named as what the embedded broker can't do, which compaction is too.
#[tokio::test]
async fn compaction_like_aborted_transactions_leaves_holes_that_are_passed_over() {
    let address = services::kafka();
    let configs = [
        ("cleanup.policy", "compact"),
        ("segment.bytes", "1048576"),
        ("min.cleanable.dirty.ratio", "0.001"),
        ("max.compaction.lag.ms", "1"),
    ];
    let topic = topic_on(&address, 1, &configs).await;
    let cluster = cluster(&address);
    // Of 40,000 records with 100 keys, compaction leaves little but what is in the active segment, and what is there once.
    let padding = "x".repeat(60);
    let key = |number| if number % 997 == 5 { format!("once{number}") } else { format!("key{}", number % 100) };
    let lines: String = (0..40_000).map(|number| format!("{}:{number}{padding}\n", key(number))).collect();
    produce(&topic, &["-K", ":", "-z", "none"], &lines).await;
    let compacted = eventually("compaction", Duration::from_secs(90), async || {
        let pieces = read_all(&cluster, &topic, &FetchOptions::default()).await;
        let found = records(pieces);
        (found.len() < 35_000).then_some(found)
    })
    .await;
    assert!(compacted.windows(2).all(|pair| pair[0].offset < pair[1].offset));
    assert!(compacted.windows(2).any(|pair| pair[0].offset + 1 < pair[1].offset), "no hole");
    let newest: std::collections::HashMap<_, _> =
        compacted.iter().map(|record| (record.key.clone().unwrap(), value(record))).collect();
    assert_eq!(newest.len(), 100 + (0..40_000).filter(|number| number % 997 == 5).count());
    assert!(newest.iter().all(|(key, value)| key.starts_with(b"once") || value.starts_with("399")));
    let mut scan = Scan::start(&cluster, vec![range(&topic, 0, 0, Some(40_000))], &ScanOptions::default());
    let offsets = drain(&mut scan, 1).await.remove(0);
    assert!(offsets.len() < 35_000 && offsets.last() == Some(&39_999));
    assert_eq!(scan.progress()[0].next, 40_000);
    // A fetch from inside a hole goes on behind it.
    let hole = compacted.windows(2).find(|pair| pair[0].offset + 1 < pair[1].offset).unwrap();
    let behind = fetch(&cluster, &topic, 0, hole[0].offset + 1, &FetchOptions::default()).await.unwrap();
    assert!(behind.records[0].offset > hole[0].offset && behind.next > behind.records[0].offset);
}

#[tokio::test]
async fn a_broker_that_is_killed_in_mid_scan_costs_nothing_but_time() {
    let mut broker = Broker::start().await;
    let address = broker.address();
    let topic = topic_on(&address, 2, &[]).await;
    const COUNT: usize = 400_000;
    for partition in ["0", "1"] {
        tools::kcat(&address, &["-P", "-t", &topic, "-p", partition], &numbers(COUNT)).await;
    }
    let ranges = (0..2).map(|partition| range(&topic, partition, 0, Some(COUNT as i64))).collect();
    let options = ScanOptions { memory: 256 * 1024, ..ScanOptions::default() };
    let mut scan = Scan::start(&cluster(&address), ranges, &options);
    let mut found = [Vec::new(), Vec::new()];
    for _ in 0..3 {
        let chunk = scan.next().await.unwrap().unwrap();
        found[chunk.range].extend(chunk.records.iter().map(|record| record.offset));
    }
    // With what little memory it has, it can't have read all the rest ahead.
    assert!(found.iter().map(Vec::len).sum::<usize>() < COUNT, "little is left to be interrupted");
    broker.kill9();
    let mut restarted = std::pin::pin!(broker.restart());
    let mut is_up = false;
    loop {
        tokio::select! {
            () = &mut restarted, if !is_up => is_up = true,
            chunk = scan.next() => {
                let Some(chunk) = chunk else { break };
                let chunk = chunk.unwrap();
                found[chunk.range].extend(chunk.records.iter().map(|record| record.offset));
            }
        }
    }
    // It may have everything before somebody has seen the broker serve.
    if !is_up {
        restarted.await;
    }
    for found in found {
        assert_eq!(found, (0..COUNT as i64).collect::<Vec<_>>());
    }
}
