//! The embedded broker as people use it: `kboard broker`, with kboard as its client. The suites of the other files
//! run on it, too: see tests/run.sh. Other people's clients are in tests/clients.

mod support;

use std::time::Duration;

use ::kboard::telemetry::metrics;
use support::board::{self, shows_each_once};
use support::embedded::arguments;
use support::{Chance, Embedded, Kboard, Load, Stack, eventually, kboard, ports, rounds, tools};
use tempfile::TempDir;

const SOON: Duration = Duration::from_secs(60);
/// After a server's death on a busy machine.
const RECOVERY: Duration = Duration::from_secs(60);

#[tokio::test]
async fn records_settings_and_committed_offsets_survive_kill_9_and_a_clean_end() {
    let mut broker = Embedded::start().await;
    broker.ok(&["topics", "create", "orders", "--partitions", "1", "--config", "retention.ms=86400000"]).await;
    let mut expected = Vec::new();
    for round in 0..4 {
        let value = format!("round {round}");
        broker.ok(&["produce", "--topic", "orders", "-n", "50", &value]).await;
        expected.extend(std::iter::repeat_n(value, 50));
        let read = ["consume", "--topic", "orders", "--group", "audit", "--from", "earliest", "--format", "value"];
        let read = broker.ok(&[&read[..], &["-n", "40"]].concat()).await;
        let from = round * 40;
        assert_eq!(read.lines().collect::<Vec<_>>(), expected[from..from + 40], "where the group left off");
        if round % 2 == 0 {
            broker.die_and_come_back().await;
        } else {
            assert!(broker.kboard.sigterm().await.success());
            broker.kboard.relaunch();
            broker.kboard.alive().await;
        }
    }
    let all = broker.ok(&["consume", "--topic", "orders", "--until-end", "--format", "value"]).await;
    assert_eq!(all.lines().collect::<Vec<_>>(), expected);
    assert!(broker.ok(&["topics", "describe", "orders"]).await.contains("86400000"));
}

/// Idempotent producers, a group with its state in Redis, and viewers, while the broker dies.
#[tokio::test]
async fn a_board_loses_and_repeats_nothing_when_its_broker_is_killed() {
    let mut chance = Chance::new();
    let mut broker = Embedded::start().await;
    let stack = Stack::on(&broker.address).await;
    let board = stack.serve().await;
    let load = Load::start(&[&board], 3, Duration::from_millis(50));
    for _ in 0..rounds(4) {
        load.goes_on(5, RECOVERY).await;
        chance.moment(0..300).await;
        broker.die_and_come_back().await;
    }
    load.goes_on(10, RECOVERY).await;
    let acknowledged = load.stop().await;
    shows_each_once(&stack, &board, &acknowledged, RECOVERY).await;
    board::caught_up(&stack, SOON).await;
}

#[tokio::test]
async fn a_folder_or_a_port_in_use_is_said_with_what_to_do() {
    let broker = Embedded::start().await;
    let elsewhere = format!("127.0.0.1:{}", ports::free());
    let free = format!("127.0.0.1:{}", ports::free());
    let refused = async |folder: &TempDir, address: &str| {
        let mut arguments = arguments(folder, address);
        arguments.extend(["--metrics-listen".to_owned(), free.clone()]);
        let output = kboard::run(&arguments.iter().map(String::as_str).collect::<Vec<_>>()).await;
        assert_eq!(output.status.code(), Some(2));
        String::from_utf8(output.stderr).unwrap()
    };
    let said = refused(&broker.folder, &elsewhere).await;
    assert!(said.contains(broker.folder.path().to_str().unwrap()) && said.contains("use another folder"), "{said}");
    let said = refused(&tempfile::tempdir().unwrap(), &broker.address).await;
    assert!(said.contains(&broker.address) && said.contains("--kafka-listen"), "{said}");
}

#[tokio::test]
async fn a_topic_that_is_asked_for_is_made_where_that_is_wanted() {
    let (folder, address) = (tempfile::tempdir().unwrap(), format!("127.0.0.1:{}", ports::free()));
    let mut arguments = arguments(&folder, &address);
    arguments.extend(["--kafka-auto-create", "on"].map(str::to_owned));
    let _broker = Kboard::broker(&arguments).await;
    tools::kcat(&address, &["-P", "-t", "new"], "hello\n").await;
    assert_eq!(tools::kcat(&address, &["-C", "-t", "new", "-e", "-q"], "").await, "hello\n");
}

/// Which it doesn't have: a producer that wants one is told so, and doesn't ask again and again.
#[tokio::test]
async fn who_wants_a_transaction_is_refused_at_once() {
    let broker = Embedded::start().await;
    broker.ok(&["topics", "create", "orders"]).await;
    let mut command = tokio::process::Command::new("kcat");
    command.args(["-b", &broker.address, "-P", "-t", "orders", "-X", "transactional.id=any"]);
    let ended = command.stdin(std::process::Stdio::null()).kill_on_drop(true).output();
    let ended = tokio::time::timeout(SOON, ended).await.expect("kcat gives up").unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(!ended.status.success() && said.contains("authorization failed"), "{said}");
}

#[tokio::test]
async fn what_is_declared_of_the_broker_is_exported() {
    let broker = Embedded::start().await;
    broker.ok(&["topics", "create", "orders"]).await;
    eventually("every metric", SOON, async || {
        let scrape =
            broker.kboard.http().get(broker.kboard.url("/metrics")).send().await.unwrap().text().await.unwrap();
        let declared = metrics::ALL.iter().filter(|metric| metric.name.starts_with("kboard_broker_"));
        let missing: Vec<_> = declared.filter(|metric| !scrape.contains(&format!("# TYPE {} ", metric.name))).collect();
        missing.is_empty().then_some(())
    })
    .await;
    assert!(
        broker.kboard.metric("kboard_broker_requests_total", &[r#"api="CreateTopics""#, r#"error="none""#]).await
            >= 1.0
    );
    broker.ok(&["produce", "--topic", "orders", "-n", "10", "a record"]).await;
    broker.ok(&["consume", "--topic", "orders", "--group", "audit", "--from", "earliest", "-n", "1"]).await;
    eventually("the log's size and the group's state", SOON, async || {
        let bytes = broker.kboard.metric("kboard_broker_log_bytes", &[r#"topic="orders""#]).await;
        let groups = broker.kboard.metric("kboard_broker_groups", &[r#"state="Empty""#]).await;
        (bytes > 80.0 && groups == 1.0).then_some(())
    })
    .await;
    assert_eq!(broker.kboard.metric("kboard_broker_partitions", &[]).await, 1.0);
}
