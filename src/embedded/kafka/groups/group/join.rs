//! JoinGroup: who may come in, and as whom.

use bytes::Bytes;
use kafka_protocol::error::ResponseError;

use super::{Answer, Group, Ticket, Turn};
use crate::embedded::kafka::groups::member::Member;
use crate::embedded::kafka::groups::subscription;
use crate::embedded::kafka::groups::types::{GroupState, Identity, Join, Joined};

impl Group {
    /// Somebody wants in. `fresh_id` is the member id it gets if it needs one. The answer to `ticket` may be among the
    /// turn's at once, or come with a later turn.
    pub fn join(&mut self, turn: &mut Turn, join: Join, ticket: Ticket, fresh_id: String) {
        let member_id = join.member.member_id.clone();
        if !self.has_room_for(turn, &join) {
            self.pending.remove(&member_id);
            self.remove(turn, &member_id);
            turn.refuse_join(ticket, ResponseError::GroupMaxSizeReached, "");
            self.complete_join_if_all_joined(turn);
        } else if !self.supports(&join) {
            turn.refuse_join(ticket, ResponseError::InconsistentGroupProtocol, member_id);
        } else if member_id.is_empty() {
            self.join_unknown(turn, join, ticket, fresh_id);
        } else {
            self.join_known(turn, join, ticket);
        }
    }

    /// Whether the group isn't full, or the member is in it already.
    fn has_room_for(&self, turn: &Turn, join: &Join) -> bool {
        // A static member that replaces itself takes nobody's place.
        if (join.member.instance_id.as_ref()).is_some_and(|instance_id| self.instances.contains_key(instance_id)) {
            return true;
        }
        let (known, max) = (self.members.get(&join.member.member_id), turn.settings.max_members);
        let needs_id = join.member.member_id.is_empty() && join.member.instance_id.is_none() && join.must_know_id;
        if needs_id && self.pending.len() >= max {
            return false;
        }
        match self.state {
            GroupState::Empty | GroupState::Dead => true,
            // Who has rejoined counts: if there are too many members, the last ones to come are turned away.
            GroupState::PreparingRebalance => {
                let waiting = self.members.values().filter(|member| member.joining.is_some()).count();
                known.is_some_and(|member| member.joining.is_some()) || waiting < max
            }
            GroupState::CompletingRebalance | GroupState::Stable => known.is_some() || self.members.len() < max,
        }
    }

    /// Whether it is the right kind of group, and one of the protocols is good for all members.
    fn supports(&self, join: &Join) -> bool {
        if self.members.is_empty() {
            return !join.protocol_type.is_empty() && !join.protocols.is_empty();
        }
        self.protocol_type.as_ref() == Some(&join.protocol_type)
            && (join.protocols.iter()).any(|(name, _)| self.members.values().all(|member| member.supports(name)))
    }

    /// One without a member id: it is new, or a static member after a restart.
    fn join_unknown(&mut self, turn: &mut Turn, join: Join, ticket: Ticket, fresh_id: String) {
        let current = join.member.instance_id.as_ref().and_then(|instance_id| self.instances.get(instance_id));
        if let Some(current) = current.cloned() {
            self.replace_static(turn, &current, join, ticket, fresh_id);
        } else if join.member.instance_id.is_none() && join.must_know_id {
            // Were it a member already, each attempt of a client that never gets the answer would leave one behind.
            self.pending.insert(fresh_id.clone(), turn.now.saturating_add(join.session_timeout));
            turn.refuse_join(ticket, ResponseError::MemberIdRequired, fresh_id);
        } else {
            self.add(turn, join, ticket, fresh_id);
        }
    }

    /// One that has a member id.
    fn join_known(&mut self, turn: &mut Turn, join: Join, ticket: Ticket) {
        let member_id = join.member.member_id.clone();
        if join.member.instance_id.is_none() && self.pending.remove(&member_id).is_some() {
            return self.add(turn, join, ticket, member_id);
        }
        if let Err(error) = self.validate(&join.member) {
            return turn.refuse_join(ticket, error, member_id);
        }
        // The leader may join just because topics have changed: its metadata say nothing. A follower with the same
        // metadata only missed the answer to its last join.
        let is_leader = self.is_leader(&member_id);
        let is_same = self.members.get(&member_id).is_some_and(|member| member.protocols == join.protocols);
        match self.state {
            GroupState::CompletingRebalance if is_same => {
                let joined = self.joined(&member_id);
                turn.answers.push(Answer::Join(ticket, Ok(joined)));
            }
            GroupState::Stable if is_same && !is_leader => {
                let joined = self.joined(&member_id);
                turn.answers.push(Answer::Join(ticket, Ok(joined)));
            }
            _ => {
                self.update(turn, &member_id, join, ticket);
                self.rebalance(turn);
            }
        }
    }

    /// A new member.
    fn add(&mut self, turn: &mut Turn, join: Join, ticket: Ticket, member_id: String) {
        if self.members.is_empty() {
            self.protocol_type = Some(join.protocol_type.clone());
        }
        self.leader.get_or_insert_with(|| member_id.clone());
        let expires = turn.now.saturating_add(turn.settings.new_member_join_timeout);
        self.put(Member::new(member_id, join, ticket, expires));
        if let Some(initial) = self.join_timer.as_mut().and_then(|timer| timer.initial.as_mut()) {
            initial.more_came = true;
        }
        self.rebalance(turn);
    }

    /// A member joins again and waits; if it still waited in an earlier join, nobody listens there any more.
    fn update(&mut self, turn: &mut Turn, member_id: &str, join: Join, ticket: Ticket) {
        let Some(member) = self.members.get_mut(member_id) else { return };
        if let Some(earlier) = member.joining.replace(ticket) {
            turn.refuse_join(earlier, ResponseError::RebalanceInProgress, member_id);
        }
        member.protocols = join.protocols;
        member.session_timeout = join.session_timeout;
        member.rebalance_timeout = join.rebalance_timeout;
    }

    /// A static member comes back without its member id: the old id is fenced, the assignment stays.
    fn replace_static(&mut self, turn: &mut Turn, old_id: &str, join: Join, ticket: Ticket, fresh_id: String) {
        let Some(mut old) = self.members.remove(old_id) else { return };
        tracing::info!(group = self.id, old = old_id, new = fresh_id, "a static member was replaced");
        turn.release(&mut old, ResponseError::FencedInstanceId, old_id);
        let can_skip_assignment = join.can_skip_assignment;
        let mut new = old.replaced(fresh_id.clone(), join, ticket, turn.now);
        new.heard(turn.now);
        self.put(new);
        let old_leader = self.leader.clone();
        if self.is_leader(old_id) {
            self.leader = Some(fresh_id.clone());
        }
        match self.state {
            GroupState::Stable if self.is_same_choice(&old, &fresh_id) => {
                if let Err(error) = self.keep(turn) {
                    // The journal, and so the group, goes on with the old one.
                    self.members.remove(&fresh_id);
                    self.put(old);
                    self.leader = old_leader;
                    return turn.refuse_join(ticket, error, "");
                }
                let mut joined = self.joined(&fresh_id);
                if can_skip_assignment {
                    joined.skip_assignment = self.is_leader(&fresh_id);
                    if joined.skip_assignment {
                        joined.members = self.members_for_leader();
                    }
                } else {
                    // An older client would assign anew, and nobody would rejoin for it: it isn't told that it leads.
                    joined.leader = old_leader.unwrap_or_default();
                }
                if let Some(member) = self.members.get_mut(&fresh_id) {
                    member.joining = None;
                }
                turn.answers.push(Answer::Join(ticket, Ok(joined)));
            }
            // The leader may be busy assigning to the old id.
            _ => self.rebalance(turn),
        }
    }

    /// Whether a rebalance would choose the same protocol, and the member has the same metadata for it as before.
    fn is_same_choice(&self, before: &Member, member_id: &str) -> bool {
        let (Some(current), Some(after)) = (&self.protocol, self.members.get(member_id)) else { return false };
        self.select_protocol().as_ref() == Some(current)
            && if self.protocol_type.as_deref() == Some(subscription::CONSUMER) {
                subscription::is_same(&before.metadata(current), &after.metadata(current))
            } else {
                before.metadata(current) == after.metadata(current)
            }
    }

    /// The answer to a member of the current generation. Only while a leader has to assign does it get the members.
    pub(super) fn joined(&self, member_id: &str) -> Joined {
        let assigns = self.state == GroupState::CompletingRebalance && self.is_leader(member_id);
        Joined {
            generation: self.generation,
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            protocol: self.protocol.clone().unwrap_or_default(),
            leader: self.leader.clone().unwrap_or_default(),
            member_id: member_id.to_owned(),
            members: if assigns { self.members_for_leader() } else { Vec::new() },
            skip_assignment: false,
        }
    }

    /// All members with their metadata for the chosen protocol.
    fn members_for_leader(&self) -> Vec<(Identity, Bytes)> {
        let protocol = self.protocol.as_deref().unwrap_or_default();
        self.members.values().map(|member| (member.identity.clone(), member.metadata(protocol))).collect()
    }
}
