//! From the first who joins to a generation of all.

use std::collections::HashSet;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::error::ResponseError;

use super::{Answer, Group, InitialDelay, JoinTimer, Turn};
use crate::embedded::kafka::groups::types::GroupState;

/// When only static members are left and none has rejoined, it is tried again after their rebalance timeout, but not
/// in a hot loop if that is zero.
const MIN_RETRY: Duration = Duration::from_secs(1);

impl Group {
    /// Members have come, gone or changed: starts a rebalance, or goes on with the one that is under way.
    pub(super) fn rebalance(&mut self, turn: &mut Turn) {
        if self.state == GroupState::PreparingRebalance {
            self.complete_join_if_all_joined(turn);
        } else {
            self.prepare_rebalance(turn);
        }
    }

    fn prepare_rebalance(&mut self, turn: &mut Turn) {
        if self.state == GroupState::CompletingRebalance {
            self.refuse_syncs(turn, ResponseError::RebalanceInProgress);
        }
        self.clear_syncs();
        let was_empty = self.state == GroupState::Empty;
        self.state = GroupState::PreparingRebalance;
        tracing::debug!(group = self.id, generation = self.generation, "preparing a rebalance");
        let delay = turn.settings.initial_rebalance_delay;
        if was_empty && !delay.is_zero() {
            let remaining = self.rebalance_timeout().saturating_sub(delay);
            let initial = Some(InitialDelay { remaining, more_came: false });
            self.join_timer = Some(JoinTimer { at: turn.now.saturating_add(delay), initial });
        } else {
            let at = turn.now.saturating_add(self.rebalance_timeout());
            self.join_timer = Some(JoinTimer { at, initial: None });
            self.complete_join_if_all_joined(turn);
        }
    }

    /// Goes on to the next generation if nobody is missing; somebody who was given an id and hasn't come yet is.
    pub(super) fn complete_join_if_all_joined(&mut self, turn: &mut Turn) {
        let waits_for_more = self.join_timer.is_some_and(|timer| timer.initial.is_some());
        if self.state == GroupState::PreparingRebalance
            && !waits_for_more
            && self.pending.is_empty()
            && self.members.values().all(|member| member.joining.is_some())
        {
            self.complete_join(turn);
        }
    }

    /// The initial delay is over: if somebody came meanwhile there is another one, as long as the rebalance timeout
    /// allows.
    pub(super) fn extend_or_complete_join(&mut self, turn: &mut Turn, initial: InitialDelay) {
        if initial.more_came && !initial.remaining.is_zero() {
            let delay = turn.settings.initial_rebalance_delay.min(initial.remaining);
            let initial = InitialDelay { remaining: initial.remaining.saturating_sub(delay), more_came: false };
            self.join_timer = Some(JoinTimer { at: turn.now.saturating_add(delay), initial: Some(initial) });
        } else {
            self.complete_join(turn);
        }
    }

    /// Goes on to the next generation with those who joined; static members keep their places until their sessions end.
    pub(super) fn complete_join(&mut self, turn: &mut Turn) {
        self.join_timer = None;
        let missing = self.members.values().filter(|member| member.joining.is_none() && !member.is_static());
        let missing: Vec<String> = missing.map(|member| member.identity.member_id.clone()).collect();
        for member_id in missing {
            tracing::info!(group = self.id, member = member_id, "a member did not rejoin in time");
            self.remove(turn, &member_id);
        }
        if self.members.is_empty() {
            self.become_empty(turn);
        } else if self.elect_leader() {
            self.begin_generation(turn);
        } else {
            let at = turn.now.saturating_add(self.rebalance_timeout().max(MIN_RETRY));
            self.join_timer = Some(JoinTimer { at, initial: None });
        }
    }

    /// Sees to it that the leader is one who joined; `false` when nobody did.
    fn elect_leader(&mut self) -> bool {
        let has_joined = |id: &String| self.members.get(id).is_some_and(|member| member.joining.is_some());
        if !self.leader.as_ref().is_some_and(has_joined) {
            let joined = self.members.values().find(|member| member.joining.is_some());
            let Some(joined) = joined else { return false };
            self.leader = Some(joined.identity.member_id.clone());
        }
        true
    }

    fn become_empty(&mut self, turn: &mut Turn) {
        self.generation = self.generation.saturating_add(1);
        self.protocol = None;
        self.leader = None;
        self.state = GroupState::Empty;
        self.empty_since = turn.now;
        tracing::info!(group = self.id, generation = self.generation, "the group is empty");
        // If that isn't kept, a restart brings the old members back, and their sessions end.
        let _ = self.keep(turn);
    }

    fn begin_generation(&mut self, turn: &mut Turn) {
        self.generation = self.generation.saturating_add(1);
        self.protocol = self.select_protocol();
        self.state = GroupState::CompletingRebalance;
        tracing::info!(
            group = self.id,
            generation = self.generation,
            members = self.members.len(),
            "a generation began"
        );
        self.sync_deadline = Some(turn.now.saturating_add(self.rebalance_timeout()));
        let ids: Vec<String> = self.members.keys().cloned().collect();
        for id in ids {
            let joined = self.joined(&id);
            let Some(member) = self.members.get_mut(&id) else { continue };
            if let Some(ticket) = member.joining.take() {
                turn.answers.push(Answer::Join(ticket, Ok(joined)));
            }
            member.heard(turn.now);
            member.is_new = false;
            member.must_sync = true;
            member.assignment = Bytes::new();
        }
    }

    /// The protocol that most members like best, of those that all of them support. Of two with as many votes it is
    /// the one that comes first in the list of the first member that voted for either.
    pub(super) fn select_protocol(&self) -> Option<String> {
        let (_, first) = self.members.first_key_value()?;
        let candidates: HashSet<&str> = (first.protocols.iter())
            .map(|(name, _)| name.as_str())
            .filter(|name| self.members.values().all(|member| member.supports(name)))
            .collect();
        let mut votes: Vec<(&str, usize)> = Vec::new();
        for member in self.members.values() {
            let vote = member.protocols.iter().map(|(name, _)| name.as_str()).find(|name| candidates.contains(name));
            let Some(vote) = vote else { continue };
            match votes.iter_mut().find(|(name, _)| *name == vote) {
                Some((_, count)) => *count += 1,
                None => votes.push((vote, 1)),
            }
        }
        let most = votes.iter().map(|(_, count)| *count).max()?;
        votes.iter().find(|(_, count)| *count == most).map(|(name, _)| (*name).to_owned())
    }
}
