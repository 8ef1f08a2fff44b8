//! Dead letters in the console: looked at, sent back, discarded.

mod support;

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use support::console::Console;
use support::{eventually, kboard, services, unique};

const PATIENCE: Duration = Duration::from_secs(60);

/// A topic with two partitions, and its dead letters.
struct Letters {
    console: Console,
    topic: String,
    dlq: String,
}

impl Letters {
    async fn start() -> Self {
        let console = Console::start().await;
        let topic = unique("orders");
        let dlq = format!("{topic}.dlq");
        for (name, partitions) in [(&topic, 2), (&dlq, 1)] {
            let made = console.act(Method::POST, "/topics", &json!({ "name": name, "partitions": partitions })).await;
            assert_eq!(made.status(), StatusCode::OK);
        }
        Self { console, topic, dlq }
    }

    /// Writes letters as the consumer runtime does, in one go.
    async fn write(&self, errors: impl IntoIterator<Item = String>) {
        let header = |name: &str, value: &str| json!({ "key": name, "value": value });
        let letter = |(number, error): (usize, String)| {
            json!({
                "key": format!("k{number}"),
                "value": format!("{{\"number\":{number}}}"),
                "headers": [
                    header("own", "1"),
                    header("own", "2"),
                    header("x-dlq-topic", &self.topic),
                    header("x-dlq-partition", "1"),
                    header("x-dlq-offset", &number.to_string()),
                    header("x-dlq-group", "billing"),
                    header("x-dlq-error", &error),
                    header("x-dlq-attempts", "3"),
                    header("x-dlq-timestamp", "1700000000000"),
                ],
            })
            .to_string()
                + "\n"
        };
        let lines: String = errors.into_iter().enumerate().map(letter).collect();
        let run: Value = self.console.upload(&format!("/import?topic={}", self.dlq), lines).await.json().await.unwrap();
        assert_eq!(run["failed"], 0, "{run}");
    }

    async fn list(&self, query: &str) -> Value {
        self.console.get(&format!("/dead-letters/{}?{query}", self.dlq)).await
    }

    async fn origin(&self) -> Vec<Value> {
        let consume = ["consume", "--topic", &self.topic, "--until-end", "--kafka", &services::kafka()];
        let output = kboard::run(&consume).await;
        String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    async fn ended(&self, run: &Value) -> Value {
        let path = format!("/runs/{}", run["id"].as_str().unwrap());
        eventually("the end of the run", PATIENCE, async || {
            let run = self.console.get(&path).await;
            (run["state"] != "running").then_some(run)
        })
        .await
    }
}

/// A topic in the overview, once a busy machine has looked at all its letters in the half second that each topic is given.
async fn summary(console: &Console, dlq: &str, letters: usize) -> Value {
    eventually(&format!("{letters} letters in the overview"), PATIENCE, async || {
        let overview = console.get("/dead-letters").await;
        let ours = overview["topics"].as_array().unwrap().iter().find(|topic| topic["topic"] == dlq).unwrap();
        (ours["letters"] == letters).then(|| ours.clone())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_are_counted_by_kind_of_error_and_by_origin() {
    let letters = Letters::start().await;
    letters
        .write((0..30).map(|number| if number < 20 { format!("no price for {number}") } else { "not JSON".to_owned() }))
        .await;
    let list = letters.list("").await;
    assert_eq!(
        (&list["scanned"], &list["total"], &list["found"], &list["waiting"]),
        (&json!(30), &json!(30), &json!(30), &json!(30))
    );
    let kinds: Vec<_> =
        list["errors"].as_array().unwrap().iter().map(|count| (&count["what"], &count["letters"])).collect();
    assert_eq!(kinds, [(&json!("no price for #"), &json!(20)), (&json!("not JSON"), &json!(10))]);
    assert_eq!((&list["origins"][0]["what"], &list["origins"][0]["group"]), (&json!(letters.topic), &json!("billing")));
    assert_eq!(letters.list("error=not+JSON").await["matching"], 10);
    assert_eq!(letters.list("q=%22number%22%3A7%7D").await["letters"][0]["key"], "k7");
    assert_eq!(letters.list("scan=10").await["scanned"], 10);
    let ours = summary(&letters.console, &letters.dlq, 30).await;
    assert_eq!((&ours["waiting"], &ours["most"]), (&json!(30), &json!(["no price for #", 20])));
    let page = letters.console.page(&format!("/console/dead-letters/{}", letters.dlq)).await;
    assert!(page.contains("Scanned 30 of 30 offsets"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_letter_is_edited_and_sent_back_once_and_says_so() {
    let letters = Letters::start().await;
    letters.write(["broken".to_owned()]).await;
    let address = format!("/console/dead-letters/{}/0/0", letters.dlq);
    let page = letters.console.page(&address).await;
    for part in ["broken", "billing", "3 attempts", "2023-11-14", "x-retry-count"] {
        assert!(page.contains(part), "{part} in {page}");
    }
    let fields = [
        ("key", "k0"),
        ("key_format", "string"),
        ("value", "{\"number\":"),
        ("value_format", "json"),
        ("header_name", "own"),
        ("header_format", "string"),
        ("header_value", "1"),
        ("header_name", "x-retry-count"),
        ("header_format", "string"),
        ("header_value", "1"),
    ];
    let wrong = letters.console.post(&address, &fields).await;
    assert_eq!(wrong.status(), StatusCode::BAD_REQUEST);
    assert!(wrong.text().await.unwrap().contains("not JSON: line 1"));
    assert!(letters.origin().await.is_empty());
    let mut fields = fields;
    fields[2].1 = "{\"number\":100}";
    assert_eq!(letters.console.post(&address, &fields).await.status(), StatusCode::SEE_OTHER);
    let back = letters.origin().await;
    assert_eq!(back.len(), 1);
    assert_eq!(
        (&back[0]["partition"], &back[0]["key"], &back[0]["value"]),
        (&json!(1), &json!("k0"), &json!("{\"number\":100}"))
    );
    let expected = json!([{ "key": "own", "value": "1" }, { "key": "x-retry-count", "value": "1" }]);
    assert_eq!(back[0]["headers"], expected);
    assert_eq!(letters.console.get(&format!("/dead-letters/{}/0/0", letters.dlq)).await["sent_back"], true);
    assert_eq!(letters.list("").await["waiting"], 0);
    assert_eq!(letters.list("").await["found"], 1, "what marks it is no letter");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_match_are_sent_back_in_their_order_and_none_twice() {
    let letters = Letters::start().await;
    let total = 1_203;
    letters
        .write((0..total).map(|number| if number % 3 == 0 { "busy".to_owned() } else { format!("bad {number}") }))
        .await;
    let path = format!("/dead-letters/{}/send-back", letters.dlq);
    let page = letters.console.page(&format!("/console{path}?error=busy")).await;
    assert!(page.contains("401 letters"), "{page}");
    let run = letters.console.act(Method::POST, &path, &json!({ "error": "busy" })).await.json().await.unwrap();
    let ended = letters.ended(&run).await;
    assert_eq!(
        (&ended["state"], &ended["done"], &ended["total"]),
        (&json!("done"), &json!(401), &json!(401)),
        "{ended}"
    );
    let keys: Vec<String> =
        letters.origin().await.iter().map(|record| record["key"].as_str().unwrap().to_owned()).collect();
    let expected: Vec<String> = (0..total).step_by(3).map(|number| format!("k{number}")).collect();
    assert_eq!(keys, expected);
    assert_eq!(letters.list("").await["waiting"], total - 401);
    let run = letters.console.act(Method::POST, &path, &json!({})).await.json().await.unwrap();
    let ended = letters.ended(&run).await;
    assert_eq!((&ended["done"], &ended["skipped"]), (&json!(total - 401), &json!(401)), "{ended}");
    let back = letters.origin().await;
    assert_eq!(back.len(), total);
    let own = json!([
        { "key": "own", "value": "1" },
        { "key": "own", "value": "2" },
        { "key": "x-retry-count", "value": "1" },
        { "key": "x-retry-group", "value": "billing" },
    ]);
    assert!(back.iter().all(|record| record["headers"] == own && record["partition"] == 1));
    assert_eq!(letters.list("state=waiting").await["matching"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_go_back_stays_and_is_told() {
    let letters = Letters::start().await;
    letters.write(["late".to_owned()]).await;
    let confirm = json!({ "confirm": letters.topic });
    letters.console.act(Method::DELETE, &format!("/topics/{}", letters.topic), &confirm).await;
    let path = format!("/dead-letters/{}", letters.dlq);
    let refused = letters.console.act(Method::POST, &format!("{path}/0/0/send-back"), &json!({})).await;
    assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let reason: Value = refused.json().await.unwrap();
    assert!(reason["error"].as_str().unwrap().contains("does not exist any more"), "{reason}");
    let run = letters.console.act(Method::POST, &format!("{path}/send-back"), &json!({})).await.json().await.unwrap();
    let ended = letters.ended(&run).await;
    assert_eq!((&ended["done"], &ended["failed"]), (&json!(0), &json!(1)), "{ended}");
    assert_eq!(letters.list("").await["waiting"], 1);
    let topics = letters.console.get(&format!("/topics?q={}", letters.topic)).await;
    assert_eq!(topics["matching"], 1, "nothing made the topic anew: {topics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn discarding_takes_all_before_and_says_so() {
    let letters = Letters::start().await;
    letters.write((0..5).map(|number| format!("e{number}"))).await;
    let one = format!("/dead-letters/{}/0/1/send-back", letters.dlq);
    assert_eq!(letters.console.act(Method::POST, &one, &json!({})).await.status(), StatusCode::OK);
    let page =
        letters.console.page(&format!("/console/dead-letters/{}/discard?partition=0&up_to=2", letters.dlq)).await;
    assert!(
        page.contains("all before it")
            && page.contains("3 letters")
            && page.contains("2 of which were never sent back"),
        "{page}"
    );
    let discard = format!("/dead-letters/{}/discard", letters.dlq);
    let wanted = json!({ "partition": 0, "up_to": 2, "confirm": "x" });
    assert_eq!(letters.console.act(Method::POST, &discard, &wanted).await.status(), StatusCode::BAD_REQUEST);
    assert_eq!(letters.list("").await["found"], 5);
    let form = [("partition", "0"), ("up_to", "2"), ("confirm", letters.dlq.as_str())];
    let done = letters.console.post(&format!("/console{discard}"), &form).await;
    assert_eq!(done.status(), StatusCode::SEE_OTHER);
    let left = letters.list("").await;
    assert_eq!((&left["found"], &left["letters"][1]["offset"]), (&json!(2), &json!(3)));
    let all = json!({ "confirm": letters.dlq });
    let gone: Value = letters.console.act(Method::POST, &discard, &all).await.json().await.unwrap();
    assert_eq!((&gone["letters"], &gone["waiting"]), (&json!(2), &json!(2)));
    assert_eq!(letters.list("").await["found"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_of_letters_of_several_others_is_known_and_each_letter_tells_its_own() {
    let console = Console::start().await;
    let (orders, payments) = (unique("orders"), unique("payments"));
    let dlq = format!("{orders}.dlq.v1");
    for name in [&orders, &payments, &dlq] {
        let made = console.act(Method::POST, "/topics", &json!({ "name": name, "partitions": 1 })).await;
        assert_eq!(made.status(), StatusCode::OK);
    }
    let history = json!([
        { "attempt": 1, "at": 1_700_000_000_000_i64, "error": "no stock service" },
        { "attempt": 2, "at": 1_700_000_000_500_i64, "error": "still <none>" },
    ]);
    let letter = |origin: &str, history: &str| {
        let told = [("x-dlq-topic", origin), ("x-dlq-error", "still <none>"), ("x-retry-history", history)];
        let headers: Vec<_> = told.map(|(key, value)| json!({ "key": key, "value": value })).into();
        json!({ "key": origin, "value": "v", "headers": headers }).to_string() + "\n"
    };
    let lines = letter(&orders, &history.to_string()) + &letter(&payments, "told otherwise");
    let run: Value = console.upload(&format!("/import?topic={dlq}"), lines).await.json().await.unwrap();
    assert_eq!(run["failed"], 0, "{run}");

    let ours = summary(&console, &dlq, 2).await;
    assert_eq!(ours["origins"], json!([orders, payments]), "{ours}");
    let address = format!("/dead-letters/{dlq}/0");
    let told = console.get(&format!("{address}/0")).await;
    assert_eq!((&told["origin"], &told["history"]), (&json!(orders), &history));
    let page = console.page(&format!("/console{address}/0")).await;
    for part in ["Attempt 1 failed", "no stock service", "Attempt 2 failed", "still &#60;none&#62;"] {
        assert!(page.contains(part), "{part} in {page}");
    }
    assert_eq!(console.get(&format!("{address}/1")).await["history"], json!([]));
    for (offset, origin) in [(0, &orders), (1, &payments)] {
        let sent = console.act(Method::POST, &format!("{address}/{offset}/send-back"), &json!({})).await;
        let sent: Value = sent.json().await.unwrap();
        assert_eq!(sent["topic"], json!(origin), "{sent}");
    }
    let page = console.page(&format!("/console/topics/{dlq}")).await;
    assert!(page.contains("This topic holds dead letters"), "{page}");
}
