//! What a board must show, looked at from outside: over HTTP, in Redis, and through the eyes of a viewer.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use serde_json::Value;

use super::sse::Event;
use super::{Kboard, Stack, eventually, tools};

/// The partitions of the board's topic.
pub const PARTITIONS: usize = 3;
/// The messages that Redis keeps.
pub const WINDOW: usize = 100;

/// A string field of a message.
pub fn text<'a>(message: &'a Value, field: &str) -> &'a str {
    message[field].as_str().unwrap_or_else(|| panic!("{field} of {message}"))
}

/// The ids of messages.
pub fn ids(messages: &[Value]) -> Vec<String> {
    messages.iter().map(|message| text(message, "id").to_owned()).collect()
}

/// The numbers of messages.
pub fn seqs(messages: &[Value]) -> Vec<u64> {
    messages.iter().map(|message| message["seq"].as_u64().unwrap_or_else(|| panic!("seq of {message}"))).collect()
}

/// Posts `count` messages one after the other; their ids.
pub async fn post(board: &Kboard, count: usize) -> Vec<String> {
    let mut posted = Vec::with_capacity(count);
    for number in 0..count {
        let response = board.post(&format!("message {number}"), "me").await.unwrap();
        let body: Value = response.error_for_status().unwrap().json().await.unwrap();
        posted.push(text(&body, "id").to_owned());
    }
    posted
}

/// All messages of a board, newest first, page by page of `limit`, following `next` to the log's start.
pub async fn walk(board: &Kboard, limit: usize) -> Vec<Value> {
    let (mut all, mut next) = (Vec::new(), None::<String>);
    loop {
        let before = next.map(|cursor| format!("&before={cursor}")).unwrap_or_default();
        let url = board.url(&format!("/api/messages?limit={limit}{before}"));
        let mut page: Value =
            board.http().get(url).send().await.unwrap().error_for_status().unwrap().json().await.unwrap();
        all.append(page["messages"].as_array_mut().unwrap());
        let Some(cursor) = page["next"].as_str() else { return all };
        next = Some(cursor.to_owned());
    }
}

/// The projection as Redis keeps it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Which life of it.
    pub epoch: String,
    /// How many messages it has numbered.
    pub seq: u64,
    /// The offset after the last applied record, by partition.
    pub offsets: BTreeMap<u32, u64>,
}

impl State {
    /// Reads it.
    pub async fn of(stack: &Stack) -> Self {
        let hash = stack.redis.cli(&["HGETALL", &stack.name("kboard:message-board")]).await;
        let mut state = Self::default();
        let mut lines = hash.lines();
        while let (Some(field), Some(value)) = (lines.next(), lines.next()) {
            match field.rsplit_once(':') {
                Some((_, partition)) => {
                    state.offsets.insert(partition.parse().unwrap(), value.parse().unwrap());
                }
                None if field == "epoch" => value.clone_into(&mut state.epoch),
                None if field == "seq" => state.seq = value.parse().unwrap(),
                // The topic's id.
                None => {}
            }
        }
        state
    }

    /// Records that it has passed.
    pub fn passed(&self) -> u64 {
        self.offsets.values().sum()
    }
}

/// The window as Redis keeps it, newest first.
pub async fn window(stack: &Stack) -> Vec<Value> {
    let list = stack.redis.cli(&["LRANGE", &stack.name("messages"), "0", "-1"]).await;
    list.lines().filter(|line| !line.is_empty()).map(|member| serde_json::from_str(member).unwrap()).collect()
}

/// Every record of the board's topic: partition, offset, and the message's id, which is the key.
pub async fn log(stack: &Stack) -> Vec<(u32, u64, String)> {
    let topic = stack.name("message-board");
    let consume = ["-C", "-q", "-t", &topic, "-o", "beginning", "-e", "-f", "%p %o %k\n"];
    let printed = tools::kcat(stack.kafka(), &consume, "").await;
    let records = printed.lines().map(|line| {
        let mut words = line.split(' ');
        let mut word = || words.next().unwrap();
        (word().parse().unwrap(), word().parse().unwrap(), word().to_owned())
    });
    records.collect()
}

/// Waits until the projection has passed the end of the log; the projection.
pub async fn caught_up(stack: &Stack, timeout: Duration) -> State {
    let records = log(stack).await.len() as u64;
    eventually(&format!("the projection at the log's end, {records} records"), timeout, async || {
        // Redis may be on its way back.
        if !tools::redis_answers(&stack.redis.url()).await {
            return None;
        }
        let state = State::of(stack).await;
        (state.passed() >= records).then_some(state)
    })
    .await
}

/// After all faults: the log has every acknowledged message once, the projection has numbered each record of the log
/// once, the window is the newest of them without a hole, and the pages lead through all of them, each once.
pub async fn shows_each_once(stack: &Stack, board: &Kboard, acknowledged: &[String], timeout: Duration) {
    let state = caught_up(stack, timeout).await;
    let log = log(stack).await;
    let written: HashSet<&String> = log.iter().map(|(_, _, id)| id).collect();
    assert_eq!(written.len(), log.len(), "a message stands in the log twice");
    for id in acknowledged {
        assert!(written.contains(id), "acknowledged message {id} is not in the log");
    }
    assert_eq!(state.seq, log.len() as u64, "the projection numbered each record of the log once: {state:?}");

    let window = window(stack).await;
    let newest = state.seq.saturating_sub(WINDOW as u64) + 1..=state.seq;
    assert_eq!(seqs(&window), newest.rev().collect::<Vec<_>>(), "the window has a hole");

    let walked = ids(&walk(board, WINDOW).await);
    let shown: HashSet<&String> = walked.iter().collect();
    assert_eq!(shown.len(), walked.len(), "a message is shown twice");
    assert_eq!(shown, written, "the pages lead through the whole log");
}

/// What a viewer was sent: the numbers run on without a hole or a repetition, across every reconnect, except where the
/// server told it to start over; and it has seen all of `expected`.
pub fn saw_each_once(events: &[Event], expected: &[String]) {
    let mut last: Option<(String, u64)> = None;
    let mut seen = HashSet::new();
    for event in events {
        if event.name == "reset" {
            last = None;
        }
        let Some(message) = event.message() else { continue };
        let (epoch, seq) = event.id.rsplit_once('-').unwrap_or_else(|| panic!("id of {event:?}"));
        let seq: u64 = seq.parse().unwrap();
        assert_eq!(message["seq"].as_u64(), Some(seq), "the id tells the message's number");
        if let Some((last_epoch, last_seq)) = &last {
            assert_eq!((epoch, seq), (last_epoch.as_str(), last_seq + 1), "the viewer's next message");
        }
        last = Some((epoch.to_owned(), seq));
        seen.insert(text(&message, "id").to_owned());
    }
    let missing: Vec<_> = expected.iter().filter(|id| !seen.contains(*id)).collect();
    assert!(missing.is_empty(), "the viewer never saw {} of {} messages: {missing:?}", missing.len(), expected.len());
}
