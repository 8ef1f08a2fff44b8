//! LeaveGroup.

use kafka_protocol::error::ResponseError;

use super::{Group, Turn};
use crate::embedded::kafka::groups::types::{Identity, MemberResult};

impl Group {
    /// Members leave, or are removed by an administrator, who names static ones by their instance id alone.
    pub fn leave(&mut self, turn: &mut Turn, members: &[Identity]) -> Vec<MemberResult> {
        let before = self.members.len();
        let left: Vec<_> = members.iter().map(|member| (member.clone(), self.leave_one(turn, member))).collect();
        if self.members.len() < before {
            self.rebalance(turn);
        } else {
            // Somebody who was given an id isn't waited for any more.
            self.complete_join_if_all_joined(turn);
        }
        left
    }

    fn leave_one(&mut self, turn: &mut Turn, member: &Identity) -> Result<(), ResponseError> {
        let member_id = match &member.instance_id {
            Some(instance_id) if member.member_id.is_empty() => {
                self.instances.get(instance_id).cloned().ok_or(ResponseError::UnknownMemberId)?
            }
            _ if self.pending.remove(&member.member_id).is_some() => return Ok(()),
            _ => {
                self.validate(member)?;
                member.member_id.clone()
            }
        };
        tracing::info!(group = self.id, member = member_id, "a member left");
        self.remove(turn, &member_id);
        Ok(())
    }
}
