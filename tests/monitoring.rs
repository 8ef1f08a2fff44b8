//! What is amiss is told: the metrics are there, the rules ask for them, and who should hear of it does.

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::process::{Output, Stdio};
use std::time::Duration;

use kboard::console::export;
use kboard::telemetry::metrics::{self, Kind, Metric};
use serde_json::{Value, json};
use support::monitoring::{alerts, asks_for_what_exists, root, yaml};
use support::{Alertmanager, Prometheus, SseClient, Stack, Webhook, eventually};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// On a busy machine.
const SOON: Duration = Duration::from_secs(60);

/// One that asks for anything else would never fire.
#[test]
fn alerts_ask_only_for_metrics_that_exist() {
    for (name, alert) in alerts() {
        asks_for_what_exists(&name, alert["expr"].as_str().unwrap());
    }
}

#[tokio::test]
async fn every_alert_has_a_runbook_whose_commands_exist_and_every_runbook_an_alert() {
    let folder = root().join("docs/runbooks");
    let mut pages: BTreeSet<String> =
        fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    let mut commands = BTreeSet::new();
    for (name, alert) in alerts() {
        let severity = alert["labels"]["severity"].as_str().unwrap();
        assert!(["critical", "warning"].contains(&severity), "{name}: {severity}");
        let summary = alert["annotations"]["summary"].as_str().unwrap();
        assert!(summary.contains("$value"), "{name} tells no value: {summary}");
        let page = format!("{name}.md");
        assert_eq!(alert["annotations"]["runbook_url"].as_str().unwrap(), format!("docs/runbooks/{page}"));
        assert!(pages.remove(&page), "{name} has no runbook of its own");
        let text = fs::read_to_string(folder.join(page)).unwrap();
        assert!(text.starts_with(&format!("# {name}\n")), "{name}: {text}");
        for part in ["**What it means.** ", "**How to see it.**", "**What to do.**"] {
            assert!(text.contains(part), "{name}: {part}");
        }
        let blocks = text.split("```").skip(1).step_by(2).flat_map(str::lines);
        commands.extend(blocks.filter_map(|line| line.strip_prefix("kboard ")).map(str::to_owned));
    }
    assert!(pages.is_empty(), "no alert has these: {pages:?}");
    for command in commands {
        let command = command.split(['#', '|']).next().unwrap();
        // It keeps kboard from doing what stands before it.
        let arguments: Vec<&str> = command.split_whitespace().chain(["--help"]).collect();
        let output = support::kboard::run(&arguments).await;
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

/// `tests/alerts/run.sh` has promtool try them.
#[test]
fn every_alert_has_cases_in_which_it_fires_and_in_which_it_must_not() {
    let mut cases = BTreeSet::new();
    for entry in fs::read_dir(root().join("tests/alerts")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "yml") {
            continue;
        }
        let tests = yaml(&path)["tests"].as_sequence().unwrap().clone();
        for case in tests.iter().flat_map(|test| test["alert_rule_test"].as_sequence().unwrap()) {
            let fires = !case["exp_alerts"].as_sequence().unwrap().is_empty();
            cases.insert((case["alertname"].as_str().unwrap().to_owned(), fires));
        }
    }
    let wanted = alerts().into_iter().flat_map(|(name, _)| [(name.clone(), false), (name, true)]);
    assert_eq!(cases, wanted.collect::<BTreeSet<_>>());
}

/// Everything that is declared comes to be exported: by a board that is used, or when something goes wrong with it.
#[tokio::test]
async fn what_is_declared_is_exported() {
    let stack = Stack::start().await;
    let board = stack.serve_app("all", &[]).await;
    let viewer = SseClient::connect(&board.url("/api/messages/stream"));
    viewer.connected(SOON).await;
    board.post("hello", "me").await.unwrap().error_for_status().unwrap();
    viewer.shows("it", SOON, |shown| shown.len() == 1).await;
    let after_failures =
        ["kafka_producer_errors_total", "kafka_consumer_errors_total", "kafka_dead_letters_total", "sse_errors_total"];
    let scrape = eventually("every metric", SOON, async || {
        let scrape = board.http().get(board.url("/metrics")).send().await.unwrap().text().await.unwrap();
        let exported: BTreeSet<&str> =
            scrape.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
        let missing = metrics::ALL.iter().chain(export::FAMILIES).map(|metric| metric.name);
        // Those of the embedded broker: tests/embedded.rs.
        let missing = missing.filter(|name| !name.starts_with("kboard_broker_"));
        let missing: Vec<_> =
            missing.filter(|name| !exported.contains(name) && !after_failures.contains(name)).collect();
        missing.is_empty().then_some(scrape)
    })
    .await;
    let checked = piped("promtool", &["check", "metrics"], &scrape).await;
    // kafka_exporter calls two gauges as promtool would not.
    let theirs = |line: &str| line.starts_with("kafka_consumergroup_") && line.contains("\"_sum\" suffix");
    let complaints = String::from_utf8(checked.stderr).unwrap();
    let ours: Vec<_> = complaints.lines().filter(|line| !line.is_empty() && !theirs(line)).collect();
    assert!(ours.is_empty(), "{ours:?}");
    assert_eq!(board.metric("kafka_producer_connection_status", &[]).await, 1.0);
    for group in kboard::apps::groups() {
        let of_it = format!("{}\"", group.name);
        assert_eq!(board.metric("kafka_consumer_connection_status", &[&of_it]).await, 1.0, "{}", group.name);
    }
}

/// Set to write the file anew.
const WRITE: &str = "KBOARD_WRITE_DOCS";

#[test]
fn docs_tell_of_every_metric() {
    let file = root().join("docs/metrics.md");
    let mut current = format!(
        "# Metrics\n\nMade of the declarations in the code; `{WRITE}=1 make test ARGS='--test monitoring docs_tell'` writes it \
         anew.\n"
    );
    let of_brokers = |metric: &&Metric| metric.name.starts_with("kboard_broker_");
    let (brokers, process): (Vec<&Metric>, Vec<&Metric>) = metrics::ALL.iter().partition(of_brokers);
    let families = export::FAMILIES.iter().collect();
    for (title, metrics) in [
        ("Of each process", process),
        ("Of the embedded broker", brokers),
        ("Of the cluster, by `kboard serve`, named as kafka-exporter names them", families),
    ] {
        current +=
            &format!("\n## {title}\n\n| metric | kind | unit | labels | what it tells |\n|---|---|---|---|---|\n");
        for Metric { name, kind, labels, help } in metrics {
            let (kind, buckets) = match kind {
                Kind::Counter => ("counter", String::new()),
                Kind::Gauge => ("gauge", String::new()),
                Kind::Histogram(bounds) => {
                    let bounds: Vec<_> = bounds.iter().map(f64::to_string).collect();
                    ("histogram", format!(". Buckets: {}", bounds.join(", ")))
                }
            };
            let labels: Vec<_> = labels.iter().map(|label| format!("`{label}`")).collect();
            current += &format!("| `{name}` | {kind} | {} | {} | {help}{buckets} |\n", unit(name), labels.join(", "));
        }
    }
    if std::env::var_os(WRITE).is_some() {
        fs::write(&file, &current).unwrap();
    }
    let kept = fs::read_to_string(&file).unwrap_or_default();
    assert!(kept == current, "docs/metrics.md is out of date: run this test with {WRITE}=1");
}

/// Names of metrics end with their units, but for counts: <https://prometheus.io/docs/practices/naming/>.
fn unit(name: &str) -> &str {
    let units = ["seconds", "bytes", "ratio"];
    let ends = |unit: &&str| name.trim_end_matches("_total").ends_with(&format!("_{unit}"));
    units.into_iter().find(ends).unwrap_or_default()
}

async fn piped(program: &str, arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).await.unwrap();
    drop(stdin);
    child.wait_with_output().await.unwrap()
}

#[tokio::test]
async fn dead_letters_are_counted_by_reason_group_and_origin() {
    let stack = Stack::start().await;
    let board = stack.serve().await;
    let (topic, dlq) = (stack.name("message-board"), stack.name("message-board.dlq"));
    for value in ["not a message", "neither is this"] {
        let written = stack.run(&["produce", "--topic", &topic, value]).await;
        assert!(written.status.success(), "{written:?}");
    }
    let letters = eventually("both letters", SOON, async || {
        let found = board.http().get(board.url("/metrics/dlq")).send().await.unwrap().json::<Value>().await.unwrap();
        (found["topics"][0]["letters"] == 2).then(|| found["topics"].clone())
    })
    .await;
    assert_eq!(letters.as_array().unwrap().len(), 1, "the board has one topic of letters: {letters}");
    let letters = &letters[0];
    let both = json!({ "letters": 2, "waiting": 2 });
    assert_eq!((&letters["topic"], &letters["waiting"], &letters["complete"]), (&json!(dlq), &json!(2), &json!(true)));
    assert_eq!((&letters["by_group"][&topic], &letters["by_origin"][&topic]), (&both, &both), "{letters}");
    assert_eq!(letters["by_reason"].as_object().unwrap().values().collect::<Vec<_>>(), [&both], "{letters}");
    let (oldest, newest) = (letters["oldest"].as_i64().unwrap(), letters["newest"].as_i64().unwrap());
    assert!(oldest > 1_700_000_000_000 && oldest <= newest, "{letters}");
    // A letter is counted once its batch was applied, which is after it stands in its topic.
    eventually("both are counted", SOON, async || {
        (board.metric("kafka_dead_letters_total", &["reason=\"unreadable\""]).await == 2.0).then_some(())
    })
    .await;

    let sent = stack.run(&["replay", "--dlq", &dlq, "--limit", "1"]).await;
    assert!(sent.status.success(), "{sent:?}");
    eventually("one of three that was sent back", SOON, async || {
        let found = board.http().get(board.url("/metrics/dlq")).send().await.unwrap().json::<Value>().await.unwrap();
        (found["topics"][0]["letters"] == 3 && found["topics"][0]["waiting"] == 2).then_some(())
    })
    .await;
}

/// From the consumer that is not there any more, through Prometheus and Alertmanager, to who is told what to do.
#[tokio::test]
async fn a_stopped_consumer_is_told_to_the_webhook_and_so_is_its_return() {
    let (stack, webhook) = tokio::join!(Stack::start(), Webhook::start());
    let ours = format!("^{}", stack.prefix);
    let arguments = ["--no-consumers", "--export-topics", &ours, "--export-groups", &ours];
    let (board, alertmanager) = tokio::join!(stack.serve_with(&arguments), Alertmanager::start(&webhook));
    let (mut consumer, prometheus) = tokio::join!(stack.consume(), Prometheus::start(Some(&alertmanager)));
    prometheus.scrapes("serve", &[board.address()]);
    board.post("read", "me").await.unwrap().error_for_status().unwrap();
    prometheus
        .shows("kafka_consumergroup_members == 1 and on () kafka_consumergroup_current_offset_sum == 1", SOON)
        .await;
    assert!(consumer.sigterm().await.success());
    board.post("unread", "me").await.unwrap().error_for_status().unwrap();

    let group = stack.name("message-board");
    let is = |status: &str, post: &Value| {
        post["status"] == status && post["groupLabels"]["alertname"] == "KafkaNoActiveConsumers"
    };
    let told = webhook.is_told("that nobody consumes", "/now", SOON, |post| is("firing", post)).await;
    let alert = &told["alerts"][0];
    let summary = format!("{group} has no member, and 1 records of {group} wait for it");
    assert_eq!(alert["annotations"]["summary"], summary, "{told}");
    assert_eq!(alert["annotations"]["runbook_url"], "docs/runbooks/KafkaNoActiveConsumers.md", "{told}");
    assert_eq!((&alert["labels"]["severity"], &told["receiver"]), (&json!("critical"), &json!("now")), "{told}");
    let titled = |title: &str, post: &Value| post["attachments"][0]["title"] == title;
    let title = "FIRING critical: KafkaNoActiveConsumers";
    let rendered = webhook.is_told("the same in words", "/slack", SOON, |post| titled(title, post)).await;
    let text = rendered["attachments"][0]["text"].as_str().unwrap();
    assert!(text.starts_with(&format!("{summary} (since 20")), "{text}");
    assert!(text.ends_with("\nWhat to do: docs/runbooks/KafkaNoActiveConsumers.md"), "{text}");

    consumer.restart().await;
    webhook.is_told("that it is over", "/now", SOON, |post| is("resolved", post)).await;
    let title = "RESOLVED critical: KafkaNoActiveConsumers";
    let rendered = webhook.is_told("the same in words", "/slack", SOON, |post| titled(title, post)).await;
    assert!(rendered["attachments"][0]["text"].as_str().unwrap().starts_with("Over: "), "{rendered}");
}
