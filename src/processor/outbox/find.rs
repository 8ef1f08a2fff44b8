//! Whether records are in the log already.

use std::collections::{BTreeMap, HashSet};

use futures::future::try_join_all;

use super::record::identity;
use crate::kafka::log::{self, PartitionLog};
use crate::kafka::{Cluster, KafkaError, Outgoing};

/// Bytes read at once.
const CHUNK_BYTES: i32 = 1024 * 1024;
/// How much earlier than the oldest record reading begins, in milliseconds: a topic may have the times of its broker.
const MARGIN_MS: i64 = 1_000;

/// Which of `records` their topics have already, in their order.
///
/// # Errors
/// When a topic can't be read.
pub async fn sent(cluster: &Cluster, records: &[&Outgoing]) -> Result<Vec<bool>, KafkaError> {
    let mut topics: BTreeMap<&str, (HashSet<String>, i64)> = BTreeMap::new();
    for record in records {
        let Some(identity) = identity(&record.headers) else { continue };
        let (wanted, oldest) = topics.entry(&record.topic).or_insert_with(|| (HashSet::new(), i64::MAX));
        wanted.insert(identity);
        *oldest = (*oldest).min(record.timestamp - MARGIN_MS);
    }
    let mut found = BTreeMap::new();
    for (topic, (wanted, oldest)) in topics {
        let logs = log::open(cluster, topic).await?;
        let found_here = try_join_all(logs.iter().map(|log| search(log, &wanted, oldest))).await?;
        found.insert(topic, found_here.into_iter().flatten().collect::<HashSet<_>>());
    }
    let is_sent = |record: &&Outgoing| {
        let found = found.get(record.topic.as_str());
        found.zip(identity(&record.headers)).is_some_and(|(found, identity)| found.contains(&identity))
    };
    Ok(records.iter().map(is_sent).collect())
}

async fn search(log: &PartitionLog, wanted: &HashSet<String>, oldest: i64) -> Result<Vec<String>, KafkaError> {
    let (mut next, end) = (log.at(oldest).await?, log.end().await?);
    let mut found = Vec::new();
    while next < end {
        let chunk = log.read(next, end, CHUNK_BYTES).await?;
        next = chunk.next;
        let identities = chunk.records.iter().filter_map(|record| identity(&record.headers));
        found.extend(identities.filter(|identity| wanted.contains(identity)));
    }
    Ok(found)
}
