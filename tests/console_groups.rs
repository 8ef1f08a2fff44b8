//! Consumer groups in the console: as Kafka's own tool sees them, reset as was shown, and told to Prometheus.

#[path = "support/command.rs"]
mod command;
mod support;

use std::time::Duration;

use command::{connect, fill, unique};
use krafka::admin::TopicPartition;
use krafka::consumer::{AutoOffsetReset, Consumer};
use reqwest::StatusCode;
use serde_json::{Value, json};
use support::{Kboard, eventually, services, tools};

const HOUR: Duration = Duration::from_secs(3600);
/// Some looks at the cluster, on a busy machine.
const SOON: Duration = Duration::from_secs(90);

/// `kboard serve --apps none` on the run's Kafka, with what a program needs to act.
struct Console {
    kboard: Kboard,
    token: String,
}

impl Console {
    async fn start(arguments: &[&str]) -> Self {
        let kafka = services::kafka();
        let arguments = [&["serve", "--apps", "none", "--kafka", &kafka], arguments].concat();
        let kboard = Kboard::serve(&arguments.into_iter().map(str::to_owned).collect::<Vec<_>>()).await;
        let mut console = Self { kboard, token: String::new() };
        let session = console.get("/session").await;
        console.token = session["token"].as_str().unwrap_or_default().to_owned();
        console
    }

    async fn get(&self, path: &str) -> Value {
        let url = self.kboard.url(&format!("/api/console{path}"));
        self.kboard.http().get(url).send().await.unwrap().error_for_status().unwrap().json().await.unwrap()
    }

    /// What the API answers to an action.
    async fn act(&self, method: reqwest::Method, path: &str, body: Value) -> (StatusCode, Value) {
        let request = self.kboard.http().request(method, self.kboard.url(&format!("/api/console{path}")));
        let answer = request.header("x-kboard-token", &self.token).json(&body).send().await.unwrap();
        (answer.status(), answer.json().await.unwrap())
    }

    async fn reset(&self, group: &str, body: Value) -> (StatusCode, Value) {
        self.act(reqwest::Method::POST, &format!("/groups/{group}/reset"), body).await
    }

    async fn page(&self, path: &str) -> (StatusCode, String) {
        let answer = self.kboard.http().get(self.kboard.url(path)).send().await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    }

    async fn submit(&self, path: &str, fields: &[(&str, &str)]) -> (StatusCode, String) {
        let fields = [&[("token", self.token.as_str())], fields].concat();
        let answer = self.kboard.http().post(self.kboard.url(path)).form(&fields).send().await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    }

    /// The group once it has been looked at and is `like` that.
    async fn group(&self, name: &str, like: impl Fn(&Value) -> bool) -> Value {
        self.looked(name, like).await.1
    }

    /// The same, after the time of the look that found it so, in milliseconds since the epoch.
    async fn looked(&self, name: &str, like: impl Fn(&Value) -> bool) -> (i64, Value) {
        eventually(&format!("group {name} in the console"), SOON, async || {
            let list = self.get(&format!("/groups?q={name}")).await;
            let mut groups = list["groups"].as_array()?.iter();
            let group = groups.find(|group| group["group"] == name).filter(|group| like(group))?;
            Some((list["taken_at"].as_i64()?, group.clone()))
        })
        .await
    }
}

/// A topic of three partitions with 10, 20 and 30 records, an hour old.
async fn topic() -> String {
    let topic = unique("read");
    command::kboard(&["topics", "create", &topic, "--partitions", "3"]).ok();
    for (partition, count) in [(0, 10), (1, 20), (2, 30)] {
        fill(&topic, partition, count, HOUR).await;
    }
    topic
}

/// A member of `group` that has read and committed all of `topic`.
async fn reader(group: &str, topic: &str) -> Consumer {
    let kafka = connect("a-reader").await;
    let consumer = kafka.consumer(group).enable_auto_commit(false).auto_offset_reset(AutoOffsetReset::Earliest);
    let consumer = consumer.build().await.unwrap();
    consumer.subscribe([topic]).await.unwrap();
    let mut read = 0;
    let all = async {
        while read < 60 {
            read += consumer.poll(Duration::from_millis(200)).await.unwrap().len();
        }
    };
    tokio::time::timeout(SOON, all).await.expect("all records are read");
    consumer.commit().await.unwrap();
    consumer
}

/// A topic, and a group that has read all of it and left.
async fn finished() -> (String, String) {
    let (topic, group) = (topic().await, unique("group"));
    reader(&group, &topic).await.close().await.unwrap();
    (topic, group)
}

/// What the group has committed, by partition, as Kafka says.
async fn committed(group: &str, topic: &str) -> Vec<Option<i64>> {
    let admin = connect("looker").await.admin();
    let offsets = admin.list_consumer_group_offsets(group, Default::default()).await.unwrap();
    let offset = |partition| offsets.get(&TopicPartition::new(topic, partition)).and_then(|o| o.as_ref().ok()?.offset);
    (0..3).map(offset).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_is_shown_as_kafkas_own_tool_shows_it() {
    let (topic, group) = (topic().await, unique("group"));
    let consumer = reader(&group, &topic).await;
    fill(&topic, 2, 5, HOUR).await;
    let console = Console::start(&[]).await;

    let row = console.group(&group, |row| row["lag_seconds"].as_f64() > Some(0.0)).await;
    assert_eq!((&row["state"], &row["members"], &row["lag"]), (&json!("Stable"), &json!(1), &json!(5)));
    assert_eq!((&row["topics"], &row["kind"]), (&json!([topic]), &json!("classic")));
    let waited = row["lag_seconds"].as_f64().unwrap();
    assert!((3600.0..3700.0).contains(&waited), "the next record is an hour old: {waited}");

    let one = console.get(&format!("/groups/{group}")).await;
    let member = &one["members"][0];
    assert_eq!((&member["client"], &member["host"]), (&json!("a-reader"), &json!("127.0.0.1")));
    assert_eq!(member["partitions"][&topic], json!([0, 1, 2]));
    let shown: Vec<Vec<String>> = (one["partitions"].as_array().unwrap().iter())
        .map(|p| ["partition", "committed", "end", "lag"].map(|key| p[key].to_string()).to_vec())
        .collect();
    let table = tools::kafka_consumer_groups(&services::kafka(), &["--describe", "--group", &group]).await;
    let rows = table.lines().filter(|line| line.starts_with(&group));
    let mut told: Vec<Vec<String>> =
        rows.map(|row| row.split_whitespace().skip(2).take(4).map(str::to_owned).collect()).collect();
    told.sort();
    assert_eq!(shown, told);
    assert!(one["in_use"].as_str().unwrap().contains("a-reader at 127.0.0.1"), "{one}");

    let (status, page) = console.page(&format!("/console/groups/{group}")).await;
    assert_eq!(status, StatusCode::OK);
    assert!(page.contains("a-reader") && page.contains("3 partitions"), "{page}");
    consumer.close().await.unwrap();
    let row = console.group(&group, |row| row["state"] == "Empty").await;
    assert_eq!(row["members"], 0);
    let one = console.get(&format!("/groups/{group}")).await;
    let change = &one["changes"][0];
    assert_eq!((&change["from"], &change["to"]), (&json!("Stable"), &json!("Empty")), "{one}");
    assert_eq!((&change["left"], &change["moved"]), (&json!(["a-reader at 127.0.0.1"]), &json!(3)));
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_without_a_commit_are_listed_and_the_rest_counts() {
    let (topic, group) = (topic().await, unique("group"));
    command::kboard(&["groups", "reset", &group, "--topic", &format!("{topic}:1"), "--to-offset", "5", "--execute"])
        .ok();
    let console = Console::start(&[]).await;
    let row = console.group(&group, |_| true).await;
    assert_eq!((&row["lag"], &row["lag_is_partial"]), (&json!(15), &json!(true)));
    assert_eq!(row["notes"], json!({ "nothing committed": 2 }));
    let one = console.get(&format!("/groups/{group}")).await;
    let notes: Vec<&Value> = one["partitions"].as_array().unwrap().iter().map(|place| &place["note"]).collect();
    assert_eq!(notes, [&json!("nothing committed"), &Value::Null, &json!("nothing committed")]);
}

/// The time is that of asking, not that of the last look.
#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_stands_is_as_many_seconds_behind_as_its_next_record_is_old() {
    let (topic, group) = finished().await;
    fill(&topic, 0, 3, Duration::from_secs(60)).await;
    let console = Console::start(&[]).await;
    let next = console.get(&format!("/topics/{topic}/messages/0/10")).await;
    let written = next["record"]["timestamp"].as_i64().unwrap();
    let behind = |row: &Value| row["lag_seconds"].as_f64().unwrap_or_default();
    let (first_look, first) = console.looked(&group, |row| behind(row) > 0.0).await;
    let enough = behind(&first) + 12.0;
    eventually("more than two looks", SOON, async || {
        let waited_at = |time: i64| (time - written) as f64 / 1000.0;
        let waited = || waited_at(jiff::Timestamp::now().as_millisecond());
        let before = waited();
        let (look, row) = console.looked(&group, |_| true).await;
        let (told, after) = (behind(&row), waited());
        // From the second look on it is known that it stands; until then, the time of the look is all there is.
        let (least, most) = if look == first_look { (waited_at(look), waited_at(look)) } else { (before, after) };
        assert!((least - 2.0..=most + 2.0).contains(&told), "{told} s, and it has waited {least} to {most} s");
        (told >= enough).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_does_what_was_shown_and_can_be_undone() {
    let (topic, group) = finished().await;
    let console = Console::start(&[]).await;
    let wanted = json!({ "to": { "by": -12 }, "dry_run": true });
    let (status, shown) = console.reset(&group, wanted.clone()).await;
    assert_eq!((status, &shown["applied"]), (StatusCode::OK, &json!(false)));
    let step = |partition, before: i64, after: i64, note: Value| {
        let (change, lag_after) = (after - before, before - after);
        json!({
            "topic": topic, "partition": partition, "before": before, "after": after, "change": change,
            "lag_after": lag_after, "note": note,
        })
    };
    let start = json!("stops at the log's start");
    let moves = json!([step(0, 10, 0, start), step(1, 20, 8, Value::Null), step(2, 30, 18, Value::Null)]);
    assert_eq!(shown["moves"], moves);
    assert_eq!(committed(&group, &topic).await, [Some(10), Some(20), Some(30)], "a dry run changes nothing");

    let steps = json!({ "steps": shown["steps"] });
    let offsets = format!("/groups/{group}/offsets");
    let (status, set) = console.act(reqwest::Method::POST, &offsets, steps.clone()).await;
    assert_eq!((status, &set["set"], &set["undo"]), (StatusCode::OK, &json!(3), &shown["undo"]));
    assert_eq!(committed(&group, &topic).await, [Some(0), Some(8), Some(18)]);
    assert_eq!(console.group(&group, |_| true).await["lag"], json!(10 + 12 + 12), "the list shows it at once");

    let (status, refused) = console.act(reqwest::Method::POST, &offsets, steps).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert!(refused["error"].as_str().unwrap().contains("has moved since this was shown"), "{refused}");
    let (status, _) = console.act(reqwest::Method::POST, &offsets, json!({ "steps": set["undo"] })).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(committed(&group, &topic).await, [Some(10), Some(20), Some(30)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_commits_of_a_group_are_undone_by_deleting_them() {
    let (topic, group) = finished().await;
    let other = self::topic().await;
    let console = Console::start(&[]).await;
    let (status, done) = console.reset(&group, json!({ "to": "latest", "topics": [format!("{other}:0,1")] })).await;
    assert_eq!((status, &done["applied"]), (StatusCode::OK, &json!(true)), "{done}");
    assert_eq!(committed(&group, &other).await, [Some(10), Some(20), None]);
    let undo = json!({ "steps": done["undo"] });
    console.act(reqwest::Method::POST, &format!("/groups/{group}/offsets"), undo).await;
    assert_eq!(committed(&group, &other).await, [None, None, None]);
    assert_eq!(committed(&group, &topic).await, [Some(10), Some(20), Some(30)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_target_leads_where_it_says() {
    let (topic, group) = finished().await;
    let console = Console::start(&[]).await;
    let follower = unique("follower");
    command::kboard(&["groups", "reset", &follower, "--topic", &topic, "--to-offset", "7", "--execute"]).ok();
    let later = jiff::Timestamp::now().to_string();
    for (to, expected) in [
        (json!("earliest"), [Some(0), Some(0), Some(0)]),
        (json!({ "offset": 15 }), [Some(10), Some(15), Some(15)]),
        (json!({ "group": follower }), [Some(7), Some(7), Some(7)]),
        (json!({ "time": "2h ago" }), [Some(0), Some(0), Some(0)]),
        (json!({ "time": later }), [Some(10), Some(20), Some(30)]),
        (json!({ "by": -5 }), [Some(5), Some(15), Some(25)]),
        (json!("latest"), [Some(10), Some(20), Some(30)]),
    ] {
        let (status, done) = console.reset(&group, json!({ "to": to })).await;
        assert_eq!(status, StatusCode::OK, "{to}: {done}");
        assert_eq!(committed(&group, &topic).await, expected, "{to}");
    }
    for (body, field) in
        [(json!({ "to": { "time": "soon" } }), "to"), (json!({ "to": "latest", "topics": ["a b"] }), "topics")]
    {
        let (status, refused) = console.reset(&group, body).await;
        assert_eq!((status, &refused["field"]), (StatusCode::BAD_REQUEST, &json!(field)), "{refused}");
    }
    let (status, _) = console.reset("no-such-group", json!({ "to": "latest" })).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_in_use_is_neither_reset_nor_deleted() {
    let (topic, group) = (topic().await, unique("group"));
    let consumer = reader(&group, &topic).await;
    let console = Console::start(&[]).await;
    let (status, shown) = console.reset(&group, json!({ "to": "earliest", "dry_run": true })).await;
    assert_eq!(status, StatusCode::OK);
    assert!(shown["in_use"].as_str().unwrap().contains("a-reader at 127.0.0.1"), "{shown}");
    let refusals = [
        console.reset(&group, json!({ "to": "earliest" })).await,
        console.act(reqwest::Method::DELETE, &format!("/groups/{group}"), json!({})).await,
        console.act(reqwest::Method::DELETE, &format!("/groups/{group}/topics/{topic}"), json!({})).await,
    ];
    for (status, refused) in refusals {
        assert_eq!(status, StatusCode::CONFLICT, "{refused}");
        assert!(refused["error"].as_str().unwrap().contains("a-reader at 127.0.0.1"), "{refused}");
    }
    assert_eq!(committed(&group, &topic).await, [Some(10), Some(20), Some(30)]);
    let (_, page) = console.page(&format!("/console/groups/{group}/reset?to=earliest")).await;
    assert!(page.contains("60 records read again") && page.contains("in use by 1 member"), "{page}");
    consumer.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_destroys_needs_the_name_typed() {
    let (topic, group) = finished().await;
    let console = Console::start(&[]).await;
    let forget = format!("/console/groups/{group}/topics/{topic}/forget");
    let (status, page) = console.submit(&forget, &[("confirm", "something else")]).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(page.contains("type"), "{page}");
    assert_eq!(committed(&group, &topic).await, [Some(10), Some(20), Some(30)]);
    let (status, _) = console.submit(&forget, &[("confirm", &topic)]).await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    assert_eq!(committed(&group, &topic).await, [None, None, None]);

    let (_, group) = finished().await;
    let delete = format!("/console/groups/{group}/delete");
    assert_eq!(console.submit(&delete, &[("confirm", "")]).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(console.submit(&delete, &[("confirm", &group)]).await.0, StatusCode::SEE_OTHER);
    assert_eq!(console.page(&format!("/console/groups/{group}")).await.0, StatusCode::NOT_FOUND);
    let list = console.get(&format!("/groups?q={group}")).await;
    assert_eq!(list["matching"], 0, "the list shows it at once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_of_any_name_has_its_pages() {
    let topic = topic().await;
    let group = unique("a/b ?#%2F é <b>&\"'");
    command::kboard(&["groups", "reset", &group, "--topic", &topic, "--to-earliest", "--execute"]).ok();
    let console = Console::start(&[]).await;
    let segment: String = group.bytes().map(|byte| format!("%{byte:02X}")).collect();
    for path in ["", "/reset?to=latest", "/delete"] {
        let (status, page) = console.page(&format!("/console/groups/{segment}{path}")).await;
        assert_eq!(status, StatusCode::OK, "{path}");
        assert!(!page.contains("<b>&\""), "{path} shows the name as markup: {page}");
    }
    let one = console.get(&format!("/groups/{segment}")).await;
    assert_eq!((one["group"].as_str(), &one["lag"]), (Some(group.as_str()), &json!(60)));
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_is_told_what_kafka_exporter_tells() {
    let (topic, group) = finished().await;
    fill(&topic, 1, 4, HOUR).await;
    let pattern = format!("^{topic}$");
    let console = Console::start(&["--export-topics", &pattern]).await;
    let scrape = eventually("the group among the metrics", SOON, async || {
        let text = console.page("/metrics").await.1;
        text.contains(&format!("kafka_consumergroup_lag_sum{{consumergroup=\"{group}\"")).then_some(text)
    })
    .await;
    let sample = |name: &str, labels: &str| -> f64 {
        let start = format!("{name}{{{labels}}} ");
        let line = scrape.lines().find_map(|line| line.strip_prefix(&start));
        line.unwrap_or_else(|| panic!("{start} is not among the metrics")).parse().unwrap()
    };
    let at = |partition: i32| format!("topic=\"{topic}\",partition=\"{partition}\"");
    for (name, expected) in [
        ("current_offset", 24.0),
        ("oldest_offset", 0.0),
        ("in_sync_replica", 1.0),
        ("replicas", 1.0),
        ("leader_is_preferred", 1.0),
        ("under_replicated_partition", 0.0),
    ] {
        assert_eq!(sample(&format!("kafka_topic_partition_{name}"), &at(1)), expected, "{name}");
    }
    assert_eq!(sample("kafka_topic_partitions", &format!("topic=\"{topic}\"")), 3.0);
    let of_it = |partition: i32| format!("consumergroup=\"{group}\",{}", at(partition));
    assert_eq!(sample("kafka_consumergroup_current_offset", &of_it(1)), 20.0);
    assert_eq!(
        (sample("kafka_consumergroup_lag", &of_it(1)), sample("kafka_consumergroup_lag", &of_it(0))),
        (4.0, 0.0)
    );
    let seconds = sample("kafka_consumergroup_lag_seconds", &of_it(1));
    assert!((3600.0..3800.0).contains(&seconds), "{seconds}");
    let sum = format!("consumergroup=\"{group}\",topic=\"{topic}\"");
    assert_eq!(sample("kafka_consumergroup_lag_sum", &sum), 4.0);
    assert_eq!(sample("kafka_consumergroup_current_offset_sum", &sum), 60.0);
    assert_eq!(sample("kafka_consumergroup_members", &format!("consumergroup=\"{group}\"")), 0.0);
    let others = scrape.lines().filter(|line| line.starts_with("kafka_topic_partition") && !line.contains(&topic));
    assert_eq!(others.count(), 0, "--export-topics leaves the others out");

    let quiet = Console::start(&["--export", "off"]).await;
    quiet.group(&group, |_| true).await;
    let text = quiet.page("/metrics").await.1;
    assert!(!text.contains("kafka_topic_partition"), "{text}");
}
