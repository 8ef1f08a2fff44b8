//! A topic in one line.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use krafka::admin::TopicPartition;
use schemars::JsonSchema;
use serde::Serialize;

use crate::console::Console;
use crate::console::human;
use crate::kafka::KafkaError;
use crate::kafka::admin::settings::{self, Keeping};
use crate::kafka::admin::topics::{self, Topic};
use crate::kafka::watch::Snapshot;

/// A topic in one line.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct Row {
    /// Its name.
    pub name: String,
    /// Whether it belongs to Kafka itself.
    pub internal: bool,
    /// How many partitions it has.
    pub partitions: usize,
    /// How many brokers hold each partition.
    pub replication_factor: usize,
    /// How many offsets lie between the first and the last record of its partitions; unknown while one has no leader.
    pub offsets: Option<i64>,
    /// How many messages it holds; unknown where `gaps` says that there are fewer than offsets.
    pub messages: Option<i64>,
    /// Why there are fewer messages than offsets.
    pub gaps: Option<Gaps>,
    /// Bytes on disk, counting each partition once.
    pub size: Option<u64>,
    /// Records that came in, a second, over the last look at the cluster.
    pub rate: Option<f64>,
    /// What becomes of old records: `delete`, `compact`, or both.
    pub cleanup_policy: Option<String>,
    /// For how long records are kept, in milliseconds; `null` is for ever.
    pub retention_ms: Option<i64>,
    /// How large a partition may grow, in bytes; `null` is without limit.
    pub retention_bytes: Option<i64>,
    /// The groups that read it.
    pub groups: BTreeSet<String>,
    /// How many partitions lack a replica.
    pub under_replicated: usize,
    /// How many partitions can be neither read nor written.
    pub leaderless: usize,
}

/// Why there are fewer messages than offsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Gaps {
    /// Of each key, only the newest record is kept.
    Compaction,
    /// The ends of transactions take offsets too, and what was aborted is passed over.
    Transactions,
}

impl Row {
    /// The line of `topic`, as far as that and the past tell.
    pub fn new(console: &Console, topic: &Topic, groups: BTreeSet<String>) -> Self {
        let past = console.watch.past();
        let rate = past.history.topic(&topic.name).and_then(|series| past.history.now(&series.written));
        Self {
            name: topic.name.clone(),
            internal: topic.internal,
            partitions: topic.partitions.len(),
            replication_factor: topic.replication_factor(),
            offsets: topic.messages(),
            size: topic.size(),
            rate,
            groups,
            under_replicated: topic.under_replicated(),
            leaderless: topic.leaderless(),
            ..Self::default()
        }
    }

    /// Adds what it keeps.
    pub fn keep(&mut self, keeping: &Keeping) {
        self.cleanup_policy = Some(keeping.cleanup_policy.clone());
        self.retention_ms = keeping.retention_ms;
        self.retention_bytes = keeping.retention_bytes;
        if keeping.is_compacted() {
            self.gaps = Some(Gaps::Compaction);
        }
    }

    /// Draws from what is known how many messages there are.
    pub fn count(&mut self, transactional: bool) {
        if transactional && self.gaps.is_none() {
            self.gaps = Some(Gaps::Transactions);
        }
        // Without records there are none missing.
        self.gaps = self.gaps.filter(|_| self.offsets != Some(0));
        self.messages = self.offsets.filter(|_| self.gaps.is_none());
    }

    /// Partitions out of order, the worse ones counting more.
    pub fn trouble(&self) -> usize {
        self.leaderless * 1_000_000 + self.under_replicated
    }

    /// Its address.
    pub fn address(&self) -> String {
        super::address(&self.name)
    }

    /// The number of messages, for people, or of offsets.
    pub fn messages_text(&self) -> String {
        match self.gaps {
            None => human::maybe_count(self.offsets),
            Some(_) => format!("{} offsets", human::maybe_count(self.offsets)),
        }
    }

    /// What there is to say about the number of messages.
    pub fn messages_note(&self) -> &'static str {
        match self.gaps {
            None => "",
            Some(Gaps::Compaction) => {
                "compacted: of each key only the newest record is kept, so there are fewer messages than offsets"
            }
            Some(Gaps::Transactions) => {
                "written in transactions: their ends take offsets too, so there are fewer messages than offsets"
            }
        }
    }

    /// The size, for people.
    pub fn size_text(&self) -> String {
        human::size(self.size)
    }

    /// The rate, for people.
    pub fn rate_text(&self) -> String {
        human::rate(self.rate)
    }

    /// For how long records are kept, for people.
    pub fn retention_text(&self) -> String {
        let Some(policy) = &self.cleanup_policy else { return human::UNKNOWN.to_owned() };
        if policy == "compact" {
            return "last of each key".to_owned();
        }
        let time = self.retention_ms.map(human::length);
        let size =
            self.retention_bytes.and_then(|bytes| u64::try_from(bytes).ok()).map(|bytes| human::size(Some(bytes)));
        match (time, size) {
            (None, None) => "for ever".to_owned(),
            (Some(time), None) => time,
            (None, Some(size)) => format!("{size} a partition"),
            (Some(time), Some(size)) => format!("{time} or {size} a partition"),
        }
    }

    /// The cleanup policy, for people.
    pub fn policy_text(&self) -> &str {
        self.cleanup_policy.as_deref().unwrap_or(human::UNKNOWN)
    }
}

/// `a, b, c and 7 more`.
pub fn names_of(names: &BTreeSet<String>) -> String {
    const SHOWN: usize = 8;
    let shown = names.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// Which groups read each topic.
pub fn readers(snapshot: &Snapshot) -> HashMap<&str, BTreeSet<String>> {
    let mut readers: HashMap<&str, BTreeSet<String>> = HashMap::new();
    for group in snapshot.groups.values() {
        for topic in group.topics() {
            readers.entry(topic).or_default().insert(group.group.clone());
        }
    }
    readers
}

/// Adds to `rows` what only the brokers know: what each topic keeps, unless it is known already, and whether
/// transactions were written to it.
///
/// # Errors
/// No broker answers.
pub async fn complete(console: &Console, rows: &mut [Row], layout: &BTreeMap<String, Topic>) -> Result<(), KafkaError> {
    let open: Vec<&String> = rows.iter().filter(|row| row.cleanup_policy.is_none()).map(|row| &row.name).collect();
    let written = rows.iter().filter(|row| row.offsets != Some(0));
    let partitions = written.filter_map(|row| layout.get(&row.name)).flat_map(Topic::led);
    let keeping =
        async { if open.is_empty() { Ok(HashMap::new()) } else { settings::keeping(&console.cluster, open).await } };
    let (keeping, transactional) = tokio::try_join!(
        keeping,
        topics::transactional(&console.cluster, partitions.collect::<Vec<TopicPartition>>())
    )?;
    let transactional: HashSet<&str> = transactional.iter().map(|partition| partition.topic.as_str()).collect();
    for row in rows {
        if let Some(keeping) = keeping.get(&row.name) {
            row.keep(keeping);
        }
        row.count(transactional.contains(row.name.as_str()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(policy: &str, offsets: i64, transactional: bool) -> Row {
        let mut row = Row { offsets: Some(offsets), ..Row::default() };
        row.keep(&Keeping {
            cleanup_policy: policy.to_owned(),
            retention_ms: Some(604_800_000),
            retention_bytes: None,
        });
        row.count(transactional);
        row
    }

    #[test]
    fn offsets_are_called_messages_only_where_they_are() {
        let plain = row("delete", 100_000, false);
        assert_eq!((plain.messages, plain.messages_text().as_str()), (Some(100_000), "100,000"));
        for (policy, transactional) in [("compact", false), ("compact,delete", false), ("delete", true)] {
            let gaps = row(policy, 100_000, transactional);
            assert_eq!((gaps.messages, gaps.messages_text().as_str()), (None, "100,000 offsets"), "{policy}");
            assert!(!gaps.messages_note().is_empty());
        }
        assert_eq!(row("compact", 0, true).messages, Some(0));
        assert_eq!(Row::default().messages_text(), human::UNKNOWN);
    }

    #[test]
    fn retention_is_said_in_words() {
        let mut kept = row("delete", 1, false);
        assert_eq!(kept.retention_text(), "7d");
        kept.retention_bytes = Some(1024 * 1024);
        assert_eq!(kept.retention_text(), "7d or 1.00 MiB a partition");
        kept.retention_ms = None;
        assert_eq!(kept.retention_text(), "1.00 MiB a partition");
        assert_eq!(row("compact", 1, false).retention_text(), "last of each key");
    }
}
