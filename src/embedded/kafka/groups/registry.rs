//! All groups, the calls that wait, and when something is due next. Everything but the waiting itself: a method is told
//! the time and returns at once.

use std::collections::HashMap;
use std::path::Path;

use kafka_protocol::error::ResponseError;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::alarms::Alarms;
use super::group::{Answer, Group, Moment, Store, Turn};
use super::journal::{Entry, Journal};
use super::settings::GroupSettings;
use super::types::{
    Commit, GroupDescription, GroupListing, GroupState, Identity, Join, JoinError, MemberResult, PartitionResult, Sync,
};
use super::waiting::{JoinResult, SyncResult, Waiting};
use crate::telemetry::seldom::Seldom;

/// That the disk fails: with a full one, every commit finds out.
static CANT_WRITE: Seldom = Seldom::new();

/// The longest beginning of a client's or instance's id that goes into a member id: the id has to fit a Kafka string.
const MAX_PREFIX: usize = 255;

/// All there is.
pub struct Registry {
    settings: GroupSettings,
    groups: HashMap<String, Group>,
    journal: Journal,
    alarms: Alarms,
    waiting: Waiting,
    closed: bool,
}

impl Store for Journal {
    fn keep(&mut self, entry: &Entry) -> Result<(), ResponseError> {
        self.append(entry).map_err(|error| {
            CANT_WRITE.error("can't write the groups' journal", &error);
            // Clients retry it; a storage error they take for the end.
            ResponseError::CoordinatorNotAvailable
        })
    }
}

impl Registry {
    /// Reads the journal in `dir`.
    ///
    /// # Errors
    /// When the journal can't be opened.
    pub fn open(dir: &Path, settings: GroupSettings, now: Moment) -> std::io::Result<Self> {
        let (journal, image) = Journal::open(dir)?;
        let restore = |(id, saved): (String, _)| (id.clone(), Group::restore(id, saved, now));
        let groups: HashMap<String, Group> = image.groups.into_iter().map(restore).collect();
        let mut alarms = Alarms::default();
        for (id, group) in &groups {
            group.deadline(&settings).into_iter().for_each(|at| alarms.set(id, at));
        }
        Ok(Self { settings, groups, journal, alarms, waiting: Waiting::default(), closed: false })
    }

    /// Somebody joins; the answer comes through the receiver.
    pub fn join(&mut self, now: Moment, join: Join) -> oneshot::Receiver<JoinResult> {
        let (ticket, receiver) = self.waiting.join();
        let (id, member_id) = (join.group.clone(), join.member.member_id.clone());
        let allowed = self.validate_join(&join).and_then(|()| {
            let may_create = member_id.is_empty();
            self.ensure(&id, may_create, ResponseError::UnknownMemberId, now)
        });
        match allowed {
            Ok(()) => {
                let fresh_id = new_member_id(&join);
                self.turn(&id, now, |group, turn| group.join(turn, join, ticket, fresh_id));
            }
            Err(error) => self.waiting.answer(Answer::Join(ticket, Err(JoinError { error, member_id }))),
        }
        receiver
    }

    fn validate_join(&self, join: &Join) -> Result<(), ResponseError> {
        self.validate(&join.group)?;
        let bounds = self.settings.min_session_timeout..=self.settings.max_session_timeout;
        if bounds.contains(&join.session_timeout) { Ok(()) } else { Err(ResponseError::InvalidSessionTimeout) }
    }

    /// Somebody syncs; the answer comes through the receiver.
    pub fn sync(&mut self, now: Moment, sync: Sync) -> oneshot::Receiver<SyncResult> {
        let (ticket, receiver) = self.waiting.sync();
        let id = sync.group.clone();
        let allowed = self.validate(&id).and_then(|()| self.ensure(&id, false, ResponseError::UnknownMemberId, now));
        match allowed {
            Ok(()) => {
                self.turn(&id, now, |group, turn| group.sync(turn, sync, ticket));
            }
            Err(error) => self.waiting.answer(Answer::Sync(ticket, Err(error))),
        }
        receiver
    }

    /// A sign of life.
    ///
    /// # Errors
    /// As [`Group::heartbeat`].
    pub fn heartbeat(
        &mut self,
        now: Moment,
        group: &str,
        generation: i32,
        member: &Identity,
    ) -> Result<(), ResponseError> {
        self.validate(group)?;
        self.turn(group, now, |group, turn| group.heartbeat(turn, generation, member))
            .unwrap_or(Err(ResponseError::UnknownMemberId))
    }

    /// Members leave.
    ///
    /// # Errors
    /// When nobody can leave.
    pub fn leave(
        &mut self,
        now: Moment,
        group: &str,
        members: &[Identity],
    ) -> Result<Vec<MemberResult>, ResponseError> {
        self.validate(group)?;
        let unknown = || members.iter().map(|member| (member.clone(), Err(ResponseError::UnknownMemberId))).collect();
        Ok(self.turn(group, now, |group, turn| group.leave(turn, members)).unwrap_or_else(unknown))
    }

    /// Offsets are committed.
    ///
    /// # Errors
    /// As [`Group::commit`].
    pub fn commit(
        &mut self,
        now: Moment,
        group: &str,
        generation: i32,
        member: &Identity,
        offsets: Vec<Commit>,
    ) -> Result<Vec<PartitionResult>, ResponseError> {
        self.validate(group)?;
        self.ensure(group, generation < 0, ResponseError::IllegalGeneration, now)?;
        self.turn(group, now, |group, turn| group.commit(turn, generation, member, offsets))
            .unwrap_or(Err(ResponseError::UnknownServerError))
    }

    /// Offsets are deleted.
    ///
    /// # Errors
    /// As [`Group::delete_offsets`], and `GroupIdNotFound`.
    pub fn delete_offsets(
        &mut self,
        now: Moment,
        group: &str,
        partitions: &[(String, i32)],
    ) -> Result<Vec<PartitionResult>, ResponseError> {
        self.validate(group)?;
        self.turn(group, now, |group, turn| group.delete_offsets(turn, partitions))
            .unwrap_or(Err(ResponseError::GroupIdNotFound))
    }

    /// A group, as it stands.
    pub fn group(&self, group: &str) -> Option<&Group> {
        self.groups.get(group)
    }

    /// All groups, by id.
    pub fn list(&self) -> Vec<GroupListing> {
        let mut listings: Vec<GroupListing> = self.groups.values().map(Group::listing).collect();
        listings.sort_by(|one, other| one.group.cmp(&other.group));
        listings
    }

    /// DescribeGroups of one group.
    pub fn describe(&self, group: &str) -> GroupDescription {
        self.group(group).map(Group::describe).unwrap_or_else(|| GroupDescription {
            state: GroupState::Dead,
            protocol_type: String::new(),
            protocol: String::new(),
            members: Vec::new(),
        })
    }

    /// A group is deleted, with its offsets.
    ///
    /// # Errors
    /// `GroupIdNotFound`, `NonEmptyGroup`, or when that can't be kept.
    pub fn delete(&mut self, group: &str) -> Result<(), ResponseError> {
        self.check_open()?;
        let known = self.group(group).ok_or(ResponseError::GroupIdNotFound)?;
        known.validate_delete()?;
        if known.is_kept() {
            self.journal.keep(&Entry::DeletedGroup { group: group.to_owned() })?;
        }
        self.groups.remove(group);
        self.alarms.forget(group);
        Ok(())
    }

    /// A topic is gone.
    pub fn forget_topic(&mut self, now: Moment, topic: &str) {
        if self.closed {
            return;
        }
        // If that isn't kept, its offsets come back with a restart; they are in the way of nobody but a new topic of
        // the same name.
        let _ = self.journal.keep(&Entry::DeletedTopic { topic: topic.to_owned() });
        let ids: Vec<String> = self.groups.keys().cloned().collect();
        for id in ids {
            self.turn(&id, now, |group, turn| group.forget_topic(turn, topic));
        }
    }

    /// Looks after all groups for which something is due.
    pub fn expire(&mut self, now: Moment) {
        while let Some(id) = self.alarms.next(now) {
            self.turn(&id, now, |group, turn| group.expire(turn));
        }
    }

    /// When [`Self::expire`] has to be called next.
    pub fn deadline(&self) -> Option<Moment> {
        self.alarms.deadline()
    }

    /// Answers who waits and syncs the journal; from here on all that is asked is answered with
    /// `CoordinatorNotAvailable`.
    pub fn close(&mut self) {
        if std::mem::replace(&mut self.closed, true) {
            return;
        }
        self.waiting.refuse_all(ResponseError::CoordinatorNotAvailable);
        if let Err(error) = self.journal.sync() {
            tracing::error!(%error, "can't sync the groups' journal");
        }
    }

    /// Whether it was closed.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    fn check_open(&self) -> Result<(), ResponseError> {
        if self.closed { Err(ResponseError::CoordinatorNotAvailable) } else { Ok(()) }
    }

    fn validate(&self, group: &str) -> Result<(), ResponseError> {
        self.check_open()?;
        if group.is_empty() { Err(ResponseError::InvalidGroupId) } else { Ok(()) }
    }

    /// Sees to it that there is a group, or fails with `missing`.
    fn ensure(
        &mut self,
        group: &str,
        may_create: bool,
        missing: ResponseError,
        now: Moment,
    ) -> Result<(), ResponseError> {
        if self.groups.contains_key(group) {
            return Ok(());
        }
        if !may_create {
            return Err(missing);
        }
        if self.groups.len() >= self.settings.max_groups {
            tracing::warn!(group, groups = self.groups.len(), "refused a group beyond the limit");
            return Err(ResponseError::PolicyViolation);
        }
        self.groups.insert(group.to_owned(), Group::new(group, now));
        Ok(())
    }

    /// Lets a group take a step, and sees to what follows from it; `None` when there is no such group.
    fn turn<R>(&mut self, id: &str, now: Moment, step: impl FnOnce(&mut Group, &mut Turn) -> R) -> Option<R> {
        let group = self.groups.get_mut(id)?;
        let mut turn = Turn::new(now, &self.settings, &mut self.journal);
        let result = step(group, &mut turn);
        turn.answers.into_iter().for_each(|answer| self.waiting.answer(answer));
        if group.is_over(now, &self.settings) {
            self.drop_group(id);
        } else if let Some(at) = group.deadline(&self.settings) {
            self.alarms.set(id, at);
        }
        if self.journal.is_mostly_garbage() {
            self.journal.rewrite(self.groups.values().flat_map(Group::entries));
        }
        Some(result)
    }

    fn drop_group(&mut self, id: &str) {
        self.alarms.forget(id);
        if self.groups.remove(id).is_some_and(|group| group.is_kept()) {
            // If that isn't kept, the group comes back with a restart, for a while.
            let _ = self.journal.keep(&Entry::DeletedGroup { group: id.to_owned() });
        }
    }
}

/// An id as Kafka makes them: what the client calls itself, and something random.
fn new_member_id(join: &Join) -> String {
    let name = join.member.instance_id.as_ref().unwrap_or(&join.client_id);
    let prefix = &name[..name.floor_char_boundary(MAX_PREFIX)];
    format!("{prefix}-{}", Uuid::new_v4())
}
