//! One group as a state machine: it is told what is asked of it and what time it is, and leaves behind the answers to
//! those who waited. It knows neither clock nor files nor tasks, so that a test can take it through any history.
//!
//! - `join`: who may come in, and as whom.
//! - `rebalance`: from the first who joins to the generation of all.
//! - `sync`: from the leader's assignments to a stable group.
//! - `leave`, `offsets`: what their names say.
//! - `timers`: what happens when nothing happens.

mod join;
mod leave;
mod offsets;
mod rebalance;
mod sync;
mod timers;

use std::collections::BTreeMap;
use std::time::Duration;

use kafka_protocol::error::ResponseError;

use super::journal::{Entry, GroupRecord, Saved, entries};
use super::member::Member;
use super::offsets::Offsets;
use super::settings::GroupSettings;
use super::types::{GroupDescription, GroupListing, GroupState, Identity, JoinError, Joined, Synced};

/// A point in time, as the time since the coordinator started.
pub type Moment = Duration;

/// A call that waits.
pub type Ticket = u64;

/// An answer to a call that waited.
#[derive(Debug)]
pub enum Answer {
    /// To a join.
    Join(Ticket, Result<Joined, JoinError>),
    /// To a sync.
    Sync(Ticket, Result<Synced, ResponseError>),
}

/// Where changes go that have to survive.
pub trait Store {
    /// Keeps a change.
    ///
    /// # Errors
    /// What to answer when that wasn't possible; then the change has not happened.
    fn keep(&mut self, entry: &Entry) -> Result<(), ResponseError>;
}

/// One step of a group: what it sees of the world, and the answers it leaves behind.
pub struct Turn<'a> {
    /// The time.
    pub now: Moment,
    /// The coordinator's settings.
    pub settings: &'a GroupSettings,
    /// Where changes go.
    pub store: &'a mut dyn Store,
    /// The answers.
    pub answers: Vec<Answer>,
}

impl<'a> Turn<'a> {
    /// A step that begins now.
    pub fn new(now: Moment, settings: &'a GroupSettings, store: &'a mut dyn Store) -> Self {
        Self { now, settings, store, answers: Vec::new() }
    }

    fn refuse_join(&mut self, ticket: Ticket, error: ResponseError, member_id: impl Into<String>) {
        self.answers.push(Answer::Join(ticket, Err(JoinError { error, member_id: member_id.into() })));
    }

    /// Answers whatever a member waits for with an error.
    fn release(&mut self, member: &mut Member, error: ResponseError, member_id: &str) {
        if let Some(ticket) = member.joining.take() {
            self.refuse_join(ticket, error, member_id);
        }
        if let Some(ticket) = member.syncing.take() {
            self.answers.push(Answer::Sync(ticket, Err(error)));
        }
    }
}

/// A group.
#[derive(Debug)]
pub struct Group {
    id: String,
    state: GroupState,
    generation: i32,
    protocol_type: Option<String>,
    protocol: Option<String>,
    leader: Option<String>,
    members: BTreeMap<String, Member>,
    /// The member ids of the static members, by instance id.
    instances: BTreeMap<String, String>,
    /// Ids that were given out to members who have yet to join with them, and when they lapse.
    pending: BTreeMap<String, Moment>,
    /// While members join: when those who are there go on without the others.
    join_timer: Option<JoinTimer>,
    /// After the join: when members who have not synced are dropped.
    sync_deadline: Option<Moment>,
    /// Since when it has had no members.
    empty_since: Moment,
    offsets: Offsets,
    /// What the journal knows of its members.
    record: Option<GroupRecord>,
}

/// When a rebalance goes on without those who haven't joined.
#[derive(Clone, Copy, Debug)]
struct JoinTimer {
    at: Moment,
    /// The first members of an empty group wait for more to come, even if all that are known have joined.
    initial: Option<InitialDelay>,
}

/// How the wait of an empty group's first members goes on when more have come.
#[derive(Clone, Copy, Debug)]
struct InitialDelay {
    /// How long they may wait yet, after the timer.
    remaining: Duration,
    /// Somebody came since the timer was set.
    more_came: bool,
}

impl Group {
    /// A group that nobody has joined yet.
    pub fn new(id: impl Into<String>, now: Moment) -> Self {
        Self {
            id: id.into(),
            state: GroupState::Empty,
            generation: 0,
            protocol_type: None,
            protocol: None,
            leader: None,
            members: BTreeMap::new(),
            instances: BTreeMap::new(),
            pending: BTreeMap::new(),
            join_timer: None,
            sync_deadline: None,
            empty_since: now,
            offsets: Offsets::default(),
            record: None,
        }
    }

    /// A group from the journal; its members' sessions begin now.
    pub fn restore(id: impl Into<String>, saved: Saved, now: Moment) -> Self {
        let mut group = Self { offsets: saved.offsets, ..Self::new(id, now) };
        let Some(record) = saved.record else { return group };
        group.generation = record.generation;
        group.protocol_type.clone_from(&record.protocol_type);
        group.protocol.clone_from(&record.protocol);
        for member in record.members.iter().map(|member| Member::restore(member, now)) {
            group.put(member);
        }
        if !group.members.is_empty() {
            group.state = GroupState::Stable;
            let leader = record.leader.as_ref().filter(|leader| group.members.contains_key(*leader));
            group.leader = leader.or(group.members.keys().next()).cloned();
        }
        group.record = Some(record);
        group
    }

    /// What a compact journal says of it.
    pub fn entries(&self) -> Vec<Entry> {
        entries(&self.id, self.record.as_ref(), &self.offsets)
    }

    /// Whether the journal would bring it back.
    pub fn is_kept(&self) -> bool {
        self.record.is_some() || !self.offsets.is_empty()
    }

    /// A line of ListGroups.
    pub fn listing(&self) -> GroupListing {
        GroupListing {
            group: self.id.clone(),
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            state: self.state,
            group_type: "classic",
        }
    }

    /// DescribeGroups; protocol, metadata and assignments only while it is stable.
    pub fn describe(&self) -> GroupDescription {
        let protocol = self.protocol.as_deref().filter(|_| self.state == GroupState::Stable);
        GroupDescription {
            state: self.state,
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            protocol: protocol.unwrap_or_default().to_owned(),
            members: self.members.values().map(|member| member.describe(protocol)).collect(),
        }
    }

    /// Whether a member may speak for itself: it is in the group, and no other has taken its instance id over.
    ///
    /// # Errors
    /// `UnknownMemberId`, or `FencedInstanceId` if another has.
    fn validate(&self, member: &Identity) -> Result<(), ResponseError> {
        if let Some(instance_id) = &member.instance_id {
            match self.instances.get(instance_id) {
                Some(current) if *current == member.member_id => {}
                Some(_) => return Err(ResponseError::FencedInstanceId),
                None => return Err(ResponseError::UnknownMemberId),
            }
        }
        if self.members.contains_key(&member.member_id) { Ok(()) } else { Err(ResponseError::UnknownMemberId) }
    }

    /// As [`Self::validate`], for one that speaks of a generation.
    ///
    /// # Errors
    /// Also `IllegalGeneration`, if that isn't the current one.
    fn validate_generation(&self, member: &Identity, generation: i32) -> Result<(), ResponseError> {
        self.validate(member)?;
        if generation == self.generation { Ok(()) } else { Err(ResponseError::IllegalGeneration) }
    }

    fn is_leader(&self, member_id: &str) -> bool {
        self.leader.as_deref() == Some(member_id)
    }

    /// The longest that any member may take to rejoin.
    fn rebalance_timeout(&self) -> Duration {
        self.members.values().map(|member| member.rebalance_timeout).max().unwrap_or_default()
    }

    /// Puts a member in.
    fn put(&mut self, member: Member) {
        let id = &member.identity;
        if let Some(instance_id) = &id.instance_id {
            self.instances.insert(instance_id.clone(), id.member_id.clone());
        }
        self.members.insert(id.member_id.clone(), member);
    }

    /// Takes a member out; what it waits for is answered with `UnknownMemberId`. What that means for the others is up
    /// to the caller.
    fn remove(&mut self, turn: &mut Turn, member_id: &str) {
        let Some(mut member) = self.members.remove(member_id) else { return };
        turn.release(&mut member, ResponseError::UnknownMemberId, "");
        if let Some(instance_id) = &member.identity.instance_id {
            self.instances.remove(instance_id);
        }
        if self.is_leader(member_id) {
            self.leader = self.members.keys().next().cloned();
        }
    }

    /// Its members as the journal has to know them.
    fn to_record(&self) -> GroupRecord {
        GroupRecord {
            group: self.id.clone(),
            generation: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            leader: self.leader.clone(),
            members: self.members.values().map(Member::record).collect(),
        }
    }

    /// Keeps the members as they are now.
    ///
    /// # Errors
    /// What to answer when they can't be kept.
    fn keep(&mut self, turn: &mut Turn) -> Result<(), ResponseError> {
        let entry = Entry::Group(self.to_record());
        turn.store.keep(&entry)?;
        if let Entry::Group(record) = entry {
            self.record = Some(record);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
