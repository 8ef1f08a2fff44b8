//! The coordinator as the broker's APIs see it: where calls wait, and the task that watches the clock.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use kafka_protocol::error::ResponseError;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::group::Moment;
use super::registry::Registry;
use super::settings::GroupSettings;
use super::types::{
    Commit, Committed, GroupDescription, GroupListing, Identity, Join, JoinError, Joined, MemberResult,
    PartitionResult, Sync, Synced,
};

/// All consumer groups of the broker. Cheap to clone.
///
/// What has to survive is in the page cache before it is answered. Every method but [`join`](Self::join) and
/// [`sync`](Self::sync) returns at once; one call in ten thousands also rewrites the journal, which the disk may delay.
#[derive(Clone)]
pub struct Coordinator {
    shared: Arc<Shared>,
}

struct Shared {
    started: Instant,
    registry: Mutex<Registry>,
    /// Tells the task that something is due earlier than it thinks, or that it is over. Of its own, so that the task
    /// can wait for it without keeping the coordinator.
    alarm: Arc<Notify>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.alarm.notify_one();
    }
}

impl Coordinator {
    /// Reads the journal in `dir` (groups and committed offsets; a torn tail is cut) and goes on writing it. Must be
    /// called within tokio.
    ///
    /// # Errors
    /// When the journal can't be read or written, or is none.
    pub fn open(dir: &Path, settings: GroupSettings) -> std::io::Result<Self> {
        let registry = Mutex::new(Registry::open(dir, settings, Moment::ZERO)?);
        let shared = Arc::new(Shared { started: Instant::now(), registry, alarm: Arc::default() });
        tokio::spawn(watch(Arc::downgrade(&shared), Arc::clone(&shared.alarm)));
        Ok(Self { shared })
    }

    /// Joins a group; waits until the other members have joined too, or had the time to. Dropping the future leaves the
    /// member in the group, as with a client whose connection is lost.
    ///
    /// # Errors
    /// Kafka's errors of JoinGroup, each with the member id to answer with.
    pub async fn join(&self, request: Join) -> Result<Joined, JoinError> {
        let answer = self.with(|registry, now| registry.join(now, request));
        let gone = JoinError { error: ResponseError::CoordinatorNotAvailable, member_id: String::new() };
        answer.await.unwrap_or(Err(gone))
    }

    /// Asks for the member's assignment, and brings the leader's; waits for the leader. Dropping the future takes
    /// nothing back.
    ///
    /// # Errors
    /// Kafka's errors of SyncGroup.
    pub async fn sync(&self, request: Sync) -> Result<Synced, ResponseError> {
        let answer = self.with(|registry, now| registry.sync(now, request));
        answer.await.unwrap_or(Err(ResponseError::CoordinatorNotAvailable))
    }

    /// A member's sign of life.
    ///
    /// # Errors
    /// `RebalanceInProgress` when it has to rejoin; `IllegalGeneration`, `UnknownMemberId` or `FencedInstanceId` when
    /// it is no member any more.
    pub fn heartbeat(&self, group: &str, generation: i32, member: &Identity) -> Result<(), ResponseError> {
        self.with(|registry, now| registry.heartbeat(now, group, generation, member))
    }

    /// Members leave, or are removed by an administrator, who names static members by their instance id and an empty
    /// member id.
    ///
    /// # Errors
    /// `InvalidGroupId`; what becomes of each member is among the answers.
    pub fn leave(&self, group: &str, members: &[Identity]) -> Result<Vec<MemberResult>, ResponseError> {
        self.with(|registry, now| registry.leave(now, group, members))
    }

    /// Commits offsets. A simple consumer has generation -1 and no member id.
    ///
    /// # Errors
    /// When the member may not commit; `CoordinatorNotAvailable` when the journal can't be written: then nothing is
    /// committed.
    pub fn commit(
        &self,
        group: &str,
        generation: i32,
        member: &Identity,
        offsets: Vec<Commit>,
    ) -> Result<Vec<PartitionResult>, ResponseError> {
        self.with(|registry, now| registry.commit(now, group, generation, member, offsets))
    }

    /// The offsets that are committed for these partitions, or all there are.
    ///
    /// # Errors
    /// After [`close`](Self::close).
    pub fn committed(
        &self,
        group: &str,
        partitions: Option<&[(String, i32)]>,
    ) -> Result<Vec<(String, i32, Option<Committed>)>, ResponseError> {
        let registry = self.registry();
        if registry.is_closed() {
            return Err(ResponseError::CoordinatorNotAvailable);
        }
        Ok(match registry.group(group) {
            Some(group) => group.committed(partitions),
            None => {
                partitions.unwrap_or_default().iter().map(|(topic, number)| (topic.clone(), *number, None)).collect()
            }
        })
    }

    /// Forgets committed offsets, but not those of a topic that a member subscribes to.
    ///
    /// # Errors
    /// `GroupIdNotFound`, or `NonEmptyGroup` when the members are no consumers.
    pub fn delete_offsets(
        &self,
        group: &str,
        partitions: &[(String, i32)],
    ) -> Result<Vec<PartitionResult>, ResponseError> {
        self.with(|registry, now| registry.delete_offsets(now, group, partitions))
    }

    /// All groups, by id.
    pub fn list(&self) -> Vec<GroupListing> {
        self.registry().list()
    }

    /// A group and its members.
    pub fn describe(&self, group: &str) -> GroupDescription {
        self.registry().describe(group)
    }

    /// Deletes a group without members, with its offsets.
    ///
    /// # Errors
    /// `GroupIdNotFound`, or `NonEmptyGroup`.
    pub fn delete(&self, group: &str) -> Result<(), ResponseError> {
        self.with(|registry, _| registry.delete(group))
    }

    /// A topic was deleted: what was committed for it goes too.
    pub fn forget_topic(&self, topic: &str) {
        self.with(|registry, now| registry.forget_topic(now, topic));
    }

    /// Answers all who wait with `CoordinatorNotAvailable`, as whatever is asked from here on, and syncs the journal.
    pub fn close(&self) {
        self.registry().close();
        self.shared.alarm.notify_one();
    }

    fn registry(&self) -> MutexGuard<'_, Registry> {
        self.shared.registry()
    }

    /// Does something to the groups, and wakes the task if something is due earlier after it.
    fn with<R>(&self, action: impl FnOnce(&mut Registry, Moment) -> R) -> R {
        let mut registry = self.registry();
        let before = registry.deadline();
        let result = action(&mut registry, self.shared.now());
        let after = registry.deadline();
        if after.is_some_and(|after| before.is_none_or(|before| after < before)) {
            self.shared.alarm.notify_one();
        }
        result
    }
}

impl Shared {
    /// A panic in one step leaves at worst one group in disorder; the others go on.
    fn registry(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Moment {
        self.started.elapsed()
    }
}

/// Looks after the groups when something is due, until the coordinator is closed or dropped.
async fn watch(shared: Weak<Shared>, alarm: Arc<Notify>) {
    loop {
        let due = {
            let Some(shared) = shared.upgrade() else { return };
            let mut registry = shared.registry();
            if registry.is_closed() {
                return;
            }
            registry.expire(shared.now());
            registry.deadline().map(|at| at.saturating_sub(shared.now()))
        };
        match due {
            // Whichever comes first.
            Some(due) => {
                let _ = tokio::time::timeout(due, alarm.notified()).await;
            }
            None => alarm.notified().await,
        }
    }
}

#[cfg(test)]
mod tests;
