//! The compose file and the image it builds say what this build of kboard understands. (Starting them takes a container
//! engine, which the tests do without.)

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_yaml_ng::Value;
use support::kboard;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn services() -> BTreeMap<String, Value> {
    let text = fs::read_to_string(root().join("compose/compose.yaml")).unwrap();
    let mut compose: Value = serde_yaml_ng::from_str(&text).unwrap();
    // What is merged may itself be merged, and each call resolves one of them.
    compose.apply_merge().unwrap();
    compose.apply_merge().unwrap();
    serde_yaml_ng::from_value(compose["services"].clone()).unwrap()
}

fn prometheus() -> Value {
    serde_yaml_ng::from_str(&fs::read_to_string(root().join("prometheus/prometheus.yml")).unwrap()).unwrap()
}

fn words(value: &Value) -> Vec<String> {
    value.as_sequence().into_iter().flatten().map(|word| word.as_str().unwrap().to_owned()).collect()
}

/// The names of every app's groups.
fn kboard_groups() -> Vec<&'static str> {
    ::kboard::apps::groups().map(|group| group.name).collect()
}

/// Whether kboard takes these arguments; `--help` after them keeps it from doing what they say.
async fn understands(arguments: &[String]) {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).chain(["--help"]).collect();
    let output = kboard::run(&arguments).await;
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn kboards_services_are_started_with_arguments_and_settings_that_exist() {
    let services = services();
    let ours: Vec<_> = services.iter().filter(|(_, service)| service["image"] == "kboard").collect();
    assert_eq!(ours.len(), 1 + kboard_groups().len(), "serve, and a service for every group");
    for (name, service) in ours {
        understands(&words(&service["command"])).await;
        let environment = service["environment"].as_mapping().unwrap();
        let variables = environment.iter().map(|(name, value)| (name.as_str().unwrap(), value.as_str().unwrap()));
        // It refuses variables that it doesn't know.
        let output = kboard::command().envs(variables).arg("config").output().unwrap();
        assert!(output.status.success(), "{name}: {output:?}");
        if let [_, program, check @ ..] = &words(&service["healthcheck"]["test"])[..] {
            assert_eq!(program, "kboard");
            understands(check).await;
        }
        assert!(service.get("container_name").is_none(), "{name} can be scaled");
        let waits_for = service["depends_on"].as_mapping().unwrap();
        assert!(waits_for.values().all(|server| server["condition"] == "service_healthy"));
    }
}

/// Prometheus finds every member of every group by the name of its service.
#[test]
fn every_group_has_a_service_that_is_scraped() {
    let services = services();
    let scraped = prometheus();
    let members = &scraped["scrape_configs"][1];
    let names = words(&members["dns_sd_configs"][0]["names"]);
    for group in kboard_groups() {
        let (name, _) = (services.iter())
            .find(|(_, service)| words(&service["command"]).windows(2).any(|pair| pair == ["--group", group]))
            .unwrap_or_else(|| panic!("no service runs group {group}"));
        assert!(names.contains(name), "{name} is not scraped");
    }
}

#[test]
fn alerts_have_the_clusters_numbers_and_go_to_a_service_that_is_there() {
    let services = services();
    // Whatever the console is: without one it is off by itself.
    assert!(words(&services["serve"]["command"]).windows(2).any(|pair| pair == ["--export", "on"]));
    let scraped = prometheus();
    let target = &scraped["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"][0];
    let (service, port) = target.as_str().unwrap().split_once(':').unwrap();
    let published = words(&services[service]["ports"]);
    assert!(published.iter().any(|published| published.ends_with(&format!(":{port}"))), "{published:?}");
}

#[test]
fn nothing_listens_beyond_this_machine_and_what_is_mounted_is_there() {
    for (name, service) in services() {
        for port in words(service.get("ports").unwrap_or(&Value::Null)) {
            assert!(port.starts_with("127.0.0.1:"), "{name}: {port}");
        }
        for volume in words(service.get("volumes").unwrap_or(&Value::Null)) {
            if let Some((path, _)) = volume.split_once(':').filter(|(path, _)| path.starts_with('.')) {
                assert!(root().join("compose").join(path).exists(), "{name}: {path}");
            }
        }
        assert!(service.get("healthcheck").is_some() || name == "serve", "{name}: serve has the image's own");
    }
}

#[tokio::test]
async fn the_image_copies_what_is_there_and_runs_what_exists() {
    let dockerfile = fs::read_to_string(root().join("compose/Dockerfile")).unwrap().replace("\\\n", " ");
    for line in dockerfile.lines().filter(|line| line.starts_with("COPY ") && !line.contains("--from")) {
        let words: Vec<_> = line.split_whitespace().skip(1).collect();
        let (_target, sources) = words.split_last().unwrap();
        for source in sources {
            assert!(root().join(source).exists(), "{line}");
        }
    }
    let commands = dockerfile.lines().filter_map(|line| line.trim().split_once("CMD ")).map(|(_, command)| command);
    for command in commands {
        let command: Vec<String> = serde_json::from_str(command).unwrap();
        let arguments = command.strip_prefix(&["kboard".to_owned()]).unwrap_or(&command);
        understands(arguments).await;
    }
}
