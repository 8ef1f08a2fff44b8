//! Prometheus and Alertmanager of a test's own, with the repository's files: only addresses and patience are the test's.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use regex::Regex;
use serde_json::Value;
use serde_yaml_ng::{Mapping, Value as Yaml};

use super::monitoring::{root, yaml};
use super::process::Process;
use super::{Webhook, eventually, ports, services};

/// How often processes are scraped and rules evaluated.
pub const INTERVAL: Duration = Duration::from_secs(1);
/// On a busy machine.
const START: Duration = Duration::from_secs(60);

/// A Prometheus with prometheus/prometheus.yml, which scrapes what it is told to, and alerts without patience.
#[derive(Debug)]
pub struct Prometheus {
    process: Process,
    port: u16,
    started: SystemTime,
    http: reqwest::Client,
}

impl Prometheus {
    /// Starts one that tells `alertmanager`, if there is one, and waits until it answers.
    pub async fn start(alertmanager: Option<&Alertmanager>) -> Self {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let (process, port) = (Process::prepare("prometheus"), ports::free());
        let mut prometheus = Self { process, port, started: SystemTime::now(), http };
        let directory = prometheus.process.directory();
        fs::create_dir(directory.join("targets")).unwrap();
        fs::write(directory.join("alerts.yml"), impatient_rules()).unwrap();
        write(&directory.join("prometheus.yml"), &configuration(alertmanager));
        let listen = format!("--web.listen-address=127.0.0.1:{port}");
        let mut command = Command::new(services::prometheus());
        command.args(["--config.file=prometheus.yml", "--storage.tsdb.path=data", "--log.level=warn", &listen]);
        prometheus.process.spawn(&mut command);
        is_ready(&mut prometheus.process, port).await;
        prometheus
    }

    /// Has the job scrape these processes, `host:port`, from now on.
    pub fn scrapes(&self, job: &str, addresses: &[String]) {
        let folder = self.process.directory().join("targets");
        let file = serde_json::json!([{ "targets": addresses }]).to_string();
        // It looks whenever something happens in the folder: at no half a file.
        fs::write(folder.join("new"), file).unwrap();
        fs::rename(folder.join("new"), folder.join(format!("{job}.yml"))).unwrap();
    }

    /// Waits until a query has a result.
    pub async fn shows(&self, query: &str, timeout: Duration) {
        eventually(query, timeout, async || (!self.now(query).await.is_empty()).then_some(())).await;
    }

    /// The values that a query has now.
    pub async fn now(&self, query: &str) -> Vec<f64> {
        let found = self.ask("query", &[("query", query)]).await;
        found["result"].as_array().unwrap().iter().map(|series| number(&series["value"][1])).collect()
    }

    /// All values that a query has had since this Prometheus started, one each `step`.
    pub async fn since_start(&self, query: &str, step: Duration) -> Vec<f64> {
        let start = self.started.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs().to_string();
        let end = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs().to_string();
        let step = step.as_secs().to_string();
        let found =
            self.ask("query_range", &[("query", query), ("start", &start), ("end", &end), ("step", &step)]).await;
        let series = found["result"].as_array().unwrap().iter();
        series.flat_map(|series| series["values"].as_array().unwrap()).map(|sample| number(&sample[1])).collect()
    }

    /// For how long it has been there.
    pub fn age(&self) -> Duration {
        self.started.elapsed().unwrap()
    }

    /// The values that a label has in the series that `selector` takes.
    pub async fn label_values(&self, label: &str, selector: &str) -> Vec<String> {
        let found = self.ask(&format!("label/{label}/values"), &[("match[]", selector)]).await;
        serde_json::from_value(found).unwrap()
    }

    async fn ask(&self, path: &str, parameters: &[(&str, &str)]) -> Value {
        let url = format!("http://127.0.0.1:{}/api/v1/{path}", self.port);
        let response = self.http.get(url).query(parameters).send().await.unwrap();
        let mut body: Value = response.json().await.unwrap();
        assert_eq!(body["status"], "success", "{parameters:?}: {body}");
        body["data"].take()
    }
}

/// An Alertmanager with prometheus/alertmanager.yml and its templates, which tells a webhook everything at once.
#[derive(Debug)]
pub struct Alertmanager {
    process: Process,
    port: u16,
}

impl Alertmanager {
    /// Starts one and waits until it answers.
    pub async fn start(webhook: &Webhook) -> Self {
        let mut process = Process::prepare("alertmanager");
        let port = ports::free();
        let directory = process.directory();
        fs::write(directory.join("slack"), webhook.url("/slack")).unwrap();
        write(&directory.join("alertmanager.yml"), &receivers(webhook, &directory.join("slack")));
        let listen = format!("--web.listen-address=127.0.0.1:{port}");
        let mut command = Command::new(services::alertmanager());
        command.args(["--config.file=alertmanager.yml", "--storage.path=data", "--log.level=warn", &listen]);
        // Alone: it need not look for others.
        process.spawn(command.arg("--cluster.listen-address="));
        is_ready(&mut process, port).await;
        Self { process, port }
    }
}

async fn is_ready(process: &mut Process, port: u16) {
    let url = format!("http://127.0.0.1:{port}/-/ready");
    let process = std::cell::RefCell::new(process);
    eventually("a server of the monitoring that is ready", START, async || {
        process.borrow_mut().must_run();
        reqwest::get(&url).await.is_ok_and(|response| response.status().is_success()).then_some(())
    })
    .await;
}

/// The repository's, without the names that only containers know.
fn configuration(alertmanager: Option<&Alertmanager>) -> Yaml {
    let mut config = yaml(&root().join("prometheus/prometheus.yml"));
    for setting in ["scrape_interval", "evaluation_interval"] {
        config["global"][setting] = seconds(INTERVAL);
    }
    let jobs = config["scrape_configs"].as_sequence_mut().unwrap();
    jobs.retain(|job| job.get("file_sd_configs").is_some());
    jobs.iter_mut().for_each(|job| drop(job.as_mapping_mut().unwrap().remove("dns_sd_configs")));
    let targets = alertmanager.iter().map(|alertmanager| format!("127.0.0.1:{}", alertmanager.port).into());
    config["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"] = Yaml::Sequence(targets.collect());
    config
}

/// The repository's rules, which fire as soon as what they ask is so at two looks.
fn impatient_rules() -> String {
    let rules = fs::read_to_string(root().join("prometheus/alerts.yml")).unwrap();
    Regex::new("(?m)^( +for:) .*$").unwrap().replace_all(&rules, "$1 1s").into_owned()
}

/// The repository's routes and templates. Every receiver tells the webhook what it would tell where it points to, and what
/// it would tell Slack: that is where the templates are used.
fn receivers(webhook: &Webhook, slack_url: &Path) -> Yaml {
    let mut config = yaml(&root().join("prometheus/alertmanager.yml"));
    let slack = yaml(&root().join("prometheus/receivers/slack.yml"));
    config["templates"][0] = root().join("prometheus/templates/*.tmpl").display().to_string().into();
    hurry(&mut config["route"]);
    let own = config["receivers"].as_sequence_mut().unwrap();
    for (receiver, slack) in own.iter_mut().zip(slack["receivers"].as_sequence().unwrap()) {
        assert_eq!(receiver["name"], slack["name"]);
        let name = receiver["name"].as_str().unwrap();
        receiver["webhook_configs"][0]["url"] = webhook.url(&format!("/{name}")).into();
        receiver["slack_configs"] = slack["slack_configs"].clone();
        receiver["slack_configs"][0]["api_url_file"] = slack_url.display().to_string().into();
    }
    config
}

/// Nothing waits for what may follow.
fn hurry(route: &mut Yaml) {
    let settings: &mut Mapping = route.as_mapping_mut().unwrap();
    for setting in ["group_wait", "group_interval"] {
        settings.insert(setting.into(), seconds(INTERVAL));
    }
    settings.get_mut("routes").and_then(Yaml::as_sequence_mut).into_iter().flatten().for_each(hurry);
}

fn seconds(duration: Duration) -> Yaml {
    format!("{}s", duration.as_secs()).into()
}

fn number(value: &Value) -> f64 {
    value.as_str().unwrap().parse().unwrap() // "NaN" and "+Inf" among them
}

fn write(path: &Path, config: &Yaml) {
    fs::write(path, serde_yaml_ng::to_string(config).unwrap()).unwrap();
}
