//! kcat: what it prints on both brokers.

use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

use crate::CODECS;
use crate::cutting::{CUTS, Cutting};
use crate::support::{eventually, tools, unique};

const LIMIT: Duration = Duration::from_secs(180);

/// What is printed. A record is offset, timestamp, key, value and headers.
pub fn expected() -> Value {
    let values: Vec<String> = (0..500).map(|i| format!("{i:05}")).collect();
    json!({
        "partitions": 4,
        "unknown": "Broker: Unknown topic or partition",
        "read": CODECS.iter().enumerate().map(|(i, codec)| format!("{i} key {codec} name=header")).collect::<Vec<_>>(),
        "group": ["alone", "both", "left"],
        "at a time": true,
        "ends": [0, 5],
        "while cut": values,
    })
}

/// What is seen.
pub async fn see(bootstrap: String) -> Value {
    let broker = &bootstrap;
    let topic = &unique("kcat-codecs");
    make(broker, topic, 1).await;
    for codec in CODECS {
        let arguments = ["-P", "-t", topic, "-p", "0", "-z", codec, "-K", ":", "-H", "name=header", "-X", "acks=all"];
        tools::kcat(broker, &arguments, &format!("key:{codec}\n")).await;
    }
    let read = ["-C", "-t", topic, "-e", "-q", "-f", "%o %k %s %h\n"];
    let read = tools::kcat(broker, &read, "").await;
    let now = i64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap();
    let since = format!("s@{}", now - 60_000);
    let at_a_time = tools::kcat(broker, &["-C", "-t", topic, "-e", "-q", "-o", &since], "").await.lines().count();
    let mut ends = Vec::new();
    for end in ["-2", "-1"] {
        let told = tools::kcat(broker, &["-Q", "-t", &format!("{topic}:0:{end}")], "").await;
        ends.push(told.trim().rsplit(' ').next().unwrap().parse::<i64>().unwrap());
    }
    json!({
        "partitions": partitions(broker).await,
        "unknown": unknown(broker).await,
        "read": read.lines().collect::<Vec<_>>(),
        "group": group(broker).await,
        "at a time": at_a_time == CODECS.len(),
        "ends": ends,
        "while cut": while_cut(broker).await,
    })
}

async fn partitions(broker: &str) -> usize {
    let topic = &unique("kcat-topic");
    make(broker, topic, 4).await;
    tools::kcat(broker, &["-L", "-t", topic], "").await.matches("leader 1, replicas: 1, isrs: 1").count()
}

async fn unknown(broker: &str) -> String {
    let told = tools::kcat(broker, &["-L", "-t", "no-such-topic"], "").await;
    told.split_once("0 partitions: ").unwrap_or_else(|| panic!("{told}")).1.trim().to_owned()
}

/// A group of two, of which the first leaves; each record is read once.
async fn group(broker: &str) -> Vec<&'static str> {
    let topic = &unique("kcat-group");
    make(broker, topic, 4).await;
    let write = async |phase: &str| {
        for partition in 0..4 {
            let partition_flag = partition.to_string();
            let arguments = ["-P", "-t", topic, "-p", &partition_flag, "-X", "acks=all"];
            tools::kcat(broker, &arguments, &format!("{phase} {partition}\n")).await;
        }
    };
    let all = |phase: &str| (0..4).map(|partition| format!("{phase} {partition}")).collect::<Vec<_>>();
    let mut seen = Vec::new();

    write("alone").await;
    let mut first = Member::join(broker, topic);
    assert_eq!(first.next(4).await, all("alone"));
    seen.push("alone");

    let mut second = Member::join(broker, topic);
    second.owns(2).await;
    first.owns(2).await;
    write("both").await;
    let (mut some, others) = (first.next(2).await, second.next(2).await);
    some.extend(others);
    some.sort();
    assert_eq!(some, all("both"));
    seen.push("both");

    first.leave().await;
    second.owns(4).await;
    write("left").await;
    assert_eq!(second.next(4).await, all("left"));
    second.leave().await;
    seen.push("left");
    seen
}

/// A member of a group, as a process.
struct Member {
    process: Child,
    values: Lines<BufReader<ChildStdout>>,
    log: Lines<BufReader<tokio::process::ChildStderr>>,
}

impl Member {
    fn join(broker: &str, topic: &str) -> Self {
        let mut command = Command::new("kcat");
        command.args(["-b", broker, "-G", topic, "-u", "-X", "auto.offset.reset=earliest"]);
        command.args(["-X", "heartbeat.interval.ms=200", "-X", "auto.commit.interval.ms=100", topic]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut process = command.spawn().unwrap();
        let values = BufReader::new(process.stdout.take().unwrap()).lines();
        let log = BufReader::new(process.stderr.take().unwrap()).lines();
        Self { process, values, log }
    }

    /// The next so many values, in order.
    async fn next(&mut self, count: usize) -> Vec<String> {
        let mut values = Vec::new();
        while values.len() < count {
            let line = timeout(LIMIT, self.values.next_line()).await.expect("a record in time").unwrap();
            values.push(line.expect("a member that runs"));
        }
        values.sort();
        values
    }

    /// Waits until it is told that it owns so many partitions.
    async fn owns(&mut self, count: usize) {
        loop {
            let line = timeout(LIMIT, self.log.next_line()).await.expect("a rebalance in time").unwrap();
            let line = line.expect("a member that runs");
            if line.contains("assigned: ") && line.matches(" [").count() == count {
                return;
            }
        }
    }

    async fn leave(mut self) {
        let id = self.process.id().and_then(|id| rustix::process::Pid::from_raw(id.cast_signed())).unwrap();
        rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
        timeout(LIMIT, self.process.wait()).await.expect("an end in time").unwrap();
    }
}

async fn while_cut(broker: &str) -> Vec<String> {
    let topic = &unique("kcat-cut");
    make(broker, topic, 1).await;
    let cutting = Cutting::before(broker).await;
    let mut command = Command::new("kcat");
    // -E: it goes on when all connections are gone.
    command.args(["-b", cutting.address(), "-P", "-E", "-t", topic, "-p", "0", "-X", "enable.idempotence=true"]);
    command.args(["-X", "batch.num.messages=5", "-X", "reconnect.backoff.ms=20", "-X", "retry.backoff.ms=20"]);
    let mut child = command.stdin(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true).spawn().unwrap();
    let lines: String = (0..500).map(|i| format!("{i:05}\n")).collect();
    child.stdin.take().unwrap().write_all(lines.as_bytes()).await.unwrap();
    assert!(timeout(LIMIT, child.wait()).await.expect("an end in time").unwrap().success());
    assert_eq!(cutting.cuts(), CUTS, "connections break");
    let read = tools::kcat(broker, &["-C", "-t", topic, "-e", "-q"], "").await;
    read.lines().map(str::to_owned).collect()
}

/// kcat can't make topics, kboard can.
async fn make(broker: &str, topic: &str, partitions: u32) {
    let partitions = partitions.to_string();
    let made =
        crate::support::kboard::run(&["topics", "create", topic, "--partitions", &partitions, "--kafka", broker]).await;
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let told = async || tools::kcat(broker, &["-L", "-t", topic], "").await.contains("leader 1,").then_some(());
    eventually("a topic that is told of", LIMIT, told).await;
}
