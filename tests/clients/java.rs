//! Kafka's own tools, in Java: what they print on both brokers.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use regex::Regex;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use crate::CODECS;
use crate::cutting::{CUTS, Cutting};
use crate::support::{eventually, tools, unique};

const TOPICS: &str = "org.apache.kafka.tools.TopicCommand";
const CONFIGS: &str = "kafka.admin.ConfigCommand";
const GROUPS: &str = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand";
const OFFSETS: &str = "org.apache.kafka.tools.GetOffsetShell";
const DELETE_RECORDS: &str = "org.apache.kafka.tools.DeleteRecordsCommand";
const LOG_FOLDERS: &str = "org.apache.kafka.tools.LogDirsCommand";
const API_VERSIONS: &str = "org.apache.kafka.tools.BrokerApiVersionsCommand";
const CONSOLE_PRODUCER: &str = "org.apache.kafka.tools.ConsoleProducer";
const CONSOLE_CONSUMER: &str = "org.apache.kafka.tools.consumer.ConsoleConsumer";
const PRODUCER_PERFORMANCE: &str = "org.apache.kafka.tools.ProducerPerformance";
const CONSUMER_PERFORMANCE: &str = "org.apache.kafka.tools.ConsumerPerformance";
const LATENCY: &str = "org.apache.kafka.tools.EndToEndLatency";
const VERIFIABLE_PRODUCER: &str = "org.apache.kafka.tools.VerifiableProducer";
const VERIFIABLE_CONSUMER: &str = "org.apache.kafka.tools.VerifiableConsumer";

/// For what many JVMs on a busy machine do.
const LIMIT: Duration = Duration::from_secs(240);

/// Topics and their settings: kafka-topics, kafka-configs, kafka-delete-records, kafka-log-dirs, kafka-broker-api-versions.
pub mod administration {
    use super::*;

    /// What is printed.
    pub fn expected() -> Value {
        json!({
            "partitions": 3,
            "leaders": ["1", "1", "1"],
            "again": "TopicExistsException",
            "unknown setting": "InvalidConfigurationException",
            "retention": ["3600000", "7200000"],
            "raised": 5,
            "lowered": "InvalidPartitionsException",
            "begins": 4,
            "log folders": 5,
            "node": "1",
            "listed": [true, false],
        })
    }

    /// What is seen.
    pub async fn see(bootstrap: String) -> Value {
        let broker = &bootstrap;
        let topic = &unique("java-admin");
        let retention = "retention.ms=3600000";
        tool(TOPICS, broker, &["--create", "--topic", topic, "--partitions", "3", "--config", retention]).await;
        let described = topic_of(broker, topic, 3).await;
        let partitions = number(&described, r"PartitionCount: (\d+)");
        let leaders = all(&described, r"Leader: (\S+)\tReplicas: 1\tIsr: 1");
        let again = refusal(TOPICS, broker, &["--create", "--topic", topic, "--partitions", "3"]).await;
        let unknown = ["--create", "--topic", &format!("{topic}-x"), "--config", "no.such.setting=1"];
        let unknown = refusal(TOPICS, broker, &unknown).await;
        let settings = ["--entity-type", "topics", "--entity-name", topic];
        tool(CONFIGS, broker, &[&settings[..], &["--alter", "--add-config", "retention.ms=7200000"]].concat()).await;
        let configured = tool(CONFIGS, broker, &[&settings[..], &["--describe"]].concat()).await;
        let retention = [&described, &configured].map(|text| all(text, r"retention\.ms=(\d+)")[0].clone());
        tool(TOPICS, broker, &["--alter", "--topic", topic, "--partitions", "5"]).await;
        let lowered = refusal(TOPICS, broker, &["--alter", "--topic", topic, "--partitions", "2"]).await;
        let raised = topic_of(broker, topic, 5).await;

        tool(VERIFIABLE_PRODUCER, broker, &["--topic", topic, "--max-messages", "100", "--repeating-keys", "1"]).await;
        let ends = tool(OFFSETS, broker, &["--topic", topic]).await;
        let written = all(&ends, r":(\d+):100\n")[0].clone();
        let file = tempfile::NamedTempFile::new().unwrap();
        let partition: u32 = written.parse().unwrap();
        let until = json!({ "version": 1, "partitions": [{ "topic": topic, "partition": partition, "offset": 4 }] });
        std::fs::write(&file, until.to_string()).unwrap();
        tool(DELETE_RECORDS, broker, &["--offset-json-file", file.path().to_str().unwrap()]).await;
        let begins = tool(OFFSETS, broker, &["--topic", topic, "--time", "earliest"]).await;

        let folders = tool(LOG_FOLDERS, broker, &["--describe", "--topic-list", topic]).await;
        let versions = tool(API_VERSIONS, broker, &[]).await;
        let listed = tool(TOPICS, broker, &["--list"]).await.lines().any(|line| line == topic);
        tool(TOPICS, broker, &["--delete", "--topic", topic]).await;
        let left = tool(TOPICS, broker, &["--list"]).await.lines().any(|line| line == topic);
        json!({
            "partitions": partitions,
            "leaders": leaders,
            "again": again,
            "unknown setting": unknown,
            "retention": retention,
            "raised": number(&raised, r"PartitionCount: (\d+)"),
            "lowered": lowered,
            "begins": number(&begins, &format!(r":{written}:(\d+)\n")),
            "log folders": all(&folders, r#""partition":"([^"]+)""#).len(),
            "node": all(&versions, r"\(id: (\d+) rack: null")[0],
            "listed": [listed, left],
        })
    }
}

/// What is told of a topic once it has its partitions: Kafka tells of changes a moment later.
async fn topic_of(broker: &str, topic: &str, partitions: usize) -> String {
    let told = async || {
        let (succeeds, told) = run(TOPICS, broker, &["--describe", "--topic", topic], "").await;
        (succeeds && told.contains(&format!("PartitionCount: {partitions}"))).then_some(told)
    };
    eventually("a topic with its partitions", LIMIT, told).await
}

/// Records: kafka-console-producer and -consumer, kafka-get-offsets, the performance tools, and the producer that is
/// idempotent unless it is told otherwise, while connections break.
pub mod records {
    use super::*;

    const LINES: [&str; 3] = ["one:1,two:2\tkey\tvalue", "-\t-\tno key", "three:3\tno value\t-"];

    /// What is printed.
    pub fn expected() -> Value {
        let read: Vec<String> = CODECS.iter().flat_map(|_| LINES).map(|line| line.replace('-', "null")).collect();
        json!({
            "read": read.iter().map(|line| line.replace("null\tnull", "NO_HEADERS\tnull")).collect::<Vec<_>>(),
            "ends": [0, 3],
            "at a time": 1,
            "at the largest time": 1,
            "after all": [],
            "sent": 5000,
            "consumed": true,
            "latency": true,
            "while cut": (0..1000).map(|value| value.to_string()).collect::<Vec<_>>(),
        })
    }

    /// What is seen.
    pub async fn see(bootstrap: String) -> Value {
        let broker = &bootstrap;
        let topic = &unique("java-codecs");
        tool(TOPICS, broker, &["--create", "--topic", topic, "--partitions", "1"]).await;
        for codec in CODECS {
            let properties = ["parse.headers=true", "parse.key=true", "null.marker=-"];
            let properties: Vec<&str> = properties.iter().flat_map(|one| ["--reader-property", one]).collect();
            let lines = LINES.join("\n") + "\n";
            let arguments = ["--topic", topic, "--compression-codec", codec];
            tool_with(CONSOLE_PRODUCER, broker, &[&arguments[..], &properties].concat(), &lines).await;
        }
        let properties = ["print.headers=true", "print.key=true"];
        let properties: Vec<&str> = properties.iter().flat_map(|one| ["--formatter-property", one]).collect();
        let count = (CODECS.len() * LINES.len()).to_string();
        let read = ["--topic", topic, "--from-beginning", "--max-messages", &count];
        let read = tool(CONSOLE_CONSUMER, broker, &[&read[..], &properties].concat()).await;

        let topic = &unique("java-times");
        tool(TOPICS, broker, &["--create", "--topic", topic, "--partitions", "1"]).await;
        let start = 1_700_000_000_000_i64;
        for time in [0, 5_000, 2_000].map(|after| (start + after).to_string()) {
            let create = ["--topic", topic, "--max-messages", "1", "--message-create-time", &time];
            tool(VERIFIABLE_PRODUCER, broker, &create).await;
        }
        let at = async |time: &str| {
            let told = tool(OFFSETS, broker, &["--topic", topic, "--time", time]).await;
            all(&told, r":0:(\d+)\n").iter().map(|offset| offset.parse().unwrap()).collect::<Vec<i64>>()
        };
        let (earliest, latest) = (at("earliest").await[0], at("latest").await[0]);
        let (within, largest) = (at(&(start + 2_000).to_string()).await[0], at("max-timestamp").await[0]);
        let after = at(&(start + 60_000).to_string()).await;

        let topic = &unique("java-performance");
        tool(TOPICS, broker, &["--create", "--topic", topic, "--partitions", "3"]).await;
        let load = ["--topic", topic, "--num-records", "5000", "--record-size", "100", "--throughput", "-1"];
        let sent = tool(PRODUCER_PERFORMANCE, broker, &load).await;
        let consumed = tool(CONSUMER_PERFORMANCE, broker, &["--topic", topic, "--num-records", "5000"]).await;
        let latency = ["--topic", topic, "--num-records", "50", "--producer-acks", "all", "--record-size", "100"];
        let latency = tool(LATENCY, broker, &latency).await;
        json!({
            "read": read.lines().collect::<Vec<_>>(),
            "ends": [earliest, latest],
            "at a time": within,
            "at the largest time": largest,
            "after all": after,
            "sent": number(&sent, r"(?m)^(\d+) records sent.* 99th"),
            "consumed": consumed.contains(", 5000, "),
            "latency": latency.contains("Percentiles: 50th = "),
            "while cut": while_cut(broker).await,
        })
    }

    async fn while_cut(broker: &str) -> Vec<String> {
        let topic = &unique("java-cut");
        tool(TOPICS, broker, &["--create", "--topic", topic, "--partitions", "1"]).await;
        let cutting = Cutting::before(broker).await;
        let load = ["--topic", topic, "--num-records", "1000", "--payload-monotonic", "--throughput", "-1"];
        let properties = ["--command-property", "batch.size=300", "linger.ms=0", "retry.backoff.ms=20"];
        tool(PRODUCER_PERFORMANCE, cutting.address(), &[&load[..], &properties].concat()).await;
        assert_eq!(cutting.cuts(), CUTS, "connections break");
        let ends = tool(OFFSETS, broker, &["--topic", topic]).await;
        let count = all(&ends, r":0:(\d+)\n")[0].clone();
        let read =
            tool(CONSOLE_CONSUMER, broker, &["--topic", topic, "--from-beginning", "--max-messages", &count]).await;
        read.lines().map(str::to_owned).collect()
    }
}

/// A group: the verifiable consumer, and kafka-consumer-groups.
pub mod group {
    use super::*;

    /// What is printed.
    pub fn expected() -> Value {
        let values = ["1", "2", "3"].map(|third| (0..40).map(move |i| format!("{third}.{i}")));
        let mut values: Vec<String> = values.into_iter().flatten().collect();
        values.sort();
        json!({
            "values": values,
            "both": ["range", "Stable", "2"],
            "empty": ["-", "Empty", "0"],
            "committed": 80,
            "again": 120,
            "listed": [true, false],
        })
    }

    /// What is seen.
    pub async fn see(bootstrap: String) -> Value {
        let broker = &bootstrap;
        let name = &unique("java-group");
        tool(TOPICS, broker, &["--create", "--topic", name, "--partitions", "4"]).await;
        let produce = async |prefix: &str| {
            let arguments =
                ["--topic", name, "--max-messages", "40", "--repeating-keys", "20", "--value-prefix", prefix];
            tool(VERIFIABLE_PRODUCER, broker, &arguments).await;
        };
        let group = ["--group", name];
        let state = async |pattern: &str| {
            let told = tool(GROUPS, broker, &[&group[..], &["--describe", "--state"]].concat()).await;
            let found = Regex::new(pattern).unwrap().captures(&told).unwrap_or_else(|| panic!("{told}"));
            found.iter().skip(1).map(|part| part.unwrap().as_str().to_owned()).collect::<Vec<_>>()
        };

        produce("1").await;
        let first = Consumer::start(broker, name);
        first.owns(4).await;
        read(&[&first], 40).await;
        let second = Consumer::start(broker, name);
        first.owns(2).await;
        second.owns(2).await;
        produce("2").await;
        read(&[&first, &second], 80).await;
        let both = state(r"(range) +(\w+) +(\d+)").await;
        let described = tool(GROUPS, broker, &[&group[..], &["--describe", "--offsets"]].concat()).await;
        let committed: i64 = all(&described, &format!(r"{name} +\d +(\d+) +\d+ +0 "))
            .iter()
            .map(|one| one.parse::<i64>().unwrap())
            .sum();
        let mut values = first.leave().await;
        second.owns(4).await;
        let read_before = second.values().len();
        produce("3").await;
        read(&[&second], read_before + 40).await;
        values.extend(second.leave().await);
        values.sort();
        let empty = state(r" (\S+) +(Empty) +(\d+)").await;

        let reset = ["--topic", name, "--reset-offsets", "--to-earliest", "--execute"];
        tool(GROUPS, broker, &[&group[..], &reset].concat()).await;
        let again = ["--topic", name, "--max-messages", "120", "--command-property", "session.timeout.ms=6000"];
        let again = tool(CONSOLE_CONSUMER, broker, &[&again[..], &group].concat()).await;
        tool(GROUPS, broker, &[&group[..], &["--topic", name, "--delete-offsets"]].concat()).await;
        let listed = async || tool(GROUPS, broker, &["--list"]).await.lines().any(|line| line == name);
        let before = listed().await;
        tool(GROUPS, broker, &[&group[..], &["--delete"]].concat()).await;
        json!({
            "values": values,
            "both": both,
            "empty": empty,
            "committed": committed,
            "again": again.lines().count(),
            "listed": [before, listed().await],
        })
    }

    /// A verifiable consumer: it tells in JSON what it gets.
    struct Consumer {
        process: Child,
        events: Arc<Mutex<Vec<Value>>>,
    }

    impl Consumer {
        fn start(broker: &str, name: &str) -> Self {
            let arguments = ["--bootstrap-server", broker, "--topic", name, "--group-id", name, "--verbose"];
            let mut command = tools::java(VERIFIABLE_CONSUMER).into_std();
            let mut process = command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
            let lines = BufReader::new(process.stdout.take().unwrap()).lines();
            let events = Arc::new(Mutex::new(Vec::new()));
            let told = Arc::clone(&events);
            std::thread::spawn(move || {
                for event in lines.map_while(Result::ok).filter_map(|line| serde_json::from_str(&line).ok()) {
                    told.lock().unwrap().push(event);
                }
            });
            Self { process, events }
        }

        fn of(&self, name: &str) -> Vec<Value> {
            self.events.lock().unwrap().iter().filter(|event| event["name"] == name).cloned().collect()
        }

        /// Waits until it owns so many partitions.
        async fn owns(&self, count: usize) {
            let owned = async || {
                let assigned = self.of("partitions_assigned");
                (assigned.last()?["partitions"].as_array()?.len() == count).then_some(())
            };
            eventually(&format!("a consumer that owns {count} partitions"), LIMIT, owned).await;
        }

        fn values(&self) -> Vec<String> {
            self.of("record_data").iter().map(|event| event["value"].as_str().unwrap().to_owned()).collect()
        }

        fn commits(&self) -> usize {
            self.of("offsets_committed").len()
        }

        /// Leaves the group in order, and gives what it read.
        async fn leave(mut self) -> Vec<String> {
            kill_process(Pid::from_child(&self.process), Signal::TERM).unwrap();
            let gone = async || (!self.of("shutdown_complete").is_empty()).then_some(());
            eventually("a consumer that left", LIMIT, gone).await;
            self.process.wait().unwrap();
            self.values()
        }
    }

    impl Drop for Consumer {
        fn drop(&mut self) {
            // Fails when it has ended already.
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
    }

    /// Waits until they have read so many records in all, and have committed them: they do so after each poll.
    async fn read(consumers: &[&Consumer], count: usize) {
        let done = async || {
            let read: usize = consumers.iter().map(|consumer| consumer.values().len()).sum();
            let committed =
                consumers.iter().all(|consumer| consumer.commits() == consumer.of("records_consumed").len());
            (read >= count && committed).then_some(())
        };
        eventually(&format!("{count} records that are read"), LIMIT, done).await;
    }
}

/// What a tool prints.
async fn tool(class: &str, broker: &str, arguments: &[&str]) -> String {
    tool_with(class, broker, arguments, "").await
}

async fn tool_with(class: &str, broker: &str, arguments: &[&str], input: &str) -> String {
    let (succeeds, printed) = run(class, broker, arguments, input).await;
    assert!(succeeds, "{class} {arguments:?} on {broker}:\n{printed}");
    printed
}

/// The error that a tool fails with.
async fn refusal(class: &str, broker: &str, arguments: &[&str]) -> String {
    let (succeeds, printed) = run(class, broker, arguments, "").await;
    assert!(!succeeds, "{class} {arguments:?} on {broker}:\n{printed}");
    all(&printed, r"errors\.(\w+)").first().unwrap_or_else(|| panic!("{printed}")).clone()
}

async fn run(class: &str, broker: &str, arguments: &[&str], input: &str) -> (bool, String) {
    let mut command = tools::java(class);
    command.kill_on_drop(true).args(["--bootstrap-server", broker]).args(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).await.unwrap();
    let output = tokio::time::timeout(LIMIT, child.wait_with_output()).await;
    let output = output.unwrap_or_else(|_| panic!("{class} {arguments:?} on {broker} doesn't end")).unwrap();
    let errors = if output.status.success() { "".into() } else { String::from_utf8_lossy(&output.stderr) };
    (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned() + &errors)
}

fn all(text: &str, pattern: &str) -> Vec<String> {
    Regex::new(pattern).unwrap().captures_iter(text).map(|found| found[1].to_owned()).collect()
}

#[track_caller]
fn number(text: &str, pattern: &str) -> u64 {
    all(text, pattern).first().unwrap_or_else(|| panic!("no {pattern} in {text}")).parse().unwrap()
}
