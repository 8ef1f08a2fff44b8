//! The dashboards of grafana/, as Grafana reads them.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use regex::{Captures, Regex};
use serde_json::Value;

use super::Prometheus;
use super::monitoring::root;
use super::prometheus::INTERVAL;

/// One dashboard.
#[derive(Clone, Debug)]
pub struct Dashboard {
    /// Its file's name.
    pub file: String,
    /// What is in it.
    pub json: Value,
}

/// Something that a dashboard asks Prometheus.
#[derive(Clone, Debug)]
pub struct Query {
    /// Which of the dashboard's.
    pub place: String,
    /// What, with Grafana's variables in it.
    pub expr: String,
    /// Whether it is only about now.
    pub instant: bool,
    /// Whether only what is above 0 shows, as it marks a moment.
    pub marks: bool,
    /// The least time between two values, where it says so.
    pub interval: Option<Duration>,
}

/// What somebody chooses in a variable of many values.
#[derive(Clone, Copy, Debug)]
pub enum Choice {
    /// All of them, as it is at first.
    All,
    /// Each of them by name.
    Each,
}

impl Dashboard {
    /// All of them.
    pub fn all() -> Vec<Self> {
        let files = fs::read_dir(root().join("grafana/dashboards")).unwrap().map(|entry| entry.unwrap().path());
        let read = files.map(|path| Self {
            file: path.file_name().unwrap().to_str().unwrap().to_owned(),
            json: serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap(),
        });
        let all: Vec<_> = read.collect();
        assert!(!all.is_empty());
        all
    }

    /// Its panels, headings of sections among them.
    pub fn panels(&self) -> &[Value] {
        self.json["panels"].as_array().unwrap()
    }

    /// Its variables.
    pub fn variables(&self) -> &[Value] {
        self.json["templating"]["list"].as_array().unwrap()
    }

    /// What marks moments in it.
    pub fn annotations(&self) -> &[Value] {
        self.json["annotations"]["list"].as_array().unwrap()
    }

    /// The queries of its panels and annotations.
    pub fn queries(&self) -> Vec<Query> {
        let of_panels = self.panels().iter().flat_map(|panel| {
            let targets = panel["targets"].as_array().into_iter().flatten();
            targets.map(move |target| self.query(&panel["title"], target, false))
        });
        let of_annotations = self.annotations().iter().map(|mark| self.query(&mark["name"], &mark["target"], true));
        of_panels.chain(of_annotations).collect()
    }

    fn query(&self, title: &Value, target: &Value, marks: bool) -> Query {
        let interval = target["interval"].as_str();
        Query {
            place: format!("{}, {} {}", self.file, title.as_str().unwrap(), target["refId"].as_str().unwrap()),
            expr: target["expr"].as_str().unwrap().to_owned(),
            instant: target["instant"] == true,
            marks,
            interval: interval.map(|text| Duration::from_secs(text.strip_suffix('s').unwrap().parse().unwrap())),
        }
    }

    /// What its variables stand for: chosen ones by `choice`, those that are typed in by `typed`.
    pub async fn values(
        &self,
        prometheus: &Prometheus,
        choice: Choice,
        typed: &BTreeMap<&str, String>,
    ) -> BTreeMap<String, String> {
        let mut values = BTreeMap::new();
        for variable in self.variables() {
            let name = variable["name"].as_str().unwrap();
            let value = if variable["type"] == "textbox" {
                typed[name].clone()
            } else {
                let query = variable["query"]["query"].as_str().unwrap();
                let found = options(prometheus, &substitute(query, &values)).await;
                assert!(!found.is_empty(), "{}: nothing to choose for {name}", self.file);
                match choice {
                    Choice::All => variable["allValue"].as_str().unwrap().to_owned(),
                    Choice::Each => {
                        format!("({})", found.iter().map(|value| escape(value)).collect::<Vec<_>>().join("|"))
                    }
                }
            };
            values.insert(name.to_owned(), value);
        }
        values
    }
}

impl Query {
    /// Whether there is something to show, with these values of the variables.
    pub async fn has_data(&self, prometheus: &Prometheus, values: &BTreeMap<String, String>) -> bool {
        let step = self.interval.unwrap_or(INTERVAL).max(INTERVAL);
        // As Grafana has it, so that there are two values at least in it, whatever is missed.
        let rate = (step + INTERVAL).max(4 * INTERVAL);
        let times = [("__interval", step), ("__rate_interval", rate), ("__range", prometheus.age())];
        let times = times.map(|(name, time)| (name.to_owned(), format!("{}s", time.as_secs().max(1))));
        let query = substitute(&self.expr, &times.into_iter().chain(values.clone()).collect());
        let found = match self.instant {
            true => prometheus.now(&query).await,
            false => prometheus.since_start(&query, step).await,
        };
        found.iter().any(|value| if self.marks { *value > 0.0 } else { !value.is_nan() })
    }
}

/// What a variable's query finds.
async fn options(prometheus: &Prometheus, query: &str) -> Vec<String> {
    let form = Regex::new(r"^label_values\((.+), (\w+)\)$").unwrap();
    let parts = form.captures(query).unwrap_or_else(|| panic!("{query} is of another form"));
    prometheus.label_values(&parts[2], &parts[1]).await
}

/// Puts values in the places of variables.
fn substitute(text: &str, values: &BTreeMap<String, String>) -> String {
    let variable = Regex::new(r"\$(?:\{(\w+)\}|(\w+))").unwrap();
    let value = |found: &Captures<'_>| {
        let name = found.get(1).or(found.get(2)).unwrap().as_str();
        values.get(name).unwrap_or_else(|| panic!("no variable ${name} for {text}")).clone()
    };
    variable.replace_all(text, value).into_owned()
}

/// A value inside a regular expression inside quotes.
fn escape(value: &str) -> String {
    Regex::new(r"[\\^$*+?.()|\[\]{}]").unwrap().replace_all(value, r"\\$0").into_owned()
}
