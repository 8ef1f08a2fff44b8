//! `kboard topics` and the administration under it, against a real broker and beside Kafka's own tools.

#[path = "support/command.rs"]
mod support;

use std::time::Duration;

use kboard::config::TopicDefaults;
use kboard::kafka::admin::{TopicSpec, ensure_topics};
use support::{fill, kafka_tool, kboard, kboard_on_terminal, kboard_with, unique};

const HOUR: Duration = Duration::from_secs(3600);

fn create(prefix: &str, args: &[&str]) -> String {
    let topic = unique(prefix);
    kboard(&[&["topics", "create", &topic], args].concat()).ok();
    topic
}

fn described_by_kafka(topic: &str) -> String {
    kafka_tool("TopicCommand", &["--describe", "--topic", topic])
}

fn exists(topic: &str) -> bool {
    !kboard(&["topics", "list", &format!("^{topic}$"), "-o", "json"]).json().as_array().unwrap().is_empty()
}

#[test]
fn a_created_topic_is_what_kafkas_own_tool_sees() {
    let topic = create("made", &["--partitions", "3", "--config", "retention.ms=86400000"]);
    let seen = described_by_kafka(&topic);
    for part in ["PartitionCount: 3", "ReplicationFactor: 1", "retention.ms=86400000", "min.insync.replicas=1"] {
        assert!(seen.contains(part), "{part} in {seen}");
    }
}

#[tokio::test]
async fn list_and_describe_tell_partitions_offsets_size_and_settings() {
    let topic = create("seen", &["--partitions", "2", "--config", "retention.ms=86400000"]);
    fill(&topic, 0, 7, HOUR).await;
    fill(&topic, 1, 3, HOUR).await;

    let listed = kboard(&["topics", "list", &format!("^{topic}$"), "--output", "json"]).json();
    let row = &listed[0];
    assert_eq!((&row["partitions"], &row["replication_factor"], &row["messages"]), (&2.into(), &1.into(), &10.into()));
    assert!(row["size"].as_u64().unwrap() > 100, "{row}");

    let described = kboard(&["topics", "describe", &topic, "-o", "json"]).json();
    let partition = &described[0]["partition_details"][0];
    assert_eq!((&partition["earliest"], &partition["latest"]), (&0.into(), &7.into()));
    assert_eq!(partition["leader"], partition["replicas"][0]);
    assert_eq!(partition["isr"], partition["replicas"]);
    let retention = &described[0]["config"]["retention.ms"];
    assert_eq!((&retention["value"], &retention["default"]), (&"86400000".into(), &"604800000".into()));

    let table = kboard(&["topics", "describe", &topic]).ok();
    assert!(table.contains("2 partitions, 1 replica each, 10 messages"), "{table}");
    let yaml: serde_json::Value =
        serde_yaml_ng::from_str(&kboard(&["topics", "describe", &topic, "-o", "yaml"]).ok()).unwrap();
    assert_eq!(yaml, described);
}

/// The embedded broker has none: docs/embedded.md.
#[test]
fn internal_topics_are_listed_when_asked_for_and_never_deleted() {
    // Any group makes the broker create the topic of the groups' offsets.
    let topic = create("internal", &[]);
    kboard(&["groups", "reset", &unique("g"), "--to-latest", "--topic", &topic, "--execute"]).ok();
    let name = "__consumer_offsets";
    assert!(!kboard(&["topics", "list"]).ok().contains(name));
    assert!(kboard(&["topics", "list", "--internal"]).ok().contains(name));
    assert!(kboard(&["topics", "delete", name, "--yes"]).error().contains("belongs to Kafka itself"));
}

#[test]
fn creating_a_topic_twice_fails_unless_that_is_allowed() {
    let topic = create("twice", &[]);
    assert!(kboard(&["topics", "create", &topic]).error().contains("--if-not-exists"));
    let other = unique("twice");
    kboard(&["topics", "create", &topic, &other, "--if-not-exists"]).ok();
    assert!(exists(&other));
}

#[test]
fn nothing_is_created_when_one_topic_of_several_is_impossible() {
    let (good, bad) = (unique("batch"), unique("batch"));
    let error = kboard(&["topics", "create", &good, &bad, "--config", "no.such.setting=1"]).error();
    assert!(error.contains("no.such.setting"), "{error}");
    assert!(!exists(&good));
    let error = kboard(&["topics", "create", &good, "--replication-factor", "9"]).error();
    assert!(error.contains("replication factor of 9"), "{error}");
    assert!(kboard(&["topics", "create", "no/slash"]).error().contains("\"no/slash\" has characters"));
}

#[test]
fn deleting_asks_on_a_terminal_and_refuses_without_one() {
    let topic = create("doomed", &[]);
    assert!(kboard(&["topics", "delete", &topic]).error().contains("--yes"));
    let refused = kboard_on_terminal(&["topics", "delete", &topic], "n\n");
    assert!(refused.code == 2 && refused.stdout.contains("not confirmed"), "{refused:?}");
    assert!(exists(&topic));

    kboard_on_terminal(&["topics", "delete", &topic], &format!("{topic}\n")).ok();
    assert!(!exists(&topic));
    let other = create("doomed", &[]);
    kboard(&["topics", "delete", &other, "--yes"]).ok();
    kboard(&["topics", "create", &other]).ok();
}

#[test]
fn an_unknown_topic_is_answered_with_its_neighbours() {
    let topic = create("neighbour", &[]);
    let typo = topic.replacen("neigh", "niegh", 1);
    for args in [["describe", &typo, "-o", "json"], ["delete", &typo, "--yes", "-y"], ["alter", &typo, "-p", "3"]] {
        let args = if args[0] == "delete" { &args[..3] } else { &args[..] };
        let error = kboard(&[&["topics"], args].concat()).error();
        assert!(error.contains(&format!("did you mean {topic}")), "{error}");
    }
}

#[test]
fn altering_adds_partitions_and_changes_settings() {
    let topic = create("altered", &["--partitions", "2", "--config", "compression.type=lz4"]);
    let change = ["--partitions", "5", "--config", "retention.ms=1000", "--delete-config", "compression.type"];
    let told = kboard(&[&["topics", "alter", &topic], &change[..]].concat()).ok();
    for part in ["2 → 5", "retention.ms: (default) → 1000", "compression.type: lz4 → (default)"] {
        assert!(told.contains(part), "{part} in {told}");
    }
    let seen = described_by_kafka(&topic);
    assert!(seen.contains("PartitionCount: 5") && seen.contains("retention.ms=1000"), "{seen}");
    assert!(!seen.contains("compression.type"), "{seen}");

    assert!(kboard(&[&["topics", "alter", &topic], &change[..]].concat()).ok().contains("is so already"));
    assert!(kboard(&["topics", "alter", &topic, "-p", "2"]).error().contains("can't take any away"));
    assert!(kboard(&["topics", "alter", &topic, "-c", "cleanup.policy=x"]).error().contains("cleanup.policy"));
}

/// The document's file, with one replica and names of its own.
fn seed_file(domain: &str) -> String {
    format!(
        "# topics-config.yaml
topics:
  - name: {domain}.created
    partitions: 12
    replication-factor: 1
    config:
      retention.ms: 604800000  # 7 days
      compression.type: lz4
      min.insync.replicas: 1

  - name: {domain}.registered
    partitions: 6
    replication-factor: 1
    config:
      retention.ms: 2592000000  # 30 days
      compression.type: lz4
"
    )
}

fn actions(plan: &serde_json::Value) -> Vec<&str> {
    plan.as_array().unwrap().iter().map(|step| step["action"].as_str().unwrap()).collect()
}

#[test]
fn applying_a_file_makes_it_so_and_a_second_time_changes_nothing() {
    let domain = unique("applied");
    let file = seed_file(&domain);
    let apply = |args: &[&str]| kboard_with(&[&["topics", "apply", "-f", "-"], args].concat(), &file);

    assert!(apply(&["--dry-run"]).ok().contains(&format!("+ {domain}.created")));
    assert!(!exists(&format!("{domain}.created")), "a dry run changes nothing");
    assert!(apply(&[]).error().contains("--yes"), "without a terminal it must be told");

    assert_eq!(actions(&apply(&["--yes", "-o", "json"]).json()), ["create", "create"]);
    let seen = described_by_kafka(&format!("{domain}.created"));
    for part in ["PartitionCount: 12", "compression.type=lz4", "retention.ms=604800000", "min.insync.replicas=1"] {
        assert!(seen.contains(part), "{part} in {seen}");
    }
    let again = apply(&["--yes"]);
    assert!(again.stderr.contains("Nothing to do"), "{again:?}");
    assert_eq!(again.ok(), format!("= {domain}.created\n= {domain}.registered\n"));
}

#[test]
fn applying_changes_only_what_differs() {
    let domain = unique("differs");
    let file = seed_file(&domain);
    kboard_with(&["topics", "apply", "-f", "-", "--yes"], &file).ok();
    let kept = format!("{domain}.created");
    kboard(&["topics", "alter", &kept, "-c", "max.message.bytes=2000000"]).ok();

    let wanted = file.replace("partitions: 6", "partitions: 8").replace("2592000000", "1000").replace("lz4", "null");
    let plan = kboard_with(&["topics", "apply", "-f", "-", "--yes", "-o", "json"], &wanted).json();
    assert_eq!(plan[1]["partitions"], serde_json::json!({"from": 6, "to": 8}));
    assert_eq!(plan[1]["config"]["retention.ms"], serde_json::json!({"from": "2592000000", "to": "1000"}));
    let only = plan[0]["config"].as_object().unwrap().keys().collect::<Vec<_>>();
    assert_eq!(only, ["compression.type"], "{plan}");
    let seen = described_by_kafka(&kept);
    assert!(seen.contains("max.message.bytes=2000000"), "what the file does not name is kept: {seen}");
    assert!(seen.contains("PartitionCount: 12") && !seen.contains("compression.type"), "{seen}");
}

#[test]
fn a_file_with_something_impossible_changes_nothing_at_all() {
    let topic = create("impossible", &["--partitions", "4"]);
    let other = unique("impossible");
    let file = format!(
        "topics:\n- {{name: {other}, partitions: 1}}\n- {{name: {topic}, partitions: 2, replication-factor: 3}}\n"
    );
    let refused = kboard_with(&["topics", "apply", "-f", "-", "--yes"], &file);
    assert!(refused.stdout.contains(&format!("! {topic}: it has 4 partitions")), "{refused:?}");
    let error = refused.error();
    assert!(error.contains("kafka-reassign-partitions") && error.contains("nothing was changed"), "{error}");
    assert!(!exists(&other));

    let file =
        format!("topics:\n- {{name: {other}, partitions: 1}}\n- {{name: {topic}, partitions: 4, config: {{x: 1}}}}\n");
    assert!(kboard_with(&["topics", "apply", "-f", "-", "--yes"], &file).error().contains(&topic));
    assert!(!exists(&other), "the broker's objection came before the first change");
}

#[test]
fn a_mistake_in_the_file_is_found_at_its_line() {
    let error = kboard_with(&["topics", "apply", "-f", "-"], "topics:\n- name: a\n  partition: 3\n").error();
    assert!(error.contains("unknown field `partition`") && error.contains("line 3"), "{error}");
    let missing = kboard(&["topics", "apply", "-f", "no-such-file.yaml"]).error();
    assert!(missing.contains("no-such-file.yaml"), "{missing}");
}

#[test]
fn what_is_exported_is_applied_without_changes_and_makes_the_topics_again() {
    let domain = unique("exported");
    kboard_with(&["topics", "apply", "-f", "-", "--yes"], &seed_file(&domain)).ok();
    let filter = format!("^{domain}");
    let exported = kboard(&["topics", "export", &filter]).ok();
    assert!(exported.contains("retention.ms: 2592000000"), "{exported}");
    let same = kboard_with(&["topics", "apply", "-f", "-", "-o", "json"], &exported).json();
    assert_eq!(actions(&same), ["same", "same"]);

    kboard(&["topics", "delete", &format!("{domain}.created"), &format!("{domain}.registered"), "--yes"]).ok();
    kboard_with(&["topics", "apply", "-f", "-", "--yes"], &exported).ok();
    assert_eq!(kboard(&["topics", "export", &filter]).ok(), exported);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_that_need_the_same_topics_make_each_once() {
    let names: Vec<String> = (0..4).map(|_| unique("needed")).collect();
    let specs: Vec<TopicSpec> =
        names.iter().map(|name| TopicSpec::new(name, 3).with_config("retention.ms", "1000")).collect();
    let ensure = || {
        let specs = specs.clone();
        async move {
            let settings = kboard::config::KafkaSettings {
                bootstrap: vec![support::kafka()],
                tls: None,
                sasl: None,
                session_timeout: Duration::from_secs(10),
            };
            let cluster = kboard::kafka::Cluster::new(settings);
            ensure_topics(&cluster, &specs, &TopicDefaults::default()).await.unwrap()
        }
    };
    let (first, second) = tokio::join!(tokio::spawn(ensure()), tokio::spawn(ensure()));
    let mut made: Vec<String> = first.unwrap().into_iter().chain(second.unwrap()).map(|topic| topic.name).collect();
    made.sort();
    let mut wanted = names.clone();
    wanted.sort();
    assert_eq!(made, wanted);
    assert!(ensure().await.is_empty());
    let seen = described_by_kafka(&names[0]);
    assert!(seen.contains("PartitionCount: 3") && seen.contains("min.insync.replicas=1"), "{seen}");
}
