//! Producing from the console, read back by other clients.

mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use support::console::Console;
use support::{eventually, kboard, services, tools, unique, within_a_try};

const PATIENCE: Duration = Duration::from_secs(60);

async fn topic(console: &Console, name: &str, partitions: i32) -> String {
    let topic = unique(name);
    let made = console.act(Method::POST, "/topics", &json!({ "name": topic, "partitions": partitions })).await;
    assert_eq!(made.status(), StatusCode::OK);
    topic
}

/// Every record of a topic as `kboard consume` prints it.
async fn consumed(topic: &str) -> Vec<Value> {
    let output = kboard::run(&["consume", "--topic", topic, "--until-end", "--kafka", &services::kafka()]).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

async fn sent(console: &Console, body: Value) -> Value {
    let answer = console.act(Method::POST, "/produce", &body).await;
    let status = answer.status();
    let run: Value = answer.json().await.unwrap();
    assert_eq!(status, StatusCode::OK, "{run}");
    run
}

/// What of a record an import keeps.
fn contents(record: &Value) -> Value {
    json!([record["key"], record["value"], record["headers"]])
}

/// The partition of each key, as kcat reads them.
async fn places(topic: &str) -> BTreeMap<String, String> {
    let read = ["-C", "-q", "-t", topic, "-o", "beginning", "-e", "-f", "%k %p\n"];
    let printed = tools::kcat(&services::kafka(), &read, "").await;
    printed.lines().map(|line| line.split_once(' ').unwrap()).map(|(key, at)| (key.to_owned(), at.to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_arrives_as_it_was_typed_and_the_answer_says_where() {
    let console = Console::start().await;
    let topic = topic(&console, "typed", 3).await;
    let run = sent(
        &console,
        json!({
            "topic": topic,
            "partition": 2,
            "key": { "format": "long", "text": "258" },
            "value": { "format": "json", "text": "{\"id\": 73314510714175488}" },
            "headers": [
                { "name": "same", "value": { "text": "1" } },
                { "name": "same", "value": { "format": "null" } },
                { "name": "empty", "value": { "text": "" } },
                { "name": "bytes", "value": { "format": "hex", "text": "ff 00" } },
            ],
        }),
    )
    .await;
    assert_eq!((&run["state"], &run["done"], &run["places"][0]["partition"]), (&json!("done"), &json!(1), &json!(2)));
    let record = &consumed(&topic).await[0];
    assert_eq!(record["offset"], run["places"][0]["offset"]);
    assert_eq!(record["timestamp"], run["places"][0]["timestamp"]);
    assert_eq!(record["key"], "\0\0\0\0\0\0\u{1}\u{2}");
    assert_eq!(record["value"], "{\"id\": 73314510714175488}");
    let headers = json!([
        { "key": "same", "value": "1" },
        { "key": "same", "value": null },
        { "key": "empty", "value": "" },
        { "key": "bytes", "value": { "base64": "/wA=" } },
    ]);
    assert_eq!(record["headers"], headers);
    let page = console.page(run["places"][0]["address"].as_str().unwrap()).await;
    assert!(page.contains("73314510714175488"), "the link leads to the record: {page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tombstone_and_an_empty_value_differ_when_they_are_read_back() {
    let console = Console::start().await;
    let topic = topic(&console, "empty", 1).await;
    let path = "/console/produce";
    for (key, key_format, value_format) in
        [("k", "string", "null"), ("k", "string", "string"), ("", "string", "string"), ("", "null", "string")]
    {
        let fields = [
            ("topic", topic.as_str()),
            ("key", key),
            ("key_format", key_format),
            ("value", ""),
            ("value_format", value_format),
        ];
        assert_eq!(console.post(path, &fields).await.status(), StatusCode::SEE_OTHER);
    }
    let records: Vec<Value> =
        consumed(&topic).await.iter().map(|record| json!([record["key"], record["value"]])).collect();
    assert_eq!(records, [json!(["k", null]), json!(["k", ""]), json!(["", ""]), json!([null, ""])]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_keys_land_where_javas_client_puts_them() {
    let console = Console::start().await;
    let (ours, javas) = (topic(&console, "ours", 7).await, topic(&console, "javas", 7).await);
    let keys: Vec<String> = (0..1_000).map(|number| format!("key-{number}-ä")).collect();
    let lines: String = keys.iter().map(|key| format!("{key}\tv\n")).collect();
    tools::java_produce(&services::kafka(), &javas, &lines).await;
    let lines: String = keys.iter().map(|key| json!({ "key": key, "value": "v" }).to_string() + "\n").collect();
    let run: Value = console.upload(&format!("/import?topic={ours}"), lines).await.json().await.unwrap();
    assert_eq!((&run["done"], &run["failed"]), (&json!(1_000), &json!(0)), "{run}");
    sent(&console, json!({ "topic": ours, "key": { "text": "one by the form" }, "value": { "text": "v" } })).await;
    tools::java_produce(&services::kafka(), &javas, "one by the form\tv\n").await;
    let javas = places(&javas).await;
    assert_eq!(javas.len(), 1_001);
    assert_eq!(places(&ours).await, javas);
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_lines_go_in_five_seconds_and_each_wrong_one_is_told() {
    let console = Console::start().await;
    let topic = topic(&console, "lines", 3).await;
    let line = |number: usize| match number {
        17 => "{\"value\": 1}\n".to_owned(),
        4_000 => "\n".to_owned(),
        9_999 => "{oops\n".to_owned(),
        number => json!({ "key": number.to_string(), "value": "x".repeat(200) }).to_string() + "\n",
    };
    let lines: String = (1..=10_000).map(line).collect();
    within_a_try("an import", Duration::from_secs(5), PATIENCE, async || {
        let run: Value = console.upload(&format!("/import?topic={topic}"), lines.clone()).await.json().await.unwrap();
        assert_eq!((&run["done"], &run["failed"]), (&json!(9_997), &json!(2)), "{run}");
        let failures = run["failures"].as_array().unwrap();
        assert_eq!(failures.iter().map(|failure| &failure["number"]).collect::<Vec<_>>(), [&json!(17), &json!(9_999)]);
        assert!(failures[0]["reason"].as_str().unwrap().contains("expected a string"), "{failures:?}");
        assert!(failures[1]["reason"].as_str().unwrap().starts_with("column 2"), "{failures:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_consumed_can_be_loaded_back_by_the_console_and_the_command_line() {
    let console = Console::start().await;
    let [original, copy, exact] =
        [topic(&console, "original", 3).await, topic(&console, "copy", 3).await, topic(&console, "exact", 3).await];
    let odd = [("string", "ü\n\t\"'"), ("base64", "//4A"), ("string", ""), ("null", "")];
    for (index, (format, text)) in odd.into_iter().enumerate() {
        let content = json!({ "format": format, "text": text });
        let headers = json!([{ "name": "same", "value": content }, { "name": "same", "value": { "text": "2" } }]);
        sent(
            &console,
            json!({ "topic": original, "partition": index % 3, "key": content, "value": content, "headers": headers }),
        )
        .await;
    }
    let records = consumed(&original).await;
    let lines: String = records.iter().map(|record| format!("{record}\n")).collect();
    let kept = format!("/import?topic={exact}&keep_partitions=true&keep_timestamps=true");
    for path in [format!("/import?topic={copy}"), kept] {
        let run: Value = console.upload(&path, lines.clone()).await.json().await.unwrap();
        assert_eq!((&run["done"], &run["failed"]), (&json!(4), &json!(0)), "{run}");
    }
    let sorted = |records: &[Value], part: fn(&Value) -> Value| {
        let mut parts: Vec<String> = records.iter().map(|record| part(record).to_string()).collect();
        parts.sort();
        parts
    };
    assert_eq!(sorted(&consumed(&copy).await, contents), sorted(&records, contents));
    let placed = |record: &Value| json!([record["partition"], record["timestamp"], contents(record)]);
    assert_eq!(sorted(&consumed(&exact).await, placed), sorted(&records, placed));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_is_copied_into_the_form_exactly() {
    let console = Console::start().await;
    let topic = topic(&console, "copied", 1).await;
    let contents = [
        ("string", "plain ä", "string"),
        ("string", "{\"a\": 1}", "json"),
        ("string", "line\r\nbreak", "base64"),
        ("hex", "ff00", "base64"),
        ("string", "", "string"),
        ("null", "", "null"),
    ];
    for (offset, (format, text, shown)) in contents.into_iter().enumerate() {
        let content = json!({ "format": format, "text": text });
        sent(
            &console,
            json!({ "topic": topic, "key": content, "value": content, "headers": [{ "name": "h", "value": content }] }),
        )
        .await;
        let draft = console.get(&format!("/produce/draft?copy={topic}:0:{offset}")).await;
        assert_eq!(draft["value"]["format"], shown, "{text:?}");
        let again =
            json!({ "topic": topic, "key": draft["key"], "value": draft["value"], "headers": draft["headers"] });
        let run = sent(&console, again).await;
        assert_eq!(run["done"], 1);
        // The copy lies behind it; both go on as one pair.
        let records = consumed(&topic).await;
        let [.., original, copy] = records.as_slice() else { panic!("{records:?}") };
        for part in ["key", "value", "headers"] {
            assert_eq!(original[part], copy[part], "{text:?}");
        }
        // The next one is to have the offset of its number.
        let clear = json!({ "confirm": topic });
        assert_eq!(console.act(Method::DELETE, &format!("/topics/{topic}"), &clear).await.status(), StatusCode::OK);
        let made = json!({ "name": topic, "partitions": 1 });
        assert_eq!(console.act(Method::POST, "/topics", &made).await.status(), StatusCode::OK);
        for _ in 0..=offset {
            sent(&console, json!({ "topic": topic, "value": { "text": "before" } })).await;
        }
    }
    let gone = console.ask(&format!("/produce/draft?copy={topic}:0:99")).await;
    assert_eq!(gone.status(), StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_goes_at_its_rate_and_can_be_stopped() {
    let console = Console::start().await;
    let topic = topic(&console, "run", 1).await;
    let body = json!({ "topic": topic, "value": { "text": "tick" }, "count": 10_000, "rate": 50 });
    let run = sent(&console, body).await;
    assert_eq!(run["state"], "running", "{run}");
    let path = format!("/runs/{}", run["id"].as_str().unwrap());
    let done = async || console.get(&path).await["done"].as_u64();
    let before = eventually("some records", PATIENCE, async || done().await.filter(|done| *done > 20)).await;
    assert!(before < 2_000, "{before} at 50 a second");
    let page = console.page(&format!("/console{path}")).await;
    assert!(page.contains("running") && page.contains("http-equiv=\"refresh\""), "{page}");
    let stopped: Value = console.act(Method::DELETE, &path, &json!({})).await.json().await.unwrap();
    assert_eq!(stopped["state"], "stopped");
    assert_eq!(consumed(&topic).await.len() as u64, stopped["done"].as_u64().unwrap());
    let stream = console.ask(&format!("{path}/stream")).await.text().await.unwrap();
    let last: Value = serde_json::from_str(stream.lines().last().unwrap()).unwrap();
    assert_eq!(last["state"], "stopped");
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_are_told_at_their_field_and_what_was_typed_is_kept() {
    let console = Console::start().await;
    let topic = topic(&console, "mistakes", 2).await;
    let valid = [
        ("topic", topic.as_str()),
        ("key", ""),
        ("key_format", "null"),
        ("value", "<b>typed</b>"),
        ("value_format", "string"),
        ("count", ""),
        ("partition", ""),
    ];
    for (field, value, said) in [
        ("value_format", "json", "line 1, column 1"),
        ("key_format", "int", "fits in 4 bytes"),
        ("count", "0", "expected from 1"),
        ("partition", "7", "partitions 0 to 1"),
        ("topic", "no-such-topic", "does not exist"),
    ] {
        let mut fields = valid;
        fields.iter_mut().find(|(known, _)| *known == field).unwrap().1 = value;
        let answer = console.post("/console/produce", &fields).await;
        assert!(answer.status().is_client_error(), "{field}: {}", answer.status());
        let page = answer.text().await.unwrap();
        assert!(page.contains(said), "{field}: {page}");
        assert!(page.contains("&#60;b&#62;typed&#60;/b&#62;"), "{page}");
    }
    assert!(consumed(&topic).await.is_empty());
    let large = json!({ "topic": topic, "value": { "text": "x".repeat(2_000_000) } });
    let refused = console.act(Method::POST, "/produce", &large).await;
    assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let reason: Value = refused.json().await.unwrap();
    assert!(reason["error"].as_str().unwrap().contains("max.message.bytes"), "{reason}");
}
