//! The projection: what its scripts promise against a real Redis, what redis-cli sees of it, and what becomes of records
//! that are no messages.

mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use kboard::config::RedisSettings;
use kboard::redis::window::{Applied, Entry, Logged, Place, Run, Snapshot, Stands};
use kboard::redis::{Redis, Window};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use support::board::{self, seqs, text};
use support::{RedisServer, Stack, eventually, services, tools, unique};

/// On a busy machine.
const SOON: Duration = Duration::from_secs(60);
const LENGTH: usize = 100;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// Some moment; the scripts are told what time it is.
const NOW: i64 = 1_760_000_000_000;

/// A window of the library, on a Redis of its own.
struct Bench {
    server: RedisServer,
    redis: Redis,
    window: Window,
}

impl Bench {
    async fn start() -> Self {
        let server = RedisServer::start().await;
        let redis = Redis::connect(&RedisSettings { url: server.url().parse().unwrap(), tls_ca: None }).await.unwrap();
        let window = window(&redis, "");
        Self { server, redis, window }
    }
}

fn window(redis: &Redis, prefix: &str) -> Window {
    Window::new(redis.clone(), prefix, "message-board", "messages", "new-messages", LENGTH)
}

/// Message `offset` of partition `p`, without the brace that the script puts after its number.
fn entry(p: i32, offset: i64) -> Entry {
    Entry { body: Bytes::from(format!("{{\"id\":\"{p}/{offset}\"")), once: None }
}

fn once(p: i32, offset: i64, key: &str) -> Entry {
    Entry { once: Some(key.to_owned()), ..entry(p, offset) }
}

/// A run of partition `p` from offset `from`, as a consumer hands it over that believes the state to stand at
/// `expected`.
fn run(p: i32, expected: Option<i64>, from: i64, entries: &[Entry]) -> Run<'_> {
    let logged = |(offset, entry)| Logged { offset, timestamp: offset, entry, trace: None };
    let entries: Vec<_> = (from..).zip(entries).map(logged).collect();
    Run { partition: format!("t:{p}"), expected, next: from + entries.len() as i64, entries }
}

fn run_of(p: i32, expected: Option<i64>, offsets: std::ops::Range<i64>, entries: &[Entry]) -> Run<'_> {
    run(p, expected, offsets.start, &entries[offsets.start as usize..offsets.end as usize])
}

/// The window's ids and numbers, oldest first.
fn shown(snapshot: &Snapshot) -> Vec<(String, u64)> {
    let member = |json: &Bytes| {
        let message: Value = serde_json::from_slice(json).unwrap();
        (text(&message, "id").to_owned(), message["seq"].as_u64().unwrap())
    };
    snapshot.members.iter().rev().map(member).collect()
}

fn done(applied: u64, seq: u64, length: u64) -> Applied {
    Applied::Done { applied, seq, length }
}

#[tokio::test]
async fn a_batch_counts_once_however_often_it_comes() {
    let Bench { window, server: _server, .. } = Bench::start().await;
    let entries: Vec<Entry> = (0..30).map(|offset| entry(0, offset)).collect();
    assert_eq!(window.apply(&[run_of(0, None, 0..10, &entries)], NOW).await.unwrap(), done(10, 10, 10));
    // The answer was lost: the same batch again, then one that overlaps it, then one from long ago.
    assert_eq!(window.apply(&[run_of(0, None, 0..10, &entries)], NOW).await.unwrap(), done(0, 10, 10));
    assert_eq!(window.apply(&[run_of(0, Some(10), 5..20, &entries)], NOW).await.unwrap(), done(10, 20, 20));
    assert_eq!(window.apply(&[run_of(0, Some(0), 0..3, &entries)], NOW).await.unwrap(), done(0, 20, 20));
    let snapshot = window.snapshot().await.unwrap();
    assert_eq!(snapshot.offsets, BTreeMap::from([("t:0".to_owned(), 20)]), "the offset never goes back");
    let expected: Vec<_> = (0..20).map(|offset| (format!("0/{offset}"), offset + 1)).collect();
    assert_eq!(shown(&snapshot), expected);
    assert_eq!(snapshot.positions.first(), Some(&("t:0".to_owned(), 19)));
}

#[tokio::test]
async fn the_newest_hundred_are_kept_and_every_message_is_numbered() {
    let Bench { window, server, .. } = Bench::start().await;
    let entries: Vec<Entry> = (0..2_500).map(|offset| entry(0, offset)).collect();
    for (from, to) in [(0, 99), (99, 100), (100, 101), (101, 450), (450, 2_500)] {
        window.apply(&[run_of(0, Some(from).filter(|from| *from > 0), from..to, &entries)], NOW).await.unwrap();
        let snapshot = window.snapshot().await.unwrap();
        let oldest = (to - LENGTH as i64).max(0);
        let expected: Vec<_> = (oldest..to).map(|offset| (format!("0/{offset}"), offset as u64 + 1)).collect();
        assert_eq!(shown(&snapshot), expected);
        assert_eq!(snapshot.seq, to as u64);
    }
    assert_eq!(server.cli(&["LLEN", "messages"]).await, "100");
    assert_eq!(server.cli(&["LLEN", "kboard:message-board:positions"]).await, "100");
}

#[tokio::test]
async fn partitions_are_merged_by_time_in_one_batch() {
    let Bench { window, server: _server, .. } = Bench::start().await;
    let (left, right) = ([entry(0, 0), entry(0, 1)], [entry(1, 0), entry(1, 1)]);
    let at = |times: [i64; 2], p: i32, entries| {
        let mut run = run(p, None, 0, entries);
        run.entries.iter_mut().zip(times).for_each(|(logged, time)| logged.timestamp = time);
        run
    };
    window.apply(&[at([10, 40], 0, &left), at([20, 30], 1, &right)], NOW).await.unwrap();
    let order: Vec<_> = shown(&window.snapshot().await.unwrap()).into_iter().map(|(id, _)| id).collect();
    assert_eq!(order, ["0/0", "1/0", "1/1", "0/1"]);
}

#[tokio::test]
async fn a_state_that_went_back_is_noticed_and_nothing_is_applied() {
    let Bench { window, server, .. } = Bench::start().await;
    let entries: Vec<Entry> = (0..30).map(|offset| entry(0, offset)).collect();
    window.apply(&[run_of(0, None, 0..10, &entries)], NOW).await.unwrap();
    let before = window.snapshot().await.unwrap();

    let ahead = window.apply(&[run_of(1, None, 0..5, &entries), run_of(0, Some(12), 12..14, &entries)], NOW).await;
    assert_eq!(ahead.unwrap(), Applied::RolledBack(vec![1]), "and says which run");
    let after = window.snapshot().await.unwrap();
    assert_eq!((shown(&after), after.offsets), (shown(&before), before.offsets.clone()), "neither run was applied");

    server.flush().await;
    let lost = window.apply(&[run_of(0, Some(10), 10..12, &entries), run_of(1, Some(3), 3..5, &entries)], NOW).await;
    assert_eq!(lost.unwrap(), Applied::RolledBack(vec![0, 1]));
    assert_eq!(server.cli(&["DBSIZE"]).await, "0");

    assert!(window.rewind().await.unwrap());
    assert_eq!(window.apply(&[run_of(0, None, 0..12, &entries)], NOW).await.unwrap(), done(12, 12, 12));
    let rebuilt = window.snapshot().await.unwrap();
    assert_ne!(rebuilt.epoch, before.epoch, "ids of the life before mean nothing in this one");
}

#[tokio::test]
async fn the_fence_keeps_all_but_its_owner_off_and_lapses() {
    let Bench { window, server, .. } = Bench::start().await;
    let entries: Vec<Entry> = (0..30).map(|offset| entry(0, offset)).collect();
    window.apply(&[run_of(0, None, 0..3, &entries)], NOW).await.unwrap();
    let before = window.snapshot().await.unwrap();

    let (ours, theirs) = (window.shadow(), window.shadow());
    assert!(ours.hold(60_000).await.unwrap());
    assert!(ours.keep_hold(60_000).await.unwrap(), "its owner may renew it");
    assert!(!theirs.keep_hold(60_000).await.unwrap());
    assert!(!theirs.hold(60_000).await.unwrap());
    assert_eq!(window.apply(&[run_of(0, Some(3), 3..5, &entries)], NOW).await.unwrap(), Applied::Fenced);
    assert!(!window.rewind().await.unwrap());
    assert!(!theirs.swap_into(&window).await.unwrap(), "who doesn't hold the fence can't swap");
    theirs.discard().await.unwrap();
    assert!(!theirs.hold(60_000).await.unwrap(), "nor lift it");

    assert_eq!(ours.apply(&[run_of(0, None, 0..5, &entries)], NOW).await.unwrap(), done(5, 5, 5));
    assert_eq!(shown(&window.snapshot().await.unwrap()), shown(&before), "the live state is as it was until the swap");
    assert!(ours.swap_into(&window).await.unwrap());
    let after = window.snapshot().await.unwrap();
    assert_eq!((after.seq, after.members.len()), (5, 5));
    assert_ne!(after.epoch, before.epoch);
    assert_eq!(window.apply(&[run_of(0, Some(5), 5..6, &entries)], NOW).await.unwrap(), done(1, 6, 6), "it is lifted");
    assert!(!server.cli(&["KEYS", "*"]).await.contains("shadow"));

    let dead = window.shadow();
    assert!(dead.hold(300).await.unwrap());
    eventually("the fence of a dead replay lapses", SOON, async || {
        let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis() as i64;
        let applied = window.apply(&[run_of(0, Some(6), 6..7, &entries)], now).await.unwrap();
        (applied == done(1, 7, 7)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_idempotency_key_counts_once_a_day_in_whatever_batch_it_comes() {
    let Bench { window, server: _server, .. } = Bench::start().await;
    let twice = [once(0, 0, "a"), once(0, 1, "a"), once(0, 2, "b")];
    assert_eq!(window.apply(&[run(0, None, 0, &twice)], NOW).await.unwrap(), done(2, 2, 2));
    let again = [once(1, 0, "b"), once(1, 1, "c")];
    assert_eq!(window.apply(&[run(1, None, 0, &again)], NOW + 1).await.unwrap(), done(1, 3, 3));
    let next_day = [once(1, 2, "d")];
    window.apply(&[later(DAY_MS + 10, run(1, Some(2), 2, &next_day))], NOW).await.unwrap();
    let late = [once(1, 3, "a")];
    let applied = window.apply(&[later(DAY_MS + 10, run(1, Some(3), 3, &late))], NOW).await.unwrap();
    assert_eq!(applied, done(1, 5, 5), "a day later, by the messages' own time, it is forgotten");
}

/// The same run, written so many milliseconds later.
fn later(by: i64, mut run: Run<'_>) -> Run<'_> {
    run.entries.iter_mut().for_each(|logged| logged.timestamp += by);
    run
}

#[tokio::test]
async fn a_state_that_has_more_than_the_log_starts_over_once() {
    let Bench { window, server: _server, .. } = Bench::start().await;
    let entries: Vec<Entry> = (0..30).map(|offset| entry(0, offset)).collect();
    let place = |partition, log| Place { topic: "t", partition, log };
    assert_eq!(window.position(place(0, "one")).await.unwrap(), Stands::Nowhere);
    window.apply(&[run_of(0, None, 0..10, &entries), run_of(1, None, 0..5, &entries)], NOW).await.unwrap();
    assert_eq!(window.position(place(0, "one")).await.unwrap(), Stands::At(10));
    let before = window.snapshot().await.unwrap();

    assert!(window.restart(place(0, "one"), 10).await.unwrap());
    assert_eq!(window.snapshot().await.unwrap().epoch, before.epoch, "it has no more than the log: nothing is done");

    // The log lost a record: the state is built anew from what there is, and nothing is shown twice.
    assert!(window.restart(place(0, "one"), 9).await.unwrap());
    let emptied = window.snapshot().await.unwrap();
    assert_eq!((emptied.members.len(), emptied.seq, emptied.offsets.len()), (0, 0, 0));
    assert_ne!(emptied.epoch, before.epoch);
    window.apply(&[run_of(0, None, 0..9, &entries)], NOW).await.unwrap();
    assert!(window.restart(place(1, "one"), 4).await.unwrap(), "another consumer finds out later");
    assert_eq!(window.snapshot().await.unwrap().members.len(), 9, "and undoes nothing");

    // Another topic of the same name, with more in it than the old one had.
    assert_eq!(window.position(place(0, "two")).await.unwrap(), Stands::OtherLog);
    assert!(window.restart(place(0, "two"), 100).await.unwrap());
    assert_eq!(window.position(place(0, "two")).await.unwrap(), Stands::Nowhere);
    assert_eq!(window.snapshot().await.unwrap().members.len(), 0);
}

#[tokio::test]
async fn what_a_dead_replay_built_goes_by_itself() {
    let Bench { window, server, .. } = Bench::start().await;
    let entries = [once(0, 0, "a"), once(0, 1, "b")];
    let dead = window.shadow();
    assert!(dead.hold(60_000).await.unwrap());
    dead.apply(&[run(0, None, 0, &entries)], NOW).await.unwrap();
    let keys = server.cli(&["KEYS", "*"]).await;
    assert_eq!(keys.lines().count(), 5, "{keys}");
    for key in keys.lines() {
        let left: i64 = server.cli(&["PTTL", key]).await.trim().parse().unwrap();
        assert!(left > 0, "{key} would stay for ever");
    }
    assert!(dead.swap_into(&window).await.unwrap());
    let keys = server.cli(&["KEYS", "*"]).await;
    assert_eq!(keys.lines().count(), 4, "{keys}");
    for key in keys.lines() {
        assert_eq!(server.cli(&["PTTL", key]).await.trim(), "-1", "{key} is there to stay");
    }
}

#[tokio::test]
async fn scripts_that_redis_forgot_are_sent_again() {
    let Bench { window, server, .. } = Bench::start().await;
    let entries: Vec<Entry> = (0..30).map(|offset| entry(0, offset)).collect();
    for at in 0..3 {
        let expected = Some(at).filter(|at| *at > 0);
        assert_eq!(window.apply(&[run_of(0, expected, at..at + 1, &entries)], NOW).await.unwrap(), {
            let count = at as u64 + 1;
            done(1, count, count)
        });
        server.cli(&["SCRIPT", "FLUSH"]).await;
        assert_eq!(window.snapshot().await.unwrap().seq, at as u64 + 1);
        server.cli(&["SCRIPT", "FLUSH"]).await;
    }
}

/// However the batches of two partitions are cut, repeated and interleaved, the outcome is that of handing each message
/// over once, and no message lacks its number.
#[test]
fn any_delivery_in_order_at_least_once_is_shown_exactly_once() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let bench = runtime.block_on(Bench::start());
    // A delivery: which partition, how many new messages, and how many old ones come before them once more.
    let deliveries = prop::collection::vec((0..2_i32, 0..40_i64, 0..30_i64, any::<bool>()), 1..40);
    let mut runner = TestRunner::new(Config { cases: 150, failure_persistence: None, ..Config::default() });
    let outcome = runner.run(&deliveries, |deliveries| {
        runtime.block_on(async {
            let window = window(&bench.redis, &unique("p"));
            let entries: Vec<Vec<Entry>> =
                (0..2).map(|p| (0..1_700).map(|offset| entry(p, offset)).collect()).collect();
            let (mut at, mut order) = ([0_i64; 2], Vec::new());
            for (p, new, old, repeat) in deliveries {
                let next = &mut at[p as usize];
                let from = (*next - old).max(0);
                let expected = Some(*next).filter(|next| *next > 0);
                order.extend((*next..*next + new).map(|offset| format!("{p}/{offset}")));
                *next += new;
                let run = run_of(p, expected, from..*next, &entries[p as usize]);
                if run.next == 0 {
                    continue;
                }
                for _ in 0..=u8::from(repeat) {
                    let applied = window.apply(std::slice::from_ref(&run), NOW).await.unwrap();
                    prop_assert!(matches!(applied, Applied::Done { .. }), "{applied:?}");
                }
            }
            let snapshot = window.snapshot().await.unwrap();
            let numbered: Vec<_> = order.iter().cloned().zip(1..).collect();
            let window_starts = order.len().saturating_sub(LENGTH);
            prop_assert_eq!(snapshot.seq, order.len() as u64);
            prop_assert_eq!(shown(&snapshot), &numbered[window_starts..]);
            Ok(())
        })
    });
    outcome.unwrap();
}

#[tokio::test]
async fn redis_cli_sees_what_the_experiments_promise() {
    let stack = Stack::start().await;
    let board = stack.serve_with(&["--no-consumers"]).await;
    let channel = stack.name("new-messages");
    let mut subscriber = tokio::process::Command::new("redis-cli")
        .args(["-u", &stack.redis.url(), "SUBSCRIBE", &channel])
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    // `serve` listens too, so there are two once redis-cli is there.
    eventually("redis-cli's subscription", SOON, async || {
        (stack.redis.cli(&["PUBLISH", &channel, "is anybody there?"]).await.trim() == "2").then_some(())
    })
    .await;
    // The embedded Redis has no PUBSUB: docs/embedded.md.
    if !services::are_embedded() {
        assert!(stack.redis.cli(&["PUBSUB", "CHANNELS"]).await.lines().any(|line| line == channel));
    }

    // Experiment 2: without a consumer messages wait in Kafka.
    for number in 0..105 {
        board.post(&format!("message {number}"), "me").await.unwrap().error_for_status().unwrap();
    }
    assert_eq!(stack.redis.cli(&["LLEN", &stack.name("messages")]).await, "0");
    let _consumer = stack.consume().await;
    board::caught_up(&stack, SOON).await;
    assert_eq!(stack.redis.cli(&["LLEN", &stack.name("messages")]).await, "100");
    let window = board::window(&stack).await;
    assert_eq!(seqs(&window), (6..=105).rev().collect::<Vec<_>>());
    for message in &window {
        let fields: Vec<_> = message.as_object().unwrap().keys().collect();
        assert_eq!(fields, ["author", "content", "id", "seq", "timestamp"]);
    }
    assert_eq!(window, board.messages(100).await, "what redis-cli shows is what the board shows");

    let mut published = String::new();
    let mut lines = tokio::io::AsyncBufReadExt::lines(tokio::io::BufReader::new(subscriber.stdout.take().unwrap()));
    while !published.contains("\"seq\":105}") {
        let line = tokio::time::timeout(SOON, lines.next_line()).await.expect("105 messages on the channel");
        published += &(line.unwrap().unwrap() + "\n");
    }
    let published: Vec<Value> = published.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let published: Vec<Value> = published.into_iter().filter(Value::is_object).collect();
    assert_eq!(seqs(&published), (1..=105).collect::<Vec<_>>());
}

#[tokio::test]
async fn poison_goes_to_the_dead_letter_topic_untouched_and_the_partition_moves_on() {
    let stack = Stack::start().await;
    let board = stack.serve_with(&["--no-consumers"]).await;
    let topic = stack.name("message-board");
    // The largest that the broker takes; its letter is larger, with the reason and the origin.
    let huge = format!("\"{}\"", "x".repeat(1024 * 1024 - 100));
    let wrong_shape = json!({ "id": "1", "content": "no author", "timestamp": 1 }).to_string();
    let wrong_type = json!({ "id": "1", "content": 7, "author": "me", "timestamp": 1 }).to_string();
    let too_long = json!({ "id": "1", "content": "x".repeat(2_001), "author": "me", "timestamp": 1 }).to_string();
    let nanoseconds = json!({ "id": "1", "content": "x", "author": "me", "timestamp": 1_700_000_000_000_000_000_i64 });
    let nanoseconds = nanoseconds.to_string();
    let poison: [&[u8]; 9] = [
        b"",
        b"not JSON",
        b"\x00\xff\xfe\x80 bytes that are no text",
        br#"["id","content","author",1]"#,
        wrong_shape.as_bytes(),
        wrong_type.as_bytes(),
        too_long.as_bytes(),
        nanoseconds.as_bytes(),
        huge.as_bytes(),
    ];
    let cluster = kafka(&stack);
    for value in poison {
        send(&cluster, &topic, Some(value)).await;
    }
    send(&cluster, &topic, None).await;
    let good = json!({ "id": "good", "content": "after all that", "author": "me", "timestamp": 1 }).to_string();
    send(&cluster, &topic, Some(good.as_bytes())).await;

    let consumer = stack.consume().await;
    let state = board::caught_up(&stack, SOON).await;
    assert_eq!(state.seq, 1);
    assert_eq!(board.messages(10).await[0]["id"], "good");

    let letters = dead_letters(&cluster, &format!("{topic}.dlq"), poison.len() + 1).await;
    let mut offsets = Vec::new();
    for (letter, value) in letters.iter().zip(poison.iter().map(|value| Some(*value)).chain([None])) {
        assert_eq!(letter.value.as_deref(), value, "not a byte was touched");
        assert_eq!(letter.key.as_deref(), Some(&b"the key"[..]));
        let header = |name: &str| {
            let found = letter.headers.iter().find(|(header, _)| header == name);
            let found = found.unwrap_or_else(|| panic!("header {name} in {:?}", letter.headers));
            String::from_utf8(found.1.clone().unwrap().to_vec()).unwrap()
        };
        assert_eq!(header("x-own"), "kept");
        assert_eq!((header("x-dlq-topic"), header("x-dlq-partition")), (topic.clone(), "0".to_owned()));
        assert_eq!(header("x-dlq-group"), topic, "the group is named like the topic");
        assert_eq!(header("x-dlq-attempts"), "1");
        let reason = header("x-dlq-error");
        assert!(!reason.is_empty() && reason.len() <= 500, "{reason}");
        assert!(header("x-dlq-timestamp").parse::<i64>().unwrap() > NOW);
        offsets.push(header("x-dlq-offset").parse::<i64>().unwrap());
    }
    assert_eq!(offsets, (0..poison.len() as i64 + 1).collect::<Vec<_>>());
    eventually("the consumer's count of dead letters", SOON, async || {
        let counted = consumer.metric("kafka_dead_letters_total", &[]).await;
        (counted == poison.len() as f64 + 1.0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn poison_that_its_topic_does_not_take_leaves_a_note_and_holds_nobody_up() {
    let stack = Stack::start().await;
    let topic = stack.name("message-board");
    // Made by somebody else, with the limit that brokers have of themselves.
    let letters = format!("{topic}.dlq");
    let created = stack.run(&["topics", "create", &letters, "--partitions", "1"]).await;
    assert!(created.status.success(), "{created:?}");
    let board = stack.serve_with(&["--no-consumers"]).await;
    let cluster = kafka(&stack);
    let huge = "x".repeat(1024 * 1024 - 100);
    send(&cluster, &topic, Some(huge.as_bytes())).await;
    let good = json!({ "id": "good", "content": "after it", "author": "me", "timestamp": 1 }).to_string();
    send(&cluster, &topic, Some(good.as_bytes())).await;
    let _consumer = stack.consume().await;
    board::caught_up(&stack, SOON).await;
    assert_eq!(board.messages(10).await[0]["id"], "good");
    let letter = &dead_letters(&cluster, &letters, 1).await[0];
    let header = |name: &str| letter.headers.iter().find(|(header, _)| header == name).and_then(|(_, v)| v.clone());
    assert_eq!((&letter.value, &letter.key), (&None, &None));
    assert_eq!(header("x-dlq-value-bytes").as_deref(), Some(huge.len().to_string().as_bytes()));
    assert_eq!((header("x-dlq-offset").as_deref(), header("x-own")), (Some(&b"0"[..]), None));
}

#[tokio::test]
async fn a_group_shows_its_lag_from_the_moment_it_has_a_partition() {
    let stack = Stack::start().await;
    let mut board = stack.serve().await;
    let group = stack.name("message-board");
    let lag = async || {
        let described = stack.run(&["groups", "describe", &group, "--output", "json"]).await;
        let described: Value = serde_json::from_slice(&described.stdout).unwrap_or_default();
        described[0]["lag"].as_i64().or_else(|| described["lag"].as_i64())
    };
    eventually("a group that has read all of nothing", SOON, async || (lag().await == Some(0)).then_some(())).await;
    assert!(board.sigterm().await.success());
    let _board = stack.serve_with(&["--no-consumers"]).await;
    let produced = stack.run(&["produce", "--app", "board", "--count", "20"]).await;
    assert!(produced.status.success(), "{produced:?}");
    assert_eq!(lag().await, Some(20), "in whichever partitions they are");
}

#[tokio::test]
async fn the_groups_offsets_reach_the_end_for_kafkas_own_tools() {
    let stack = Stack::start().await;
    let board = stack.serve().await;
    for number in 0..60 {
        board.post(&format!("message {number}"), "me").await.unwrap().error_for_status().unwrap();
    }
    board::caught_up(&stack, SOON).await;
    let group = stack.name("message-board");
    let described = eventually("no lag", Duration::from_secs(120), async || {
        let described = tools::kafka_consumer_groups(stack.kafka(), &["--describe", "--group", &group]).await;
        let lags: Vec<Option<u64>> = described
            .lines()
            .filter(|line| line.starts_with(&group))
            .map(|line| line.split_whitespace().nth(5)?.parse().ok())
            .collect();
        (lags == [Some(0); 3]).then_some(described)
    })
    .await;
    let committed: u64 = described
        .lines()
        .filter(|line| line.starts_with(&group))
        .map(|line| line.split_whitespace().nth(3).unwrap().parse::<u64>().unwrap())
        .sum();
    assert_eq!(committed, 60, "{described}");
}

/// The library's own client, for records that no tool can write.
fn kafka(stack: &Stack) -> kboard::kafka::Cluster {
    kboard::kafka::Cluster::new(kboard::config::KafkaSettings {
        bootstrap: vec![stack.kafka().to_owned()],
        tls: None,
        sasl: None,
        session_timeout: Duration::from_secs(10),
    })
}

/// Writes a record to partition 0.
async fn send(cluster: &kboard::kafka::Cluster, topic: &str, value: Option<&[u8]>) {
    let record = match value {
        Some(value) => krafka::Record::new(topic, Bytes::copy_from_slice(value)).key("the key"),
        None => krafka::Record::tombstone(topic, "the key"),
    };
    let producer = cluster.producing().await.unwrap().producer().build().await.unwrap();
    let acknowledged = producer.enqueue(record.partition(0).header("x-own", "kept")).await.unwrap().await.unwrap();
    assert_eq!(acknowledged.partition, 0);
}

/// The first records of a topic with one partition.
async fn dead_letters(cluster: &kboard::kafka::Cluster, topic: &str, count: usize) -> Vec<krafka::ConsumerRecord> {
    let log = kboard::kafka::log::open(cluster, topic).await.unwrap().remove(0);
    eventually("the dead letters", SOON, async || {
        let end = log.end().await.unwrap();
        (end >= count as i64).then_some(())
    })
    .await;
    assert_eq!(log.end().await.unwrap(), count as i64, "each record once");
    let (mut records, mut next) = (Vec::new(), 0);
    while next < count as i64 {
        let chunk = log.read(next, count as i64, 16 * 1024 * 1024).await.unwrap();
        next = chunk.next;
        records.extend(chunk.records);
    }
    records
}
