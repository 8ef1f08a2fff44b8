//! A viewer: an SSE client that does what a browser's EventSource does, and remembers everything it was sent.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::StreamExt;
use serde_json::Value;
use tokio::task::JoinHandle;

use super::eventually;

/// A browser waits a second or more; a test has less time.
const RECONNECT: Duration = Duration::from_millis(50);

/// One event of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// Its `id:`, empty when it had none.
    pub id: String,
    /// Its `event:`, empty when it had none.
    pub name: String,
    /// Its `data:` lines, joined.
    pub data: String,
}

impl Event {
    /// The message it carries, if it is one.
    pub fn message(&self) -> Option<Value> {
        let value: Value = serde_json::from_str(&self.data).ok()?;
        value.get("content").is_some().then_some(value)
    }
}

/// A viewer of one stream, who reconnects with the last id until dropped.
#[derive(Debug)]
pub struct SseClient {
    seen: Arc<Mutex<Seen>>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Seen {
    events: Vec<Event>,
    /// The messages since the last `reset`: read once, when they come, for they are looked at all the time.
    shown: Vec<Value>,
    last_id: String,
    connections: usize,
    comments: usize,
}

impl SseClient {
    /// Starts viewing `url`, from the present.
    pub fn connect(url: &str) -> Self {
        Self::resume(url, "")
    }

    /// Starts viewing `url`, from after the event `last_id`.
    pub fn resume(url: &str, last_id: &str) -> Self {
        let seen = Arc::new(Mutex::new(Seen { last_id: last_id.to_owned(), ..Seen::default() }));
        let task = tokio::spawn(view(url.to_owned(), Arc::clone(&seen)));
        Self { seen, task }
    }

    /// Waits until the server greeted this viewer, so that nothing posted from now on can be missed.
    pub async fn connected(&self, timeout: Duration) {
        eventually("a stream's greeting", timeout, async || {
            self.events().iter().any(|event| event.data.contains("\"connected\"")).then_some(())
        })
        .await;
    }

    /// Waits until `condition` holds for what this viewer has on the screen.
    pub async fn shows(&self, what: &str, timeout: Duration, condition: impl Fn(&[Value]) -> bool) -> Vec<Value> {
        eventually(what, timeout, async || {
            // Outside of the lock: a condition may ask the viewer something else.
            let shown = self.shown();
            condition(&shown).then_some(shown)
        })
        .await
    }

    /// Every event so far.
    pub fn events(&self) -> Vec<Event> {
        self.seen.lock().unwrap().events.clone()
    }

    /// What a page would show: the messages since the last `reset`, in their order, none removed.
    pub fn shown(&self) -> Vec<Value> {
        self.seen.lock().unwrap().shown.clone()
    }

    /// How many messages those are; this copies none of them.
    pub fn count(&self) -> usize {
        self.seen.lock().unwrap().shown.len()
    }

    /// How often the server told this viewer to start anew.
    pub fn resets(&self) -> usize {
        self.seen.lock().unwrap().events.iter().filter(|event| event.name == "reset").count()
    }

    /// The id of the last event that had one.
    pub fn last_id(&self) -> String {
        self.seen.lock().unwrap().last_id.clone()
    }

    /// How often it was connected.
    pub fn connections(&self) -> usize {
        self.seen.lock().unwrap().connections
    }

    /// How many comments (keepalives) it was sent.
    pub fn comments(&self) -> usize {
        self.seen.lock().unwrap().comments
    }
}

impl Drop for SseClient {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Connects, reads to the end, and again.
async fn view(url: String, seen: Arc<Mutex<Seen>>) {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    loop {
        let mut request = http.get(&url).header("accept", "text/event-stream");
        let last_id = seen.lock().unwrap().last_id.clone();
        if !last_id.is_empty() {
            request = request.header("last-event-id", last_id);
        }
        if let Ok(response) = request.send().await.and_then(reqwest::Response::error_for_status) {
            seen.lock().unwrap().connections += 1;
            let mut parser = Parser::default();
            let mut body = response.bytes_stream();
            while let Some(Ok(chunk)) = body.next().await {
                parser.push(&chunk, &mut seen.lock().unwrap());
            }
        }
        tokio::time::sleep(RECONNECT).await;
    }
}

/// Turns bytes, however they are cut, into events. What a broken connection left unfinished is dropped with it.
#[derive(Debug, Default)]
struct Parser {
    line: Vec<u8>,
    event: Event,
    has_data: bool,
}

impl Parser {
    fn push(&mut self, bytes: &[u8], seen: &mut Seen) {
        for &byte in bytes {
            if byte == b'\n' {
                let line = String::from_utf8(std::mem::take(&mut self.line)).expect("SSE is UTF-8");
                self.end_line(line.strip_suffix('\r').unwrap_or(&line), seen);
            } else {
                self.line.push(byte);
            }
        }
    }

    fn end_line(&mut self, line: &str, seen: &mut Seen) {
        if line.is_empty() {
            return self.end_event(seen);
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "" => seen.comments += 1,
            "id" => value.clone_into(&mut self.event.id),
            "event" => value.clone_into(&mut self.event.name),
            "data" => {
                if std::mem::replace(&mut self.has_data, true) {
                    self.event.data.push('\n');
                }
                self.event.data.push_str(value);
            }
            _ => {}
        }
    }

    fn end_event(&mut self, seen: &mut Seen) {
        let event = std::mem::take(&mut self.event);
        if !event.id.is_empty() {
            event.id.clone_into(&mut seen.last_id);
        }
        // An event without data sets the id and is not shown, as the standard has it.
        if std::mem::take(&mut self.has_data) {
            if event.name == "reset" {
                seen.shown.clear();
            }
            seen.shown.extend(event.message());
            seen.events.push(event);
        }
    }
}
