//! `kboard serve` with nothing beside it: on its own broker and Redis, as somebody has it who has just downloaded it.

mod support;

use std::time::Duration;

use serde_json::Value;
use support::board::text;
use support::{Kboard, eventually, kboard, ports, tools};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const SOON: Duration = Duration::from_secs(60);

/// A board on servers of its own.
struct Alone {
    kboard: Kboard,
    kafka: String,
    redis: String,
    _folder: TempDir,
}

impl Alone {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (kafka, redis) = (format!("127.0.0.1:{}", ports::free()), format!("127.0.0.1:{}", ports::free()));
        let data = folder.path().to_str().unwrap();
        let arguments = ["serve", "--data", data, "--kafka-listen", &kafka, "--redis-listen", &redis];
        let kboard = Kboard::serve(&arguments.map(str::to_owned)).await;
        Self { kboard, kafka, redis: format!("redis://{redis}"), _folder: folder }
    }

    async fn post(&self, content: &str) {
        self.kboard.post(content, "me").await.unwrap().error_for_status().unwrap();
    }

    /// Waits until the board shows just these, the newest first.
    async fn shows(&self, contents: &[&str]) {
        eventually("the messages on the board", SOON, async || {
            let answer = self.kboard.http().get(self.kboard.url("/api/messages?limit=100")).send().await.unwrap();
            // One whose Redis has just hung up on it is not there yet.
            let body: Value = answer.error_for_status().ok()?.json().await.unwrap();
            let shown = body["messages"].as_array().unwrap().iter().map(|message| text(message, "content"));
            shown.eq(contents.iter().copied()).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn what_was_posted_is_there_after_a_clean_end_and_after_kill_9() {
    let mut board = Alone::start().await;
    board.post("one").await;
    board.shows(&["one"]).await;
    assert!(board.kboard.sigterm().await.success());
    board.kboard.restart().await;
    board.shows(&["one"]).await;
    board.post("two").await;
    board.kboard.kill9();
    board.kboard.restart().await;
    board.shows(&["two", "one"]).await;
    board.post("three").await;
    board.shows(&["three", "two", "one"]).await;
}

#[tokio::test]
async fn kafkas_and_rediss_tools_and_kboards_own_commands_find_it() {
    let board = Alone::start().await;
    board.post("hello").await;
    board.shows(&["hello"]).await;
    let read = tools::kcat(&board.kafka, &["-C", "-t", "message-board", "-e", "-q"], "").await;
    assert!(read.contains("\"content\":\"hello\""), "{read}");
    assert_eq!(tools::redis_cli(&board.redis, &["LLEN", "messages"]).await.trim(), "1");
    assert!(tools::redis_cli(&board.redis, &["LRANGE", "messages", "0", "-1"]).await.contains("hello"));
    let listen = ["--kafka-listen", &board.kafka];
    let described = kboard::run(&[&["groups", "describe", "message-board"][..], &listen].concat()).await;
    assert!(described.status.success(), "{described:?}");
    assert!(String::from_utf8_lossy(&described.stdout).contains("message-board"), "{described:?}");
}

#[tokio::test]
async fn a_taken_port_is_named_with_what_has_it_and_nothing_is_left_running() {
    let board = Alone::start().await;
    let folder = tempfile::tempdir().unwrap();
    let redis = board.redis.trim_start_matches("redis://");
    let web = board.kboard.address();
    let free = || format!("127.0.0.1:{}", ports::free());
    for (kafka, redis, listen, words) in [
        (board.kafka.clone(), free(), free(), ["a Kafka broker has this port", "--kafka-listen", "--kafka 127"]),
        (free(), redis.to_owned(), free(), ["a Redis has this port", "--redis-listen", "--redis redis://127"]),
        (free(), free(), web, ["a web server has this port", "--listen", "a free one"]),
    ] {
        let data = folder.path().to_str().unwrap();
        let own = ["serve", "--data", data, "--kafka-listen", &kafka, "--redis-listen", &redis, "--listen", &listen];
        let output = kboard::run(&own).await;
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(words.iter().all(|words| said.contains(words)), "{said}");
    }
}

/// Any page in a browser on this machine can send a request there, with commands in its body.
#[tokio::test]
async fn what_a_web_request_brings_to_its_redis_is_not_carried_out() {
    let board = Alone::start().await;
    board.post("kept").await;
    board.shows(&["kept"]).await;
    let address = board.redis.trim_start_matches("redis://");
    let commands =
        ["SET taken 1", "*1\r\n$8\r\nFLUSHALL", "MULTI\r\nSET taken 1\r\nEXEC", "DEL messages", "PUBLISH a b"];
    for (method, commands) in ["POST", "GET"].into_iter().flat_map(|method| commands.map(|command| (method, command))) {
        let mut page = TcpStream::connect(address).await.unwrap();
        let head = format!("{method} / HTTP/1.1\r\nHost: {address}\r\nContent-Length: 1000\r\n\r\n");
        let blank = "\r\n".repeat(50_000);
        // It may be hung up on before it has sent everything.
        let _ = page.write_all(format!("{head}{commands}\r\n{blank}{commands}\r\n").as_bytes()).await;
        let mut answer = Vec::new();
        let _ = tokio::time::timeout(SOON, page.read_to_end(&mut answer)).await.expect("it is hung up on");
    }
    // Who asks at the same time may be hung up on as well, and comes again.
    eventually("a Redis that serves others", SOON, async || tools::redis_answers(&board.redis).await.then_some(()))
        .await;
    assert_eq!(tools::redis_cli(&board.redis, &["EXISTS", "taken"]).await, "0");
    board.shows(&["kept"]).await;
    board.post("and on").await;
    board.shows(&["and on", "kept"]).await;
}

#[tokio::test]
async fn a_second_board_on_the_same_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = || {
        let free = || format!("127.0.0.1:{}", ports::free());
        let (data, kafka, redis) = (folder.path().to_str().unwrap().to_owned(), free(), free());
        [
            "serve".to_owned(),
            "--data".to_owned(),
            data,
            "--kafka-listen".to_owned(),
            kafka,
            "--redis-listen".to_owned(),
            redis,
        ]
    };
    let _first = Kboard::serve(&arguments()).await;
    let listen = format!("127.0.0.1:{}", ports::free());
    let second = arguments();
    let second: Vec<&str> = second.iter().map(String::as_str).chain(["--listen", &listen]).collect();
    let output = kboard::run(&second).await;
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("in use by another process") && said.contains("use another folder"), "{said}");
}
