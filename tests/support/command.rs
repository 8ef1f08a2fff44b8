//! Commands of `kboard` and of Kafka, run to their end as a person would run them, with and without a terminal.
#![allow(dead_code, reason = "each test file uses its part of it")]

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use krafka::{Kafka, Record};

/// How a command ended.
#[derive(Debug)]
pub struct Outcome {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Outcome {
    /// What was printed, for a command that must succeed.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.code, 0, "{self:?}");
        self.stdout
    }

    /// What was complained about, for a command that must fail.
    #[track_caller]
    pub fn error(self) -> String {
        assert_eq!(self.code, 2, "{self:?}");
        self.stderr
    }

    /// What was printed as JSON, for a command that must succeed.
    #[track_caller]
    pub fn json(self) -> serde_json::Value {
        serde_json::from_str(&self.ok()).unwrap()
    }
}

/// The broker of the tests.
pub fn kafka() -> String {
    required("KBOARD_TEST_KAFKA")
}

fn required(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set; `tests/services.sh run -- cargo test` sets it"))
}

/// A name that no other test, and no run before, has used.
pub fn unique(name: &str) -> String {
    format!("{name}-{}", &uuid::Uuid::new_v4().simple().to_string()[..12])
}

/// Runs `kboard` with `args`, without a terminal.
pub fn kboard(args: &[&str]) -> Outcome {
    kboard_with(args, "")
}

/// Runs `kboard` with `args` and `stdin`.
pub fn kboard_with(args: &[&str], stdin: &str) -> Outcome {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kboard"));
    run(command.args(args).env("KBOARD_KAFKA", kafka()), stdin)
}

/// Runs `kboard` with `args` on a terminal where `typed` is typed.
pub fn kboard_on_terminal(args: &[&str], typed: &str) -> Outcome {
    let line = format!("{} {}", env!("CARGO_BIN_EXE_kboard"), args.join(" "));
    let mut command = Command::new("script");
    run(command.args(["-qec", &line, "/dev/null"]).env("KBOARD_KAFKA", kafka()), typed)
}

/// What one of the tools that come with Kafka prints.
#[track_caller]
pub fn kafka_tool(class: &str, args: &[&str]) -> String {
    let jars = format!("{}/*", required("KBOARD_TEST_KAFKA_LIBS"));
    let server = kafka();
    let mut command = Command::new("java");
    command.args(["-cp", &jars, &format!("org.apache.kafka.tools.{class}"), "--bootstrap-server", &server]);
    run(command.args(args), "").ok()
}

fn run(command: &mut Command, stdin: &str) -> Outcome {
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    // A command that ends without reading is judged by its exit code.
    let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    let output = child.wait_with_output().unwrap();
    Outcome {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A client of the broker.
pub async fn connect(client_id: &str) -> Kafka {
    Kafka::builder(kafka()).client_id(client_id).connect().await.unwrap()
}

/// Writes `count` records to a partition, all of them `age` old.
pub async fn fill(topic: &str, partition: i32, count: usize, age: Duration) {
    let producer = connect("filler").await.producer().build().await.unwrap();
    let written = jiff::Timestamp::now().as_millisecond() - i64::try_from(age.as_millis()).unwrap();
    for number in 0..count {
        let record = Record::new(topic, format!("record {number}")).partition(partition).timestamp(written);
        assert!(producer.send(record).await.unwrap().is_persisted());
    }
    producer.close().await.unwrap();
}
