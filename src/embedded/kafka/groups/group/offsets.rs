//! OffsetCommit, OffsetFetch, OffsetDelete and DeleteGroups: what a group has committed.

use kafka_protocol::error::ResponseError;

use super::{Group, Turn};
use crate::embedded::kafka::groups::journal::Entry;
use crate::embedded::kafka::groups::subscription;
use crate::embedded::kafka::groups::types::{Commit, Committed, GroupState, Identity, PartitionResult};

impl Group {
    /// Commits offsets, by partition; those with too much metadata are refused, the others are kept together.
    ///
    /// # Errors
    /// When the member may not commit, or nothing can be kept.
    pub fn commit(
        &mut self,
        turn: &mut Turn,
        generation: i32,
        member: &Identity,
        offsets: Vec<Commit>,
    ) -> Result<Vec<PartitionResult>, ResponseError> {
        self.validate_commit(generation, member)?;
        if let Some(member) = self.members.get_mut(&member.member_id) {
            member.heard(turn.now);
        }
        let max_metadata = turn.settings.max_metadata;
        let fits =
            |commit: &Commit| commit.metadata.len() <= max_metadata || commit.metadata.chars().count() <= max_metadata;
        let results = (offsets.iter())
            .map(|commit| {
                let result = if fits(commit) { Ok(()) } else { Err(ResponseError::OffsetMetadataTooLarge) };
                (commit.topic.clone(), commit.partition, result)
            })
            .collect();
        let offsets: Vec<Commit> = offsets.into_iter().filter(fits).collect();
        if !offsets.is_empty() {
            let entry = Entry::Offsets { group: self.id.clone(), offsets };
            turn.store.keep(&entry)?;
            if let Entry::Offsets { offsets, .. } = entry {
                self.offsets.set(offsets);
            }
        }
        Ok(results)
    }

    fn validate_commit(&self, generation: i32, member: &Identity) -> Result<(), ResponseError> {
        // Without members, whoever doesn't claim to be one may commit: simple consumers, and tools that reset offsets.
        if generation < 0 && self.state == GroupState::Empty {
            return Ok(());
        }
        self.validate_generation(member, generation)?;
        // One that has yet to be let into a generation can only have guessed it.
        if self.members.get(&member.member_id).is_some_and(|member| member.is_new) {
            return Err(ResponseError::IllegalGeneration);
        }
        // While members join they may commit what they have to give up. After that it isn't theirs any more.
        if self.state == GroupState::CompletingRebalance { Err(ResponseError::RebalanceInProgress) } else { Ok(()) }
    }

    /// What is committed: for these partitions, or for all that have something.
    pub fn committed(&self, partitions: Option<&[(String, i32)]>) -> Vec<(String, i32, Option<Committed>)> {
        match partitions {
            Some(partitions) => (partitions.iter())
                .map(|(topic, partition)| (topic.clone(), *partition, self.offsets.get(topic, *partition).cloned()))
                .collect(),
            None => (self.offsets.iter())
                .map(|(topic, partition, committed)| (topic.to_owned(), partition, Some(committed.clone())))
                .collect(),
        }
    }

    /// Forgets offsets, by partition: not those of topics that a member subscribes to.
    ///
    /// # Errors
    /// `NonEmptyGroup` when there are members and nobody knows what they subscribe to, or when that can't be kept.
    pub fn delete_offsets(
        &mut self,
        turn: &mut Turn,
        partitions: &[(String, i32)],
    ) -> Result<Vec<PartitionResult>, ResponseError> {
        let is_consumer = self.protocol_type.as_deref() == Some(subscription::CONSUMER);
        if !self.members.is_empty() && !is_consumer {
            return Err(ResponseError::NonEmptyGroup);
        }
        let results: Vec<PartitionResult> = (partitions.iter())
            .map(|(topic, partition)| {
                let subscribed = self.is_subscribed_to(topic);
                let result = if subscribed { Err(ResponseError::GroupSubscribedToTopic) } else { Ok(()) };
                (topic.clone(), *partition, result)
            })
            .collect();
        let known = results
            .iter()
            .filter(|(topic, partition, result)| result.is_ok() && self.offsets.get(topic, *partition).is_some());
        let known: Vec<(String, i32)> = known.map(|(topic, partition, _)| (topic.clone(), *partition)).collect();
        if !known.is_empty() {
            let entry = Entry::DeletedOffsets { group: self.id.clone(), partitions: known };
            turn.store.keep(&entry)?;
            if let Entry::DeletedOffsets { partitions, .. } = entry {
                partitions.iter().for_each(|(topic, partition)| self.offsets.remove(topic, *partition));
                self.empty_since = turn.now;
            }
        }
        Ok(results)
    }

    /// Whether a member subscribes to the topic, in the protocol that all speak; one whose metadata can't be read is
    /// taken to subscribe to everything.
    fn is_subscribed_to(&self, topic: &str) -> bool {
        let reads = |metadata| subscription::topics(&metadata).is_none_or(|topics| topics.contains(topic));
        match &self.protocol {
            Some(protocol) => self.members.values().any(|member| reads(member.metadata(protocol))),
            None => !self.members.is_empty(),
        }
    }

    /// Whether it may be deleted.
    ///
    /// # Errors
    /// `NonEmptyGroup` while there are members.
    pub fn validate_delete(&self) -> Result<(), ResponseError> {
        if self.state == GroupState::Empty { Ok(()) } else { Err(ResponseError::NonEmptyGroup) }
    }

    /// Forgets what was committed for a topic that is gone.
    pub fn forget_topic(&mut self, turn: &Turn, topic: &str) {
        if self.offsets.remove_topic(topic) {
            self.empty_since = turn.now;
        }
    }
}
