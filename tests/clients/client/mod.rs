//! A client, and how it is put through the scenarios on both brokers.

pub mod krafka;
pub mod program;
pub mod rskafka;

use std::time::Duration;

use futures::future::LocalBoxFuture;
use serde_json::Value;
use tokio::time::timeout;

use crate::brokers::Brokers;
use crate::cutting::{CUTS, Cutting};
use crate::scenario::Scenario;
use crate::support::{services, unique};

/// For one scenario on a busy machine.
const LIMIT: Duration = Duration::from_secs(400);

/// What a client is asked to do.
pub struct Task {
    /// What it is put through.
    pub scenario: Scenario,
    /// The broker.
    pub bootstrap: String,
    /// What its topic and its group are called.
    pub name: String,
    /// What it gets.
    pub input: Value,
}

/// Does a task and gives what the client saw.
pub type Doer = Box<dyn Fn(Task) -> LocalBoxFuture<'static, Result<Value, String>>>;

/// A client, and what it can't do.
pub struct Client {
    name: &'static str,
    does: Doer,
    scenarios: Vec<Scenario>,
    codecs: Vec<&'static str>,
    without: Vec<(&'static str, &'static str)>,
}

impl Client {
    /// One that can do all.
    pub fn new(name: &'static str, does: Doer) -> Self {
        Self { name, does, scenarios: Scenario::ALL.to_vec(), codecs: crate::CODECS.to_vec(), without: Vec::new() }
    }

    /// But only these scenarios: it has no APIs for the others.
    pub fn only(mut self, scenarios: &[Scenario]) -> Self {
        self.scenarios = scenarios.to_vec();
        self
    }

    /// But for these parts of a scenario.
    pub fn without(mut self, scenario: Scenario, parts: &[&'static str]) -> Self {
        self.without.extend(parts.iter().map(|part| (scenario.name(), *part)));
        self
    }

    /// It does what it does, and sees what it must see, on both brokers alike.
    pub async fn sees_kafka(self) {
        let brokers = Brokers::start().await;
        let mut failures = Vec::new();
        for &scenario in &self.scenarios {
            let (mut on_kafka, on_kboard) = brokers.both(|bootstrap| self.saw(scenario, bootstrap)).await;
            let name = scenario.name();
            // Kafka is what is compared with, not what is tested: on a starved machine it has kept a client waiting.
            if let Err(error) = &on_kafka {
                eprintln!("{name} on Kafka, which is tried once more: {error:.2000}");
                on_kafka = self.saw(scenario, services::kafka()).await;
            }
            if on_kafka != on_kboard {
                let (on_kafka, on_kboard) = (format!("{on_kafka:?}"), format!("{on_kboard:?}"));
                failures.push(format!("{name}: differs\n   Kafka: {on_kafka:.2000}\n  kboard: {on_kboard:.2000}"));
            }
            for (broker, saw) in [("Kafka", on_kafka), ("kboard", on_kboard)] {
                match saw {
                    Ok(saw) => failures.extend(self.unexpected(scenario, broker, &saw)),
                    Err(error) => failures.push(format!("{name} on {broker}: {error}")),
                }
            }
        }
        assert!(failures.is_empty(), "{}:\n{}", self.name, failures.join("\n"));
    }

    async fn saw(&self, scenario: Scenario, bootstrap: String) -> Result<Value, String> {
        let name = unique(&format!("{}-{}", self.name, scenario.name()));
        let input = scenario.input(&self.codecs);
        if !matches!(scenario, Scenario::Cut) {
            return self.does(Task { scenario, bootstrap, name, input }).await;
        }
        let cutting = Cutting::before(&bootstrap).await;
        let bootstrap = cutting.address().to_owned();
        let saw = self.does(Task { scenario, bootstrap, name, input }).await?;
        if cutting.cuts() < CUTS {
            return Err(format!("connections broke {} times only: fewer records a request", cutting.cuts()));
        }
        Ok(saw)
    }

    async fn does(&self, task: Task) -> Result<Value, String> {
        timeout(LIMIT, (self.does)(task)).await.unwrap_or_else(|_| Err(format!("takes longer than {LIMIT:?}")))
    }

    /// Where `saw` isn't what was expected. What clients tell beyond that is only compared.
    fn unexpected(&self, scenario: Scenario, broker: &str, saw: &Value) -> Vec<String> {
        let expected = scenario.expected(&self.codecs);
        let parts = expected.as_object().unwrap().iter();
        let told = parts.filter(|(part, _)| !self.without.contains(&(scenario.name(), part.as_str())));
        told.filter(|(part, expected)| saw.get(part) != Some(expected))
            .map(|(part, expected)| {
                let saw = saw.get(part).map_or_else(|| "nothing".to_owned(), Value::to_string);
                format!("{} on {broker}: {part} is {saw}, not {expected}", scenario.name())
            })
            .collect()
    }
}
