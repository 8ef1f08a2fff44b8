//! The console's messages against a real Kafka: what is stored is what is shown, pages go both ways, searches say what they
//! covered, and nothing that grows with a topic stays in memory.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ::kboard::kafka::record_json;
use bytes::Bytes;
use futures::StreamExt;
use futures::future::join_all;
use krafka::Kafka;
use krafka::admin::NewTopic;
use reqwest::StatusCode;
use serde_json::Value;
use support::{Kboard, eventually, services, tools, unique, within_a_try};
use tokio::sync::Barrier;

const SOON: Duration = Duration::from_secs(60);

/// `kboard serve --apps none` on the run's Kafka, and a topic of the test's own.
struct Viewer {
    console: Kboard,
    topic: String,
    client: Kafka,
}

impl Viewer {
    async fn new(partitions: i32, configs: &[(&str, &str)]) -> Self {
        let client = Kafka::builder(services::kafka()).connect().await.unwrap();
        let topic = unique("messages");
        let mut new = NewTopic::new(&topic, partitions, 1).unwrap();
        for (key, value) in configs {
            new = new.with_config(*key, *value);
        }
        let made = client.admin().create_topics([new], Default::default()).await.unwrap();
        made.into_values().for_each(Result::unwrap);
        let arguments = ["serve", "--apps", "none", "--kafka", &services::kafka()];
        let console = Kboard::serve(&arguments.map(str::to_owned)).await;
        let viewer = Self { console, topic, client };
        eventually("leaders of the new topic", SOON, async || {
            viewer.try_get("/messages").await.ok().filter(|page| page["away"] == serde_json::json!([]))
        })
        .await;
        viewer
    }

    /// Below `/api/console/topics/{topic}`.
    fn api(&self, path: &str) -> String {
        self.console.url(&format!("/api/console/topics/{}{path}", self.topic))
    }

    async fn try_get(&self, path: &str) -> reqwest::Result<Value> {
        self.console.http().get(self.api(path)).send().await?.error_for_status()?.json().await
    }

    async fn get(&self, path: &str) -> Value {
        self.try_get(path).await.unwrap()
    }

    async fn text(&self, path: &str) -> String {
        let answer = self.console.http().get(self.api(path)).send().await.unwrap();
        answer.error_for_status().unwrap().text().await.unwrap()
    }

    /// A page below `/console/topics/{topic}`.
    async fn page(&self, path: &str) -> (StatusCode, String) {
        let url = self.console.url(&format!("/console/topics/{}{path}", self.topic));
        let answer = self.console.http().get(url).send().await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    }

    async fn bytes(&self, path: &str) -> (StatusCode, Bytes) {
        let answer = self.console.http().get(self.api(path)).send().await.unwrap();
        (answer.status(), answer.bytes().await.unwrap())
    }

    async fn kcat(&self, arguments: &[&str], lines: &str) {
        tools::kcat(&services::kafka(), &[&["-P", "-t", &self.topic], arguments].concat(), lines).await;
    }

    /// Follows `from` from page to page (`older` or `newer`), and gives what was on each.
    async fn walk(&self, start: &str, link: &str, name: &str, most: usize) -> Vec<Vec<(i64, i64)>> {
        let mut pages = Vec::new();
        let mut path = format!("/messages{start}");
        while pages.len() < most {
            let page = self.get(&path).await;
            pages.push(places(&page));
            let Some(next) = page[link].as_str() else { break };
            path = format!("/messages?limit=50&{name}={next}");
        }
        pages
    }

    /// The newest and the oldest page come at once: waiting for records that don't come would take 500 ms each time.
    async fn shows_at_once(&self, what: &str) {
        for order in ["newest", "oldest"] {
            within_a_try(&format!("{what}, {order}"), Duration::from_millis(300), SOON, async || {
                assert_eq!(self.page(&format!("/messages?from={order}")).await.0, StatusCode::OK);
            })
            .await;
        }
    }

    /// Watches the topic live until so many records came, each shown or counted; how many were shown. `ready` is told when
    /// it has begun.
    async fn live(&self, total: u64, ready: &Barrier) -> u64 {
        let answer = self.console.http().get(self.api("/search?follow=true&view=rows")).send().await.unwrap();
        let mut chunks = answer.bytes_stream();
        let (mut text, mut rows, mut has_begun) = (String::new(), 0, false);
        let deadline = Instant::now() + 2 * SOON;
        loop {
            assert!(Instant::now() < deadline, "{rows} rows, {text}");
            text.push_str(std::str::from_utf8(&chunks.next().await.unwrap().unwrap()).unwrap());
            let whole = text.rfind('\n').map_or(0, |end| end + 1);
            for line in text.drain(..whole).collect::<String>().lines() {
                let line: Value = serde_json::from_str(line).unwrap();
                if line["type"] == "row" {
                    rows += 1;
                    continue;
                }
                if !std::mem::replace(&mut has_begun, true) {
                    ready.wait().await;
                }
                assert_eq!(line["found"].as_u64().unwrap(), line["skipped"].as_u64().unwrap() + rows, "{line}");
                if line["found"] == total {
                    return rows;
                }
            }
        }
    }

    /// The lines of a search's stream.
    async fn search(&self, query: &str) -> Vec<Value> {
        let text = self.text(&format!("/search?{query}")).await;
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// Partition and offset of what is on a page.
fn places(page: &Value) -> Vec<(i64, i64)> {
    let records = page["records"].as_array().unwrap().iter();
    records.map(|record| (record["partition"].as_i64().unwrap(), record["offset"].as_i64().unwrap())).collect()
}

fn numbered(count: usize) -> String {
    (0..count).map(|n| format!("key-{n}|{{\"n\":{n},\"even\":{}}}\n", n % 2 == 0)).collect()
}

fn of_type<'a>(lines: &'a [Value], kind: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["type"] == kind).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_stored_is_what_is_shown_and_downloaded() {
    let viewer = Viewer::new(1, &[]).await;
    let producer = viewer.client.producer().build().await.unwrap();
    let values: [Option<&[u8]>; 5] = [
        Some(br#"{"id":73314510714175488,"id":1.50,"html":"<img src=x onerror=alert(1)>"}"#),
        None,
        Some(b""),
        Some(b"no UTF-8: \xff\xfe, a nul: \0, and a text that goes on"),
        Some(b"\0\0\0\x2a"),
    ];
    for (number, value) in values.iter().enumerate() {
        let mut record = krafka::Record::new(viewer.topic.as_str(), Bytes::new()).partition(0);
        record.value = value.map(Bytes::from_static);
        record.key = (number != 2).then(|| Bytes::from_static(b"<script>alert(2)</script>"));
        record.headers = vec![
            ("same".into(), Some(Bytes::from_static(b"1"))),
            ("same".into(), Some(Bytes::from_static(b"\xc3"))),
            ("none".into(), None),
            ("empty".into(), Some(Bytes::new())),
        ];
        drop(producer.send(record).await.unwrap());
    }
    for (offset, value) in values.iter().enumerate() {
        let (status, stored) = viewer.bytes(&format!("/messages/0/{offset}/raw")).await;
        match value {
            Some(value) => assert_eq!((status, &*stored), (StatusCode::OK, *value)),
            None => assert_eq!(status, StatusCode::NOT_FOUND),
        }
    }
    assert_eq!(viewer.bytes("/messages/0/0/raw?part=header&header=1").await.1, &b"\xc3"[..]);
    assert_eq!(viewer.bytes("/messages/0/0/raw?part=key").await.1, &b"<script>alert(2)</script>"[..]);
    let one = viewer.text("/messages/0/0").await;
    assert!(one.contains(r#"\"id\":73314510714175488,\"id\":1.50"#), "{one}");
    let headers = r#""headers":[{"key":"same","value":"1"},{"key":"same","value":{"base64":"ww=="}},{"key":"none","value":null},{"key":"empty","value":""}]"#;
    assert!(one.contains(headers), "{one}");
    let (status, list) = viewer.page("/messages").await;
    assert_eq!(status, StatusCode::OK);
    for shown in [
        "73314510714175488",
        "&lt;img src=x onerror",
        r#"<span class="null">null</span>"#,
        r#"<span class="null">empty</span>"#,
        r#"no UTF-8: <span class="escape">\xff</span>"#,
        r#"<span class="escape">\x00</span>"#,
        "00 00 00 2a",
    ] {
        assert!(list.contains(shown), "{shown} is not in {list}");
    }
    assert!(!list.contains("<img") && !list.contains("<script>alert"), "{list}");
    let (_, detail) = viewer.page("/messages/0/0").await;
    assert!(detail.contains(r#"<span class="json-number">73314510714175488</span>"#), "{detail}");
    assert!(detail.contains(r#"<span class="json-number">1.50</span>"#) && !detail.contains("<img"), "{detail}");
    let (_, number) = viewer.page("/messages/0/4?value=int32").await;
    assert!(number.contains("\n42</pre>"), "{number}");
    assert_eq!(viewer.page("/messages/0/99").await.0, StatusCode::NOT_FOUND);
    assert_eq!(viewer.page("/messages/7/0").await.0, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_go_both_ways_and_stay_while_the_topic_grows() {
    let viewer = Viewer::new(6, &[]).await;
    viewer.kcat(&["-K", "|"], &numbered(1000)).await;
    let first = viewer.get("/messages?limit=50").await;
    let second = format!("/messages?limit=50&before={}", first["older"].as_str().unwrap());
    let seen = places(&viewer.get(&second).await);
    let writer = async {
        for _ in 0..20 {
            viewer.kcat(&["-K", "|"], &numbered(20)).await;
        }
    };
    let from = format!("?limit=50&before={}", first["older"].as_str().unwrap());
    let (older, ()) = tokio::join!(viewer.walk(&from, "older", "before", 100), writer);
    let down: Vec<_> = places(&first).into_iter().chain(older.into_iter().flatten()).collect();
    let set: BTreeSet<_> = down.iter().copied().collect();
    assert_eq!((down.len(), set.len()), (1000, 1000), "each record once on the way to the oldest");
    assert_eq!(places(&viewer.get(&second).await), seen, "a page with an address stays");
    let up = viewer.walk("?limit=50&from=oldest", "newer", "after", 100).await;
    let up: Vec<_> = up.into_iter().flatten().collect();
    let all: BTreeSet<_> = up.iter().copied().collect();
    assert_eq!((up.len(), all.len()), (1400, 1400), "each record once on the way back");
    assert!(all.is_superset(&set));
    let times: Vec<i64> =
        first["records"].as_array().unwrap().iter().map(|one| one["timestamp"].as_i64().unwrap()).collect();
    assert!(times.is_sorted_by(|newer, older| newer >= older), "{times:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_page_comes_at_once_whatever_is_missing() {
    let viewer = Viewer::new(2, &[]).await;
    viewer.shows_at_once("empty").await;
    // The embedded broker has no transactions: docs/embedded.md.
    if services::are_embedded() {
        return;
    }
    let producer = viewer.client.producer().build_transactional(unique("transaction")).await.unwrap();
    for (value, commit) in [("kept", true), ("aborted", false)] {
        producer.begin().unwrap();
        for _ in 0..20 {
            drop(producer.send(krafka::Record::new(viewer.topic.as_str(), value.to_owned())).await.unwrap());
        }
        if commit { producer.commit().await.unwrap() } else { producer.abort().await.unwrap() }
    }
    viewer.shows_at_once("transactions").await;
    assert_eq!(viewer.get("/messages").await["records"].as_array().unwrap().len(), 40);
    let committed = viewer.get("/messages?transactions=committed").await;
    assert_eq!(committed["records"].as_array().unwrap().len(), 20);
    let (_, page) = viewer.page("/messages").await;
    assert_eq!(page.matches("badge-warn").count(), 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_compaction_left_comes_at_once_and_full_pages_of_it() {
    let configs = [
        ("cleanup.policy", "compact"),
        ("segment.bytes", "1048576"),
        ("min.cleanable.dirty.ratio", "0.001"),
        ("max.compaction.lag.ms", "1"),
    ];
    let viewer = Viewer::new(1, &configs).await;
    let padding = "x".repeat(60);
    let lines: String = (0..40_000).map(|number| format!("key{}|{number}{padding}\n", number % 100)).collect();
    viewer.kcat(&["-K", "|", "-z", "none"], &lines).await;
    let left = eventually("compaction", 3 * SOON, async || {
        let left = viewer.text("/export").await.lines().count();
        (left < 35_000).then_some(left)
    })
    .await;
    viewer.shows_at_once("compacted").await;
    assert_eq!(viewer.get("/messages?from=oldest").await["records"].as_array().unwrap().len(), 50);
    let end = viewer.search("q=no-such-text&from=oldest").await.pop().unwrap();
    assert!(end["scanned"].as_u64().unwrap() <= left as u64, "of 40,000 offsets, {left} have a record: {end}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_says_what_it_covered() {
    let viewer = Viewer::new(3, &[]).await;
    viewer.kcat(&["-K", "|"], &numbered(30_000)).await;
    viewer.kcat(&["-K", "|"], "needle|{\"n\":\"no number\"}\n").await;

    for order in ["newest", "oldest"] {
        let lines = viewer.search(&format!("q=%24key+%3D%3D+%22key-17%22&from={order}")).await;
        let found = of_type(&lines, "record");
        assert_eq!((found.len(), &found[0]["record"]["key"]), (1, &Value::from("key-17")), "{order}");
        let end = lines.last().unwrap();
        assert_eq!((&end["type"], &end["end"]), (&Value::from("end"), &Value::from("complete")), "{end}");
        assert_eq!(
            (end["scanned"].as_i64(), end["total"].as_i64(), end["covered"].as_i64()),
            (Some(30_001), Some(30_001), Some(30_001))
        );
        assert!(!of_type(&lines, "progress").is_empty());
    }

    // Compared with a number, one record has no answer: it is named, not dropped.
    let lines = viewer.search("q=%24.n+%3C+10").await;
    let end = lines.last().unwrap();
    assert_eq!((end["found"].as_i64(), end["errors"].as_i64()), (Some(10), Some(1)), "{end}");
    let reason = end["examples"][0]["reason"].as_str().unwrap();
    assert_eq!(reason, "$.n is a text and 10 is a number; < has no answer for that");

    // With a limit, it stops where nothing is lost: going on finds the rest, each once.
    for order in ["newest", "oldest"] {
        let mut keys = BTreeMap::new();
        let mut place = String::new();
        for _ in 0..100 {
            let lines = viewer.search(&format!("q=%24.n+%3C+100&limit=7&from={order}{place}")).await;
            for line in of_type(&lines, "record") {
                *keys.entry(line["record"]["key"].as_str().unwrap().to_owned()).or_insert(0) += 1;
            }
            let end = lines.last().unwrap();
            place = format!("&{}={}", end["way"].as_str().unwrap(), end["place"].as_str().unwrap());
            if end["end"] == "complete" {
                break;
            }
            assert_eq!(end["found"], 7);
            assert!(!end["stopped_at"].as_array().unwrap().is_empty());
        }
        assert_eq!(keys.len(), 100, "{order}");
        assert!(keys.values().all(|times| *times == 1), "{order}: {keys:?}");
    }

    // Without a script: the page says the same, when a busy machine lets it look at everything in the second that it has.
    let page = eventually("a page that had the time", SOON, async || {
        let (_, page) = viewer.page("/messages?q=needle").await;
        let is_whole = page.contains("30,001 of 30,001 records scanned");
        (is_whole && page.contains("<strong>1 found</strong>")).then_some(page)
    })
    .await;
    assert!(page.contains("complete"), "{page}");
    let (status, page) = viewer.page("/messages?q=%24.n+%3C").await;
    assert_eq!(status, StatusCode::OK);
    assert!(page.contains("column 6: expected"), "{page}");
    let answer = viewer.bytes("/messages?q=%24.n+%3C").await;
    assert_eq!(answer.0, StatusCode::BAD_REQUEST);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_topic_counts_what_it_does_not_show() {
    let viewer = Viewer::new(3, &[]).await;
    let ready = Barrier::new(2);
    let (rows, ()) = tokio::join!(viewer.live(20_000, &ready), async {
        ready.wait().await;
        viewer.kcat(&["-K", "|"], &numbered(20_000)).await;
    });
    assert!((20..10_000).contains(&rows), "{rows} rows were sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_live_topics_miss_nothing_and_leave_room_for_everything_else() {
    let viewer = Viewer::new(3, &[]).await;
    let ready = Barrier::new(10);
    let ended = AtomicBool::new(false);
    let live = async {
        join_all((0..8).map(|_| viewer.live(20_000, &ready))).await;
        ended.store(true, Ordering::Relaxed);
    };
    let pages = async {
        ready.wait().await;
        let mut took = Vec::new();
        while !ended.load(Ordering::Relaxed) {
            let began = Instant::now();
            assert_eq!(viewer.page("/messages").await.0, StatusCode::OK);
            took.push(began.elapsed());
        }
        took
    };
    let write = async {
        ready.wait().await;
        // In pieces: what comes at once is counted at once.
        for _ in 0..10 {
            viewer.kcat(&["-K", "|"], &numbered(2_000)).await;
        }
    };
    let ((), took, ()) = tokio::join!(live, pages, write);
    // The best of some, since tests share their machine.
    assert!(took.iter().min() < Some(&Duration::from_secs(1)), "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_exported_reads_back_the_same() {
    let viewer = Viewer::new(2, &[]).await;
    let producer = viewer.client.producer().build().await.unwrap();
    let values: [Option<&[u8]>; 6] =
        [Some(b"plain"), None, Some(b""), Some(b"\xff\x00"), Some(b"a,\"b\"\r\nc;d"), Some("é\u{2028}".as_bytes())];
    for number in 0..60 {
        let value = values[number % values.len()].map(Bytes::from_static);
        let mut record = krafka::Record::new(viewer.topic.as_str(), Bytes::new()).partition((number % 2) as i32);
        record.key = values[(number + 1) % values.len()].map(Bytes::from_static);
        record.value = value;
        record.headers = vec![("h".into(), Some(Bytes::from(number.to_string()))), ("h".into(), None)];
        drop(producer.send(record).await.unwrap());
    }
    let exported = viewer.text("/export").await;
    assert_eq!(exported.lines().count(), 60);
    for line in exported.lines() {
        let read = record_json::read(line.as_bytes()).unwrap();
        let number: usize = std::str::from_utf8(read.headers[0].1.as_ref().unwrap()).unwrap().parse().unwrap();
        assert_eq!(read.value.as_deref(), values[number % values.len()]);
        assert_eq!(read.key.as_deref(), values[(number + 1) % values.len()]);
        assert_eq!(read.headers[1], ("h".to_owned(), None));
    }
    let consumed = tools_consume(&viewer.topic).await;
    let sorted = |text: &str| text.lines().map(str::to_owned).collect::<BTreeSet<_>>();
    assert_eq!(sorted(&exported), sorted(&consumed), "one shape: what `kboard consume` prints");

    let rows = csv(&viewer.text("/export?format=csv").await);
    assert_eq!(
        (rows.len(), rows[0].join(",").as_str()),
        (61, "partition,offset,timestamp,key_is,key,value_is,value,headers")
    );
    for row in &rows[1..] {
        let headers: Value = serde_json::from_str(&row[7]).unwrap();
        let number: usize = headers[0]["value"].as_str().unwrap().parse().unwrap();
        let wanted = match values[number % values.len()] {
            None => ("null".to_owned(), String::new()),
            Some(b"\xff\x00") => ("base64".to_owned(), "/wA=".to_owned()),
            Some(text) => ("text".to_owned(), String::from_utf8(text.to_vec()).unwrap()),
        };
        assert_eq!((row[5].clone(), row[6].clone()), wanted);
    }
    let filtered = viewer.text("/export?q=%24value+%3D%3D+%22plain%22&partition=0").await;
    assert_eq!(filtered.lines().count(), 10);
}

/// What `kboard consume` prints of a topic.
async fn tools_consume(topic: &str) -> String {
    let output =
        support::kboard::run(&["consume", "--topic", topic, "--until-end", "--kafka", &services::kafka()]).await;
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Reads RFC 4180.
fn csv(text: &str) -> Vec<Vec<String>> {
    let (mut rows, mut row, mut field, mut quoted) = (Vec::new(), Vec::new(), String::new(), false);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => field.extend(chars.next()),
            '"' => quoted = !quoted,
            ',' if !quoted => row.push(std::mem::take(&mut field)),
            '\r' if !quoted => {}
            '\n' if !quoted => {
                row.push(std::mem::take(&mut field));
                rows.push(std::mem::take(&mut row));
            }
            c => field.push(c),
        }
    }
    assert!(!quoted && row.is_empty(), "the file ends within a row");
    rows
}

#[tokio::test(flavor = "multi_thread")]
async fn large_records_take_little_room_in_a_list_and_stay_whole() {
    let mut viewer = Viewer::new(1, &[("max.message.bytes", "6000000")]).await;
    let large: String = (0..5_000_000 / 8).map(|n| format!("{n:07},")).collect();
    let file = viewer.console.process().directory().join("large");
    std::fs::write(&file, &large).unwrap();
    let paths = vec![file.to_str().unwrap(); 30];
    viewer.kcat(&[&["-X", "message.max.bytes=6000000"], &paths[..]].concat(), "").await;
    let before = viewer.console.process().resident_bytes();
    let (status, list) = viewer.page("/messages").await;
    assert_eq!((status, list.matches("<tr class=\"message\"").count()), (StatusCode::OK, 30));
    assert!(list.len() < 500_000, "{} bytes", list.len());
    assert_eq!(list.matches("4.77 MiB").count(), 30);
    let (_, cut) = viewer.page("/messages/0/29").await;
    assert!(cut.contains("64.00 KiB of 4.77 MiB") && cut.len() < 200_000, "{} bytes", cut.len());
    let (_, all) = viewer.page("/messages/0/29?all=true").await;
    assert!(all.contains(&large), "all is there");
    assert_eq!(viewer.bytes("/messages/0/29/raw").await.1, large.as_bytes());
    let grown = viewer.console.process().resident_bytes().saturating_sub(before);
    assert!(grown < 200_000_000, "{grown} bytes more");
}

#[tokio::test(flavor = "multi_thread")]
async fn places_are_found_by_offset_and_by_time_and_ranges_hold() {
    let viewer = Viewer::new(2, &[]).await;
    let producer = viewer.client.producer().build().await.unwrap();
    for number in 0..100_i64 {
        let mut record = krafka::Record::new(viewer.topic.as_str(), number.to_string()).partition((number % 2) as i32);
        record.timestamp = Some(1_700_000_000_000 + number * 1000);
        drop(producer.send(record).await.unwrap());
    }
    let values = async |query: &str| -> Vec<i64> {
        let page = viewer.get(&format!("/messages?limit=500&{query}")).await;
        let records = page["records"].as_array().unwrap().iter();
        records.map(|record| record["value"].as_str().unwrap().parse().unwrap()).collect()
    };
    assert_eq!(values("").await, (0..100).rev().collect::<Vec<_>>());
    assert_eq!(values("from=oldest").await, (0..100).collect::<Vec<_>>());
    assert_eq!(values("from=offset&at=45").await, (90..100).collect::<Vec<_>>());
    assert_eq!(values("from=time&at=1700000097000").await, [97, 98, 99]);
    assert_eq!(values("since=1700000010000&until=1700000013000").await, [12, 11, 10]);
    assert_eq!(values("partition=1&since=1700000095000").await, [99, 97, 95]);
    for wrong in ["since=soon", "until=late", "from=time&at=noonish", "from=offset&at=first"] {
        assert_eq!(viewer.bytes(&format!("/messages?{wrong}")).await.0, StatusCode::BAD_REQUEST, "{wrong}");
        let (status, page) = viewer.page(&format!("/messages?{wrong}&q=7")).await;
        let (field, typed) = wrong.rsplit('&').next().unwrap().split_once('=').unwrap();
        assert_eq!(status, StatusCode::OK);
        assert!(page.contains(&format!("role=\"alert\">{field}: expected")), "{wrong}: {page}");
        assert!(page.contains(&format!("value=\"{typed}\"")), "what was typed is kept: {page}");
        assert!(!page.contains("class=\"message\""), "nothing is shown that was not asked for: {page}");
        assert!(page.contains("id=\"nothing\" hidden"), "nor is it said that there is nothing: {page}");
    }
    let refused = viewer.bytes("/messages?partition=9").await;
    assert_eq!(refused.0, StatusCode::NOT_FOUND);
}
