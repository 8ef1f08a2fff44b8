//! The console's topics, over HTTP, beside Kafka's own tools and `kboard topics`.

mod support;

use std::time::Duration;

use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use support::console::Console;
use support::{eventually, kboard, services, tools, unique, within_a_try};

const PATIENCE: Duration = Duration::from_secs(60);

async fn kafka(arguments: &[&str]) -> String {
    tools::kafka_topics(&services::kafka(), arguments).await
}

/// The row of a topic in the list.
async fn row(console: &Console, topic: &str) -> Option<Value> {
    let listing = console.get(&format!("/topics?q={topic}")).await;
    listing["topics"].as_array().unwrap().iter().find(|row| row["name"] == topic).cloned()
}

fn location(answer: &Response) -> &str {
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    answer.headers()["location"].to_str().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_another_tool_made_is_there_on_the_next_load_with_what_it_holds() {
    let (console, topic) = (Console::start().await, unique("seen"));
    let messages = async || console.ask(&format!("/topics/{topic}/messages")).await.status();
    assert_eq!(messages().await, StatusCode::NOT_FOUND);
    kboard::run(&["topics", "create", &topic, "-p", "3", "--kafka", &services::kafka()]).await;
    // Sooner than what was known of the cluster is thrown away by itself, which is after 10 s.
    eventually("its messages", Duration::from_secs(8), async || (messages().await == StatusCode::OK).then_some(()))
        .await;
    let made = row(&console, &topic).await.expect("a new topic");
    assert_eq!((&made["partitions"], &made["messages"]), (&json!(3), &json!(0)));
    tools::kcat(&services::kafka(), &["-P", "-t", &topic, "-p", "1"], "a\nb\nc\n").await;
    eventually("three messages", PATIENCE, async || {
        (row(&console, &topic).await?["messages"] == json!(3)).then_some(())
    })
    .await;
    let one = console.get(&format!("/topics/{topic}")).await;
    assert_eq!((&one["partition_details"][1]["latest"], &one["cleanup_policy"]), (&json!(3), &json!("delete")));
    let missing = console.ask(&format!("/topics/{topic}x")).await;
    let reason: Value = missing.json().await.unwrap();
    assert!(reason["error"].as_str().unwrap().contains(&format!("did you mean {topic}")), "{reason}");
}

/// Like what comes of aborted transactions, what comes of compaction is not to be had of the embedded broker.
#[tokio::test(flavor = "multi_thread")]
async fn offsets_of_compaction_like_aborted_transactions_are_not_called_messages() {
    let console = Console::start().await;
    let compacted = unique("compacted");
    kafka(&["--create", "--topic", &compacted, "--config", "cleanup.policy=compact"]).await;
    let lines: String = (0..1_000).map(|number| format!("key{}:{number}\n", number % 10)).collect();
    tools::kcat(&services::kafka(), &["-P", "-t", &compacted, "-K", ":"], &lines).await;
    let row = eventually("its offsets", PATIENCE, async || {
        row(&console, &compacted).await.filter(|row| row["offsets"] == json!(1_000))
    })
    .await;
    assert_eq!((&row["messages"], &row["gaps"]), (&Value::Null, &json!("compaction")));
    let page = console.page(&format!("/console/topics/{compacted}")).await;
    assert!(page.contains("1,000 offsets") && page.contains("fewer messages than offsets"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_is_sorted_filtered_and_paged_across_all_pages() {
    let (console, prefix) = (Console::start().await, unique("sorted"));
    for partitions in 1..=5 {
        let (name, partitions) = (format!("{prefix}.{}", 5 - partitions), partitions.to_string());
        kboard::run(&["topics", "create", &name, "-p", &partitions, "--kafka", &services::kafka()]).await;
    }
    let names = async |query: &str| -> Vec<String> {
        let listing = console.get(&format!("/topics?q={}&{query}", prefix.to_uppercase())).await;
        assert_eq!(listing["matching"], 5);
        let names = listing["topics"].as_array().unwrap().iter();
        names.map(|row| row["name"].as_str().unwrap().rsplit_once('.').unwrap().1.to_owned()).collect()
    };
    assert_eq!(names("").await, ["0", "1", "2", "3", "4"]);
    assert_eq!(names("sort=partitions&order=asc&size=2").await, ["4", "3"]);
    assert_eq!(names("sort=partitions&order=asc&size=2&page=3").await, ["0"]);
    assert_eq!(names("sort=partitions").await, ["0", "1", "2", "3", "4"]);
    let refused = console.ask("/topics?sort=colour").await;
    assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test(flavor = "multi_thread")]
async fn creating_is_checked_field_by_field_and_done_as_asked() {
    let (console, name) = (Console::start().await, unique("made"));
    let create = async |fields: &[(&str, &str)]| console.post("/console/new-topic", fields).await;
    for (field, value, said) in [
        ("name", "no spaces", "has characters other than"),
        ("partitions", "0", "at least one partition"),
        ("partitions", "x", "expected a whole number"),
        ("retention", "soon", "expected a time such as"),
        ("config", "oops", "expected setting=value"),
        ("config", "no.such.setting=1", "no.such.setting"),
    ] {
        let mut fields = vec![("name", name.as_str()), ("partitions", ""), ("retention", ""), ("config", "")];
        fields.iter_mut().find(|(known, _)| *known == field).unwrap().1 = value;
        let answer = create(&fields).await;
        assert!(answer.status().is_client_error(), "{field}={value}: {}", answer.status());
        let page = answer.text().await.unwrap();
        assert!(page.contains(said) && page.contains("aria-invalid"), "{field}={value}: {page}");
    }
    let answer =
        create(&[("name", &name), ("partitions", "4"), ("retention", "2d"), ("config", "segment.bytes=2097152")]).await;
    assert_eq!(location(&answer), format!("/console/topics/{name}"));
    let cookie = answer.headers()["set-cookie"].to_str().unwrap().to_owned();
    assert!(cookie.contains("created"), "{cookie}");
    let settings = console.get(&format!("/topics/{name}/settings")).await;
    let setting = |key: &str| {
        let all = settings["settings"].as_array().unwrap();
        all.iter().find(|setting| setting["name"] == key).unwrap()["value"].clone()
    };
    assert_eq!((setting("retention.ms"), setting("segment.bytes")), (json!("172800000"), json!("2097152")));
    assert_eq!(create(&[("name", &name)]).await.status(), StatusCode::CONFLICT);
    let dry = json!({ "name": format!("{name}.dry"), "partitions": 2, "dry_run": true });
    assert_eq!(console.act(Method::POST, "/topics", &dry).await.status(), StatusCode::OK);
    assert!(row(&console, &format!("{name}.dry")).await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_setting_is_changed_after_the_broker_has_checked_it_and_given_back() {
    let (console, topic) = (Console::start().await, unique("set"));
    console.act(Method::POST, "/topics", &json!({ "name": topic })).await;
    let path = format!("/console/topics/{topic}/settings");
    let wrong = console.post(&path, &[("name", "retention.ms"), ("value", "many")]).await;
    assert!(wrong.status().is_client_error());
    let page = wrong.text().await.unwrap();
    assert!(page.contains("id=\"error-retention.ms\"") && page.contains("value=\"many\""), "{page}");
    location(&console.post(&path, &[("name", "retention.ms"), ("value", "1234567")]).await);
    let first = async || console.get(&format!("/topics/{topic}/settings")).await["settings"][0].clone();
    let own = async |name: &str| {
        let all = console.get(&format!("/topics/{topic}/settings")).await;
        let found = all["settings"].as_array().unwrap().iter().find(|setting| setting["name"] == name).cloned();
        found.unwrap()
    };
    assert_eq!(first().await["overridden"], true, "those of its own come first");
    let changed = own("retention.ms").await;
    assert_eq!(
        (&changed["value"], &changed["default"], &changed["overridden"]),
        (&json!("1234567"), &json!("604800000"), &json!(true))
    );
    assert!(changed["documentation"].as_str().unwrap().len() > 20, "{changed}");
    location(&console.post(&path, &[("name", "retention.ms"), ("value", "1234567"), ("default", "true")]).await);
    assert_eq!(own("retention.ms").await["overridden"], false);
    let both = json!({ "changes": { "segment.ms": "60000", "retention.ms": "x" } });
    assert!(console.act(Method::PATCH, &format!("/topics/{topic}/settings"), &both).await.status().is_client_error());
    assert_eq!(own("segment.ms").await["overridden"], false, "all or none");
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_are_added_and_never_taken_away() {
    let (console, topic) = (Console::start().await, unique("grown"));
    console.act(Method::POST, "/topics", &json!({ "name": topic, "partitions": 2 })).await;
    let path = format!("/console/topics/{topic}/partitions");
    for (total, said) in [("1", "take any away"), ("2", "2 partitions already"), ("", "say how many")] {
        let page = console.post(&path, &[("total", total)]).await.text().await.unwrap();
        assert!(page.contains(said), "{total}: {page}");
    }
    location(&console.post(&path, &[("total", "5")]).await);
    assert!(kafka(&["--describe", "--topic", &topic]).await.contains("PartitionCount: 5"));
}

#[tokio::test(flavor = "multi_thread")]
async fn clearing_shows_what_goes_before_it_goes() {
    let (console, topic) = (Console::start().await, unique("cleared"));
    console.act(Method::POST, "/topics", &json!({ "name": topic, "partitions": 2 })).await;
    for partition in ["0", "1"] {
        tools::kcat(&services::kafka(), &["-P", "-t", &topic, "-p", partition], "a\nb\nc\nd\n").await;
    }
    let path = format!("/console/topics/{topic}/clear");
    let earliest = async || {
        let one = console.get(&format!("/topics/{topic}")).await;
        [0, 1].map(|partition| one["partition_details"][partition]["earliest"].as_i64().unwrap())
    };
    let offset = [("partition", "1"), ("what", "offset"), ("offset", "3")];
    let page = console.post(&path, &offset).await.text().await.unwrap();
    assert!(page.contains("3 offsets</strong> would be deleted"), "{page}");
    assert_eq!(earliest().await, [0, 0], "only looked at");
    let confirmed = |confirm| [offset.as_slice(), &[("act", "true"), ("confirm", confirm)]].concat();
    assert_eq!(console.post(&path, &confirmed("nonsense")).await.status(), StatusCode::BAD_REQUEST);
    assert_eq!(earliest().await, [0, 0], "not confirmed");
    location(&console.post(&path, &confirmed(&topic)).await);
    assert_eq!(earliest().await, [0, 3]);
    let clear = format!("/topics/{topic}/clear");
    let later = json!({ "time": "2100-01-01T00:00:00Z", "confirm": topic });
    assert_eq!(console.act(Method::POST, &clear, &later).await.json::<Value>().await.unwrap()["removed"], 5);
    assert_eq!(earliest().await, [4, 4]);
    let unknown = json!({ "partition": 9, "confirm": topic });
    assert_eq!(console.act(Method::POST, &clear, &unknown).await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_names_what_follows_and_wants_the_name_typed() {
    let (console, topic) = (Console::start().await, unique("deleted"));
    let other = format!("{topic}.too");
    for name in [&topic, &other] {
        console.act(Method::POST, "/topics", &json!({ "name": name })).await;
    }
    tools::kcat(&services::kafka(), &["-P", "-t", &topic], "a\nb\n").await;
    let page = console.page(&format!("/console/delete-topics?topic={topic}")).await;
    assert!(page.contains("<strong>2 offsets</strong>") && page.contains("No group reads"), "{page}");
    let both = [("topic", topic.as_str()), ("topic", other.as_str())];
    let confirm = |text| [both.as_slice(), &[("confirm", text)]].concat();
    assert_eq!(console.post("/console/delete-topics", &confirm(&topic)).await.status(), StatusCode::BAD_REQUEST);
    assert!(row(&console, &topic).await.is_some());
    let wrong = console.act(Method::DELETE, &format!("/topics/{topic}"), &json!({ "confirm": other })).await;
    assert_eq!(wrong.status(), StatusCode::BAD_REQUEST);
    assert_eq!(location(&console.post("/console/delete-topics", &confirm("delete 2 topics")).await), "/console/topics");
    assert!(row(&console, &topic).await.is_none() && row(&console, &other).await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn many_topics_are_listed_and_sorted_at_once() {
    let (console, prefix) = (Console::start().await, unique("many"));
    let names: Vec<String> = (0..200).map(|number| format!("{prefix}.{number:03}")).collect();
    let mut create = vec!["topics", "create", "-p", "5"];
    let kafka = services::kafka();
    create.extend(names.iter().map(String::as_str));
    create.extend(["--kafka", &kafka]);
    assert!(kboard::run(&create).await.status.success());
    // The first look knows what is there; what is measured is a page after it.
    eventually("a look at all of them", PATIENCE, async || {
        let listing = console.get(&format!("/topics?q={prefix}&size=500")).await;
        (listing["matching"] == 200 && listing["taken_at"].as_i64()? > 0).then_some(())
    })
    .await;
    for query in ["", "&sort=size", "&sort=retention", "&sort=groups"] {
        // In a build without optimisation.
        within_a_try(&format!("a page with {query:?}"), Duration::from_secs(2), PATIENCE, async || {
            let listing = console.get(&format!("/topics?q={prefix}{query}")).await;
            assert_eq!(listing["topics"].as_array().unwrap().len(), 50);
        })
        .await;
    }
}
