//! `kboard groups`, against a real broker and beside Kafka's own tools.

#[path = "support/command.rs"]
mod support;

use std::time::Duration;

use krafka::consumer::{AutoOffsetReset, Consumer};
use serde_json::{Value, json};
use support::{connect, fill, kafka_tool, kboard, kboard_on_terminal, unique};

const HOUR: Duration = Duration::from_secs(3600);
/// On a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A topic of three partitions with 10, 20 and 30 records, an hour old.
async fn topic() -> String {
    let topic = unique("read");
    kboard(&["topics", "create", &topic, "--partitions", "3"]).ok();
    for (partition, count) in [(0, 10), (1, 20), (2, 30)] {
        fill(&topic, partition, count, HOUR).await;
    }
    topic
}

/// A member of `group` that has read and committed all of `topic`.
async fn reader(group: &str, topic: &str) -> Consumer {
    let kafka = connect("a-reader").await;
    let consumer = kafka
        .consumer(group)
        .enable_auto_commit(false)
        .auto_offset_reset(AutoOffsetReset::Earliest)
        .build()
        .await
        .unwrap();
    consumer.subscribe([topic]).await.unwrap();
    let mut read = 0;
    let all = async {
        while read < 60 {
            read += consumer.poll(Duration::from_millis(200)).await.unwrap().len();
        }
    };
    tokio::time::timeout(PATIENCE, all).await.expect("all records are read");
    consumer.commit().await.unwrap();
    consumer
}

/// A topic, and a group that has read all of it and left.
async fn finished() -> (String, String) {
    let (topic, group) = (topic().await, unique("group"));
    reader(&group, &topic).await.close().await.unwrap();
    (topic, group)
}

fn describe(group: &str) -> Value {
    kboard(&["groups", "describe", group, "--output", "json"]).json()[0].take()
}

/// What the group has committed, by partition.
fn committed(group: &str) -> Vec<Option<i64>> {
    let described = describe(group);
    described["partitions"].as_array().unwrap().iter().map(|p| p["committed"].as_i64()).collect()
}

fn reset(group: &str, args: &[&str]) -> support::Outcome {
    kboard(&[&["groups", "reset", group], args].concat())
}

/// Offsets and lag as Kafka's own tool sees them: partition, committed, end, lag.
fn seen_by_kafka(group: &str) -> Vec<[String; 4]> {
    let table = kafka_tool("consumer.group.ConsumerGroupCommand", &["--describe", "--group", group]);
    let rows = table.lines().filter(|line| line.starts_with(group));
    let mut rows: Vec<[String; 4]> = rows
        .map(|row| {
            let columns: Vec<&str> = row.split_whitespace().collect();
            [2, 3, 4, 5].map(|column| columns[column].to_owned())
        })
        .collect();
    rows.sort();
    rows
}

/// In threads: the member shows that it lives while commands hold this one up.
#[tokio::test(flavor = "multi_thread")]
async fn a_group_with_a_member_is_described_as_kafkas_own_tool_does() {
    let (topic, group) = (topic().await, unique("group"));
    let consumer = reader(&group, &topic).await;
    fill(&topic, 2, 5, HOUR).await;

    let described = describe(&group);
    assert_eq!((&described["state"], &described["kind"]), (&json!("Stable"), &json!("classic")));
    assert_eq!((&described["lag"], &described["lag_is_partial"]), (&json!(5), &json!(false)));
    assert!(described["coordinator"]["address"].as_str().unwrap().contains(':'), "{described}");
    assert!(described["assignor"].is_string(), "{described}");
    let member = &described["members"][0];
    assert_eq!((&member["client"], &member["host"]), (&json!("a-reader"), &json!("127.0.0.1")));
    assert_eq!(member["partitions"][&topic], json!([0, 1, 2]));

    let partitions = described["partitions"].as_array().unwrap();
    let seen: Vec<[String; 4]> =
        partitions.iter().map(|p| ["partition", "committed", "end", "lag"].map(|key| p[key].to_string())).collect();
    assert_eq!(seen, seen_by_kafka(&group));
    assert!(partitions.iter().all(|partition| partition["member"] == member["member"]), "{described}");

    assert_eq!(partitions[0]["lag_seconds"], json!(0.0));
    let waited = partitions[2]["lag_seconds"].as_f64().unwrap();
    assert!((3600.0..3700.0).contains(&waited), "the record at the committed offset is an hour old: {waited}");

    let table = kboard(&["groups", "describe", &group]).ok();
    assert!(table.contains("5 records, 1h") && table.contains("a-reader"), "{table}");
    let listed = kboard(&["groups", "list", &format!("^{group}$"), "-o", "json"]).json();
    assert_eq!(listed[0]["members"], 1);
    assert_eq!((&listed[0]["topics"], &listed[0]["lag"]), (&json!([topic]), &json!(5)));
    consumer.close().await.unwrap();
}

/// In threads: the member shows that it lives while commands hold this one up.
#[tokio::test(flavor = "multi_thread")]
async fn a_group_in_use_is_neither_reset_nor_deleted() {
    let (topic, group) = (topic().await, unique("group"));
    let consumer = reader(&group, &topic).await;
    for args in [&["reset", &group, "--to-earliest", "--execute"][..], &["delete", &group, "--yes"]] {
        let error = kboard(&[&["groups"], args].concat()).error();
        assert!(error.contains("a-reader at 127.0.0.1") && error.contains("stop them first"), "{error}");
    }
    let planned = reset(&group, &["--to-earliest"]);
    assert!(planned.stderr.contains("in use by 1 member"), "{planned:?}");
    assert_eq!(committed(&group), [Some(10), Some(20), Some(30)]);

    consumer.close().await.unwrap();
    reset(&group, &["--to-earliest", "--execute"]).ok();
    assert_eq!(committed(&group), [Some(0), Some(0), Some(0)]);
}

#[tokio::test]
async fn a_reset_shows_its_plan_and_is_carried_out_when_told() {
    let (topic, group) = finished().await;
    let plan = reset(&group, &["--by", "-12", "--output", "json"]).json();
    // Each partition ends where the group is.
    let step = |partition, before, after, note: Option<&str>| {
        json!({
            "topic": topic, "partition": partition, "before": before, "after": after, "change": after - before,
            "lag_after": before - after, "note": note,
        })
    };
    let start = Some("stops at the log's start");
    assert_eq!(plan, json!([step(0, 10, 0, start), step(1, 20, 8, None), step(2, 30, 18, None)]));
    assert_eq!(committed(&group), [Some(10), Some(20), Some(30)], "a plan changes nothing");
    assert!(reset(&group, &["--by", "-12"]).ok().contains("12 read again"));

    reset(&group, &["--by", "-12", "--execute"]).ok();
    let rows = [["0", "0", "10", "10"], ["1", "8", "20", "12"], ["2", "18", "30", "12"]];
    assert_eq!(seen_by_kafka(&group), rows.map(|row| row.map(str::to_owned)));
    assert!(reset(&group, &["--to-latest", "--dry-run"]).ok().contains("10 skipped"));
}

#[tokio::test]
async fn every_target_of_a_reset_goes_where_it_says() {
    let (topic, group) = finished().await;
    fill(&topic, 1, 2, Duration::ZERO).await;
    for (args, expected) in [
        (&["--to-earliest"][..], [0, 0, 0]),
        (&["--to-latest"], [10, 22, 30]),
        (&["--to-offset", "15"], [10, 15, 15]),
        (&["--to-time", "30m ago"], [10, 20, 30]),
        (&["--to-time", "2h"], [0, 0, 0]),
        (&["--by", "3", "--topic", &format!("{topic}:0,2")], [3, 0, 3]),
        (&["--to-latest", "--topic", &topic], [10, 22, 30]),
    ] {
        reset(&group, &[args, &["--execute"]].concat()).ok();
        assert_eq!(committed(&group), expected.map(Some), "{args:?}");
    }
}

#[tokio::test]
async fn a_reset_that_makes_no_sense_says_why() {
    let (topic, group) = finished().await;
    for (args, expected) in [
        (&["--to-time", "yesterday"][..], "2026-01-31T12:00:00Z"),
        (&["--to-earliest", "--topic", &topic[1..]], &format!("did you mean {topic}")),
        (&["--to-earliest", "--topic", &format!("{topic}:0,9")], "not 9"),
        (&["--to-earliest", "--to-latest"], "cannot be used with"),
        (&["--topic", &topic], "--to-earliest"),
    ] {
        let error = reset(&group, args).error();
        assert!(error.contains(expected), "{args:?}: {error}");
    }
    let typo = group.replacen("group", "gruop", 1);
    assert!(reset(&typo, &["--to-latest"]).error().contains(&format!("did you mean {group}")));
}

#[tokio::test]
async fn a_group_can_be_given_offsets_before_it_first_reads() {
    let (topic, group) = (topic().await, unique("new"));
    let planned = reset(&group, &["--to-offset", "5", "--topic", &format!("{topic}:1")]);
    assert!(planned.stderr.contains("does not exist yet") && planned.stdout.contains("first commit"), "{planned:?}");
    reset(&group, &["--to-offset", "5", "--topic", &format!("{topic}:1"), "--execute"]).ok();

    assert_eq!(committed(&group), [None, Some(5), None]);
    let described = describe(&group);
    assert_eq!(described["partitions"][0]["note"], "nothing committed");
    assert_eq!((&described["state"], &described["lag"]), (&json!("Empty"), &json!(15)));
    let stuck = reset(&group, &["--by", "1", "--topic", &topic, "--execute"]);
    assert!(stuck.code == 1 && stuck.stdout.contains("nothing committed to count from"), "{stuck:?}");
    assert_eq!(committed(&group), [None, Some(6), None]);
}

#[tokio::test]
async fn commits_to_a_topic_that_is_gone_do_not_hide_the_others() {
    let (gone, group) = finished().await;
    let stays = topic().await;
    reset(&group, &["--to-earliest", "--topic", &stays, "--execute"]).ok();
    kboard(&["topics", "delete", &gone, "--yes"]).ok();
    let described = describe(&group);
    let notes = described["partitions"].as_array().unwrap();
    assert!(notes.iter().filter(|p| p["topic"] == json!(stays)).all(|p| p["note"].is_null()), "{described}");
    assert_eq!(described["lag"], 60);
    assert!(notes.iter().filter(|p| p["topic"] == json!(gone)).all(|p| p["note"] == "topic does not exist"));
}

#[tokio::test]
async fn deleting_a_group_asks_and_makes_it_unknown() {
    let (_, group) = finished().await;
    assert!(kboard(&["groups", "delete", &group]).error().contains("--yes"));
    let refused = kboard_on_terminal(&["groups", "delete", &group], "\n");
    assert!(refused.code == 2 && refused.stdout.contains("not confirmed"), "{refused:?}");
    kboard_on_terminal(&["groups", "delete", &group], "y\n").ok();
    assert!(kboard(&["groups", "describe", &group]).error().contains("does not exist"));
    assert_eq!(kboard(&["groups", "list", &group, "-o", "json"]).json(), json!([]));
}
