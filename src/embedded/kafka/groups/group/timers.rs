//! What happens when nothing happens.

use super::{Group, Moment, Turn};
use crate::embedded::kafka::groups::settings::GroupSettings;
use crate::embedded::kafka::groups::types::GroupState;

impl Group {
    /// When something is due next, unless something is asked before.
    pub fn deadline(&self, settings: &GroupSettings) -> Option<Moment> {
        let sessions = self.members.values().filter_map(|member| member.deadline());
        let sync = self.sync_deadline.filter(|_| self.members.values().any(|member| member.must_sync));
        (sessions.chain(self.pending.values().copied()))
            .chain(self.join_timer.map(|timer| timer.at))
            .chain(sync)
            .chain(self.vanishes_at(settings))
            .min()
    }

    /// When it is forgotten: it has neither members nor offsets. At once if it never came to have members.
    fn vanishes_at(&self, settings: &GroupSettings) -> Option<Moment> {
        let is_bare = self.state == GroupState::Empty && self.pending.is_empty() && self.offsets.is_empty();
        let retention = if self.record.is_some() { settings.empty_retention } else { Moment::ZERO };
        is_bare.then(|| self.empty_since.saturating_add(retention))
    }

    /// Whether it is time to forget it.
    pub fn is_over(&self, now: Moment, settings: &GroupSettings) -> bool {
        self.vanishes_at(settings).is_some_and(|at| at <= now)
    }

    /// Does what is due by now.
    pub fn expire(&mut self, turn: &mut Turn) {
        self.expire_sessions(turn);
        if let Some(timer) = self.join_timer.filter(|timer| timer.at <= turn.now) {
            match timer.initial {
                Some(initial) => self.extend_or_complete_join(turn, initial),
                None => self.complete_join(turn),
            }
        }
        if self.sync_deadline.is_some_and(|at| at <= turn.now) {
            self.expire_syncs(turn);
        }
    }

    fn expire_sessions(&mut self, turn: &mut Turn) {
        let now = turn.now;
        let before = self.pending.len();
        self.pending.retain(|_, lapses| *lapses > now);
        let silent = self.members.values().filter(|member| member.deadline().is_some_and(|at| at <= now));
        let silent: Vec<String> = silent.map(|member| member.identity.member_id.clone()).collect();
        for member_id in &silent {
            tracing::info!(group = self.id, member = member_id, "a member's session ended");
            self.remove(turn, member_id);
        }
        if !silent.is_empty() {
            self.rebalance(turn);
        } else if self.pending.len() < before {
            self.complete_join_if_all_joined(turn);
        }
    }

    /// Members that joined and never asked for their assignments are dropped: what they were to read is read by nobody.
    fn expire_syncs(&mut self, turn: &mut Turn) {
        self.sync_deadline = None;
        let mute: Vec<String> = (self.members.values())
            .filter(|member| member.must_sync)
            .map(|member| member.identity.member_id.clone())
            .collect();
        for member_id in &mute {
            tracing::info!(group = self.id, member = member_id, "a member did not sync in time");
            self.remove(turn, member_id);
        }
        if !mute.is_empty() {
            self.rebalance(turn);
        }
    }
}
