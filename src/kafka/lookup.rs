//! Finds topics by name or pattern, and their partitions.

use krafka::admin::{AdminClient, ListTopicsOptions};
use krafka::error::ErrorCode;
use krafka::{Kafka, KrafkaError};
use regex::Regex;

use super::KafkaError;

/// Names of other topics shown beside one that does not exist.
const SUGGESTIONS: usize = 3;
/// How alike two names must be (0 to 1) for one to be a likely misspelling of the other.
const ALIKE: f64 = 0.8;

/// The partitions of `topic`, in order.
///
/// # Errors
/// [`KafkaError::UnknownTopic`], with the names that are near, when it does not exist.
pub async fn partitions(kafka: &Kafka, topic: &str) -> Result<Vec<i32>, KafkaError> {
    let failed = || KafkaError::request(format!("look up topic {topic:?}"));
    let admin = kafka.admin();
    let mut described = admin.describe_topics([topic], Default::default()).await.map_err(failed())?;
    match described.remove(topic) {
        Some(Ok(description)) => {
            let mut partitions: Vec<i32> = description.partitions.iter().map(|info| info.partition).collect();
            partitions.sort_unstable();
            Ok(partitions)
        }
        Some(Err(error)) if !is_unknown_topic(&error) => Err(failed()(error)),
        _ => Err(unknown_topic(topic, &names(&admin).await?)),
    }
}

/// The topics whose whole name `pattern` matches, in order; Kafka's internal ones are left out.
///
/// # Errors
/// When the cluster can't be asked.
pub async fn matching(kafka: &Kafka, pattern: &Regex) -> Result<Vec<String>, KafkaError> {
    let whole = |name: &String| pattern.find(name).is_some_and(|found| found.len() == name.len());
    Ok(names(&kafka.admin()).await?.into_iter().filter(whole).collect())
}

/// The names of all topics but Kafka's internal ones.
///
/// # Errors
/// When the cluster can't be asked.
pub async fn names(admin: &AdminClient) -> Result<Vec<String>, KafkaError> {
    admin.list_topics(ListTopicsOptions::default()).await.map_err(KafkaError::request("list the topics"))
}

fn is_unknown_topic(error: &KrafkaError) -> bool {
    matches!(
        error,
        KrafkaError::UnknownTopic { .. } | KrafkaError::Broker { code: ErrorCode::UnknownTopicOrPartition, .. }
    )
}

/// The error for a topic that is not among `known`, with the names that are near.
pub fn unknown_topic(topic: &str, known: &[String]) -> KafkaError {
    KafkaError::UnknownTopic { topic: topic.to_owned(), similar: near(topic, known) }
}

/// Those of `names` that are most like `wanted`, the most alike first.
pub fn near(wanted: &str, names: &[String]) -> Vec<String> {
    let lower = wanted.to_lowercase();
    let likeness = |name: &String| {
        let name = name.to_lowercase();
        let contains = name.contains(&lower) || lower.contains(&name);
        if contains { 1.0 } else { strsim::jaro_winkler(&lower, &name) }
    };
    let mut scored: Vec<(f64, &String)> = names.iter().map(|name| (likeness(name), name)).collect();
    scored.retain(|(score, _)| *score >= ALIKE);
    scored.sort_by(|a, b| b.0.total_cmp(&a.0));
    scored.into_iter().take(SUGGESTIONS).map(|(_, name)| name.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misspelt_and_shortened_names_are_recognised() {
        let names = ["message-board", "orders.created", "user-events"].map(str::to_owned);
        assert_eq!(near("mesage-board", &names), ["message-board"]);
        assert_eq!(near("Orders", &names), ["orders.created"]);
        assert!(near("zzz", &names).is_empty());
    }
}
