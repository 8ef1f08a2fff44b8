//! The tests' own tools: a fault test is worth as much as the servers it kills and the viewer it asks.

mod support;

use std::time::Duration;

use support::{Broker, RedisServer, SseClient, eventually, services, tools, unique};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// On a busy machine.
const SOON: Duration = Duration::from_secs(60);

#[tokio::test]
async fn shared_services_answer() {
    assert!(tools::kafka_answers(&services::kafka()).await);
    assert!(tools::redis_answers(&services::redis()).await);
}

#[tokio::test]
async fn a_killed_redis_comes_back_with_its_data() {
    let mut redis = RedisServer::start().await;
    redis.cli(&["SET", "key", "value"]).await;
    redis.kill9();
    assert!(!tools::redis_answers(&redis.url()).await);
    redis.restart().await;
    assert_eq!(redis.cli(&["GET", "key"]).await, "value");
    redis.flush().await;
    assert_eq!(redis.cli(&["DBSIZE"]).await, "0");
}

#[tokio::test]
async fn a_killed_broker_comes_back_with_its_records() {
    let mut broker = Broker::start().await;
    let address = broker.address();
    let topic = unique("kept");
    tools::kafka_topics(&address, &["--create", "--topic", &topic, "--partitions", "1"]).await;
    tools::kcat(&address, &["-P", "-t", &topic, "-X", "acks=all"], "one\ntwo\n").await;
    broker.kill9();
    broker.restart().await;
    assert_eq!(tools::kcat(&address, &["-C", "-q", "-t", &topic, "-o", "beginning", "-e"], "").await, "one\ntwo\n");
}

/// A server that sends a script in pieces and hangs up: the viewer must put it together and come back with its id.
#[tokio::test]
async fn a_viewer_reads_events_however_they_are_cut_and_resumes() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/stream", listener.local_addr().unwrap());
    let viewer = SseClient::connect(&url);

    let (mut first, _) = listener.accept().await.unwrap();
    read_head(&mut first).await;
    first.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n").await.unwrap();
    let script = "data: {\"type\":\"connected\"}\n\n: keepalive\n\nid: e-1\r\ndata: {\"content\":\"gr\u{fc}n\"}\r\n\r\nid: e-2\ndata: half";
    for piece in script.as_bytes().chunks(3) {
        first.write_all(piece).await.unwrap();
        first.flush().await.unwrap();
    }
    viewer.connected(SOON).await;
    viewer.shows("the message", SOON, |shown| shown.len() == 1 && shown[0]["content"] == "gr\u{fc}n").await;
    assert_eq!(viewer.comments(), 1);
    drop(first);

    let (mut second, _) = listener.accept().await.unwrap();
    let head = read_head(&mut second).await;
    assert!(head.to_lowercase().contains("last-event-id: e-1\r\n"), "{head}");
    second
        .write_all(
            b"HTTP/1.1 200 OK\r\n\r\nevent: reset\ndata: {\"epoch\":\"f\"}\n\nid: f-1\ndata: {\"content\":\"new\"}\n\n",
        )
        .await
        .unwrap();
    eventually("the reset", SOON, async || (viewer.resets() == 1 && viewer.last_id() == "f-1").then_some(())).await;
    assert_eq!(viewer.shown().len(), 1, "what came before a reset is gone from the page");
    assert_eq!(viewer.connections(), 2);
}

async fn read_head(stream: &mut tokio::net::TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}
