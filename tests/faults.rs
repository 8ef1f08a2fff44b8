//! What was acknowledged is shown, once, whatever dies: kill -9 of each part in the middle of load, at random moments.
//!
//! The moments can be repeated (`KBOARD_TEST_SEED`), and made more (`KBOARD_TEST_ROUNDS`).

mod support;

use std::time::{Duration, Instant};

use futures::future::join_all;
use reqwest::{RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use support::board::{self, State, ids, saw_each_once, seqs, shows_each_once, text};
use support::{Chance, Kboard, Load, RedisServer, SseClient, Stack, eventually, median, rounds, within_a_try};

const SOON: Duration = Duration::from_secs(60);
/// After a server's death on a busy machine.
const RECOVERY: Duration = Duration::from_secs(60);
/// Within which a POST is answered, whatever is away; the rest is the test machine's.
const ANSWER: Duration = Duration::from_millis(5_500);
/// Within which the slowest of hundreds is, on a machine that has just stood still.
const SLOWEST_ANSWER: Duration = Duration::from_secs(15);
/// From Redis's return until viewers have what they missed: less than the 15 s after which a server looks by itself.
const LIVE_AGAIN: Duration = Duration::from_secs(10);
/// From a POST to its viewers.
const LIVE: Duration = Duration::from_secs(5);
/// A dead member's partitions move on after this, unless something else is set.
const DEFAULT_SESSION: Duration = Duration::from_secs(10);
/// Something else, for tests that have no time.
const SESSION: [&str; 2] = ["--kafka-session-timeout", "2s"];

/// People who post at a rate at which a viewer that was away for a second finds all it missed in the window.
fn some_load(boards: &[&Kboard]) -> Load {
    Load::start(boards, 3, Duration::from_millis(50))
}

/// A viewer that has seen a message of after its arrival, so that it counts from there.
async fn viewer(board: &Kboard) -> SseClient {
    let viewer = SseClient::connect(&board.url("/api/messages/stream"));
    viewer.connected(SOON).await;
    let first = accepted(board, "first").await;
    viewer.shows("the first message", SOON, |shown| ids(shown).contains(&first)).await;
    viewer
}

/// The end of every fault test: everything is on the board once, and the viewer has seen it.
async fn all_is_well(stack: &Stack, board: &Kboard, viewer: &SseClient, load: Load) {
    load.goes_on(10, RECOVERY).await;
    let acknowledged = load.stop().await;
    shows_each_once(stack, board, &acknowledged, RECOVERY).await;
    let newest = board::window(stack).await.remove(0);
    viewer.shows("the newest message", RECOVERY, |shown| shown.contains(&newest)).await;
    saw_each_once(&viewer.events(), &acknowledged);
}

#[tokio::test]
async fn a_killed_consumer_loses_and_repeats_nothing() {
    let mut chance = Chance::new();
    let stack = Stack::start().await;
    let board = stack.serve_with(&["--no-consumers"]).await;
    let mut consumer = stack.consume_with(&SESSION).await;
    let viewer = viewer(&board).await;
    let load = some_load(&[&board]);
    for _ in 0..rounds(4) {
        load.goes_on(5, SOON).await;
        chance.moment(0..800).await;
        consumer.kill9();
        chance.moment(0..300).await;
        consumer.restart().await;
    }
    all_is_well(&stack, &board, &viewer, load).await;
    assert_eq!(viewer.resets(), 0, "the projection lives on in Redis");
}

#[tokio::test]
async fn a_killed_server_loses_and_repeats_nothing() {
    let mut chance = Chance::new();
    let stack = Stack::start().await;
    let mut board = stack.serve_with(&SESSION).await;
    let viewer = viewer(&board).await;
    let load = some_load(&[&board]);
    for _ in 0..rounds(4) {
        load.goes_on(5, RECOVERY).await;
        chance.moment(0..800).await;
        board.kill9();
        chance.moment(0..300).await;
        board.restart().await;
    }
    all_is_well(&stack, &board, &viewer, load).await;
}

#[tokio::test]
async fn a_killed_redis_loses_and_repeats_nothing() {
    let mut chance = Chance::new();
    let mut stack = Stack::start().await;
    let board = stack.serve().await;
    let viewer = viewer(&board).await;
    // Seven messages a second: the window has all that the server misses, even when a busy machine takes ten seconds to start a
    // Redis.
    let load = Load::start(&[&board], 3, Duration::from_millis(400));
    for _ in 0..rounds(5) {
        load.goes_on(5, RECOVERY).await;
        chance.moment(0..800).await;
        stack.redis.kill9();
        chance.moment(0..800).await;
        stack.redis.restart().await;
    }
    all_is_well(&stack, &board, &viewer, load).await;
    assert_eq!(viewer.resets(), 0, "Redis lost nothing, so nobody starts over");
}

#[tokio::test]
async fn a_redis_that_loses_its_last_writes_gets_them_back_from_the_log() {
    let mut chance = Chance::new();
    let mut stack = Stack::start().await;
    stack.redis = RedisServer::start_with("everysec").await;
    let board = stack.serve().await;
    let viewer = viewer(&board).await;
    let load = some_load(&[&board]);
    for _ in 0..rounds(5) {
        load.goes_on(20, RECOVERY).await;
        chance.moment(0..800).await;
        // A message is about 600 bytes there: up to a second's worth.
        stack.redis.kill9_losing(chance.number(1..40_000) as usize);
        stack.redis.restart().await;
    }
    all_is_well(&stack, &board, &viewer, load).await;
    assert!(viewer.resets() >= 1, "numbers were given anew, and viewers told");
}

#[tokio::test]
async fn a_killed_broker_loses_and_repeats_nothing() {
    let mut chance = Chance::new();
    let mut stack = Stack::with_own_broker().await;
    let board = stack.serve().await;
    let viewer = viewer(&board).await;
    let load = some_load(&[&board]);
    for _ in 0..rounds(3) {
        load.goes_on(20, RECOVERY).await;
        chance.moment(0..800).await;
        stack.broker().kill9();
        stack.broker().restart().await;
    }
    all_is_well(&stack, &board, &viewer, load).await;
    assert_eq!(viewer.resets(), 0);
}

#[tokio::test]
async fn consumers_that_come_and_go_lose_and_repeat_nothing() {
    let mut chance = Chance::new();
    let stack = Stack::start().await;
    let board = stack.serve_with(&["--no-consumers"]).await;
    let mut consumers = join_all((0..3).map(|_| stack.consume_with(&SESSION))).await;
    eventually("three consumers with a partition each", SOON, async || {
        let described = stack.run(&["groups", "describe", &stack.name("message-board"), "--output", "json"]).await;
        let group: Value = serde_json::from_slice(&described.stdout).ok()?;
        let group = group.get(0).unwrap_or(&group);
        let members = group["members"].as_array()?;
        let share = |member: &Value| member["partitions"][&stack.name("message-board")].as_array().map(Vec::len);
        (members.iter().map(share).collect::<Vec<_>>() == [Some(1); 3]).then_some(())
    })
    .await;
    let viewer = viewer(&board).await;
    let load = some_load(&[&board]);
    for round in 0..rounds(6) {
        let consumer = &mut consumers[chance.number(0..3) as usize];
        load.goes_on(5, RECOVERY).await;
        if round % 2 == 0 {
            assert!(consumer.sigterm().await.success());
        } else {
            consumer.kill9();
        }
        chance.moment(0..1_000).await;
        consumer.restart().await;
    }
    all_is_well(&stack, &board, &viewer, load).await;
    assert_eq!(viewer.resets(), 0);
}

#[tokio::test]
async fn a_flushed_redis_is_filled_again_while_consumers_run() {
    let stack = Stack::start().await;
    let board = stack.serve().await;
    let viewer = viewer(&board).await;
    let load = some_load(&[&board]);
    load.goes_on(60, SOON).await;
    stack.redis.flush().await;
    load.goes_on(30, SOON).await;
    all_is_well(&stack, &board, &viewer, load).await;
    assert!(viewer.resets() >= 1);

    // On a board on which nobody writes, too.
    let before = State::of(&stack).await;
    stack.redis.flush().await;
    let after = board::caught_up(&stack, RECOVERY).await;
    assert_eq!((after.seq, &after.offsets), (before.seq, &before.offsets));
    assert_ne!(after.epoch, before.epoch);
    viewer
        .shows("the window of the new life", RECOVERY, |shown| {
            shown.last().is_some_and(|last| last["seq"] == after.seq) && viewer.last_id().starts_with(&after.epoch)
        })
        .await;
}

#[tokio::test]
async fn while_the_broker_is_away_posts_are_refused_in_time_and_memory_is_bounded() {
    let mut stack = Stack::with_own_broker().await;
    let mut board = stack.serve().await;
    let viewer = viewer(&board).await;
    let first = ids(&viewer.shown()).remove(0);
    let memory = board.process().resident_bytes();

    stack.broker().kill9();
    let away_since = Instant::now();
    while away_since.elapsed() < Duration::from_secs(20) {
        let content = "x".repeat(2_000);
        let posts = (0..300).map(async |_| {
            let started = Instant::now();
            let answer = board.post(&content, "me").await.unwrap();
            let took = started.elapsed();
            assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
            assert!(took < SLOWEST_ANSWER, "a POST was answered after {took:?}");
            assert!(answer.headers()["retry-after"].to_str().unwrap().parse::<u32>().unwrap() > 0);
            let body: Value = answer.json().await.unwrap();
            assert!(text(&body, "error").contains("Kafka"), "{body}");
            took
        });
        let usual = median(join_all(posts).await);
        assert!(usual < ANSWER, "half of the POSTs were answered after {usual:?} or more");
    }
    let grown = board.process().resident_bytes().saturating_sub(memory);
    assert!(grown < 150 * 1024 * 1024, "it grew by {} MB", grown >> 20);
    let ready = board.http().get(board.url("/readyz")).send().await.unwrap();
    assert_eq!(ready.status(), StatusCode::SERVICE_UNAVAILABLE);
    let ready: Value = ready.json().await.unwrap();
    assert_eq!((&ready["checks"]["redis"], &ready["ready"]), (&"ok".into(), &false.into()), "{ready}");
    assert_ne!(ready["checks"]["kafka"], "ok");
    assert_eq!(ids(&board.messages(10).await), [first.as_str()], "reading goes on");

    stack.broker().restart().await;
    let again = accepted_again(&board).await;
    viewer
        .shows("the message after", RECOVERY, |shown| shown.iter().any(|message| message["id"] == again.as_str()))
        .await;
    board.ready().await;
    // Refused means unknown: what was refused may have been written, but nothing is there twice.
    shows_each_once(&stack, &board, &[first, again], RECOVERY).await;
}

#[tokio::test]
async fn while_redis_is_away_posts_are_accepted_and_reads_say_why_not() {
    let mut stack = Stack::start().await;
    let board = stack.serve().await;
    let viewer = viewer(&board).await;
    let mut posted = ids(&viewer.shown());
    stack.redis.kill9();

    for number in 0..20 {
        posted.push(accepted(&board, &format!("while away {number}")).await);
    }
    let keyed = posting(&board, "hi").header("idempotency-key", "a");
    for request in [keyed, board.http().get(board.url("/api/messages"))] {
        let answer = refused_in_time(request).await;
        assert!(answer.headers().contains_key("retry-after"));
        let body: Value = answer.json().await.unwrap();
        assert!(text(&body, "error").contains("Redis is away"), "{body}");
    }
    let page = board.http().get(board.url("/")).send().await.unwrap();
    assert_eq!(page.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(page.text().await.unwrap().contains("Redis is away"));
    assert_eq!(board.http().get(board.url("/healthz")).send().await.unwrap().status(), StatusCode::OK);
    let ready = board.http().get(board.url("/readyz")).send().await.unwrap();
    assert_eq!(ready.status(), StatusCode::SERVICE_UNAVAILABLE);

    stack.redis.restart().await;
    viewer.shows("everything", LIVE_AGAIN, |shown| shown.len() == posted.len()).await;
    posted.push(accepted(&board, "after").await);
    viewer.shows("the message after", LIVE, |shown| shown.len() == posted.len()).await;
    shows_each_once(&stack, &board, &posted, RECOVERY).await;
    saw_each_once(&viewer.events(), &posted);
    assert_eq!((viewer.connections(), viewer.resets()), (1, 0), "the viewer did not notice");
}

/// A server that hangs is worse than one that is dead: connections stay open, and nothing is answered.
#[tokio::test]
async fn while_servers_hang_answers_come_in_time() {
    let mut stack = Stack::with_own_broker().await;
    let board = stack.serve().await;
    let mut posted = vec![accepted(&board, "before").await];
    board::caught_up(&stack, SOON).await;

    stack.broker().freeze();
    refused_in_time(posting(&board, "while the broker hangs")).await;
    let older = board.http().get(board.url("/api/messages?before=v1.0-1.1-1.2-1"));
    assert!(refused_in_time(older).await.headers().contains_key("retry-after"));
    stack.broker().thaw();
    posted.push(accepted_again(&board).await);

    stack.redis.freeze();
    let impatient = board.http().get(board.url("/api/messages")).timeout(Duration::from_millis(300)).send().await;
    assert!(impatient.unwrap_err().is_timeout());
    eventually("a request whose client has hung up", SOON, async || {
        let hung_up = board.metric("http_requests_total", &["route=\"/api/messages\"", "status_code=\"499\""]).await;
        (hung_up == 1.0).then_some(())
    })
    .await;
    refused_in_time(board.http().get(board.url("/api/messages"))).await;
    posted.push(accepted(&board, "while Redis hangs").await);
    stack.redis.thaw();
    shows_each_once(&stack, &board, &posted, RECOVERY).await;
}

#[tokio::test]
async fn a_topic_that_is_made_anew_is_shown_from_its_start() {
    let stack = Stack::start().await;
    let board = stack.serve().await;
    let viewer = viewer(&board).await;
    for number in 0..50 {
        accepted(&board, &format!("old {number}")).await;
    }
    board::caught_up(&stack, SOON).await;
    let topic = stack.name("message-board");
    let deleted = stack.run(&["topics", "delete", &topic, "--yes"]).await;
    assert!(deleted.status.success(), "{deleted:?}");
    let ready = board.http().get(board.url("/readyz")).send().await.unwrap();
    assert_eq!(ready.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(ready.text().await.unwrap().contains("does not exist"));
    let created = stack.run(&["topics", "create", &topic, "--partitions", "3"]).await;
    assert!(created.status.success(), "{created:?}");

    let mut posted = Vec::new();
    for _ in 0..10 {
        posted.push(accepted_again(&board).await);
    }
    viewer
        .shows("every new message", RECOVERY, |shown| {
            let shown = ids(shown);
            posted.iter().all(|id| shown.contains(id))
        })
        .await;
    let window = board::window(&stack).await;
    let new: Vec<_> = ids(&window).into_iter().filter(|id| posted.contains(id)).collect();
    assert_eq!(new.len(), 10, "each once");
    assert!(seqs(&window).windows(2).all(|pair| pair[0] == pair[1] + 1), "without a hole");
    assert_eq!(State::of(&stack).await.passed(), 10, "it stands where the new log ends");
    assert!(viewer.resets() >= 1);
}

/// With the session timeout that everybody has: the group waits for the dead member, and is at rest when that is over.
#[tokio::test]
async fn a_killed_member_that_comes_back_leaves_the_group_at_rest() {
    let stack = Stack::start().await;
    let board = stack.serve_with(&["--no-consumers"]).await;
    let _first = stack.consume().await;
    let _second = stack.consume().await;
    let mut third = stack.consume().await;
    accepted(&board, "before").await;
    third.kill9();
    third.restart().await;
    let group = stack.name("message-board");
    let at_rest = async || {
        let described = stack.run(&["groups", "describe", &group, "--output", "json"]).await;
        let groups: serde_json::Value = serde_json::from_slice(&described.stdout).ok()?;
        let group = groups.get(0).unwrap_or(&groups);
        let members = group["members"].as_array()?;
        let one_each =
            members.iter().all(|member| member["partitions"].as_object().is_some_and(|topics| topics.len() == 1));
        (group["state"] == "Stable" && members.len() == 3 && one_each).then_some(())
    };
    eventually("three members with a partition each, and no ghost", RECOVERY, at_rest).await;
    let viewer = viewer(&board).await;
    // For longer than another session: each message is shown at once, so nobody rebalances.
    let started = Instant::now();
    while started.elapsed() < DEFAULT_SESSION + LIVE {
        let id = accepted(&board, "still at rest").await;
        viewer.shows("the message", LIVE, |shown| ids(shown).contains(&id)).await;
    }
    at_rest().await.expect("still at rest");
}

#[tokio::test]
async fn a_topic_that_was_made_anew_while_nobody_looked_is_shown_from_its_start() {
    let stack = Stack::start().await;
    let mut board = stack.serve().await;
    for number in 0..20 {
        accepted(&board, &format!("old {number}")).await;
    }
    board::caught_up(&stack, SOON).await;
    assert!(board.sigterm().await.success());
    let topic = stack.name("message-board");
    assert!(stack.run(&["topics", "delete", &topic, "--yes"]).await.status.success());
    assert!(stack.run(&["topics", "create", &topic, "--partitions", "3"]).await.status.success());
    // More in every partition than the state has seen of the old one, which offsets alone don't tell.
    assert!(stack.run(&["produce", "--app", "board", "--count", "90"]).await.status.success());

    let board = stack.serve().await;
    eventually("the new log", RECOVERY, async || (State::of(&stack).await.passed() == 90).then_some(())).await;
    let shown = board.messages(100).await;
    assert_eq!(shown.len(), 90, "all of the new, and none of the old");
    assert!(shown.iter().all(|message| !text(message, "content").starts_with("old ")));
}

fn posting(board: &Kboard, content: &str) -> RequestBuilder {
    board.http().post(board.url("/api/messages")).json(&json!({ "content": content, "author": "me" }))
}

/// What a request is answered that can't be served now: that there is no service, by one of some tries in time.
async fn refused_in_time(request: RequestBuilder) -> Response {
    within_a_try("a refusal", ANSWER, SOON, async || {
        let answer = request.try_clone().unwrap().send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        answer
    })
    .await
}

async fn accepted(board: &Kboard, content: &str) -> String {
    let answer = board.post(content, "me").await.unwrap().error_for_status().unwrap();
    text(&answer.json().await.unwrap(), "id").to_owned()
}

async fn accepted_again(board: &Kboard) -> String {
    eventually("a POST that is accepted again", RECOVERY, async || {
        let answer = board.post("again", "me").await.unwrap().error_for_status().ok()?;
        let body: Value = answer.json().await.unwrap();
        Some(text(&body, "id").to_owned())
    })
    .await
}
