//! The dashboards of grafana/: they are what their source says, can be read, and leave no panel empty.

mod support;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use regex::Regex;
use reqwest::StatusCode;
use serde_json::json;
use support::grafana::{Choice, Dashboard, Query};
use support::monitoring::{alerts, asks_for_what_exists, root, yaml};
use support::orders::{order, placing};
use support::process::Signal;
use support::{Embedded, Kboard, Load, Prometheus, SseClient, Stack, eventually};
use tokio_util::task::AbortOnDropHandle;

/// On a busy machine.
const SOON: Duration = Duration::from_secs(60);
/// Until every query of every dashboard has its data there.
const EVERYTHING: Duration = Duration::from_secs(180);
/// Grafana's grid.
const COLUMNS: u64 = 24;

#[test]
fn the_files_are_what_their_source_makes() {
    let made = tempfile::tempdir().unwrap();
    let status = Command::new("node").arg(root().join("grafana/generate.mjs")).arg(made.path()).status().unwrap();
    assert!(status.success());
    let kept = files(&root().join("grafana/dashboards"));
    let made = files(made.path());
    assert_eq!(kept.keys().collect::<Vec<_>>(), made.keys().collect::<Vec<_>>(), "node grafana/generate.mjs");
    for (name, text) in made {
        assert!(kept[&name] == text, "{name} is not what its source makes: node grafana/generate.mjs");
    }
}

fn files(folder: &Path) -> BTreeMap<String, String> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries.map(|entry| (entry.file_name().into_string().unwrap(), fs::read_to_string(entry.path()).unwrap())).collect()
}

#[test]
fn every_panel_says_what_it_shows_in_which_unit_and_lies_on_no_other() {
    let provisioned = yaml(&root().join("grafana/provisioning/datasources/prometheus.yaml"));
    let source = json!({ "type": "prometheus", "uid": provisioned["datasources"][0]["uid"].as_str().unwrap() });
    for dashboard in Dashboard::all() {
        let (mut ids, mut cells, mut titles) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for panel in dashboard.panels() {
            let title = panel["title"].as_str().unwrap();
            let what = format!("{}, {title}", dashboard.file);
            assert!(ids.insert(panel["id"].as_u64().unwrap()), "{what}: an id for each");
            let place = |side: &str| panel["gridPos"][side].as_u64().unwrap();
            assert!(place("x") + place("w") <= COLUMNS && place("w") > 0, "{what}: {}", panel["gridPos"]);
            for x in place("x")..place("x") + place("w") {
                for y in place("y")..place("y") + place("h") {
                    assert!(cells.insert((x, y)), "{what} lies on another");
                }
            }
            if panel["type"] == "row" {
                continue;
            }
            assert!(titles.insert((title, panel["type"].as_str().unwrap())), "{what}: there is another of this name");
            assert!(panel["description"].as_str().unwrap().ends_with('.'), "{what}: what does it show?");
            assert!(!panel["fieldConfig"]["defaults"]["unit"].as_str().unwrap().is_empty(), "{what}: in which unit?");
            assert!(!panel["fieldConfig"]["defaults"]["thresholds"]["steps"].as_array().unwrap().is_empty());
            let targets = panel["targets"].as_array().unwrap();
            assert!(!targets.is_empty(), "{what}: shows nothing");
            for target in targets {
                assert!(panel["type"] == "stat" || target["legendFormat"] != "", "{what}: which line is which?");
            }
            assert!(panel["datasource"] == source && targets.iter().all(|target| target["datasource"] == source));
        }
        let others = dashboard.variables().iter().chain(dashboard.annotations());
        for other in others.filter(|other| other["type"] != "textbox") {
            assert_eq!(other["datasource"], source, "{}: {other}", dashboard.file);
        }
    }
}

#[test]
fn dashboards_lead_to_each_other_and_to_what_happened() {
    let all = Dashboard::all();
    let addresses: BTreeSet<&str> = all.iter().map(|dashboard| dashboard.json["uid"].as_str().unwrap()).collect();
    assert_eq!(addresses.len(), all.len(), "an address for each");
    let panels = all.iter().flat_map(Dashboard::panels);
    assert!(panels.clone().filter(|panel| panel["type"] != "row").count() > 20);
    for link in panels.flat_map(|panel| panel["links"].as_array().into_iter().flatten()) {
        let address = link["url"].as_str().unwrap().strip_prefix("/d/").unwrap().split('?').next().unwrap();
        assert!(addresses.contains(address), "{link}");
    }
    for dashboard in &all {
        assert_eq!(dashboard.json["links"][0]["tags"], dashboard.json["tags"], "{}: to all of them", dashboard.file);
        let marks: Vec<_> = dashboard.annotations().iter().map(|mark| mark["name"].as_str().unwrap()).collect();
        assert_eq!(marks, ["Deploys", "Rebalances", "Alerts"], "{}", dashboard.file);
    }
    let compose = fs::read_to_string(root().join("compose/compose.yaml")).unwrap();
    let home = Regex::new("HOME_DASHBOARD_PATH: .*/dashboards/(.+)").unwrap().captures(&compose).unwrap()[1].to_owned();
    assert!(all.iter().any(|dashboard| dashboard.file == home), "{home} is shown first");
}

/// Grafana asks for rates over times that have enough scrapes in them.
#[test]
fn the_data_source_knows_how_often_is_scraped() {
    let provisioned = yaml(&root().join("grafana/provisioning/datasources/prometheus.yaml"));
    let scraped = yaml(&root().join("prometheus/prometheus.yml"));
    assert_eq!(provisioned["datasources"][0]["jsonData"]["timeInterval"], scraped["global"]["scrape_interval"]);
}

#[test]
fn dashboards_show_only_metrics_that_exist() {
    for query in Dashboard::all().iter().flat_map(Dashboard::queries) {
        asks_for_what_exists(&query.place, &query.expr);
    }
}

/// Who sees the colour change hears of it, too.
#[test]
fn limits_in_panels_are_those_of_the_alerts_they_name() {
    let alerts: BTreeMap<_, _> = alerts().into_iter().collect();
    let bound = Regex::new(r"[<>] ([\d.]+(?: \* [\d.]+)*)").unwrap();
    for dashboard in Dashboard::all() {
        for panel in dashboard.panels() {
            let Some((_, named)) = panel["description"].as_str().and_then(|text| text.split_once(" Alerts: ")) else {
                continue;
            };
            let steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"].as_array().unwrap();
            let limits: Vec<f64> = steps.iter().filter_map(|step| step["value"].as_f64()).collect();
            for name in named.strip_suffix('.').unwrap().split(", ") {
                let rule = alerts.get(name).unwrap_or_else(|| panic!("{}: no alert is called {name}", dashboard.file));
                let Some(found) = bound.captures_iter(rule["expr"].as_str().unwrap()).last() else { continue };
                let from = found[1].split(" * ").map(|factor| factor.parse::<f64>().unwrap()).product::<f64>();
                // The first whole number above 0 is 1.
                let from = if from == 0.0 { 1.0 } else { from };
                let what = format!("{}, {}: {name} from {from} on", dashboard.file, panel["title"]);
                assert!(limits.is_empty() || limits.contains(&from), "{what}, limits {limits:?}");
            }
        }
    }
}

/// Boards, orders and viewers, some of whom have trouble; scraped by a Prometheus that is asked everything that the
/// dashboards ask, whatever is chosen in them.
#[tokio::test]
async fn every_query_of_every_dashboard_has_data() {
    let scene = Scene::start().await;
    let typed = BTreeMap::from([("prefix", scene.stack.prefix.clone())]);
    let mut asked = Vec::new();
    for dashboard in Dashboard::all() {
        for choice in [Choice::All, Choice::Each] {
            let values = dashboard.values(&scene.prometheus, choice, &typed).await;
            let queries = dashboard.queries().into_iter().map(without_fallback);
            asked.extend(queries.map(|query| (choice, query, values.clone())));
        }
    }
    let missing = RefCell::new(asked);
    let all = eventually("data for every query", Duration::MAX, async || {
        let (asked, mut still) = (missing.borrow().clone(), Vec::new());
        for (choice, query, values) in asked {
            if !query.has_data(&scene.prometheus, &values).await {
                still.push((choice, query, values));
            }
        }
        missing.replace(still).is_empty().then_some(())
    });
    let answered = tokio::time::timeout(EVERYTHING, all).await;
    let places =
        missing.take().into_iter().map(|(choice, query, _)| format!("{choice:?}: {}: {}", query.place, query.expr));
    assert!(answered.is_ok(), "no data for\n{}", places.collect::<Vec<_>>().join("\n"));
}

/// What a query has nothing to show for in good times it must still find in bad ones: not what it shows instead.
fn without_fallback(query: Query) -> Query {
    let instead = r#" or (?:vector\(0\)|on \(\) label_replace\(vector\(0\), "\w+", "none", "", ""\))"#;
    Query { expr: Regex::new(instead).unwrap().replace_all(&query.expr, "").into_owned(), ..query }
}

/// An installation in use.
struct Scene {
    prometheus: Prometheus,
    stack: Stack,
    _loads: [Load; 2],
    _customers: AbortOnDropHandle<()>,
    _viewers: Vec<SseClient>,
    _servers: (Vec<Kboard>, Stack, Embedded),
}

impl Scene {
    /// All apps on the shared broker, and a board on an embedded one; everything that happens at times has happened.
    async fn start() -> Self {
        let (stack, mut embedded, prometheus) =
            tokio::join!(Stack::start(), Embedded::start(), Prometheus::start(None));
        let small = Stack::on(&embedded.address).await;
        let ours = format!("^{}", stack.prefix);
        let arguments = ["--export-topics", &ours, "--export-groups", &ours];
        let (main, side) = tokio::join!(stack.serve_app("all", &arguments), small.serve());
        prometheus.scrapes("serve", &[main.address(), side.address()]);
        let loads = [&main, &side].map(|board| Load::start(&[board], 2, Duration::from_millis(50)));
        let customers = AbortOnDropHandle::new(tokio::spawn(buy(main.http().clone(), main.url(""))));
        let viewers = [&main, &side].map(|board| SseClient::connect(&board.url("/api/messages/stream"))).into();
        prometheus.shows("count(kafka_consumer_rebalances_total) > 1", SOON).await;
        let member = stack.consume().await;
        prometheus.scrapes("consume", &[member.address(), embedded.kboard.address()]);
        have_trouble(&stack, &main).await;
        lose_the_broker(&mut embedded, &side).await;
        prometheus.shows("count(up == 1) == 4", SOON).await;
        let _servers = (vec![main, side, member], small, embedded);
        Self { prometheus, stack, _loads: loads, _customers: customers, _viewers: viewers, _servers }
    }
}

/// Looks at pages and orders, again and again.
async fn buy(http: reqwest::Client, shop: String) {
    let mut turns = tokio::time::interval(Duration::from_millis(100));
    loop {
        turns.tick().await;
        let view = http.post(format!("{shop}/api/pageviews")).json(&json!({ "page": "/mugs" })).send().await;
        let bought = http.post(format!("{shop}/api/orders")).json(&order("ada", "mug", 1, 12.5)).send().await;
        if view.and(bought).is_err() {
            return; // the test is over
        }
    }
}

/// What people and records do to a server that works.
async fn have_trouble(stack: &Stack, board: &Kboard) {
    let refused = placing(board, &json!({ "userId": "ada", "items": [] })).send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
    let written = stack.run(&["produce", "--topic", &stack.name("message-board"), "not a message"]).await;
    assert!(written.status.success(), "{written:?}");
    let passer_by = SseClient::connect(&board.url("/api/messages/stream"));
    passer_by.connected(SOON).await;
}

/// What a server does whose broker does not answer for a while.
async fn lose_the_broker(embedded: &mut Embedded, board: &Kboard) {
    embedded.kboard.process().signal(Signal::STOP);
    eventually("a post that is refused", SOON, async || {
        let answer = board.post("lost", "me").await.ok()?;
        (answer.status() == StatusCode::SERVICE_UNAVAILABLE).then_some(())
    })
    .await;
    embedded.kboard.process().signal(Signal::CONT);
}
