//! The board over HTTP: what its API promises, what it refuses, and what a browser without scripts gets.

mod support;

use std::collections::HashSet;
use std::time::{Duration, Instant};

use reqwest::{RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use support::board::{self, text};
use support::{Kboard, Load, SseClient, Stack, eventually, one_of_three_takes_less, tools};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// On a busy machine.
const SOON: Duration = Duration::from_secs(60);
/// What a clean shutdown may take.
const SHUTDOWN: Duration = Duration::from_secs(5);

async fn start() -> (Stack, Kboard) {
    let stack = Stack::start().await;
    let board = stack.serve().await;
    (stack, board)
}

fn posting(board: &Kboard, body: &Value) -> RequestBuilder {
    board.http().post(board.url("/api/messages")).json(body)
}

fn posting_form(board: &Kboard, body: impl Into<reqwest::Body>) -> RequestBuilder {
    board.http().post(board.url("/api/messages")).header("content-type", "application/x-www-form-urlencoded").body(body)
}

async fn get(board: &Kboard, path: &str) -> Response {
    board.http().get(board.url(path)).send().await.unwrap()
}

async fn page(board: &Kboard) -> String {
    get(board, "/").await.error_for_status().unwrap().text().await.unwrap()
}

/// The answer to a request: its status and JSON.
async fn answer(request: RequestBuilder) -> (StatusCode, Value) {
    let response = request.send().await.unwrap();
    (response.status(), response.json().await.unwrap())
}

/// Posts and gives the id.
async fn accepted(request: RequestBuilder) -> String {
    let (status, body) = answer(request).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    text(&body, "id").to_owned()
}

/// Waits until the board lists `count` messages.
async fn lists(board: &Kboard, count: usize) -> Vec<Value> {
    eventually(&format!("{count} messages on the board"), SOON, async || {
        let messages = board.messages(board::WINDOW).await;
        (messages.len() == count).then_some(messages)
    })
    .await
}

#[tokio::test]
async fn a_posted_message_is_answered_listed_and_logged_field_for_field() {
    let (stack, board) = start().await;
    let request = posting(&board, &json!({ "content": " grün\r\nund blau ", "author": " Zoë " }))
        .header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
        .header("x-correlation-id", "order-7");
    let (status, body) = answer(request).await;
    let id = text(&body, "id").to_owned();
    assert_eq!(status, StatusCode::OK);
    assert_eq!(body, json!({ "success": true, "message": "Message sent to Kafka", "id": id }));
    assert_eq!((id.len(), id.as_bytes()[14]), (36, b'7'), "{id} is a UUIDv7");

    let listed = lists(&board, 1).await.remove(0);
    let timestamp = listed["timestamp"].as_i64().unwrap();
    let message = json!({ "id": id, "content": "grün\nund blau", "author": "Zoë", "timestamp": timestamp });
    let mut numbered = message.clone();
    numbered["seq"] = json!(1);
    assert_eq!(listed, numbered);
    let (_, list) = answer(board.http().get(board.url("/api/messages"))).await;
    assert_eq!(list, json!({ "messages": [numbered] }), "nothing older, so no cursor");

    let topic = stack.name("message-board");
    let consume = ["-C", "-q", "-t", &topic, "-o", "beginning", "-e", "-f", "%k\n%s\n%T\n%h\n"];
    let record = tools::kcat(stack.kafka(), &consume, "").await;
    let [key, value, time, headers] = record.lines().collect::<Vec<_>>().try_into().unwrap();
    assert_eq!(key, id);
    assert_eq!(serde_json::from_str::<Value>(value).unwrap(), message);
    assert_eq!(time, timestamp.to_string());
    let headers: HashSet<&str> = headers.split(',').collect();
    for header in [
        &format!("x-event-id={id}"),
        "x-event-type=MessagePosted",
        "x-event-version=1",
        "x-correlation-id=order-7",
        "x-trace-id=0af7651916cd43dd8448eb211c80319c",
        &format!("x-timestamp={timestamp}"),
    ] {
        assert!(headers.contains(header), "{header} in {headers:?}");
    }
    let child = headers.iter().find(|header| header.starts_with("traceparent=")).unwrap();
    assert!(child.starts_with("traceparent=00-0af7651916cd43dd8448eb211c80319c-"), "{child}");
    assert!(!child.contains("b7ad6b7169203331"), "the record is a span of its own: {child}");
}

#[tokio::test]
async fn bad_input_is_refused_with_the_field_at_fault() {
    let (_stack, board) = start().await;
    let long = |length: usize| "x".repeat(length);
    let draft = |content: &str, author: &str| json!({ "content": content, "author": author }).to_string().into_bytes();
    let refused: Vec<(Vec<u8>, Option<&str>, &str)> = vec![
        (b"".to_vec(), None, "not JSON"),
        (b"{".to_vec(), None, "not JSON"),
        (b"content=hi&author=me".to_vec(), None, "not JSON"),
        (b"\xff\xfe".to_vec(), None, "not JSON"),
        (b"{\"content\":\"\xc3\x28\",\"author\":\"me\"}".to_vec(), None, "not JSON"),
        (b"{\"content\":\"a\nb\",\"author\":\"me\"}".to_vec(), None, "not JSON"),
        (b"{\"content\":\"\\ud800\",\"author\":\"me\"}".to_vec(), None, "not JSON"),
        (vec![b'['; 60_000], None, "not JSON"),
        (b"[]".to_vec(), None, "JSON object"),
        (br#"["content","author"]"#.to_vec(), None, "JSON object"),
        (b"null".to_vec(), None, "JSON object"),
        (b"\"hi\"".to_vec(), None, "JSON object"),
        (b"{}".to_vec(), Some("content"), "required"),
        (br#"{"content":null,"author":"me"}"#.to_vec(), Some("content"), "required"),
        (br#"{"content":1,"author":"me"}"#.to_vec(), Some("content"), "string"),
        (br#"{"content":{"a":1},"author":"me"}"#.to_vec(), Some("content"), "string"),
        (br#"{"content":"hi","author":["me"]}"#.to_vec(), Some("author"), "string"),
        (br#"{"content":"hi"}"#.to_vec(), Some("author"), "required"),
        (draft("", "me"), Some("content"), "empty"),
        (draft(" \n\t ", "me"), Some("content"), "empty"),
        (draft("hi", "  "), Some("author"), "empty"),
        (draft(&long(2_001), "me"), Some("content"), "2001 characters"),
        (draft("hi", &long(51)), Some("author"), "51 characters"),
        (draft("a\u{0}b", "me"), Some("content"), "U+0000"),
        (draft("a\u{1b}[31mb", "me"), Some("content"), "U+001B"),
        (draft("hi", "me\r\nset-cookie: a=b"), Some("author"), "U+000D"),
    ];
    for (body, field, words) in refused {
        let shown = String::from_utf8_lossy(&body[..body.len().min(80)]).into_owned();
        let request = board.http().post(board.url("/api/messages")).header("content-type", "application/json");
        let (status, answer) = answer(request.body(body)).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{shown}: {answer}");
        assert_eq!(answer["field"].as_str(), field, "{shown}: {answer}");
        let reason = text(&answer, "error");
        assert!(reason.contains(words) && field.is_none_or(|field| reason.contains(field)), "{shown}: {reason}");
    }
    // The longest that is allowed, counted in characters, and what a form or a program may add.
    accepted(posting(&board, &json!({ "content": "ü".repeat(2_000), "author": "李".repeat(50), "more": 1 }))).await;
    assert_eq!(lists(&board, 1).await.len(), 1, "nothing that was refused is on the board");
}

#[tokio::test]
async fn a_body_of_a_megabyte_is_refused_and_the_server_goes_on() {
    let (_stack, board) = start().await;
    let huge = json!({ "content": "x".repeat(1024 * 1024), "author": "me" });
    let (status, answer) = answer(posting(&board, &huge)).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(text(&answer, "error").contains("larger than"), "{answer}");
    accepted(posting(&board, &json!({ "content": "small", "author": "me" }))).await;
}

#[tokio::test]
async fn an_idempotency_key_shows_a_repeated_message_once() {
    let (_stack, board) = start().await;
    let hello = json!({ "content": "hello", "author": "me" });
    let keyed = |key: &str, body: &Value| posting(&board, body).header("idempotency-key", key);

    let first = accepted(keyed("a", &hello)).await;
    assert_eq!(accepted(keyed("a", &hello)).await, first, "the same answer again");
    let racing = (0..8).map(|_| accepted(keyed("b", &hello)));
    let racing: HashSet<String> = futures::future::join_all(racing).await.into_iter().collect();
    assert_eq!(racing.len(), 1, "all who race get the same id");
    let other = accepted(posting(&board, &hello)).await;
    assert_eq!(lists(&board, 3).await.len(), 3);

    let (status, body) = answer(keyed("a", &json!({ "content": "another", "author": "me" }))).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
    for key in [String::new(), "two words".to_owned(), "k".repeat(201)] {
        let (status, body) = answer(keyed(&key, &hello)).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{key:?}: {body}");
        assert!(text(&body, "error").contains("Idempotency-Key"), "{body}");
    }
    // Later than everything above, whatever partition it is in: so nothing more is on its way.
    let last = accepted(posting(&board, &hello)).await;
    let shown: HashSet<String> = board::ids(&lists(&board, 4).await).into_iter().collect();
    assert_eq!(shown, HashSet::from([first, racing.into_iter().next().unwrap(), other, last]));
}

#[tokio::test]
async fn pages_lead_through_the_whole_log_newest_first_each_message_once() {
    let (stack, board) = start().await;
    let made = stack.run(&["produce", "--app", "board", "--count", "730"]).await;
    assert!(made.status.success(), "{made:?}");
    let state = board::caught_up(&stack, SOON).await;
    assert_eq!(state.seq, 730);
    let log = board::log(&stack).await;

    for limit in [100, 50, 7] {
        let walked = board::walk(&board, limit).await;
        let ids = board::ids(&walked);
        assert_eq!(ids.len(), 730, "pages of {limit}");
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 730, "pages of {limit} repeat a message");
        for partition in 0..board::PARTITIONS as u32 {
            let written = log.iter().rev().filter(|(of, ..)| *of == partition).map(|(_, _, id)| id);
            let of_partition: HashSet<&String> = written.clone().collect();
            let shown = ids.iter().filter(|id| of_partition.contains(id));
            assert!(written.eq(shown), "pages of {limit} keep the order of partition {partition}");
        }
    }
    let pages_of_one: Vec<Value> = board.messages(1).await;
    assert_eq!(pages_of_one[0]["seq"], 730);

    for (query, field) in [
        ("before=x", "before"),
        ("before=", "before"),
        ("before=v1.0--1", "before"),
        ("before=%0d%0aset-cookie:%20a=b", "before"),
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=-1", "limit"),
        ("limit=ten", "limit"),
    ] {
        let (status, body) = answer(board.http().get(board.url(&format!("/api/messages?{query}")))).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{query}");
        assert_eq!(text(&body, "field"), field, "{query}: {body}");
    }
    assert_eq!(get(&board, "/?before=x").await.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn pages_of_html_lead_back_without_a_script() {
    let (stack, board) = start().await;
    let made = stack.run(&["produce", "--app", "board", "--count", "130"]).await;
    assert!(made.status.success(), "{made:?}");
    board::caught_up(&stack, SOON).await;
    let (mut path, mut shown, mut pages) = ("/".to_owned(), HashSet::new(), 0);
    loop {
        let html = get(&board, &path).await.error_for_status().unwrap().text().await.unwrap();
        pages += 1;
        for (_, _, id) in board::log(&stack).await.iter().filter(|(_, _, id)| html.contains(id.as_str())) {
            assert!(shown.insert(id.clone()), "{id} is on two pages");
        }
        let Some(older) = html.split("href=\"/?before=").nth(1) else { break };
        path = format!("/?before={}", older.split('"').next().unwrap());
    }
    assert_eq!((shown.len(), pages), (130, 3));
}

#[tokio::test]
async fn the_form_works_without_a_script() {
    let (_stack, board) = start().await;
    // The first message of a board takes its time.
    accepted(posting(&board, &json!({ "content": "first", "author": "me" }))).await;
    lists(&board, 1).await;

    // The answer waited for the message, so the board it leads to has it; and the author is remembered. On a busy machine the
    // wait may end before the message comes: of some, one is there.
    let mut shown = None;
    for number in 0..5 {
        let html = submitted(&board, &format!("one%0D%0Atwo+{number}")).await;
        shown = html.contains(&format!("one\ntwo {number}")).then_some(html);
        if shown.is_some() {
            break;
        }
    }
    let html = shown.expect("the message is on the page");
    let input = html.split("<input id=\"author\"").nth(1).unwrap().split('>').next().unwrap();
    assert!(input.contains("value=\"Zoë &#38; co\"") || input.contains("value=\"Zoë &amp; co\""), "{input}");

    let refused = posting_form(&board, "content=kept+draft&author=").send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
    let html = refused.text().await.unwrap();
    assert!(html.contains("kept draft") && html.contains("author is empty"), "what was typed is kept, with the reason");
    let refused = posting_form(&board, "content=hi&author=a%0D%0ASet-Cookie:+x=y").send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
    assert!(!refused.headers().contains_key("set-cookie"));
}

/// Sends the form; the page that the answer leads to.
async fn submitted(board: &Kboard, content: &str) -> String {
    let form = format!("content={content}&author=Zo%C3%AB+%26+co");
    let posted = posting_form(board, form).send().await.unwrap();
    assert_eq!(posted.status(), StatusCode::SEE_OTHER);
    assert_eq!(posted.headers()["location"], "/");
    let cookie = posted.headers()["set-cookie"].to_str().unwrap();
    assert!(cookie.contains("SameSite=Lax") && cookie.contains("Path=/"), "{cookie}");
    let pair = cookie.split(';').next().unwrap();
    board.http().get(board.url("/")).header("cookie", pair).send().await.unwrap().text().await.unwrap()
}

#[tokio::test]
async fn markup_in_a_message_is_shown_as_text() {
    let (_stack, board) = start().await;
    let markup = "<script>alert('x')</script><img src=x onerror=alert(1)>&amp;\"";
    accepted(posting(&board, &json!({ "content": markup, "author": "<b>\"me\"</b>" }))).await;
    let listed = lists(&board, 1).await.remove(0);
    assert_eq!((text(&listed, "content"), text(&listed, "author")), (markup, "<b>\"me\"</b>"), "JSON has it as it was");
    let html = page(&board).await;
    for raw in ["<script>alert", "<img src=x", "<b>\"me\""] {
        assert!(!html.contains(raw), "{raw}");
    }
    assert!(html.contains("&#60;script&#62;alert(") || html.contains("&lt;script&gt;alert("), "it is there as text");
    // Text that would end an event of the stream early stays inside its JSON.
    accepted(posting(&board, &json!({ "content": "a\n\ndata: {\"id\":\"forged\"}", "author": "me" }))).await;
    let listed = lists(&board, 2).await.remove(0);
    assert_eq!(text(&listed, "content"), "a\n\ndata: {\"id\":\"forged\"}");
}

#[tokio::test]
async fn every_answer_is_guarded_and_unknown_routes_are_told_from_wrong_methods() {
    let (_stack, board) = start().await;
    for path in ["/", "/api/messages", "/nothing", "/healthz", "/api/messages?limit=x"] {
        let headers = get(&board, path).await.headers().clone();
        assert_eq!(headers["x-content-type-options"], "nosniff", "{path}");
        assert_eq!(headers["referrer-policy"], "same-origin", "{path}");
        let is_page = headers["content-type"].to_str().unwrap().starts_with("text/html");
        assert_eq!(headers.contains_key("content-security-policy"), is_page, "{path}: it says what a page may load");
    }
    let page = get(&board, "/").await;
    let policy = page.headers()["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("default-src 'self'") && policy.contains("frame-ancestors 'none'"), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    for path in ["/nothing", "/api", "/api/messages/1", "/static/nothing.js", "/static/../Cargo.toml", "//", "/%00"] {
        let response = get(&board, path).await;
        assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
        let body: Value = response.json().await.unwrap();
        assert!(body["error"].is_string(), "{path}: {body}");
    }
    for (method, path) in
        [("DELETE", "/api/messages"), ("PUT", "/"), ("POST", "/api/messages/stream"), ("POST", "/metrics")]
    {
        let request = board.http().request(method.parse().unwrap(), board.url(path));
        assert_eq!(request.send().await.unwrap().status(), StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
    }
    let refused = board.http().delete(board.url("/api/messages")).send().await.unwrap();
    assert_eq!(refused.headers()["allow"], "GET, HEAD, POST");
    for path in ["/", "/healthz", "/readyz", "/api/messages", "/metrics"] {
        let head = board.http().head(board.url(path)).send().await.unwrap();
        assert_eq!((head.status(), head.text().await.unwrap().len()), (StatusCode::OK, 0), "{path}");
    }
    let last = get(&board, "/api/messages?limit=x&limit=1").await;
    assert_eq!(last.status(), StatusCode::OK, "of a parameter that comes twice the last one holds");
}

#[tokio::test]
async fn other_sites_pages_may_not_post() {
    let (_stack, board) = start().await;
    let host = board.address();
    let own = format!("http://{host}");
    for (header, value, allowed) in [
        ("sec-fetch-site", "same-origin", true),
        ("sec-fetch-site", "none", true),
        ("sec-fetch-site", "same-site", false),
        ("sec-fetch-site", "cross-site", false),
        // Without TLS and beyond this machine, browsers say no more than the origin.
        ("origin", own.as_str(), true),
        ("origin", "http://evil.example", false),
        ("origin", "null", false),
        ("user-agent", "a program", true),
    ] {
        let request = board.http().post(board.url("/api/messages")).header(header, value);
        let answer = request.json(&json!({ "content": "hi", "author": "me" })).send().await.unwrap();
        let expected = if allowed { StatusCode::OK } else { StatusCode::FORBIDDEN };
        assert_eq!(answer.status(), expected, "{header}: {value}");
    }
}

/// What a client sends that is no HTTP, or tries to add headers to the answer, harms nobody but itself.
#[tokio::test]
async fn nonsense_on_the_wire_is_refused() {
    let (_stack, board) = start().await;
    for sent in [
        "GARBAGE\r\n\r\n".to_owned(),
        "POST /api/messages HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n".to_owned(),
        "POST /api/messages HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello!".to_owned(),
        "POST /api/messages HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n".to_owned(),
        format!("GET / HTTP/1.1\r\nhost: x\r\ncookie: {}\r\n\r\n", "a".repeat(100_000)),
        "GET / HTTP/1.1\r\nhost: x\r\nidempotency-key: a\0b\r\n\r\n".to_owned(),
    ] {
        let mut stream = TcpStream::connect(board.address()).await.unwrap();
        // The server may hang up before it has read all of it.
        let _ = stream.write_all(sent.as_bytes()).await;
        let mut answer = Vec::new();
        let _ = tokio::time::timeout(SOON, stream.read_to_end(&mut answer)).await.expect("the connection is closed");
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{:.40}: {answer}", sent);
    }
    accepted(posting(&board, &json!({ "content": "still here", "author": "me" }))).await;
}

#[tokio::test]
async fn a_server_at_work_ends_in_time_when_it_is_asked_to() {
    let stack = Stack::start().await;
    one_of_three_takes_less("the end", SHUTDOWN, async || {
        let mut board = stack.serve().await;
        let viewer = SseClient::connect(&board.url("/api/messages/stream"));
        viewer.connected(SOON).await;
        let load = Load::start(&[&board], 3, Duration::from_millis(20));
        load.goes_on(30, SOON).await;
        let asked = Instant::now();
        assert!(board.sigterm().await.success());
        let took = asked.elapsed();
        load.stop().await;
        took
    })
    .await;
}

#[tokio::test]
async fn health_and_metrics_tell_what_happened() {
    let (stack, board) = start().await;
    assert_eq!(get(&board, "/healthz").await.status(), StatusCode::OK);
    let ready: Value = get(&board, "/readyz").await.json().await.unwrap();
    let group = format!("group {}", stack.name("message-board"));
    assert_eq!(ready, json!({ "ready": true, "checks": { "kafka": "ok", "redis": "ok", group: "ok" } }));

    for content in ["one", "two", "three"] {
        accepted(posting(&board, &json!({ "content": content, "author": "me" }))).await;
    }
    lists(&board, 3).await;
    let topic = format!("topic=\"{}\"", stack.name("message-board"));
    let sent = board.metric("kafka_producer_messages_sent_total", &[&topic, "status=\"success\""]).await;
    assert_eq!(sent, 3.0);
    eventually("the consumer's count", SOON, async || {
        let consumed = board.metric("kafka_consumer_messages_consumed_total", &[&topic]).await;
        (consumed == 3.0).then_some(())
    })
    .await;
    let posts = ["route=\"/api/messages\"", "method=\"POST\"", "status_code=\"200\""];
    assert_eq!(board.metric("http_requests_total", &posts).await, 3.0);
    get(&board, "/such/paths/are/not/labels").await;
    assert_eq!(board.metric("http_requests_total", &["route=\"unmatched\"", "status_code=\"404\""]).await, 1.0);
    for path in ["/metrics", "/api/metrics"] {
        let text = get(&board, path).await.error_for_status().unwrap().text().await.unwrap();
        for name in ["kafka_consumer_lag", "redis_operations_total", "sse_active_connections", "http_requests_total"] {
            assert!(text.contains(&format!("# TYPE {name} ")), "{name} in {path}");
        }
        assert!(!text.contains("/such/paths"), "raw paths are no labels");
    }
}
