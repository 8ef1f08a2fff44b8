//! `kboard reset`: an app as it is before its first start.

mod support;

use std::process::Output;
use std::time::Duration;

use support::{Stack, board};

const SOON: Duration = Duration::from_secs(60);

async fn reset(stack: &Stack, arguments: &[&str]) -> Output {
    stack.run(&[&["reset", "--app", "board"], arguments].concat()).await
}

/// What it told, of one that must succeed.
async fn told(stack: &Stack, arguments: &[&str]) -> String {
    let output = reset(stack, arguments).await;
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Why it was refused.
async fn refused(stack: &Stack, arguments: &[&str]) -> String {
    let output = reset(stack, arguments).await;
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[tokio::test]
async fn an_app_is_deleted_and_made_anew_and_nothing_else_is_touched() {
    let stack = Stack::start().await;
    let board = stack.serve_with(&["--no-consumers"]).await;
    let mut consumer = stack.consume().await;
    board::post(&board, 12).await;
    board::caught_up(&stack, SOON).await;
    let request = board.http().post(board.url("/api/messages")).header("Idempotency-Key", "0123456789abcdef");
    let posted = request.json(&serde_json::json!({ "content": "once", "author": "me" })).send().await.unwrap();
    assert!(posted.status().is_success(), "{posted:?}");
    board::caught_up(&stack, SOON).await;
    let others = [stack.name("messages2"), stack.name("kboard:message-board-2"), "messages".to_owned()];
    for key in &others {
        stack.redis.cli(&["SET", key, "1"]).await;
    }

    let reason = refused(&stack, &["--yes"]).await;
    let group = stack.name("message-board");
    assert!(reason.contains(&group) && reason.contains("in use by 1 member (kboard"), "{reason}");
    assert!(consumer.sigterm().await.success());

    let plan = told(&stack, &["--dry-run"]).await;
    for part in [
        format!("topic {group}: 13 messages"),
        format!("topic {group}.dlq: 0 messages"),
        format!("group {group}: what it has committed"),
        format!("called {}, {}:*", stack.name("messages"), stack.name("kboard:message-board")),
        "nothing was changed".to_owned(),
    ] {
        assert!(plan.contains(&part), "{part} in {plan}");
    }
    let reason = refused(&stack, &[]).await;
    assert!(reason.contains("no terminal to ask on"), "{reason}");
    assert_eq!(board::log(&stack).await.len(), 13);

    let done = told(&stack, &["--yes"]).await;
    assert!(done.contains(&format!("topic {group}: made anew with 3 partitions")), "{done}");
    assert!(board::log(&stack).await.is_empty());
    let mut left: Vec<String> = stack.redis.cli(&["KEYS", "*"]).await.lines().map(str::to_owned).collect();
    let mut expected = others.to_vec();
    left.sort();
    expected.sort();
    assert_eq!(left, expected);
    let groups = stack.run(&["groups", "list", "--output", "json"]).await;
    assert!(!String::from_utf8_lossy(&groups.stdout).contains(&format!("\"{group}\"")), "{groups:?}");

    let nothing = told(&stack, &["--yes"]).await;
    assert!(nothing.contains("in Redis: 0 keys deleted"), "{nothing}");
    let consumer = stack.consume().await;
    let posted = board::post(&board, 3).await;
    board::caught_up(&stack, SOON).await;
    let window = board::window(&stack).await;
    assert_eq!((board::ids(&window), board::seqs(&window)), (posted.into_iter().rev().collect(), vec![3, 2, 1]));
    drop(consumer);
}

#[tokio::test]
async fn an_app_that_never_ran_is_made() {
    let stack = Stack::start().await;
    let done = told(&stack, &["--yes"]).await;
    assert!(done.contains("made anew") && done.contains("in Redis: 0 keys called"), "{done}");
    assert!(board::log(&stack).await.is_empty());
    let output = stack.run(&["reset", "--app", "nothing"]).await;
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("board"), "{output:?}");
}
