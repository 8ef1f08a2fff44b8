//! The stream of messages: what a viewer is sent, in which order, and what happens when either side goes away.

mod support;

use std::time::{Duration, Instant};

use futures::future::join_all;
use reqwest::StatusCode;
use serde_json::{Value, json};
use support::board::{self, ids, post, saw_each_once, seqs};
use support::sse::Event;
use support::{Kboard, Load, SseClient, Stack, eventually, tools, within_a_try};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

/// On a busy machine.
const SOON: Duration = Duration::from_secs(60);
/// Half a request is given up after at most 30 s; the rest is the test machine's.
const GIVEN_UP: Duration = Duration::from_secs(45);

/// A board with message number 1 on it: who watches an empty board while more than a window's worth of messages comes
/// at once is told to start over.
async fn start() -> (Stack, Kboard) {
    let stack = Stack::start().await;
    let board = stack.serve().await;
    let viewer = viewer(&board).await;
    post(&board, 1).await;
    sees(&viewer, 1).await;
    (stack, board)
}

fn stream(board: &Kboard) -> String {
    board.url("/api/messages/stream")
}

/// A viewer from now on, that has been greeted.
async fn viewer(board: &Kboard) -> SseClient {
    let viewer = SseClient::connect(&stream(board));
    viewer.connected(SOON).await;
    viewer
}

async fn sees(viewer: &SseClient, count: usize) -> Vec<Value> {
    eventually(&format!("{count} messages"), SOON, async || (viewer.count() >= count).then_some(())).await;
    viewer.shown()
}

/// The first events of a new stream, asked for with these headers and this query.
async fn first_events(board: &Kboard, query: &str, header: Option<&str>, count: usize) -> Vec<Event> {
    let mut stream = Raw::open(board, query, header).await;
    stream.until(|text| text.matches("\n\n").count() >= count).await;
    stream.events()
}

/// A stream read byte by byte, as no well-behaved client would.
struct Raw {
    socket: TcpStream,
    read: Vec<u8>,
}

impl Raw {
    async fn open(board: &Kboard, query: &str, header: Option<&str>) -> Self {
        // A fixed buffer: one that grows by itself may take 32 MB for who does not read.
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(256 * 1024).unwrap();
        let mut socket = socket.connect(board.address().parse().unwrap()).await.unwrap();
        let header = header.map(|id| format!("last-event-id: {id}\r\n")).unwrap_or_default();
        // HTTP/1.0: without it the body would come in chunks.
        let request = format!("GET /api/messages/stream{query} HTTP/1.0\r\n{header}\r\n");
        socket.write_all(request.as_bytes()).await.unwrap();
        Self { socket, read: Vec::new() }
    }

    fn body(&self) -> String {
        let text = String::from_utf8_lossy(&self.read);
        text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default()
    }

    /// Reads until `enough`; `false` when the stream ended before.
    async fn until(&mut self, enough: impl Fn(&str) -> bool) -> bool {
        let reading = async {
            while !enough(&self.body()) {
                if self.socket.read_buf(&mut self.read).await.unwrap_or(0) == 0 {
                    return false;
                }
            }
            true
        };
        tokio::time::timeout(SOON, reading).await.expect("a stream that says something")
    }

    /// Its events; what broke off in the middle is none.
    fn events(&self) -> Vec<Event> {
        let body = self.body();
        let body = body.rsplit_once("\n\n").map_or("", |(whole, _)| whole);
        let blocks = body.split("\n\n").filter(|block| block.lines().any(|line| line.starts_with("data: ")));
        blocks
            .map(|block| {
                let field = |name: &str| {
                    let values = block.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
                    values.collect::<Vec<_>>().join("\n")
                };
                Event { id: field("id"), name: field("event"), data: field("data") }
            })
            .collect()
    }
}

#[tokio::test]
async fn a_viewer_is_greeted_and_then_sent_each_message_with_the_next_number() {
    let (_stack, board) = start().await;
    let viewer = viewer(&board).await;
    let posted = post(&board, 20).await;
    let shown = sees(&viewer, 20).await;

    let events = viewer.events();
    assert_eq!(events[0], Event { data: r#"{"type":"connected"}"#.to_owned(), ..Event::default() });
    assert_eq!(events.len(), 21, "only what came after the greeting");
    assert_eq!(ids(&shown), posted, "one poster's messages in the order of posting");
    assert_eq!(seqs(&shown), (2..22).collect::<Vec<_>>());
    saw_each_once(&events, &posted);
    let epoch = events[1].id.rsplit_once('-').unwrap().0;
    assert!(events[1..].iter().all(|event| event.id.starts_with(epoch) && event.name.is_empty()));
    assert_eq!(shown, board.messages(20).await.into_iter().rev().collect::<Vec<_>>(), "as the list has them");

    let response = board.http().get(stream(&board)).send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    assert!(response.headers()["cache-control"].to_str().unwrap().contains("no-cache"));
}

#[tokio::test]
async fn a_viewer_resumes_after_the_message_it_saw_last() {
    let (_stack, board) = start().await;
    let first = viewer(&board).await;
    let posted = post(&board, 30).await;
    sees(&first, 30).await;
    let id_of = |seq: usize| first.events()[seq].id.clone();
    let resumed = |events: &[Event]| ids(&events.iter().filter_map(Event::message).collect::<Vec<_>>());

    // The first message of this viewer, event 1, has number 2.
    let by_header = first_events(&board, "", Some(&id_of(10)), 21).await;
    assert_eq!(resumed(&by_header), posted[10..], "by header");
    let by_query = first_events(&board, &format!("?last_event_id={}", id_of(25)), None, 6).await;
    assert_eq!(resumed(&by_query), posted[25..], "by query");
    let by_both = first_events(&board, &format!("?last_event_id={}", id_of(5)), Some(&id_of(28)), 3).await;
    assert_eq!(resumed(&by_both), posted[28..], "the header tells what was seen since the address was made");

    let newest = SseClient::resume(&stream(&board), &id_of(30));
    newest.connected(SOON).await;
    let more = post(&board, 1).await;
    assert_eq!(ids(&sees(&newest, 1).await), more, "who has seen everything is sent only what is new");
    assert_eq!(newest.resets(), 0);
}

#[tokio::test]
async fn who_was_away_too_long_or_names_an_unknown_message_starts_over() {
    let (_stack, board) = start().await;
    let first = viewer(&board).await;
    let posted = post(&board, 129).await;
    let shown = sees(&first, 129).await;
    let epoch = first.last_id().rsplit_once('-').unwrap().0.to_owned();
    let window = &shown[29..];

    // The oldest message that can be resumed after is the one before the window.
    let oldest = first_events(&board, "", Some(&format!("{epoch}-30")), 101).await;
    assert_eq!((oldest[1].id.clone(), oldest[1].name.as_str()), (format!("{epoch}-31"), ""));
    for unknown in [
        format!("{epoch}-29"),
        format!("{epoch}-0"),
        format!("{epoch}-131"),
        format!("{epoch}-99999999999999999999999"),
        "0123456789ab-100".to_owned(),
        "nonsense".to_owned(),
        "-".to_owned(),
    ] {
        let events = first_events(&board, "", Some(&unknown), 102).await;
        assert_eq!(events[1].name, "reset", "{unknown}");
        assert_eq!(events[1].data, json!({ "epoch": epoch }).to_string(), "{unknown}");
        let window_sent: Vec<Value> = events[2..].iter().filter_map(Event::message).collect();
        assert_eq!(window_sent, window, "{unknown}: the window, oldest first");
    }
    assert_eq!(ids(&shown), posted);
}

#[tokio::test]
async fn a_quiet_stream_says_that_it_is_alive() {
    let (_stack, board) = start().await;
    let viewer = viewer(&board).await;
    // Of some keepalives one comes when it should: a busy machine may be late for the others.
    let on_time = Duration::from_secs(13)..Duration::from_secs(18);
    let mut quiet: Vec<Duration> = Vec::new();
    let mut quiet_since = Instant::now();
    while !quiet.last().is_some_and(|last| on_time.contains(last)) {
        assert!(quiet.len() < 3, "after {quiet:?}");
        let seen = viewer.comments();
        eventually("a keepalive", SOON, async || (viewer.comments() > seen).then_some(())).await;
        quiet.push(quiet_since.elapsed());
        quiet_since = Instant::now();
    }
    assert_eq!(viewer.connections(), 1);
}

#[tokio::test]
async fn a_viewer_that_does_not_read_is_cut_off_and_resumes_with_nothing_lost() {
    let (stack, board) = start().await;
    let mut slow = Raw::open(&board, "", None).await;
    assert!(slow.until(|body| body.contains("connected")).await);
    let quick = viewer(&board).await;

    // More than sockets and the queue hold together, in messages of the largest size.
    let content = "🙂".repeat(2_000);
    let record = |number: usize| {
        json!({ "id": format!("id-{number}"), "content": content, "author": "me", "timestamp": number }).to_string()
    };
    let topic = stack.name("message-board");
    for batch in 0..10 {
        let input: String = (batch * 500..(batch + 1) * 500).map(|number| record(number) + "\n").collect();
        tools::kcat(stack.kafka(), &["-P", "-t", &topic, "-p", "0"], &input).await;
        sees(&quick, (batch + 1) * 500).await;
    }
    // What was sent to it before is still to be read; then the server finds how far behind it is, and the stream is over.
    assert!(!slow.until(|_| false).await, "it was cut off");
    eventually("the slow viewer's end", SOON, async || {
        (board.metric("sse_connections_total", &["status=\"dropped\""]).await == 1.0).then_some(())
    })
    .await;
    let events: Vec<Event> = slow.events();
    let seen = events.iter().filter_map(Event::message).count();
    assert!(seen < 5_000, "cut off before the end");
    saw_each_once(&events, &[]);
    let resumed = SseClient::resume(&stream(&board), &events.last().unwrap().id);
    resumed.shows("the newest", SOON, |shown| shown.last().is_some_and(|last| last["id"] == "id-4999")).await;
    assert_eq!(resumed.resets(), 1, "it was away for more than the window, and is told so");
    assert_eq!(resumed.shown().len(), board::WINDOW);
    assert_eq!(quick.connections(), 1, "the others did not notice");
    assert_eq!(quick.resets(), 0);
}

#[tokio::test]
async fn viewers_of_two_servers_see_one_order() {
    let (stack, one) = start().await;
    let two = stack.serve().await;
    let (left, right) = (viewer(&one).await, viewer(&two).await);
    let load = Load::start(&[&one, &two], 8, Duration::from_millis(1));
    load.goes_on(400, SOON).await;
    let posted = load.stop().await;
    let (left, right) = (sees(&left, posted.len()).await, sees(&right, posted.len()).await);
    assert_eq!(left, right);
    assert_eq!(seqs(&left), (2..2 + posted.len() as u64).collect::<Vec<_>>());
}

#[tokio::test]
async fn idle_streams_and_slow_requests_do_not_hold_a_post_up() {
    let (_stack, board) = start().await;
    let streams = join_all((0..1_000).map(|_| Raw::open(&board, "", None))).await;
    // Requests that never end: a head that comes byte by byte, a body that never comes.
    let mut slow = Vec::new();
    for head in
        ["GET / HTTP/1.1\r\nhost: x\r\nx-a: ", "POST /api/messages HTTP/1.1\r\nhost: x\r\ncontent-length: 99\r\n\r\n{"]
    {
        for _ in 0..200 {
            let mut socket = TcpStream::connect(board.address()).await.unwrap();
            socket.write_all(head.as_bytes()).await.unwrap();
            slow.push(socket);
        }
    }
    eventually("a thousand streams", SOON, async || {
        (board.metric("sse_active_connections", &[]).await == 1_000.0).then_some(())
    })
    .await;
    // Tried for less time than the slow requests stay: without them there would be nothing to hold a post up.
    let (limit, while_slow) = (Duration::from_secs(2), Duration::from_secs(6));
    let posted = within_a_try("a post", limit, while_slow, async || post(&board, 1).await).await;
    for mut stream in streams {
        assert!(stream.until(|body| body.contains(&posted[0])).await);
    }
    // What doesn't come in time is given up, and who sent half a body is told so.
    let ends = slow.into_iter().map(|mut socket| async move {
        let mut answer = Vec::new();
        let closed = tokio::time::timeout(GIVEN_UP, socket.read_to_end(&mut answer)).await;
        closed.expect("the server gave the request up").unwrap();
        answer
    });
    let answers = join_all(ends).await;
    let told = answers.iter().filter(|answer| answer.starts_with(b"HTTP/1.1 408")).count();
    assert!(told >= 200, "{told}");
}

#[tokio::test]
async fn a_server_that_leaves_tells_its_viewers_when_to_come_back() {
    let (_stack, mut board) = start().await;
    let mut streams = join_all((0..50).map(|_| Raw::open(&board, "", None))).await;
    for stream in &mut streams {
        assert!(stream.until(|body| body.contains("connected")).await);
    }
    let posted = post(&board, 1).await;
    for stream in &mut streams {
        assert!(stream.until(|body| body.contains(&posted[0]) && body.ends_with("\n\n")).await);
    }
    let status = board.sigterm().await;
    assert!(status.success(), "{status}");
    for mut stream in streams {
        assert!(!stream.until(|_| false).await, "the stream ends");
        let body = stream.body();
        assert!(body.contains(&posted[0]) && body.ends_with("retry: 1000\n\n"), "{body}");
    }
}

#[tokio::test]
async fn a_viewer_of_a_restarted_server_goes_on_where_it_was() {
    let (stack, mut board) = start().await;
    let viewer = viewer(&board).await;
    let mut posted = post(&board, 10).await;
    sees(&viewer, 10).await;
    assert!(board.sigterm().await.success());
    let other = stack.serve().await;
    posted.extend(post(&other, 10).await);
    board.restart().await;
    posted.extend(post(&board, 10).await);
    sees(&viewer, 30).await;
    saw_each_once(&viewer.events(), &posted);
    assert_eq!((viewer.resets(), viewer.shown().len()), (0, 30));
    let response = other.http().get(stream(&other)).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
}
