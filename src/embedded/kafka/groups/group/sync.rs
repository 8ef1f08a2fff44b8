//! SyncGroup and Heartbeat: from the leader's assignments to a stable group, and on.

use std::collections::HashMap;

use bytes::Bytes;
use kafka_protocol::error::ResponseError;

use super::{Answer, Group, Ticket, Turn};
use crate::embedded::kafka::groups::types::{GroupState, Identity, Sync, Synced};

impl Group {
    /// A member asks for its assignment; the leader brings those of all. The answer to `ticket` may be among the
    /// turn's at once, or come with a later turn.
    pub fn sync(&mut self, turn: &mut Turn, sync: Sync, ticket: Ticket) {
        if let Err(error) = self.validate_sync(&sync) {
            return turn.answers.push(Answer::Sync(ticket, Err(error)));
        }
        let member_id = &sync.member.member_id;
        let Some(member) = self.members.get_mut(member_id) else { return };
        member.must_sync = false;
        if self.state == GroupState::Stable {
            member.heard(turn.now);
            let assignment = member.assignment.clone();
            turn.answers.push(Answer::Sync(ticket, Ok(self.synced(assignment))));
        } else {
            if let Some(earlier) = member.syncing.replace(ticket) {
                turn.answers.push(Answer::Sync(earlier, Err(ResponseError::RebalanceInProgress)));
            }
            if self.is_leader(member_id) {
                self.assign(turn, sync.assignments);
            }
        }
    }

    fn validate_sync(&self, sync: &Sync) -> Result<(), ResponseError> {
        self.validate_generation(&sync.member, sync.generation)?;
        let differs = |theirs: &Option<String>, ours: &Option<String>| {
            theirs.as_ref().zip(ours.as_ref()).is_some_and(|(theirs, ours)| theirs != ours)
        };
        if differs(&sync.protocol_type, &self.protocol_type) || differs(&sync.protocol, &self.protocol) {
            return Err(ResponseError::InconsistentGroupProtocol);
        }
        if self.state == GroupState::PreparingRebalance { Err(ResponseError::RebalanceInProgress) } else { Ok(()) }
    }

    /// The leader's assignments are in: once they are kept, all who wait get theirs.
    fn assign(&mut self, turn: &mut Turn, assignments: Vec<(String, Bytes)>) {
        let mut assignments: HashMap<String, Bytes> = assignments.into_iter().collect();
        for (id, member) in &mut self.members {
            member.assignment = assignments.remove(id).unwrap_or_default();
        }
        if let Err(error) = self.keep(turn) {
            self.refuse_syncs(turn, error);
            return self.rebalance(turn);
        }
        self.state = GroupState::Stable;
        tracing::info!(group = self.id, generation = self.generation, "the group is stable");
        let waiting: Vec<(Ticket, Bytes)> = (self.members.values_mut())
            .filter_map(|member| {
                let ticket = member.syncing.take()?;
                member.heard(turn.now);
                Some((ticket, member.assignment.clone()))
            })
            .collect();
        for (ticket, assignment) in waiting {
            turn.answers.push(Answer::Sync(ticket, Ok(self.synced(assignment))));
        }
    }

    /// Sends all who wait for their assignments away.
    pub(super) fn refuse_syncs(&mut self, turn: &mut Turn, error: ResponseError) {
        for member in self.members.values_mut() {
            member.assignment = Bytes::new();
            if let Some(ticket) = member.syncing.take() {
                member.heard(turn.now);
                turn.answers.push(Answer::Sync(ticket, Err(error)));
            }
        }
    }

    /// Nobody has to sync any more.
    pub(super) fn clear_syncs(&mut self) {
        self.sync_deadline = None;
        self.members.values_mut().for_each(|member| member.must_sync = false);
    }

    fn synced(&self, assignment: Bytes) -> Synced {
        Synced {
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            protocol: self.protocol.clone().unwrap_or_default(),
            assignment,
        }
    }

    /// A sign of life.
    ///
    /// # Errors
    /// `RebalanceInProgress` when the member has to rejoin, and whatever keeps it from being one.
    pub fn heartbeat(&mut self, turn: &Turn, generation: i32, member: &Identity) -> Result<(), ResponseError> {
        self.validate_generation(member, generation)?;
        if let Some(member) = self.members.get_mut(&member.member_id) {
            member.heard(turn.now);
        }
        if self.state == GroupState::PreparingRebalance { Err(ResponseError::RebalanceInProgress) } else { Ok(()) }
    }
}
