//! The files that show and scrape kboard name what kboard exports: a panel of a metric that does not exist stays empty
//! and says nothing.

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use kboard::telemetry::metrics;
use regex::Regex;
use serde_json::{Value, json};
use support::{SseClient, Stack, eventually};

/// On a busy machine.
const SOON: Duration = Duration::from_secs(60);

#[test]
fn dashboards_show_only_metrics_that_exist() {
    let known: BTreeSet<&str> = metrics::ALL.iter().map(|metric| metric.name).collect();
    let name = Regex::new(r"\b(?:kafka|redis|http|sse)_[a-z_]+").unwrap();
    let suffix = Regex::new("_(bucket|sum|count)$").unwrap();
    for (file, expression) in expressions() {
        for found in name.find_iter(&expression) {
            let metric = suffix.replace(found.as_str(), "");
            assert!(known.contains(found.as_str()) || known.contains(&*metric), "{file}: {found:?} in {expression}");
        }
    }
}

/// Everything that is declared comes to be exported: by a board that is used, or when something goes wrong with it.
#[tokio::test]
async fn what_is_declared_is_exported() {
    let stack = Stack::start().await;
    let board = stack.serve().await;
    let viewer = SseClient::connect(&board.url("/api/messages/stream"));
    viewer.connected(SOON).await;
    board.post("hello", "me").await.unwrap().error_for_status().unwrap();
    viewer.shows("it", SOON, |shown| shown.len() == 1).await;
    let after_failures =
        ["kafka_producer_errors_total", "kafka_consumer_errors_total", "kafka_dead_letters_total", "sse_errors_total"];
    eventually("every metric", SOON, async || {
        let scrape = board.http().get(board.url("/metrics")).send().await.unwrap().text().await.unwrap();
        let exported: BTreeSet<&str> =
            scrape.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
        let missing = metrics::ALL.iter().map(|metric| metric.name);
        // Those of the embedded broker: tests/embedded.rs.
        let missing = missing.filter(|name| !name.starts_with("kboard_broker_"));
        let missing: Vec<_> =
            missing.filter(|name| !exported.contains(name) && !after_failures.contains(name)).collect();
        missing.is_empty().then_some(())
    })
    .await;
    for gauge in ["kafka_producer_connection_status", "kafka_consumer_connection_status"] {
        assert_eq!(board.metric(gauge, &[]).await, 1.0, "{gauge}");
    }
}

#[tokio::test]
async fn dead_letters_are_counted_by_reason_group_and_origin() {
    let stack = Stack::start().await;
    let board = stack.serve().await;
    let (topic, dlq) = (stack.name("message-board"), stack.name("message-board.dlq"));
    for value in ["not a message", "neither is this"] {
        let written = stack.run(&["produce", "--topic", &topic, value]).await;
        assert!(written.status.success(), "{written:?}");
    }
    let letters = eventually("both letters", SOON, async || {
        let found = board.http().get(board.url("/metrics/dlq")).send().await.unwrap().json::<Value>().await.unwrap();
        (found["topics"][0]["letters"] == 2).then(|| found["topics"].clone())
    })
    .await;
    assert_eq!(letters.as_array().unwrap().len(), 1, "the board has one topic of letters: {letters}");
    let letters = &letters[0];
    let both = json!({ "letters": 2, "waiting": 2 });
    assert_eq!((&letters["topic"], &letters["waiting"], &letters["complete"]), (&json!(dlq), &json!(2), &json!(true)));
    assert_eq!((&letters["by_group"][&topic], &letters["by_origin"][&topic]), (&both, &both), "{letters}");
    assert_eq!(letters["by_reason"].as_object().unwrap().values().collect::<Vec<_>>(), [&both], "{letters}");
    let (oldest, newest) = (letters["oldest"].as_i64().unwrap(), letters["newest"].as_i64().unwrap());
    assert!(oldest > 1_700_000_000_000 && oldest <= newest, "{letters}");
    assert_eq!(board.metric("kafka_dead_letters_total", &["reason=\"unreadable\""]).await, 2.0);

    let sent = stack.run(&["replay", "--dlq", &dlq, "--limit", "1"]).await;
    assert!(sent.status.success(), "{sent:?}");
    eventually("one of three that was sent back", SOON, async || {
        let found = board.http().get(board.url("/metrics/dlq")).send().await.unwrap().json::<Value>().await.unwrap();
        (found["topics"][0]["letters"] == 3 && found["topics"][0]["waiting"] == 2).then_some(())
    })
    .await;
}

#[test]
fn the_boards_dashboard_has_its_sections() {
    let dashboard: Value =
        serde_json::from_str(&fs::read_to_string(root().join("grafana/dashboards/board.json")).unwrap()).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let (rows, graphs): (Vec<_>, Vec<_>) = panels.iter().partition(|panel| panel["type"] == "row");
    assert_eq!(rows.len(), 6);
    assert!(graphs.len() >= 20, "{}", graphs.len());
    let ids: BTreeSet<_> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len(), "every panel has an id of its own");
}

/// Every query of every dashboard, with the file it's in.
fn expressions() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root().join("grafana/dashboards")).unwrap() {
        let path = entry.unwrap().path();
        let dashboard: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        for panel in dashboard["panels"].as_array().unwrap() {
            for target in panel["targets"].as_array().into_iter().flatten() {
                found.push((path.display().to_string(), target["expr"].as_str().unwrap().to_owned()));
            }
        }
    }
    assert!(!found.is_empty());
    found
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
