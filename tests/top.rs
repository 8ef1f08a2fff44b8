//! `kboard top`: its table, its JSON, and its screen on a terminal.

mod support;

use std::process::Command;
use std::time::Duration;

use krafka::Kafka;
use krafka::Record;
use krafka::consumer::{AutoOffsetReset, Consumer};
use rustix::process::Signal;
use serde_json::{Value, json};
use support::terminal::Terminal;
use support::{Broker, eventually, kboard, services, unique};
use tokio::task::AbortHandle;

/// Some looks at the cluster, on a busy machine.
const SOON: Duration = Duration::from_secs(60);
/// Until a client gives up on a broker that is gone, and finds it again.
const LATER: Duration = Duration::from_secs(120);

/// A topic that is written to all the time, and a group that has read some of it and stands still.
struct Traffic {
    /// What the names of both begin with, to filter by.
    name: String,
    topic: String,
    group: String,
    kafka: String,
    writer: AbortHandle,
    consumer: Consumer,
}

impl Traffic {
    async fn start(kafka: &str) -> Self {
        let name = unique("top");
        let (topic, group) = (format!("{name}-orders"), format!("{name}-billing"));
        let made = kboard::run(&["topics", "create", &topic, "--partitions", "2", "--kafka", kafka]).await;
        assert!(made.status.success(), "{made:?}");
        let client = Kafka::builder(kafka).client_id("a-client").connect().await.unwrap();
        let producer = client.producer().build().await.unwrap();
        let written = topic.clone();
        let writer = tokio::spawn(async move {
            for number in 0_u64.. {
                // What fails while a broker is away is not missed.
                let _ = producer.send(Record::new(&written, format!("record {number}"))).await;
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        let consumer = client.consumer(&group).enable_auto_commit(false).auto_offset_reset(AutoOffsetReset::Earliest);
        let consumer = consumer.build().await.unwrap();
        consumer.subscribe([&topic]).await.unwrap();
        let some = async { while consumer.poll(Duration::from_millis(200)).await.unwrap().is_empty() {} };
        tokio::time::timeout(SOON, some).await.expect("records to read");
        consumer.commit().await.unwrap();
        Self { name, topic, group, kafka: kafka.to_owned(), writer: writer.abort_handle(), consumer }
    }

    /// `kboard top` with what is of this traffic.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kboard"));
        command.args(["top", &self.name, "--kafka", &self.kafka]).args(arguments).env_remove("NO_COLOR");
        command
    }

    async fn stop(self) {
        self.writer.abort();
        self.consumer.close().await.unwrap();
    }
}

/// The line of the screen that begins with `name`.
fn line<'a>(screen: &'a [String], name: &str) -> Option<&'a str> {
    screen.iter().map(String::as_str).find(|line| line.trim_start().starts_with(name))
}

/// The whole number in a column, counted from 0, of the line that begins with `name`.
fn number(screen: &[String], name: &str, column: usize) -> Option<i64> {
    line(screen, name)?.split_whitespace().nth(column)?.replace([',', '+'], "").parse().ok()
}

fn shows(screen: &[String], text: &str) -> bool {
    screen.iter().any(|line| line.contains(text))
}

#[tokio::test(flavor = "multi_thread")]
async fn two_looks_are_printed_as_a_table_and_as_json() {
    let traffic = Traffic::start(&services::kafka()).await;
    let run = async |arguments: &[&str]| {
        let common = ["top", &traffic.name, "--once", "--kafka", &traffic.kafka];
        let output = kboard::run(&[&common, arguments].concat()).await;
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let seen: Value = serde_json::from_str(&run(&["--interval", "2s", "--output", "json"]).await).unwrap();
    assert_eq!((&seen["servers"], &seen["brokers"]), (&json!(traffic.kafka), &json!(1)));
    assert!(seen["rate_seconds"].as_f64().is_some_and(|seconds| seconds >= 1.5), "{seen}");
    let [topic] = seen["topics"].as_array().unwrap().as_slice() else { panic!("one topic: {seen}") };
    assert_eq!((&topic["topic"], &topic["partitions"]), (&json!(traffic.topic), &json!(2)));
    let written = topic["written"].as_f64().unwrap();
    assert!((1.0..=250.0).contains(&written), "a record every 5 ms: {topic}");
    assert!(topic["bytes"].as_f64() > Some(written) && topic["size"].as_u64() > Some(0), "{topic}");
    assert_eq!((&topic["offline"], &topic["under_replicated"]), (&json!(0), &json!(0)));
    let [group] = seen["groups"].as_array().unwrap().as_slice() else { panic!("one group: {seen}") };
    assert_eq!((&group["group"], &group["state"]), (&json!(traffic.group), &json!("Stable")));
    assert_eq!((&group["members"], &group["topics"]), (&json!(1), &json!([traffic.topic])));
    assert!(group["lag"].as_i64() > Some(0) && group["rebalances"] == 0, "{group}");
    assert_eq!(group["drain"]["when"], "unknown", "two looks are too few to say");

    let table = run(&[]).await;
    let lines: Vec<String> = table.lines().map(str::to_owned).collect();
    assert!(number(&lines, &traffic.topic, 2) > Some(0), "{table}");
    assert!(number(&lines, &traffic.group, 4) > Some(0) && table.contains("Stable"), "{table}");
    traffic.stop().await;
}

#[tokio::test]
async fn without_a_terminal_it_names_what_works_there() {
    let output = kboard::run(&["top", "--kafka", &services::kafka()]).await;
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(complaint.contains("--once") && complaint.contains("terminal"), "{complaint}");
    let refused = kboard::run(&["top", "--output", "json"]).await;
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--once"), "{refused:?}");
    let refused = kboard::run(&["top", "--once", "--interval", "1ms"]).await;
    assert!(String::from_utf8_lossy(&refused.stderr).contains("500ms to 1m"), "{refused:?}");
}

#[tokio::test]
async fn an_address_where_no_kafka_is_ends_it_at_once() {
    let output = kboard::run(&["top", "--once", "--kafka", "127.0.0.1:1"]).await;
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("can't reach Kafka at 127.0.0.1:1"), "{output:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_screen_shows_what_goes_on_follows_keys_and_gives_the_terminal_back() {
    let traffic = Traffic::start(&services::kafka()).await;
    let mut terminal = Terminal::run(&traffic.command(&[]), (180, 30));
    let screen = terminal.until("the topic's rate", SOON, |screen| number(screen, &traffic.topic, 2) > Some(0)).await;
    assert!(terminal.is_taken());
    assert!(terminal.has_colours());
    assert!(shows(&screen, &traffic.kafka) && shows(&screen, "1 Topics") && shows(&screen, "q quit"), "{screen:#?}");

    terminal.press("\t");
    let stable = |screen: &[String]| line(screen, &traffic.group).is_some_and(|line| line.contains("Stable"));
    terminal.until("the group", SOON, stable).await;
    terminal.press("\r");
    let opened = |screen: &[String]| shows(screen, "COMMITTED") && shows(screen, "a-client at 127.0.0.1 reads");
    terminal.until("the group's partitions and its member", SOON, opened).await;

    terminal.resize(70, 15);
    let fits = |screen: &[String]| shows(screen, "LAG") && !shows(screen, "COMMITTED") && shows(screen, "? help");
    terminal.until("what has room", SOON, fits).await;
    terminal.resize(180, 30);
    terminal.press("\x1b");
    terminal.until("the groups again", SOON, stable).await;

    // The member leaves: the group is rebalanced while one looks on.
    traffic.writer.abort();
    traffic.consumer.close().await.unwrap();
    // The last columns of a group are how often it was rebalanced, and when.
    let once =
        |screen: &[String]| line(screen, &traffic.group)?.split_whitespace().rev().nth(1).map(|count| count == "1");
    terminal.until("the rebalance", SOON, |screen| once(screen) == Some(true)).await;
    terminal.press("3");
    terminal.until("what it changed", SOON, |screen| shows(screen, "Stable → Empty")).await;

    terminal.press("/nothing-has-this-name\r");
    terminal.until("an empty table", SOON, |screen| shows(screen, "Nothing matches the filter")).await;
    terminal.press("q");
    assert_eq!(terminal.ended(SOON).await.code(), Some(0));
    eventually("the terminal as it was", SOON, async || terminal.is_given_back().then_some(())).await;
}

/// A key may come at the very moment at which the terminal tells of another size: often enough, when a corner is dragged.
#[tokio::test(flavor = "multi_thread")]
async fn keys_are_heard_while_the_window_changes() {
    let traffic = Traffic::start(&services::kafka()).await;
    let mut terminal = Terminal::run(&traffic.command(&[]), (140, 30));
    terminal.until("the topic", SOON, |screen| line(screen, &traffic.topic).is_some()).await;
    let has_help = |screen: &[String]| shows(screen, "half a screen");
    for width in (100..140).rev() {
        terminal.resize(width, 30);
        terminal.press("?");
        terminal.until("the help", SOON, has_help).await;
        terminal.press("\x1b");
        terminal.until("no help", SOON, |screen| !has_help(screen)).await;
    }
    traffic.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_gives_the_terminal_back_and_no_color_is_heeded() {
    let traffic = Traffic::start(&services::kafka()).await;
    for signal in [Signal::TERM, Signal::INT] {
        let mut terminal = Terminal::run(traffic.command(&[]).env("NO_COLOR", "1"), (100, 40));
        terminal.until("the topic", SOON, |screen| line(screen, &traffic.topic).is_some()).await;
        assert!(terminal.is_taken() && !terminal.has_colours());
        match signal {
            Signal::INT => terminal.press("\x03"),
            signal => terminal.signal(signal),
        }
        assert_eq!(terminal.ended(SOON).await.code(), Some(0));
        eventually("the terminal as it was", SOON, async || terminal.is_given_back().then_some(())).await;
    }
    traffic.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_goes_away_is_complained_of_until_it_is_back() {
    let mut broker = Broker::start().await;
    let traffic = Traffic::start(&broker.address()).await;
    let terminal = Terminal::run(&traffic.command(&[]), (140, 30));
    terminal.until("the topic's rate", SOON, |screen| number(screen, &traffic.topic, 2) > Some(0)).await;
    broker.kill9();
    let away = |screen: &[String]| shows(screen, "Kafka has not answered") || shows(screen, "Kafka does not answer");
    let screen = terminal.until("a complaint", LATER, away).await;
    assert!(line(&screen, &traffic.topic).is_some(), "what was seen last is still shown: {screen:#?}");
    terminal.until("why", LATER, |screen| shows(screen, "trying again")).await;
    broker.restart().await;
    terminal.until("no complaint", LATER, |screen| shows(screen, "q quit") && !away(screen)).await;
    traffic.writer.abort();
}
