//! Carries out a plan: first every step is checked by the brokers, then each is taken.

use std::collections::BTreeMap;

use krafka::admin::CreatePartitionsOptions;

use super::plan::{Action, Current, Desired, Plan, Step};
use super::{TopicSpec, client, ensure, settings, topics};
use crate::config::TopicDefaults;
use crate::kafka::{Cluster, KafkaError};

/// The partition count that leaves the choice to the brokers.
const BROKERS_CHOICE: i32 = -1;

/// Those of `names` that exist, as a plan needs to know them.
///
/// # Errors
/// No broker answers, or one refuses to describe a topic.
pub async fn current(
    cluster: &Cluster,
    names: impl IntoIterator<Item = impl AsRef<str>>,
) -> Result<BTreeMap<String, Current>, KafkaError> {
    let layout = topics::layout(cluster, names).await?;
    let mut described = settings::describe(cluster, layout.keys().cloned()).await?;
    let mut current = BTreeMap::new();
    for (name, topic) in layout {
        let mut known = Current {
            partitions: i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX),
            replication_factor: i16::try_from(topic.replication_factor()).unwrap_or(i16::MAX),
            ..Current::default()
        };
        for (key, setting) in described.remove(&name).unwrap_or_default() {
            if setting.overridden {
                known.overrides.insert(key.clone(), setting.value);
            }
            if let Some(default) = setting.default {
                known.defaults.insert(key, default);
            }
        }
        current.insert(name, known);
    }
    Ok(current)
}

/// Plans the way to `desired`, with all that a new topic will get from the settings and the cluster's size filled in.
///
/// # Errors
/// No broker answers, or a new topic could never be written.
pub async fn plan(cluster: &Cluster, desired: &[Desired], defaults: &TopicDefaults) -> Result<Plan, KafkaError> {
    let current = current(cluster, desired.iter().map(|desired| &desired.name)).await?;
    let mut plan = Plan::new(desired, &current);
    let brokers = super::broker_count(cluster).await?;
    for step in &mut plan.steps {
        if let Action::Create { partitions, replication_factor, config } = &mut step.action {
            let spec = spec(&step.topic, *partitions, *replication_factor, config);
            let resolved = ensure::resolve(&spec, defaults, brokers)?;
            *replication_factor = Some(resolved.replication_factor);
            *config = resolved.config;
        }
    }
    Ok(plan)
}

/// Has the brokers check every step of `plan`, and changes nothing; the answer is what they object to.
///
/// # Errors
/// No broker answers.
pub async fn objections(
    cluster: &Cluster,
    plan: &Plan,
    defaults: &TopicDefaults,
) -> Result<Vec<KafkaError>, KafkaError> {
    let mut objections = Vec::new();
    for step in &plan.steps {
        match take(cluster, step, defaults, true).await {
            Ok(()) => {}
            Err(error) if error.is_retriable() => return Err(error),
            Err(error) => objections.push(error),
        }
    }
    Ok(objections)
}

/// Takes one step, and returns when the topic is as it should be.
///
/// # Errors
/// A broker refuses it, or a new partition gets no leader in time.
pub async fn carry_out(cluster: &Cluster, step: &Step, defaults: &TopicDefaults) -> Result<(), KafkaError> {
    take(cluster, step, defaults, false).await
}

async fn take(cluster: &Cluster, step: &Step, defaults: &TopicDefaults, check: bool) -> Result<(), KafkaError> {
    match &step.action {
        Action::Same | Action::Refused { .. } => Ok(()),
        Action::Create { partitions, replication_factor, config } => {
            let spec = spec(&step.topic, *partitions, *replication_factor, config);
            let topic = ensure::resolve(&spec, defaults, super::broker_count(cluster).await?)?;
            let created = ensure::create(cluster, &topic, check).await?;
            if !created {
                let reason = "it was created by someone else meanwhile; do this again to compare with it".to_owned();
                return Err(KafkaError::InvalidTopic { topic: topic.name, reason });
            }
            if check { Ok(()) } else { await_leaders(cluster, &topic.name, topic.partitions).await }
        }
        Action::Change { partitions, config } => {
            if !config.is_empty() {
                let changes = config.iter().map(|(key, change)| (key, change.to.as_ref()));
                settings::alter(cluster, &step.topic, changes.clone(), check).await?;
                if !check {
                    settings::await_changed(cluster, &step.topic, changes).await;
                }
            }
            let Some(partitions) = partitions else { return Ok(()) };
            add_partitions(cluster, &step.topic, partitions.to, check).await?;
            if check { Ok(()) } else { await_leaders(cluster, &step.topic, partitions.to).await }
        }
    }
}

async fn await_leaders(cluster: &Cluster, topic: &str, partitions: i32) -> Result<(), KafkaError> {
    ensure::await_leaders(cluster, &BTreeMap::from([(topic.to_owned(), partitions)])).await
}

fn spec(
    name: &str,
    partitions: Option<i32>,
    replication_factor: Option<i16>,
    config: &BTreeMap<String, String>,
) -> TopicSpec {
    let partitions = partitions.unwrap_or(BROKERS_CHOICE);
    TopicSpec { name: name.to_owned(), partitions, replication_factor, config: config.clone() }
}

async fn add_partitions(cluster: &Cluster, topic: &str, total: i32, check: bool) -> Result<(), KafkaError> {
    let what = || KafkaError::request(format!("raise topic {topic:?} to {total} partitions"));
    let options = CreatePartitionsOptions::default().validate_only(check);
    let results = client(cluster).await?.create_partitions([(topic, total)], options).await.map_err(what())?;
    results.into_values().collect::<Result<(), _>>().map_err(what())
}
