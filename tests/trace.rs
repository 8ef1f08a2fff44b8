//! Traces: what one request sets off is one, from the request through Kafka to those who see what came of it; and what belongs
//! together is found again in the log.

mod support;

use std::cell::RefCell;
use std::collections::{BTreeSet, HashSet};
use std::process::Output;
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use reqwest::RequestBuilder;
use serde_json::{Value, json};
use support::board::text;
use support::orders::{accepted, order, order_that, placing, switch};
use support::otlp::{Otlp, Span, only};
use support::{Kboard, SseClient, Stack, eventually, ports, tools, unique};

/// Everything on a machine that is busy with other tests.
const SOON: Duration = Duration::from_secs(60);
/// Spans are told of every second; what has not been by then was not recorded.
const TOLD: Duration = Duration::from_secs(5);

/// A trace that somebody began who records it.
#[derive(Clone)]
struct Caller {
    trace: String,
    span: &'static str,
}

impl Caller {
    fn new() -> Self {
        Self { trace: uuid::Uuid::new_v4().simple().to_string(), span: "b7ad6b7169203331" }
    }

    /// Its request.
    fn asks(&self, request: RequestBuilder) -> RequestBuilder {
        request.header("traceparent", format!("00-{}-{}-01", self.trace, self.span))
    }
}

fn posting(board: &Kboard, content: &str) -> RequestBuilder {
    board.http().post(board.url("/api/messages")).json(&json!({ "content": content, "author": "Ada" }))
}

/// A viewer of a board that has shown a first message: what comes from now on is announced one by one.
async fn viewer(board: &Kboard) -> SseClient {
    let viewer = SseClient::connect(&board.url("/api/messages/stream"));
    viewer.connected(SOON).await;
    assert!(posting(board, "first").send().await.unwrap().status().is_success());
    viewer.shows("the first message", SOON, |shown| shown.len() == 1).await;
    viewer
}

/// Posts what `asking` asks for until viewers were told of a message in its trace; whose trace that is. A feed that has missed
/// something reads its window as a whole, and what it finds there has no span: of some messages one is told of as it comes.
async fn streamed(stack: &Stack, board: &Kboard, otlp: &Otlp, asking: impl Fn() -> Caller) -> Caller {
    let stream = format!("stream {}", stack.name("new-messages"));
    eventually("viewers who are told of a message", SOON, async || {
        let caller = asking();
        let request = caller.asks(posting(board, "traced")).header("x-correlation-id", "basket-7");
        assert!(request.send().await.unwrap().status().is_success());
        let told = tokio::time::timeout(TOLD, otlp.has(&caller.trace, &[&stream], SOON)).await;
        told.is_ok().then_some(caller)
    })
    .await
}

/// The headers of the records of a topic.
async fn headers(stack: &Stack, topic: &str) -> String {
    let consume = ["-C", "-q", "-t", topic, "-o", "beginning", "-e", "-f", "%h\n"];
    tools::kcat(stack.kafka(), &consume, "").await.trim().to_owned()
}

/// Waits until a trace has all that `wanted` names, and each of its spans follows from another of it, or from the caller.
async fn coherent(otlp: &Otlp, caller: &Caller, wanted: &[&str]) -> Vec<Span> {
    otlp.has(&caller.trace, wanted, SOON).await;
    let spans = eventually("spans that each follow from another", SOON, async || {
        let spans = otlp.spans(&caller.trace);
        let ids: HashSet<&str> = spans.iter().map(|span| span.id.as_str()).chain([caller.span]).collect();
        spans.iter().all(|span| ids.contains(span.parent.as_str())).then_some(spans)
    })
    .await;
    let ids: HashSet<&str> = spans.iter().map(|span| span.id.as_str()).collect();
    assert_eq!(ids.len(), spans.len(), "a span is told twice: {spans:#?}");
    assert!(spans.iter().all(|span| span.time.0 <= span.time.1 && span.service == "kboard"), "{spans:#?}");
    spans
}

/// Waits until viewers were told of an order in its trace: of some, as with messages.
async fn are_told(shop: &Kboard, otlp: &Otlp, first: &Caller) {
    let traces = RefCell::new(vec![first.trace.clone()]);
    eventually("viewers who are told of an order", SOON, async || {
        let is_streamed = |trace: &String| otlp.spans(trace).iter().any(|span| span.name.starts_with("stream "));
        if traces.borrow().iter().any(is_streamed) {
            return Some(());
        }
        let another = Caller::new();
        accepted(another.asks(placing(shop, &order("ada", "mug", 1, 12.5)))).await;
        traces.borrow_mut().push(another.trace);
        None
    })
    .await;
}

fn lines(kboard: &mut Kboard) -> Vec<Value> {
    let log = kboard.process().log();
    log.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"))).collect()
}

#[tokio::test]
async fn a_message_is_one_trace_from_the_request_to_its_viewers() {
    let (stack, otlp) = (Stack::start().await, Otlp::start().await);
    let board = stack.serve_with(&["--otlp-endpoint", &otlp.url]).await;
    let viewer = viewer(&board).await;
    let caller = streamed(&stack, &board, &otlp, Caller::new).await;

    let topic = stack.name("message-board");
    let (send, process) = (format!("send {topic}"), format!("process {topic}"));
    let stream = format!("stream {}", stack.name("new-messages"));
    let wanted = ["POST /api/messages", &send, &process, "EVALSHA apply", &stream];
    let spans = coherent(&otlp, &caller, &wanted).await;
    let [http, sent, processed, applied, streamed] = wanted.map(|name| only(&spans, name));
    let kinds = [http, sent, processed, applied, streamed].map(|span| span.kind);
    let expected = [SpanKind::Server, SpanKind::Producer, SpanKind::Consumer, SpanKind::Client, SpanKind::Producer];
    assert_eq!(kinds, expected);
    let parents = [http, sent, processed, applied, streamed].map(|span| span.parent.as_str());
    assert_eq!(parents, [caller.span, &http.id, &sent.id, &processed.id, &processed.id]);
    assert!(http.time.0 <= sent.time.0 && processed.time.0 <= streamed.time.1, "{spans:#?}");
    for (span, name, value) in [
        (http, "http.route", "/api/messages"),
        (http, "http.response.status_code", "200"),
        (http, "kboard.correlation_id", "basket-7"),
        (sent, "messaging.system", "kafka"),
        (sent, "messaging.destination.name", &topic),
        (sent, "messaging.message.conversation_id", "basket-7"),
        (processed, "messaging.consumer.group.name", &topic),
        (applied, "db.system.name", "redis"),
        (streamed, "kboard.viewers", "1"),
    ] {
        assert_eq!(span.attributes.get(name).map(String::as_str), Some(value), "{name} of {span:?}");
    }
    for name in ["messaging.destination.partition.id", "messaging.kafka.offset"] {
        assert_eq!(sent.attributes[name], processed.attributes[name], "both say where the record stands");
    }

    // The record says which span sent it; those who see the message are told nothing of its trace.
    let traceparent = format!("traceparent=00-{}-{}-01", caller.trace, sent.id);
    assert!(headers(&stack, &topic).await.contains(&traceparent));
    let newest = board.messages(1).await;
    viewer.shows("the message", SOON, |shown| shown.contains(&newest[0])).await;
    assert_eq!(text(&newest[0], "content"), "traced");
    let fields: BTreeSet<&str> = newest[0].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(fields, ["author", "content", "id", "seq", "timestamp"].into());
    assert!(viewer.events().iter().all(|event| !event.data.contains("traceparent")));
    eventually("spans that were counted", SOON, async || {
        (board.metric("kboard_spans_exported_total", &[]).await >= wanted.len() as f64).then_some(())
    })
    .await;
    assert_eq!(board.metric("kboard_spans_dropped_total", &[]).await, 0.0);
}

#[tokio::test]
async fn an_order_is_one_trace_and_its_records_are_found_by_correlation_and_by_trace() {
    let (stack, otlp, caller) = (Stack::start().await, Otlp::start().await, Caller::new());
    switch(&stack, &json!({})).await;
    let arguments = ["--otlp-endpoint", &otlp.url, "--log-format", "json"];
    let mut shop = stack.serve_app("orders", &arguments).await;
    let viewer = SseClient::connect(&shop.url("/api/orders/stream"));
    viewer.connected(SOON).await;
    // What comes after the first one is announced as it comes.
    let first = accepted(placing(&shop, &order("ada", "mug", 1, 12.5))).await;
    order_that(&shop, &first, "that is completed", SOON, |order| {
        order["status"] == "COMPLETED" && order["notification"].is_object()
    })
    .await;
    let correlation = unique("basket");
    let request = caller.asks(placing(&shop, &order("ada", "mug", 1, 12.5)));
    let id = accepted(request.header("x-correlation-id", &correlation)).await;
    order_that(&shop, &id, "that is completed", SOON, |order| {
        order["status"] == "COMPLETED" && order["notification"].is_object()
    })
    .await;

    let [orders, payments, inventory, outcome] =
        ["orders.v1", "payments.v1", "inventory.v1", "orders.outcome.v1"].map(|topic| stack.name(topic));
    let send = [&orders, &payments, &inventory, &outcome].map(|topic| format!("send {topic}"));
    let process = [&orders, &payments, &inventory, &outcome].map(|topic| format!("process {topic}"));
    let step = ["payment-service", "inventory-service", "order-saga", "notification-service"]
        .map(|group| format!("step {}", stack.name(group)));
    let names = send.iter().chain(&process).chain(&step).map(String::as_str);
    let wanted: Vec<&str> = names.chain(["POST /api/orders"]).collect();
    // Every group that reads a topic has dealt with the record.
    eventually("every group's work on the outcome", SOON, async || {
        let spans = otlp.spans(&caller.trace);
        let group = |span: &Span| span.attributes.get("messaging.consumer.group.name").cloned();
        let groups: BTreeSet<_> = spans.iter().filter(|span| span.name == process[3]).filter_map(group).collect();
        let all = ["payment-service", "inventory-service", "order-saga", "notification-service"];
        all.iter().all(|group| groups.contains(&stack.name(group))).then_some(())
    })
    .await;
    are_told(&shop, &otlp, &caller).await;
    let spans = coherent(&otlp, &caller, &wanted).await;
    // What was decided stands between what was read and what was sent.
    let emitted = |group: &str, event: &str| {
        let name = format!("step {}", stack.name(group));
        let is_it = |span: &&Span| {
            span.name == name && span.attributes.get("kboard.emitted").is_some_and(|emitted| emitted == event)
        };
        spans.iter().find(is_it).unwrap_or_else(|| panic!("{group} that emits {event} in {spans:#?}"))
    };
    for (group, event, from, to) in [
        ("payment-service", "PaymentAuthorized", &process[0], &send[1]),
        ("inventory-service", "InventoryReserved", &process[0], &send[2]),
    ] {
        let step = emitted(group, event);
        let read = spans.iter().find(|span| span.id == step.parent).unwrap();
        assert_eq!(
            (&read.name, read.attributes["messaging.consumer.group.name"].as_str()),
            (from, stack.name(group).as_str())
        );
        assert_eq!(only(&spans, to).parent, step.id);
    }
    assert_eq!(only(&spans, &send[3]).parent, emitted("order-saga", "OrderCompleted").id);

    let lines = lines(&mut shop);
    let mail = lines
        .iter()
        .find(|line| line["message"] == "email sent" && line["order"] == id)
        .unwrap_or_else(|| panic!("{lines:#?}"));
    assert_eq!((text(mail, "trace_id"), text(mail, "correlation_id")), (caller.trace.as_str(), correlation.as_str()));

    let topics = [&orders, &payments, &inventory, &outcome];
    for looked_for in [&correlation, &caller.trace] {
        let output = trace(&stack, looked_for, &topics, &["--output", "json"]).await;
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let records = report["records"].as_array().unwrap();
        let types: Vec<&str> = records.iter().map(|record| text(record, "event_type")).collect();
        assert_eq!((types.first(), types.last()), (Some(&"OrderPlaced"), Some(&"OrderCompleted")), "{report}");
        let all: BTreeSet<&str> = types.iter().copied().collect();
        assert_eq!(all, ["InventoryReserved", "OrderCompleted", "OrderPlaced", "PaymentAuthorized"].into());
        assert_eq!(types.len(), 4, "each once: {report}");
        for record in records {
            assert_eq!((text(record, "key"), text(record, "source")), (id.as_str(), "kboard"));
            assert_eq!(
                (text(record, "trace_id"), text(record, "correlation_id")),
                (caller.trace.as_str(), correlation.as_str())
            );
            assert!(spans.iter().any(|span| span.name.starts_with("send ") && span.id == text(record, "span_id")));
        }
    }
    let output = trace(&stack, &correlation, &topics, &[]).await;
    let table = String::from_utf8(output.stdout).unwrap();
    let rows: Vec<&str> = table.lines().collect();
    assert!(rows[0].starts_with("TIME") && rows[0].ends_with("TRACE"), "{table}");
    assert!(
        rows[1].contains("+0 ms") && rows[1].contains("OrderPlaced") && rows[1].ends_with(&caller.trace),
        "{table}"
    );
    assert!(rows[6].starts_with("4 records in 4 topics, "), "{table}");
}

/// `kboard trace` in some topics.
async fn trace(stack: &Stack, id: &str, topics: &[&String], arguments: &[&str]) -> Output {
    let topics = topics.iter().flat_map(|topic| ["--topic", topic.as_str()]);
    stack.run(&["trace", id].into_iter().chain(topics).chain(arguments.iter().copied()).collect::<Vec<_>>()).await
}

#[tokio::test]
async fn what_failed_and_what_timed_out_is_in_the_trace_too() {
    let (stack, otlp, caller) = (Stack::start().await, Otlp::start().await, Caller::new());
    // No payment is ever answered for, and the order waits for a second.
    switch(&stack, &json!({ "payment_unavailable_chance": 1.0, "saga_timeout_ms": 1000 })).await;
    let shop = stack.serve_app("orders", &["--otlp-endpoint", &otlp.url]).await;
    let id = accepted(caller.asks(placing(&shop, &order("ada", "mug", 1, 12.5)))).await;
    order_that(&shop, &id, "that is cancelled", SOON, |order| order["status"] == "CANCELLED").await;

    let waits = format!("send {}", stack.name("orders.retry.v1"));
    let ends = format!("send {}", stack.name("orders.outcome.v1"));
    let spans = otlp.has(&caller.trace, &[&waits, &ends], SOON).await;
    let sent = spans.iter().find(|span| span.name == waits).unwrap();
    let step = spans.iter().find(|span| span.id == sent.parent).unwrap_or_else(|| panic!("{spans:#?}"));
    assert_eq!(step.name, format!("step {}", stack.name("payment-service")));
    assert_eq!(step.error.as_deref(), Some("the payment service is temporarily unavailable"));
    // What the time brought follows from what was waited for.
    let ended = only(&spans, &ends);
    let step = spans.iter().find(|span| span.id == ended.parent).unwrap_or_else(|| panic!("{spans:#?}"));
    assert_eq!(
        (step.name.as_str(), step.attributes["kboard.key"].as_str()),
        (format!("step {}", stack.name("order-saga")).as_str(), id.as_str())
    );
    let placed = spans.iter().find(|span| span.id == step.parent).unwrap_or_else(|| panic!("{spans:#?}"));
    assert_eq!(placed.name, format!("send {}", stack.name("orders.v1")));
    assert_eq!(placed.parent, only(&spans, "POST /api/orders").id);
}

#[tokio::test]
async fn poison_is_told_of_in_its_trace_and_in_a_line_that_names_it() {
    let (stack, otlp, caller) = (Stack::start().await, Otlp::start().await, Caller::new());
    let mut board = stack.serve_with(&["--otlp-endpoint", &otlp.url, "--log-format", "json"]).await;
    let topic = stack.name("message-board");
    let traceparent = format!("traceparent=00-{}-{}-01", caller.trace, caller.span);
    let arguments = ["-P", "-t", &topic, "-p", "0", "-H", &traceparent, "-H", "x-correlation-id=c-9"];
    tools::kcat(stack.kafka(), &arguments, "no message\n").await;
    let (process, send) = (format!("process {topic}"), format!("send {topic}.dlq"));
    let spans = coherent(&otlp, &caller, &[&process, &send]).await;
    let processed = only(&spans, &process);
    assert!(processed.error.as_deref().is_some_and(|error| error.contains("no message")), "{processed:?}");
    assert_eq!((processed.parent.as_str(), &only(&spans, &send).parent), (caller.span, &processed.id));
    // The letter is what the record was, its trace included.
    assert!(headers(&stack, &format!("{topic}.dlq")).await.contains(&traceparent));
    let lines = lines(&mut board);
    let line = lines.iter().find(|line| line["message"] == "record sent to the dead-letter topic").unwrap();
    assert_eq!((text(line, "trace_id"), text(line, "correlation_id")), (caller.trace.as_str(), "c-9"));
}

#[tokio::test]
async fn only_what_is_asked_for_is_recorded() {
    let (stack, otlp, caller) = (Stack::start().await, Otlp::start().await, Caller::new());
    let board = stack.serve_with(&["--otlp-endpoint", &otlp.url, "--otlp-sample", "0"]).await;
    let _viewer = viewer(&board).await;
    for request in [
        posting(&board, "nobody's"),
        posting(&board, "unrecorded").header("traceparent", format!("00-{}-{}-00", "1".repeat(32), caller.span)),
    ] {
        assert!(request.send().await.unwrap().status().is_success());
    }
    streamed(&stack, &board, &otlp, || caller.clone()).await;
    otlp.has(&caller.trace, &["POST /api/messages"], SOON).await;
    assert!(otlp.all().iter().all(|span| span.trace == caller.trace), "{:#?}", otlp.all());

    // Whoever scrapes or asks for health begins no trace; what is left at the end is told.
    let mut all = stack.consume_with(&["--otlp-endpoint", &otlp.url]).await;
    for path in ["/metrics", "/nowhere"] {
        all.http().get(all.url(path)).send().await.unwrap();
    }
    assert!(all.sigterm().await.success());
    let others: Vec<_> = otlp.all().into_iter().filter(|span| span.trace != caller.trace).collect();
    assert_eq!(others.iter().map(|span| span.name.as_str()).collect::<Vec<_>>(), ["GET unmatched"]);
}

#[tokio::test]
async fn an_endpoint_that_comes_back_has_missed_nothing() {
    let (stack, caller, port) = (Stack::start().await, Caller::new(), ports::free());
    let board = stack.serve_with(&["--otlp-endpoint", &format!("http://127.0.0.1:{port}")]).await;
    assert!(caller.asks(posting(&board, "while it is away")).send().await.unwrap().status().is_success());
    let says = async |words: &str| {
        eventually(words, SOON, async || board.log().contains(words).then_some(())).await;
    };
    says("spans can't be told of").await;
    let otlp = Otlp::start_on(port).await;
    otlp.has(&caller.trace, &["POST /api/messages", "EVALSHA apply"], SOON).await;
    says("spans are told of again").await;
    assert_eq!(board.metric("kboard_spans_dropped_total", &[]).await, 0.0);
}

#[tokio::test]
async fn an_endpoint_that_is_away_does_not_hurt() {
    let (stack, caller) = (Stack::start().await, Caller::new());
    let nowhere = format!("http://127.0.0.1:{}", ports::free());
    let launched = Instant::now();
    let mut board = stack.serve_with(&["--otlp-endpoint", &nowhere]).await;
    let started = Instant::now();
    for number in 0..50 {
        let request = caller.asks(posting(&board, &format!("message {number}")));
        assert!(request.send().await.unwrap().status().is_success());
    }
    // If each waited for its spans, which are gathered for a second, they would take more.
    assert!(started.elapsed() < Duration::from_secs(10), "50 posts took {:?}", started.elapsed());
    eventually("all messages", SOON, async || (board.messages(100).await.len() == 50).then_some(())).await;
    eventually("spans that were given up", SOON, async || {
        let dropped = board.metric("kboard_spans_dropped_total", &["reason=\"unreachable\""]).await;
        (dropped > 0.0).then_some(())
    })
    .await;
    assert!(board.sigterm().await.success());
    let log = board.process().log();
    // Once a minute is enough.
    let most = 1 + launched.elapsed().as_secs() / 60;
    let told = log.matches("spans can't be told of").count() as u64;
    assert!((1..=most).contains(&told), "{told} times: {log}");
}

#[tokio::test]
async fn records_of_others_are_found_as_far_back_as_is_asked_for() {
    let stack = Stack::start().await;
    let [one, other] = ["one", "other"].map(|name| stack.name(name));
    for topic in [&one, &other] {
        assert!(stack.run(&["topics", "create", topic, "--partitions", "2"]).await.status.success());
    }
    let id = unique("claim");
    let correlated = format!("Correlation-Id={id}");
    let produce = async |topic: &str, arguments: &[&str], value: &str| {
        let arguments = [&["-P", "-t", topic, "-k", "key"], arguments].concat();
        tools::kcat(stack.kafka(), &arguments, value).await
    };
    produce(&one, &["-H", &correlated, "-H", "event-type=Opened"], "plain\n").await;
    let envelope = json!({ "eventType": "Closed", "correlationId": id, "metadata": { "source": "desk" } });
    produce(&other, &[], &format!("{envelope}\n")).await;
    produce(&other, &[], &format!("{}\n", json!({ "note": id }))).await;

    let output = trace(&stack, &id, &[&one, &other], &["--output", "json"]).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let found: Vec<_> = (report["records"].as_array().unwrap().iter())
        .map(|record| (text(record, "topic"), text(record, "event_type"), text(record, "key"), &record["source"]))
        .collect();
    let expected = [(one.as_str(), "Opened", "key", &json!(null)), (other.as_str(), "Closed", "key", &json!("desk"))];
    assert_eq!(found, expected);
    assert_eq!((&report["topics"], &report["scanned"]), (&json!(2), &json!(3)));

    let output = trace(&stack, &id, &[&other], &["--since", "earliest", "--output", "yaml"]).await;
    assert!(output.status.success() && String::from_utf8_lossy(&output.stdout).contains("event_type: Closed"));
    for (since, words) in [("1s", "--since 24h"), ("earliest", "no record of")] {
        // A time at which nothing had been written yet, or has been since.
        let wanted = if since == "1s" { id.clone() } else { unique("unheard-of") };
        let output = eventually("a time with nothing in it", SOON, async || {
            let output = trace(&stack, &wanted, &[&one, &other], &["--since", since]).await;
            (output.status.code() == Some(1)).then_some(output)
        })
        .await;
        assert!(output.stdout.is_empty(), "{output:?}");
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(told.contains(words) && told.contains("of 2 topics"), "{told}");
    }
    let output = trace(&stack, &id, &[&unique("nowhere")], &[]).await;
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}
