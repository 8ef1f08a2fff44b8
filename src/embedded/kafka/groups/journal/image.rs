//! What a journal says, all entries taken together.

use std::collections::BTreeMap;

use super::entry::{Entry, GroupRecord};
use crate::embedded::kafka::groups::offsets::Offsets;
use crate::embedded::kafka::groups::types::Commit;

/// Offsets in one entry of a compact journal.
const OFFSETS_AN_ENTRY: usize = 1_000;

/// All groups.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    /// The groups by id.
    pub groups: BTreeMap<String, Saved>,
}

/// What is kept of one group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Saved {
    /// Its members, if it ever had some.
    pub record: Option<GroupRecord>,
    /// Its committed offsets.
    pub offsets: Offsets,
}

impl Saved {
    fn is_empty(&self) -> bool {
        self.record.is_none() && self.offsets.is_empty()
    }
}

impl Image {
    /// Takes one more entry in.
    pub fn apply(&mut self, entry: Entry) {
        match entry {
            Entry::Group(record) => {
                let saved = self.groups.entry(record.group.clone()).or_default();
                saved.record = Some(record);
            }
            Entry::Offsets { group, offsets } => self.groups.entry(group).or_default().offsets.set(offsets),
            Entry::DeletedOffsets { group, partitions } => {
                if let Some(saved) = self.groups.get_mut(&group) {
                    partitions.iter().for_each(|(topic, partition)| saved.offsets.remove(topic, *partition));
                    if saved.is_empty() {
                        self.groups.remove(&group);
                    }
                }
            }
            Entry::DeletedGroup { group } => {
                self.groups.remove(&group);
            }
            Entry::DeletedTopic { topic } => self.groups.retain(|_, saved| {
                saved.offsets.remove_topic(&topic);
                !saved.is_empty()
            }),
        }
    }

    /// The fewest entries that say the same.
    pub fn entries(&self) -> impl Iterator<Item = Entry> {
        self.groups.iter().flat_map(|(group, saved)| entries(group, saved.record.as_ref(), &saved.offsets))
    }
}

/// The fewest entries that say what is kept of a group.
pub fn entries(group: &str, record: Option<&GroupRecord>, offsets: &Offsets) -> Vec<Entry> {
    let commits: Vec<Commit> = (offsets.iter())
        .map(|(topic, partition, committed)| Commit {
            topic: topic.to_owned(),
            partition,
            offset: committed.offset,
            leader_epoch: committed.leader_epoch,
            metadata: committed.metadata.clone(),
        })
        .collect();
    let offsets = commits.chunks(OFFSETS_AN_ENTRY);
    let offsets = offsets.map(|some| Entry::Offsets { group: group.to_owned(), offsets: some.to_vec() });
    record.cloned().map(Entry::Group).into_iter().chain(offsets).collect()
}
