//! `kboard produce` against a real Kafka, read back with kcat.

#[path = "support/cli.rs"]
mod cli;

use std::collections::{BTreeMap, BTreeSet};
use std::iter::repeat_with;
use std::process::Stdio;
use std::time::{Duration, Instant};

use cli::*;

#[test]
fn a_value_goes_with_its_key_and_headers() {
    let topic = Topic::new(3);
    ok(&["produce", "-t", &topic.0, "-k", "k1", "-H", "a=1", "-H", "a=2", "-H", "none", "-p", "2", "hello"], b"");
    assert_eq!(lines(&kcat(&topic, "%p|%k|%s|%h\n")), ["2|k1|hello|a=1,a=2,none=NULL"]);
}

#[test]
fn one_record_says_where_it_went() {
    let topic = Topic::new(1);
    let output = run(kboard(&["produce", "-t", &topic.0, "hello"]), b"");
    assert!(stderr(&output).starts_with(&format!("1 record to {}[0] at offset 0", topic.0)), "{}", stderr(&output));
}

#[test]
fn lines_arrive_byte_for_byte() {
    let topic = Topic::new(1);
    ok(&["produce", "-t", &topic.0], b"one\n\n two \r\n\xff\xfe\x00\n\xe2\x98\x83\nlast");
    assert_eq!(kcat(&topic, "%S:%s\n"), b"3:one\n0:\n6: two \r\n3:\xff\xfe\x00\n3:\xe2\x98\x83\n4:last\n");
}

#[test]
fn a_file_is_one_value() {
    let topic = Topic::new(1);
    let file = tempfile::NamedTempFile::new().unwrap();
    let content: Vec<u8> = (0..=255).cycle().take(10_000).collect();
    std::fs::write(file.path(), &content).unwrap();
    ok(&["produce", "-t", &topic.0, "--file", file.path().to_str().unwrap()], b"");
    assert_eq!(kcat(&topic, "%s"), content);
}

#[test]
fn lines_split_into_key_and_value_and_the_others_go_on() {
    let topic = Topic::new(1);
    let output = run(kboard(&["produce", "-t", &topic.0, "--key-separator", ":"]), b"a:1\nbroken\nb:2:3\n:4\n");
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("line 2: no \":\" in it to end the key"), "{}", stderr(&output));
    assert_eq!(lines(&kcat(&topic, "%K %k=%s\n")), ["1 a=1", "1 b=2:3", "0 =4"]);
}

#[test]
fn empty_is_null_only_when_asked() {
    let topic = Topic::new(1);
    ok(&["produce", "-t", &topic.0, "--key-separator", ":"], b"a:\n");
    ok(&["produce", "-t", &topic.0, "--key-separator", ":", "-Z"], b"b:\n:c\n");
    ok(&["produce", "-t", &topic.0, "-k", "d", "-Z", ""], b"");
    assert_eq!(lines(&kcat(&topic, "%K:%k %S:%s\n")), ["1:a 0:", "1:b -1:", "-1: 1:c", "1:d -1:"]);
}

#[test]
fn every_compression_and_acks_deliver_all() {
    for compression in ["none", "gzip", "snappy", "lz4", "zstd"] {
        for acks in ["0", "1", "all"] {
            let topic = Topic::new(2);
            // What is sent without an answer to a leader that is not there yet is lost, as asked for: so let it be there.
            for partition in ["0", "1"] {
                ok(&["produce", "-t", &topic.0, "-p", partition, "first"], b"");
            }
            let input: String = (0..2_000).map(|i| format!("record {i} of a compressible kind\n")).collect();
            ok(&["produce", "-t", &topic.0, "--compression", compression, "--acks", acks], input.as_bytes());
            let expected: BTreeSet<&str> = input.lines().collect();
            let mut read = lines(&kcat(&topic, "%s\n"));
            read.retain(|line| line != "first");
            assert_eq!(read.len(), 2_000, "{compression} {acks}");
            assert_eq!(read.iter().map(String::as_str).collect::<BTreeSet<_>>(), expected, "{compression} {acks}");
        }
    }
}

#[test]
fn without_idempotence_all_is_delivered_too() {
    let topic = Topic::new(1);
    ok(&["produce", "-t", &topic.0, "--no-idempotence", "-n", "100", "x"], b"");
    assert_eq!(lines(&kcat(&topic, "%s\n")).len(), 100);
}

#[test]
fn murmur2_puts_keys_where_other_clients_do() {
    let (ours, theirs) = (Topic::new(7), Topic::new(7));
    let input: String = (0..500).map(|i| format!("key-{i}-é\t{i}\n")).collect();
    ok(&["produce", "-t", &ours.0, "--key-separator", "\t"], input.as_bytes());
    kcat_produce(&theirs, &["-K", "\t", "-X", "partitioner=murmur2_random"], input.as_bytes());
    let places = |topic: &Topic| lines(&kcat(topic, "%k %p\n")).into_iter().collect::<BTreeSet<_>>();
    assert_eq!(places(&ours).len(), 500);
    assert_eq!(places(&ours), places(&theirs));
}

fn per_partition(topic: &Topic) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    lines(&kcat(topic, "%p\n")).into_iter().for_each(|partition| *counts.entry(partition).or_default() += 1);
    counts
}

#[test]
fn partitioners_that_ignore_the_key_spread_it() {
    let send = |partitioner: &str| {
        let topic = Topic::new(3);
        ok(&["produce", "-t", &topic.0, "-k", "same", "-n", "300", "--partitioner", partitioner, "x"], b"");
        per_partition(&topic)
    };
    assert_eq!(send("murmur2").len(), 1);
    assert!(send("round-robin").values().all(|count| *count == 100));
    let random = send("random");
    assert_eq!((random.len(), random.values().sum::<usize>()), (3, 300));
    assert_eq!(send("sticky").len(), 1, "300 small records are less than a batch");
}

#[test]
fn a_partition_that_does_not_exist_is_refused() {
    let topic = Topic::new(2);
    let output = run(kboard(&["produce", "-t", &topic.0, "-p", "2", "x"]), b"");
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("has partitions 0 to 1, not 2"), "{}", stderr(&output));
}

#[test]
fn a_record_too_large_is_named_and_the_others_go_on() {
    let topic = Topic::new(1);
    let mut input = b"first\nsecond\n".to_vec();
    input.extend(std::iter::repeat_n(b'x', 1_500_000));
    input.extend(b"\nlast\n");
    let output = run(kboard(&["produce", "-t", &topic.0, "--output", "json"]), &input);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(stderr(&output).trim(), "line 3: larger than the topic's max.message.bytes");
    assert_eq!(lines(&kcat(&topic, "%s\n")), ["first", "second", "last"]);
    let summary: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((summary["records"].as_u64(), summary["failed"].as_u64()), (Some(3), Some(1)));
}

#[test]
fn an_unknown_topic_is_not_created_and_near_names_are_offered() {
    let topic = Topic::new(1);
    let wrong = format!("{}x", topic.0);
    let output = run(kboard(&["produce", "-t", &wrong, "x"]), b"");
    assert_eq!(output.status.code(), Some(2));
    let said = stderr(&output);
    assert!(said.contains(&format!("did you mean {}", topic.0)), "{said}");
    assert!(said.contains(&format!("kboard topics create {wrong}")), "{said}");
    let again = run(kboard(&["produce", "-t", &wrong, "x"]), b"");
    assert_eq!(again.status.code(), Some(2), "the topic was created");
}

#[test]
fn a_broker_that_is_away_is_said_soon_and_once() {
    let started = Instant::now();
    let output =
        run(kboard(&["--kafka", "127.0.0.1:1", "--log", "error,krafka=off", "produce", "-t", "any", "x"]), b"");
    assert_eq!(output.status.code(), Some(2));
    assert!(started.elapsed() < Duration::from_secs(10));
    let said = stderr(&output);
    assert!(said.contains("can't reach Kafka at 127.0.0.1:1"), "{said}");
    assert_eq!(said.matches("os error 111").count(), 1, "{said}");
}

#[test]
fn the_rate_is_kept() {
    let topic = Topic::new(1);
    let started = Instant::now();
    // Long enough for what a busy machine adds or takes to be little of it.
    ok(&["produce", "-t", &topic.0, "--rate", "200", "-n", "1001", "x"], b"");
    let elapsed = started.elapsed();
    assert!(elapsed >= Duration::from_secs(5), "{elapsed:?}");
    let times: Vec<i64> = lines(&kcat(&topic, "%T\n")).iter().map(|time| time.parse().unwrap()).collect();
    let halves = [times[500] - times[0], times[1_000] - times[500]];
    assert!(halves.iter().any(|half| (2_000..=3_500).contains(half)), "500 records at 200/s took {halves:?} ms");
}

#[test]
fn count_stops_a_stream() {
    let topic = Topic::new(1);
    ok(&["produce", "-t", &topic.0, "-n", "2"], b"a\nb\nc\n");
    assert_eq!(lines(&kcat(&topic, "%s\n")), ["a", "b"]);
}

#[test]
fn the_summary_adds_up() {
    let topic = Topic::new(3);
    let stdout = ok(&["produce", "-t", &topic.0, "-n", "1000", "-k", "key", "-o", "json", "0123456789"], b"");
    let summary: serde_json::Value = serde_json::from_slice(&stdout).unwrap();
    assert_eq!(summary["topic"], topic.0);
    assert_eq!((summary["records"].as_u64(), summary["bytes"].as_u64()), (Some(1_000), Some(13_000)));
    let latency = |name: &str| summary["latency_ms"][name].as_f64().unwrap();
    assert!(0.0 < latency("p50") && latency("p50") <= latency("p99") && latency("p99") <= latency("max"));
}

#[test]
fn an_app_writes_until_it_is_interrupted_and_counts_right() {
    within_a_try(END, repeat_with(app_that_is_interrupted).take(3));
}

/// Interrupts an app that writes; how long it took to end.
fn app_that_is_interrupted() -> Duration {
    let topic = Topic::new(3);
    let mut command = kboard(&["produce", "--app", "board", "-t", &topic.0, "--rate", "500", "-o", "json"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    ok(&["consume", "-t", &topic.0, "--from", "earliest", "-n", "1"], b"");
    let interrupted = Instant::now();
    interrupt(&child);
    let output = child.wait_with_output().unwrap();
    let took = interrupted.elapsed();
    assert!(output.status.success(), "{}", stderr(&output));
    let summary: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let written = lines(&kcat(&topic, "%k %s\n"));
    assert_eq!(summary["records"].as_u64(), Some(written.len() as u64));
    for line in written {
        let (key, value) = line.split_once(' ').unwrap();
        let message: serde_json::Value = serde_json::from_str(value).unwrap();
        assert_eq!(message["id"], key);
        assert!(!message["content"].as_str().unwrap().is_empty() && !message["author"].as_str().unwrap().is_empty());
    }
    took
}

#[test]
fn a_seed_repeats_what_an_app_writes() {
    let written = || {
        let topic = Topic::new(1);
        ok(&["produce", "--app", "board", "-t", &topic.0, "-n", "20", "--seed", "42"], b"");
        let messages = lines(&kcat(&topic, "%s\n")).into_iter();
        let parsed = messages.map(|line| serde_json::from_str::<serde_json::Value>(&line).unwrap());
        parsed.map(|message| format!("{}: {}", message["author"], message["content"])).collect::<Vec<_>>()
    };
    assert_eq!(written(), written());
}
