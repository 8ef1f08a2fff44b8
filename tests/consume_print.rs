//! `kboard consume` printing records of a real Kafka, beside kcat.

#[path = "support/cli.rs"]
mod cli;

use std::io::{BufRead, BufReader};
use std::iter::{once, repeat_with};
use std::process::{Child, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use cli::*;
use krafka::{Kafka, Record};
use serde_json::{Value, json};

/// `kboard consume` with these arguments, until the end; its stdout.
fn all(topic: &Topic, args: &[&str]) -> Vec<u8> {
    let base = ["consume", "-t", &topic.0, "--until-end"];
    ok(&[&base[..], args].concat(), b"")
}

fn numbered(topic: &Topic, count: usize) {
    let input: String = (0..count).map(|i| format!("{i}\n")).collect();
    ok(&["produce", "-t", &topic.0], input.as_bytes());
}

#[test]
fn json_tells_null_empty_text_and_bytes_apart() {
    let topic = Topic::new(1);
    ok(&["produce", "-t", &topic.0, "-k", "k", "-H", "a=1", "-H", "a=2", "-H", "n", "-H", "e=", "text \"☃\""], b"");
    ok(&["produce", "-t", &topic.0, "-k", "", ""], b"");
    ok(&["produce", "-t", &topic.0, "-Z", ""], b"");
    ok(&["produce", "-t", &topic.0], b"\xff\xfe\n");
    let records: Vec<Value> = lines(&all(&topic, &[])).iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let headers = json!([{"key": "a", "value": "1"}, {"key": "a", "value": "2"},
                         {"key": "n", "value": null}, {"key": "e", "value": ""}]);
    assert_eq!((&records[0]["key"], &records[0]["value"]), (&json!("k"), &json!("text \"☃\"")));
    assert_eq!(records[0]["headers"], headers);
    assert_eq!((&records[1]["key"], &records[1]["value"]), (&json!(""), &json!("")));
    assert_eq!((&records[2]["key"], &records[2]["value"]), (&Value::Null, &Value::Null));
    assert_eq!(records[3]["value"], json!({"base64": "//4="}));
    for (offset, record) in records.iter().enumerate() {
        assert_eq!((&record["topic"], &record["partition"]), (&json!(topic.0), &json!(0)));
        assert_eq!((&record["offset"], &record["timestamp_type"]), (&json!(offset), &json!("create")));
        assert!(record["timestamp"].as_i64().unwrap() > 1_700_000_000_000);
    }
}

#[test]
fn format_strings_print_what_kcat_prints() {
    let topic = Topic::new(1);
    ok(&["produce", "-t", &topic.0, "-k", "k", "-H", "a=1", "-H", "b", "v1"], b"");
    ok(&["produce", "-t", &topic.0, "--key-separator", ":", "-Z"], b"x:\n:\xff\xfe\nkey:value\n");
    let format = r"%t %p %o %T [%K:%k] [%S:%s] %h %%\n\t\x41\n";
    // kcat takes its escapes the same way, but knows no %%.
    let theirs = r"%t %p %o %T [%K:%k] [%S:%s] %h \x25\n\t\x41\n";
    assert_eq!(all(&topic, &["--format", format]), kcat(&topic, theirs));
}

#[test]
fn values_are_printed_byte_for_byte() {
    let topic = Topic::new(1);
    let input: &[u8] = b"plain\n\n\xff\x00\xfe\r\nlast\n";
    ok(&["produce", "-t", &topic.0], input);
    assert_eq!(all(&topic, &["--format", "value"]), input);
}

#[test]
fn every_compression_is_read() {
    for codec in ["gzip", "snappy", "lz4", "zstd"] {
        let topic = Topic::new(1);
        let input: String = (0..5_000).map(|i| format!("compressible record {i}\n")).collect();
        kcat_produce(&topic, &["-z", codec], input.as_bytes());
        assert_eq!(all(&topic, &["--format", "value"]), input.as_bytes(), "{codec}");
    }
}

#[test]
fn reading_begins_where_it_is_told() {
    let topic = Topic::new(1);
    numbered(&topic, 10);
    let from = |from: &str| lines(&all(&topic, &["--format", "value", "--from", from])).join(" ");
    assert_eq!(from("earliest"), "0 1 2 3 4 5 6 7 8 9");
    assert_eq!(from("7"), "7 8 9");
    assert_eq!(from("-2"), "8 9");
    assert_eq!(from("-100"), "0 1 2 3 4 5 6 7 8 9");
    assert_eq!(from("1000"), "");
    assert_eq!(from("latest"), "");
    assert_eq!(from("1h"), "0 1 2 3 4 5 6 7 8 9");
    let newest = lines(&kcat(&topic, "%T\n")).pop().unwrap().parse::<i64>().unwrap();
    assert_eq!(from(&format!("@{}", newest + 1)), "");
}

#[test]
fn count_partitions_and_patterns_choose() {
    let prefix = format!("test-{}", uuid::Uuid::new_v4());
    let a = Topic::named(&format!("{prefix}.a"), 3);
    let b = Topic::named(&format!("{prefix}.b"), 1);
    ok(&["produce", "-t", &a.0, "-p", "1", "-n", "5", "a1"], b"");
    ok(&["produce", "-t", &a.0, "-p", "2", "-n", "5", "a2"], b"");
    ok(&["produce", "-t", &b.0, "b"], b"");
    assert_eq!(lines(&all(&a, &["--format", "value", "-p", "2"])), ["a2"; 5]);
    assert_eq!(lines(&all(&a, &["--format", "value", "-n", "3"])).len(), 3);
    let pattern = format!("{prefix}\\.[ab]");
    let both = ok(&["consume", "--topic-pattern", &pattern, "-e", "--format", "%t\\n"], b"");
    assert_eq!(lines(&both).iter().filter(|topic| **topic == b.0).count(), 1);
    assert_eq!(lines(&both).len(), 11);
}

#[test]
fn an_empty_topic_ends_at_once() {
    let topic = Topic::new(3);
    assert!(all(&topic, &[]).is_empty());
}

/// `kboard consume` that goes on.
struct Tail {
    child: Child,
    shown: mpsc::Receiver<String>,
}

impl Tail {
    /// One that shows what comes.
    fn of(topic: &Topic) -> Self {
        let mut command = kboard(&["consume", "-t", &topic.0, "--format", "value"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (sender, shown) = mpsc::channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || stdout.lines().for_each(|line| drop(sender.send(line.unwrap()))));
        // It starts at what is the end when it starts, so ask until it is there.
        let deadline = Instant::now() + PATIENCE;
        while shown.recv_timeout(Duration::from_millis(50)).is_err() {
            assert!(Instant::now() < deadline, "the tail shows nothing");
            ok(&["produce", "-t", &topic.0, "knock"], b"");
        }
        Self { child, shown }
    }

    /// How long after a record was written it is shown.
    fn shows(&self, topic: &Topic, value: &str) -> Duration {
        ok(&["produce", "-t", &topic.0, value], b"");
        let sent = Instant::now();
        while self.shown.recv_timeout(PATIENCE).unwrap() != value {}
        sent.elapsed()
    }

    /// How long it takes to end after Ctrl-C.
    fn end(self) -> Duration {
        let interrupted = Instant::now();
        interrupt(&self.child);
        let output = self.child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        interrupted.elapsed()
    }
}

#[test]
fn a_tail_shows_records_as_they_come_and_ctrl_c_ends_it() {
    let topic = Topic::new(1);
    let tail = Tail::of(&topic);
    within_a_try(Duration::from_secs(2), (0..5).map(|number| tail.shows(&topic, &format!("now {number}"))));
    let tails = once(tail).chain(repeat_with(|| Tail::of(&topic)));
    within_a_try(END, tails.take(3).map(Tail::end));
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let topic = Topic::new(1);
    ok(&["produce", "-t", &topic.0, "-n", "200000", "some text to fill the pipe with"], b"");
    let mut command = kboard(&["consume", "-t", &topic.0, "-e"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    drop(stdout);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    assert_eq!(stderr(&output), "");
}

#[test]
fn ctrl_c_ends_a_read_whose_reader_stands_still() {
    let topic = Topic::new(1);
    ok(&["produce", "-t", &topic.0, "-n", "200000", "some text to fill the pipe with"], b"");
    let end = || {
        let mut command = kboard(&["consume", "-t", &topic.0, "-e"]);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        // One line proves that it writes; then nobody reads.
        let mut stdout = BufReader::with_capacity(16, child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let interrupted = Instant::now();
        interrupt(&child);
        assert_eq!(child.wait().unwrap().code(), Some(130), "not all of it was printed");
        interrupted.elapsed()
    };
    within_a_try(END, repeat_with(end).take(3));
}

#[test]
fn a_group_goes_on_after_what_it_printed() {
    let topic = Topic::new(2);
    numbered(&topic, 100);
    let group = format!("test-{}", uuid::Uuid::new_v4());
    let read = |args: &[&str]| {
        let base = ["consume", "-t", &topic.0, "-g", &group, "--format", "value"];
        lines(&ok(&[&base[..], args].concat(), b""))
    };
    let first = read(&["-n", "30"]);
    assert_eq!(first.len(), 30);
    let mut rest = read(&["--until-end"]);
    assert_eq!(rest.len(), 70);
    rest.extend(first);
    rest.sort_by_key(|line| line.parse::<u32>().unwrap());
    assert_eq!(rest, (0..100).map(|i| i.to_string()).collect::<Vec<_>>());
    ok(&["produce", "-t", &topic.0, "new"], b"");
    assert_eq!(read(&["--until-end"]), ["new"]);
}

#[test]
fn aborted_transactions_are_left_out_and_the_end_is_still_found() {
    let topic = Topic::new(1);
    block_on(async {
        let client = Kafka::builder(kafka()).connect().await.unwrap();
        let producer = client.producer().build_transactional(format!("tx-{}", topic.0)).await.unwrap();
        for (value, commit) in [("kept", true), ("aborted", false)] {
            producer.begin().unwrap();
            drop(producer.send(Record::new(topic.0.as_str(), value)).await.unwrap());
            if commit {
                producer.commit().await.unwrap();
            } else {
                producer.abort().await.unwrap();
            }
        }
        producer.close().await.unwrap();
    });
    assert_eq!(lines(&all(&topic, &["--format", "value"])), ["kept"]);
    assert_eq!(lines(&all(&topic, &["--format", "value", "--uncommitted"])), ["kept", "aborted"]);
}

#[test]
fn mistakes_are_explained() {
    let topic = Topic::new(1);
    let said = |args: &[&str]| {
        let output = run(kboard(args), b"");
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        stderr(&output)
    };
    let wrong = format!("{}x", topic.0);
    assert!(said(&["consume", "-t", &wrong]).contains(&format!("did you mean {}", topic.0)));
    assert!(said(&["consume", "-t", &topic.0, "-p", "4"]).contains("has partitions 0 to 0, not 4"));
    assert!(said(&["consume", "-t", &topic.0, "--format", "%q"]).contains("%q means nothing"));
    assert!(said(&["consume", "-t", &topic.0, "--from", "committed"]).contains("needs --group"));
    assert!(said(&["consume", "-t", &topic.0, "-g", "g", "--from", "5"]).contains("kboard groups reset"));
    assert!(said(&["consume", "--topic-pattern", "no-such-topic-.*"]).contains("no topic matches"));
    let away = said(&["--kafka", "127.0.0.1:1", "consume", "-t", "any"]);
    assert!(away.contains("can't reach Kafka at 127.0.0.1:1"), "{away}");
}

#[test]
fn completions_and_the_manual_cover_the_commands() {
    for shell in ["bash", "zsh", "fish"] {
        let script = String::from_utf8(ok(&["completions", shell], b"")).unwrap();
        assert!(script.contains("produce") && script.contains("consume"), "{shell}");
    }
    let dir = tempfile::tempdir().unwrap();
    ok(&["man", "--dir", dir.path().to_str().unwrap()], b"");
    let page = std::fs::read_to_string(dir.path().join("kboard-produce.1")).unwrap();
    assert!(page.contains("partitioner"));
}
