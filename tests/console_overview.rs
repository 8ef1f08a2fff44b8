//! The dashboard on a cluster of its own: what it tells, and that telling leaves no trace.

mod support;

use std::time::{Duration, Instant};

use serde_json::Value;
use support::{Broker, Kboard, SseClient, eventually, kboard, tools};

/// Some looks at the cluster, on a busy machine.
const SOON: Duration = Duration::from_secs(90);

async fn console(kafka: &str) -> Kboard {
    let arguments = ["serve", "--apps", "none", "--kafka", kafka].map(str::to_owned);
    Kboard::serve(&arguments).await
}

async fn overview(console: &Kboard) -> Value {
    let answer = console.http().get(console.url("/api/console/overview")).send().await.unwrap();
    answer.error_for_status().unwrap().json().await.unwrap()
}

async fn until(console: &Kboard, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
    eventually(what, SOON, async || Some(overview(console).await).filter(&holds)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_dashboard_tells_what_goes_on_and_leaves_no_trace() {
    let broker = Broker::start().await;
    let address = broker.address();
    let made = kboard::run(&["topics", "create", "orders", "--partitions", "2", "--kafka", &address]).await;
    assert!(made.status.success(), "{made:?}");
    let started = Instant::now();
    let console = console(&address).await;
    let before = until(&console, "the topic", |seen| seen["topics"] == 1).await;
    assert_eq!((&before["away"], before["problems"].as_array().unwrap().len()), (&Value::Null, 0));
    let first = &before["brokers"][0];
    assert_eq!((first["address"].as_str(), &first["is_controller"]), (Some(address.as_str()), &Value::Bool(true)));
    let dir = &first["log_dirs"][0];
    assert!(dir["path"].as_str().is_some_and(|path| !path.is_empty()) && dir["bytes"].is_u64(), "{before}");
    assert_eq!((&before["under_replicated"], &before["offline"]), (&0.into(), &0.into()));

    let lines: String = (0..500).map(|number| format!("{number}\n")).collect();
    tools::kcat(&address, &["-P", "-t", "orders"], &lines).await;
    let seen = until(&console, "a rate", |seen| seen["written"].as_f64() > Some(0.0)).await;
    assert_eq!(seen["busiest"][0]["topic"], "orders");
    let chart = seen["charts"].as_array().unwrap().iter().find(|chart| chart["id"] == "written").unwrap();
    let points = chart["lines"][0]["values"].as_array().unwrap();
    assert_eq!(
        (chart["lines"][0]["name"].as_str(), points.len()),
        (Some("orders"), chart["times"].as_array().unwrap().len())
    );
    // From when they begin; a look is as long as the machine lets it be.
    let (pauses, time) = (points.len() as u32 - 1, started.elapsed());
    assert!(
        pauses * Duration::from_secs(5) <= time,
        "it looks every five seconds and not more often: {points:?} in {time:?}"
    );

    let stream = SseClient::connect(&console.url("/api/console/overview/stream"));
    eventually("two looks in the stream", SOON, async || {
        let looks = stream.events().into_iter().filter(|event| event.name == "look");
        (looks.count() >= 2).then_some(())
    })
    .await;

    let groups = tools::kafka_consumer_groups(&address, &["--list"]).await;
    assert_eq!(groups.trim(), "", "watching joins no group and commits nothing");
    let topics = tools::kafka_topics(&address, &["--list"]).await;
    assert_eq!(topics.trim(), "orders", "there is not even a topic for offsets");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_goes_away_and_comes_back_is_said_so() {
    let mut broker = Broker::start().await;
    let console = console(&broker.address()).await;
    until(&console, "the first look", |seen| seen["taken_at"] != 0).await;
    broker.kill9();
    let away = until(&console, "that it is away", |seen| !seen["away"].is_null()).await;
    assert!(away["taken_at"].as_i64() > Some(0), "what was seen last is still shown: {away}");
    let page = console.http().get(console.url("/console")).send().await.unwrap();
    assert!(page.status().is_success());
    assert!(page.text().await.unwrap().contains("Kafka does not answer"));
    let metrics = console.http().get(console.url("/metrics")).send().await.unwrap().text().await.unwrap();
    assert!(!metrics.contains("kafka_brokers"), "what is not seen is not exported");
    broker.restart().await;
    until(&console, "that it is back", |seen| seen["away"].is_null()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_lost_broker_held_is_named_and_all_else_still_shows() {
    let first = Broker::start().await;
    let address = first.address();
    let reset = async |topic: &str| {
        let reset = ["groups", "reset", "billing", "--topic", topic, "--to-earliest", "--execute", "--kafka", &address];
        let reset = kboard::run(&reset).await;
        assert!(reset.status.success(), "{reset:?}");
    };
    // The groups' offsets are on the first one, since there is no other yet.
    assert!(kboard::run(&["topics", "create", "before", "--kafka", &address]).await.status.success());
    reset("before").await;
    let mut second = first.join().await;
    let console = console(&address).await;
    until(&console, "both brokers", |seen| seen["brokers"].as_array().is_some_and(|brokers| brokers.len() == 2)).await;
    for (topic, replicas) in [("split", "1,2"), ("kept", "1:2")] {
        tools::kafka_topics(&address, &["--create", "--topic", topic, "--replica-assignment", replicas]).await;
    }
    for partition in ["0", "1"] {
        tools::kcat(&address, &["-P", "-t", "split", "-p", partition], "one\ntwo\nthree\n").await;
    }
    reset("split").await;
    let group = async || -> Value {
        let answer = console.http().get(console.url("/api/console/groups/billing")).send().await.unwrap();
        answer.error_for_status().unwrap().json().await.unwrap()
    };
    eventually("all of the lag", SOON, async || (group().await["lag"] == 6).then_some(())).await;

    second.kill9();
    let seen = until(&console, "what it held", |seen| seen["offline"] == 1 && seen["under_replicated"] == 2).await;
    assert!(seen["away"].is_null(), "{seen}");
    let billing = eventually("a partition without a leader", SOON, async || {
        let billing = group().await;
        let lost = billing["partitions"].as_array()?.iter().any(|place| place["note"] == "no leader");
        lost.then_some(billing)
    })
    .await;
    let places: Vec<_> = billing["partitions"].as_array().unwrap().iter().map(|place| &place["lag"]).collect();
    assert_eq!(places, [&Value::from(0), &Value::from(3), &Value::Null], "every other row still shows: {billing}");
    let page = async |path: &str| {
        let answer = console.http().get(console.url(path)).send().await.unwrap();
        answer.error_for_status().unwrap().text().await.unwrap()
    };
    assert!(page("/console/groups/billing").await.contains("no leader"));
    assert!(page("/console/groups").await.contains("no leader"));
    let troubled = page("/console/topics?problems=true").await;
    assert!(troubled.contains("split") && troubled.contains("kept") && !troubled.contains("before"), "{troubled}");
    let messages = page("/console/topics/split/messages").await;
    assert_eq!(messages.matches("<tr class=\"message\"").count(), 3, "{messages}");
    assert!(messages.contains("no leader"), "{messages}");
    let found = page("/api/console/topics/split/search?q=two").await;
    let end: Value = serde_json::from_str(found.lines().last().unwrap()).unwrap();
    assert_eq!((&end["found"], end["away"].as_array().unwrap().len()), (&Value::from(1), 1), "{end}");
}
