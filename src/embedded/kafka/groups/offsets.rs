//! The offsets a group has committed.

use std::collections::BTreeMap;

use super::types::{Commit, Committed};

/// Committed offsets by topic and partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offsets {
    topics: BTreeMap<String, BTreeMap<i32, Committed>>,
}

impl Offsets {
    /// Whether nothing is committed.
    pub fn is_empty(&self) -> bool {
        self.topics.is_empty()
    }

    /// What is committed for a partition.
    pub fn get(&self, topic: &str, partition: i32) -> Option<&Committed> {
        self.topics.get(topic)?.get(&partition)
    }

    /// Everything that is committed, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, i32, &Committed)> {
        (self.topics.iter()).flat_map(|(topic, partitions)| {
            partitions.iter().map(move |(partition, committed)| (topic.as_str(), *partition, committed))
        })
    }

    /// Takes commits over.
    pub fn set(&mut self, commits: impl IntoIterator<Item = Commit>) {
        for Commit { topic, partition, offset, leader_epoch, metadata } in commits {
            let committed = Committed { offset, leader_epoch, metadata };
            self.topics.entry(topic).or_default().insert(partition, committed);
        }
    }

    /// Forgets a partition.
    pub fn remove(&mut self, topic: &str, partition: i32) {
        if let Some(partitions) = self.topics.get_mut(topic) {
            partitions.remove(&partition);
            if partitions.is_empty() {
                self.topics.remove(topic);
            }
        }
    }

    /// Forgets a topic; `false` when nothing was committed for it.
    pub fn remove_topic(&mut self, topic: &str) -> bool {
        self.topics.remove(topic).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commit(topic: &str, partition: i32, offset: i64) -> Commit {
        Commit { topic: topic.to_owned(), partition, offset, leader_epoch: -1, metadata: String::new() }
    }

    #[test]
    fn the_last_commit_counts_and_nothing_is_left_of_what_was_removed() {
        let mut offsets = Offsets::default();
        offsets.set([commit("a", 0, 1), commit("a", 1, 2), commit("b", 0, 3), commit("a", 0, 4)]);
        assert_eq!(offsets.get("a", 0).map(|committed| committed.offset), Some(4));
        assert_eq!(offsets.iter().count(), 3);
        offsets.remove("a", 0);
        offsets.remove("a", 7);
        offsets.remove("a", 1);
        assert_eq!(offsets.get("a", 1), None);
        assert!(offsets.remove_topic("b"));
        assert!(!offsets.remove_topic("a"));
        assert!(offsets.is_empty());
    }
}
