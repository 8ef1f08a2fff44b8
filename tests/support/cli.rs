//! Running the real executable against a real Kafka, beside kcat.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::io::Write;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use krafka::Kafka;
use krafka::admin::NewTopic;
use rustix::process::{Pid, Signal, kill_process};

/// What a command may take to end that is asked to.
pub const END: Duration = Duration::from_secs(5);

/// How long anything here may take before the test fails.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The Kafka of the tests.
pub fn kafka() -> String {
    std::env::var("KBOARD_TEST_KAFKA").expect("KBOARD_TEST_KAFKA=host:port names the Kafka to test against")
}

pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Runtime::new().unwrap().block_on(future)
}

/// A topic of the test's own, deleted at its end.
pub struct Topic(pub String);

impl Topic {
    pub fn new(partitions: i32) -> Self {
        Self::named(&format!("test-{}", uuid::Uuid::new_v4()), partitions)
    }

    pub fn named(name: &str, partitions: i32) -> Self {
        block_on(async {
            let client = Kafka::builder(kafka()).connect().await.unwrap();
            let topic = NewTopic::new(name, partitions, 1).unwrap();
            let made = client.admin().create_topics([topic], Default::default()).await.unwrap();
            made.into_values().for_each(Result::unwrap);
            let deadline = Instant::now() + PATIENCE;
            while !leaders_are_known(&client, name).await {
                assert!(Instant::now() < deadline, "topic {name} has no leaders");
            }
        });
        Self(name.to_owned())
    }
}

async fn leaders_are_known(client: &Kafka, name: &str) -> bool {
    let described = client.admin().describe_topics([name], Default::default()).await.unwrap();
    (described.into_values()).all(|topic| {
        topic.is_ok_and(|topic| topic.partitions.iter().all(|p| p.leader.is_some_and(|leader| leader >= 0)))
    })
}

impl Drop for Topic {
    fn drop(&mut self) {
        let name = self.0.clone();
        // On a thread, because a test may drop it inside a runtime.
        let deleted = std::thread::spawn(move || {
            block_on(async {
                let client = Kafka::builder(kafka()).connect().await.unwrap();
                drop(client.admin().delete_topics([name], Default::default()).await);
            });
        });
        let _ = deleted.join();
    }
}

/// The executable with these arguments, connected to the tests' Kafka.
pub fn kboard(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kboard"));
    command.args(args).env("KBOARD_KAFKA", kafka()).stdin(Stdio::null());
    command
}

/// Runs it to its end with `input` on stdin.
pub fn run(mut command: Command, input: &[u8]) -> Output {
    let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = spawned.unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

/// `kboard` with these arguments must succeed; its stdout.
pub fn ok(args: &[&str], input: &[u8]) -> Vec<u8> {
    let output = run(kboard(args), input);
    assert!(output.status.success(), "kboard {args:?}: {}", stderr(&output));
    output.stdout
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What kcat prints of the whole topic.
pub fn kcat(topic: &Topic, format: &str) -> Vec<u8> {
    let mut command = Command::new("kcat");
    command.args(["-b", &kafka(), "-C", "-t", &topic.0, "-o", "beginning", "-e", "-q", "-u", "-f", format]);
    let output = run(command, b"");
    assert!(output.status.success(), "kcat: {}", stderr(&output));
    output.stdout
}

/// kcat produces `input`.
pub fn kcat_produce(topic: &Topic, args: &[&str], input: &[u8]) {
    let mut command = Command::new("kcat");
    command.args(["-b", &kafka(), "-P", "-t", &topic.0]).args(args);
    let output = run(command, input);
    assert!(output.status.success(), "kcat: {}", stderr(&output));
}

pub fn lines(bytes: &[u8]) -> Vec<String> {
    String::from_utf8(bytes.to_vec()).unwrap().lines().map(str::to_owned).collect()
}

/// One of these takes less than `limit`: a busy machine slows some tries, a fault slows all of them. What comes after it is not
/// tried.
#[track_caller]
pub fn within_a_try(limit: Duration, tries: impl IntoIterator<Item = Duration>) {
    let mut took = Vec::new();
    for one in tries {
        if one < limit {
            return;
        }
        took.push(one);
    }
    panic!("never less than {limit:?}: {took:?}");
}

/// Sends Ctrl-C.
pub fn interrupt(child: &Child) {
    let pid = Pid::from_child(child);
    kill_process(pid, Signal::INT).unwrap();
}
