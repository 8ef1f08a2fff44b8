//! Replays: a projection rebuilt from the log beside the live one, as an operator would run them.

mod support;

use std::collections::HashSet;
use std::process::Output;
use std::time::{Duration, Instant, UNIX_EPOCH};

use serde_json::Value;
use support::board::{self, State, ids, post, saw_each_once, seqs};
use support::process::{Process, Signal};
use support::{Kboard, Load, SseClient, Stack, eventually, kboard, one_of_three_takes_less, tools};

/// On a busy machine.
const SOON: Duration = Duration::from_secs(60);
/// A dead replay's fence lapses after 15 s.
const FENCE_LAPSES: Duration = Duration::from_secs(25);

/// A board whose projection runs in a process of its own, so that it can be stopped.
async fn start() -> (Stack, Kboard, Kboard) {
    let stack = Stack::start().await;
    let board = stack.serve_with(&["--no-consumers"]).await;
    let consumer = stack.consume().await;
    (stack, board, consumer)
}

async fn replay(stack: &Stack, arguments: &[&str]) -> Output {
    let group = stack.name("message-board");
    stack.run(&[&["replay", "--group", group.as_str()], arguments].concat()).await
}

async fn replayed(stack: &Stack, arguments: &[&str]) -> Value {
    let output = replay(stack, &[arguments, &["--output", "json"]].concat()).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Runs one that must be refused; the reason.
async fn refused(stack: &Stack, arguments: &[&str]) -> String {
    let output = replay(stack, arguments).await;
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

/// Made-up messages by the thousand, for replays that take a while.
async fn produce(stack: &Stack, count: usize) {
    let made = stack.run(&["produce", "--app", "board", "--count", &count.to_string()]).await;
    assert!(made.status.success(), "{made:?}");
}

/// A replay as a process that may be stopped on its way; it holds the fence.
async fn launched(stack: &Stack) -> Process {
    let group = stack.name("message-board");
    let mut process = Process::prepare("replay");
    let arguments = stack.arguments("replay", &["--group", &group, "--from-earliest", "--online"]);
    process.spawn(kboard::command().args(arguments));
    let fence = stack.name("kboard:message-board:fence");
    eventually("the replay's fence", SOON, async || (stack.redis.cli(&["EXISTS", &fence]).await == "1").then_some(()))
        .await;
    process.signal(Signal::STOP);
    process
}

fn now_ms() -> String {
    UNIX_EPOCH.elapsed().unwrap().as_millis().to_string()
}

#[tokio::test]
async fn after_a_flush_the_same_window_comes_back_and_viewers_are_told() {
    let (stack, board, mut consumer) = start().await;
    let posted = post(&board, 130).await;
    board::caught_up(&stack, SOON).await;
    let (before, walked) = (board::window(&stack).await, board::walk(&board, 50).await);
    let viewer = SseClient::connect(&board.url("/api/messages/stream"));
    viewer.connected(SOON).await;
    assert!(consumer.sigterm().await.success());
    stack.redis.flush().await;

    let report = replayed(&stack, &["--from-earliest"]).await;
    assert_eq!((&report[0]["records"], &report[0]["report"]["applied"]), (&130.into(), &130.into()), "{report}");
    let after = board::window(&stack).await;
    assert_eq!(after, before, "the same messages with the same numbers");
    assert_eq!(ids(&after), posted[30..].iter().rev().cloned().collect::<Vec<_>>());
    assert_eq!(board::walk(&board, 50).await, walked);

    let shown = viewer.shows("the new window", SOON, |shown| shown.len() == 100).await;
    assert_eq!((viewer.resets() >= 1, ids(&shown)), (true, posted[30..].to_vec()));
    let consumer = stack.consume().await;
    let more = post(&board, 5).await;
    let shown = viewer.shows("what came later", SOON, |shown| shown.len() == 105).await;
    assert_eq!((ids(&shown[100..]), seqs(&shown)), (more, (31..=135).collect()));
    drop(consumer);
}

#[tokio::test]
async fn while_members_run_it_refuses_and_names_them() {
    let (stack, board, _consumer) = start().await;
    post(&board, 3).await;
    board::caught_up(&stack, SOON).await;
    let before = State::of(&stack).await;
    let reason = refused(&stack, &["--from-earliest"]).await;
    let member = format!("group {} has 1 running member: kboard", stack.name("message-board"));
    assert!(reason.contains(&member) && reason.contains("--online"), "{reason}");
    assert_eq!(State::of(&stack).await, before);

    for wrong in [
        &["--from-offset", "9=1"][..],
        &["--from-offset", "x"],
        &["--from-time", "yesterday-ish"],
        &["--from-earliest", "--from-time", "1h"],
        &[],
    ] {
        refused(&stack, wrong).await;
    }
    let output = stack.run(&["replay", "--group", "nobody", "--from-earliest"]).await;
    assert_eq!(output.status.code(), Some(2));
    let reason = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(reason.contains("no app owns") && reason.contains(&stack.name("message-board")), "{reason}");
}

#[tokio::test]
async fn a_dry_run_tells_how_much_and_changes_nothing() {
    let (stack, board, _consumer) = start().await;
    post(&board, 7).await;
    board::caught_up(&stack, SOON).await;
    let before = (State::of(&stack).await, board::window(&stack).await, stack.redis.cli(&["DBSIZE"]).await);
    let planned = replayed(&stack, &["--from-earliest", "--dry-run"]).await;
    assert_eq!(planned[0]["records"], 7);
    assert!(planned[0]["estimated_seconds"].is_number() && planned[0].get("report").is_none(), "{planned}");
    let after = (State::of(&stack).await, board::window(&stack).await, stack.redis.cli(&["DBSIZE"]).await);
    assert_eq!(after, before);
}

#[tokio::test]
async fn a_part_of_the_log_may_be_named_by_time_and_offset() {
    let (stack, board, mut consumer) = start().await;
    let first = post(&board, 20).await;
    // Records are dated to the millisecond: the next ones are written in a later one.
    let between = now_ms();
    eventually("the next millisecond", SOON, async || (now_ms() > between).then_some(())).await;
    let middle = now_ms();
    let second = post(&board, 20).await;
    board::caught_up(&stack, SOON).await;
    assert!(consumer.sigterm().await.success());
    let newest_first = |ids: &[String]| ids.iter().rev().cloned().collect::<Vec<_>>();

    replayed(&stack, &["--from-time", &middle]).await;
    assert_eq!(ids(&board::window(&stack).await), newest_first(&second));
    assert_eq!(State::of(&stack).await.passed(), 40, "it stands at the end of the log");

    replayed(&stack, &["--from-earliest", "--until", &middle]).await;
    assert_eq!(ids(&board::window(&stack).await), newest_first(&first));
    assert_eq!(State::of(&stack).await.passed(), 20, "the rest is still to be applied");

    let log = board::log(&stack).await;
    let skipped = log.iter().filter(|(partition, offset, _)| *partition == 0 && *offset < 2).count();
    replayed(&stack, &["--from-offset", "0=2"]).await;
    assert_eq!(board::window(&stack).await.len(), 40 - skipped);

    replayed(&stack, &["--from-earliest", "--until", &middle]).await;
    let _consumer = stack.consume().await;
    board::caught_up(&stack, SOON).await;
    let all: Vec<String> = first.into_iter().chain(second).collect();
    let window = ids(&board::window(&stack).await);
    assert_eq!(window.len(), 40, "consumers apply what the replay left");
    assert_eq!(window[20..], newest_first(&all)[20..]);
}

#[tokio::test]
async fn online_under_load_nothing_is_lost_or_doubled() {
    let (stack, board, _consumer) = start().await;
    let viewer = SseClient::connect(&board.url("/api/messages/stream"));
    viewer.connected(SOON).await;
    let load = Load::start(&[&board], 2, Duration::from_millis(40));
    for _ in 0..3 {
        load.goes_on(40, SOON).await;
        replayed(&stack, &["--from-earliest", "--online"]).await;
    }
    load.goes_on(20, SOON).await;
    let posted = load.stop().await;
    board::shows_each_once(&stack, &board, &posted, SOON).await;
    let last = board::window(&stack).await.remove(0);
    viewer.shows("the newest message", SOON, |shown| shown.contains(&last)).await;
    assert!(viewer.resets() >= 3, "a new life of the projection each time");
    saw_each_once(&viewer.events(), &posted);
}

#[tokio::test]
async fn a_killed_replay_leaves_the_live_state_and_a_later_one_works() {
    let (stack, board, _consumer) = start().await;
    produce(&stack, 20_000).await;
    let state = board::caught_up(&stack, Duration::from_secs(60)).await;
    let window = board::window(&stack).await;

    let mut killed = launched(&stack).await;
    killed.kill9();
    assert_eq!((State::of(&stack).await, board::window(&stack).await), (state.clone(), window.clone()));
    let posted = post(&board, 10).await;
    let reason = refused(&stack, &["--from-earliest", "--online"]).await;
    assert!(reason.contains("another replay"), "{reason}");

    // The consumers wait for a replay that is dead, but not for long.
    let applied = board::caught_up(&stack, FENCE_LAPSES).await;
    assert_eq!((applied.epoch, applied.seq), (state.epoch, 20_010));
    let newest: HashSet<String> = ids(&board::window(&stack).await[..10]).into_iter().collect();
    assert_eq!(newest, posted.into_iter().collect(), "in the order in which the partitions were read");
    let report = replayed(&stack, &["--from-earliest", "--online"]).await;
    assert_eq!(report[0]["report"]["applied"], 20_010);
    assert_eq!(State::of(&stack).await.seq, 20_010);
}

#[tokio::test]
async fn of_two_replays_the_second_is_refused() {
    let (stack, _board, mut consumer) = start().await;
    assert!(consumer.sigterm().await.success());
    produce(&stack, 20_000).await;
    let mut first = launched(&stack).await;
    let reason = refused(&stack, &["--from-earliest"]).await;
    assert!(reason.contains("another replay"), "{reason}");
    first.signal(Signal::CONT);
    assert!(first.ended(Duration::from_secs(60)).await.success());
    assert_eq!(State::of(&stack).await.seq, 20_000);
    let keys = stack.redis.cli(&["KEYS", "*shadow*"]).await;
    assert_eq!(keys, "", "nothing is left beside the live state");
}

#[tokio::test]
async fn an_interrupted_replay_leaves_nothing_behind() {
    let (stack, _board, _consumer) = start().await;
    produce(&stack, 20_000).await;
    let state = board::caught_up(&stack, Duration::from_secs(60)).await;
    one_of_three_takes_less("the end", Duration::from_secs(5), async || {
        let took = interrupted(&stack).await;
        assert_eq!(State::of(&stack).await, state);
        let left = stack.redis.cli(&["KEYS", "*shadow*"]).await + &stack.redis.cli(&["KEYS", "*fence"]).await;
        assert_eq!(left, "");
        took
    })
    .await;
}

/// Interrupts a replay on its way; how long it took to end.
async fn interrupted(stack: &Stack) -> Duration {
    let mut replay = launched(stack).await;
    replay.signal(Signal::INT);
    let since = Instant::now();
    replay.signal(Signal::CONT);
    let status = replay.ended(SOON).await;
    let took = since.elapsed();
    assert_eq!(status.code(), Some(2), "{}", replay.log());
    assert!(replay.log().contains("interrupted"), "{}", replay.log());
    took
}

#[tokio::test]
async fn a_header_without_a_value_is_read_by_history_and_replay() {
    let stack = Stack::start().await;
    let board = stack.serve().await;
    let topic = stack.name("message-board");
    let value = r#"{"id":"odd","content":"a header without a value","author":"me","timestamp":1}"#;
    let produced = stack.run(&["produce", "--topic", &topic, "--header", "x-nothing", value]).await;
    assert!(produced.status.success(), "{produced:?}");
    assert!(stack.run(&["produce", "--app", "board", "--count", "150"]).await.status.success());
    board::caught_up(&stack, SOON).await;
    let all = board::walk(&board, 40).await;
    assert_eq!(all.len(), 151);
    assert!(ids(&all).contains(&"odd".to_owned()));
    let report = replayed(&stack, &["--from-earliest", "--online"]).await;
    assert_eq!(report[0]["report"]["applied"], 151);
}

#[tokio::test]
async fn what_a_replay_is_the_first_to_find_unreadable_gets_its_dead_letter() {
    let stack = Stack::start().await;
    let _board = stack.serve_with(&["--no-consumers"]).await;
    let topic = stack.name("message-board");
    assert!(stack.run(&["produce", "--topic", &topic, "no message"]).await.status.success());
    let report = replayed(&stack, &["--from-earliest"]).await;
    assert_eq!(report[0]["report"]["poison"], 1);
    let letters = format!("{topic}.dlq");
    let read = async || {
        let read = stack.run(&["consume", "--topic", &letters, "--until-end"]).await;
        String::from_utf8(read.stdout).unwrap().lines().count()
    };
    assert_eq!(read().await, 1);
    replayed(&stack, &["--from-earliest"]).await;
    assert_eq!(read().await, 1, "once is enough");
}

#[tokio::test]
async fn a_range_without_a_record_is_refused_before_anything_is_changed() {
    let stack = Stack::start().await;
    let board = stack.serve().await;
    board.post("here", "me").await.unwrap().error_for_status().unwrap();
    let state = board::caught_up(&stack, SOON).await;
    for range in [
        &["--from-time", "2100-01-01T00:00:00Z"][..],
        &["--from-time", "1h", "--until", "2h"],
        &["--from-offset", "0=999"],
    ] {
        let refused = stack.run(&[&["replay", "--online"][..], range].concat()).await;
        assert_eq!(refused.status.code(), Some(2), "{range:?}: {refused:?}");
    }
    assert_eq!(State::of(&stack).await, state);
}

#[tokio::test]
async fn what_is_sent_back_for_another_group_is_passed_over_live_and_in_a_replay() {
    let stack = Stack::start().await;
    let mut consumer = stack.consume().await;
    let (topic, group) = (stack.name("message-board"), stack.name("message-board"));
    for (id, retried_for) in [("a", None), ("b", Some("another")), ("c", Some(group.as_str())), ("d", Some("another"))]
    {
        let message = format!(r#"{{"id":"{id}","content":"hello","author":"me","timestamp":1700000000000}}"#);
        let header = format!("x-retry-group={}", retried_for.unwrap_or_default());
        let header: &[&str] = if retried_for.is_some() { &["-H", &header] } else { &[] };
        let written = stack
            .run(&[&["produce", "--topic", &topic, "--key", id, "--partition", "0"], header, &[&message]].concat())
            .await;
        assert!(written.status.success(), "{written:?}");
    }
    // Not what can't be read, either: the letter is the other group's to write.
    let written =
        stack.run(&["produce", "--topic", &topic, "-p", "0", "-H", "x-retry-group=another", "not a message"]).await;
    assert!(written.status.success(), "{written:?}");
    let shown = eventually("the projection behind the last record", SOON, async || {
        let state = board::State::of(&stack).await;
        (state.passed() == 5).then_some(board::ids(&board::window(&stack).await))
    })
    .await;
    assert_eq!(shown, ["c", "a"]);
    let letters = ["-C", "-q", "-e", "-o", "beginning", "-t", &format!("{topic}.dlq")];
    assert_eq!(tools::kcat(stack.kafka(), &letters, "").await, "");

    assert!(consumer.sigterm().await.success());
    stack.redis.flush().await;
    let replayed = stack.run(&["replay", "--group", &group, "--from-earliest"]).await;
    assert!(replayed.status.success(), "{replayed:?}");
    assert_eq!(board::ids(&board::window(&stack).await), ["c", "a"]);
    assert_eq!(tools::kcat(stack.kafka(), &letters, "").await, "");
}
