//! Settings and health as an operator meets them on the command line.

mod support;

use std::process::Output;

use serde_json::Value;
use support::{Stack, kboard};

async fn run(arguments: &[&str]) -> Output {
    kboard::run(arguments).await
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test]
async fn config_says_what_holds_and_who_said_so_without_a_secret() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("kboard.toml");
    std::fs::write(&file, "kafka = \"from-file:9092\"\nlog = \"debug\"\n").unwrap();
    let command = |arguments: &[&str]| {
        let mut command = kboard::command();
        command.current_dir(directory.path()).env("KBOARD_KAFKA", "from-environment:9092").args(arguments);
        command.output().unwrap()
    };
    let output = command(&["config", "--output", "json", "--redis", "redis://me:hunter2@cache:6379"]);
    assert!(output.status.success(), "{output:?}");
    assert!(!text(&output.stdout).contains("hunter2"));
    let settings: Value = serde_json::from_slice(&output.stdout).unwrap();
    let found = |key: &str| {
        let all = settings.as_array().unwrap();
        let one = all.iter().find(|setting| setting["key"] == key).unwrap_or_else(|| panic!("{key} in {settings}"));
        (one["value"].as_str().unwrap_or_default().to_owned(), one["source"].as_str().unwrap().to_owned())
    };
    assert_eq!(found("kafka"), ("from-environment:9092".to_owned(), "environment".to_owned()));
    assert_eq!(found("log").0, "debug");
    assert!(found("log").1.ends_with("kboard.toml"));
    assert_eq!(found("redis").1, "flag");
    assert_eq!(found("listen"), ("127.0.0.1:3000".to_owned(), "default".to_owned()));
    assert!(text(&command(&["config"]).stdout).contains("from-environment:9092"), "as a table");
}

#[tokio::test]
async fn a_mistake_is_named_and_ends_with_2() {
    for (arguments, words) in [
        (&["topics", "list", "--kafka", "nowhere"][..], "host:port"),
        (&["topics", "list", "--kafka-tls-ca", "ca.pem"], "has no effect"),
        (&["serve", "--listen", "3000"], "127.0.0.1:3000"),
        (&["consume", "--group", "unheard-of"], "message-board"),
        (&["consume", "--group", "message-board", "--until-end"], "--until-end"),
        (&["replay", "--group", "unheard-of", "--from-earliest", "--dry-run"], "message-board"),
        (&["topics", "list", "--kafka", "127.0.0.1:1", "--config-file", "absent.toml"], "absent.toml"),
    ] {
        let output = run(arguments).await;
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {output:?}");
        assert!(text(&output.stderr).contains(words), "{arguments:?}: {}", text(&output.stderr));
    }
    let completions = kboard::command().env("KBOARD_KAFAK", "typo").args(["completions", "bash"]).output().unwrap();
    assert!(completions.status.success(), "a wrong setting keeps nobody from the manual");
}

#[tokio::test]
async fn health_asks_a_running_board_and_says_so_with_its_exit_code() {
    let stack = Stack::start().await;
    let mut board = stack.serve().await;
    let ready = run(&["health", "--url", &board.url("/readyz")]).await;
    assert_eq!(ready.status.code(), Some(0), "{ready:?}");
    let answer: Value = serde_json::from_slice(&ready.stdout).unwrap();
    assert_eq!(answer["checks"]["redis"], "ok");
    let elsewhere = run(&["health", "--url", &board.url("/nothing")]).await;
    assert_eq!(elsewhere.status.code(), Some(1));
    assert!(board.sigterm().await.success());
    let gone = run(&["health", "--url", &board.url("/readyz"), "--timeout", "2s"]).await;
    assert_eq!(gone.status.code(), Some(1), "Docker knows 0 and 1");
    assert!(text(&gone.stderr).contains("unhealthy"));
}

#[tokio::test]
async fn a_taken_port_is_named_before_anything_is_touched() {
    let stack = Stack::start().await;
    let board = stack.serve().await;
    let address = board.address();
    let second = stack.run(&["serve", "--listen", &address]).await;
    assert_eq!(second.status.code(), Some(2));
    let reason = text(&second.stderr);
    assert!(reason.contains(&address) && reason.contains("--listen"), "{reason}");
}
