//! LeaveGroup: members go, by themselves or sent away by an administrator.

use std::sync::Arc;

use kafka_protocol::messages::leave_group_response::MemberResponse;
use kafka_protocol::messages::{LeaveGroupRequest, LeaveGroupResponse};
use kafka_protocol::protocol::VersionRange;

use super::{identity, text};
use crate::embedded::kafka::api::{Answer, Api, Call, refused};
use crate::embedded::kafka::broker::Broker;

/// The API.
pub struct LeaveGroup;

/// The first version that names several members.
const SEVERAL: i16 = 3;

impl Api for LeaveGroup {
    type Request = LeaveGroupRequest;

    const VERSIONS: VersionRange = VersionRange { min: 0, max: 5 };

    async fn answer(broker: &Arc<Broker>, call: &Call, request: LeaveGroupRequest) -> Answer<LeaveGroupResponse> {
        let several = call.version >= SEVERAL;
        let members = match several {
            true => (request.members.iter())
                .map(|member| identity(&member.member_id, member.group_instance_id.as_ref()))
                .collect(),
            false => vec![identity(&request.member_id, None)],
        };
        let response = LeaveGroupResponse::default();
        let left = match broker.groups.leave(&request.group_id, &members) {
            Ok(left) => left,
            Err(error) => return response.with_error_code(call.code(error)).into(),
        };
        if !several {
            let result = left.first().map_or(Ok(()), |(_, result)| *result);
            return response.with_error_code(call.code_of(result)).into();
        }
        let members = left.into_iter().map(|(member, result)| {
            MemberResponse::default()
                .with_member_id(text(member.member_id))
                .with_group_instance_id(member.instance_id.map(text))
                .with_error_code(call.code_of(result))
        });
        response.with_members(members.collect()).into()
    }

    fn refuse(version: i16) -> Option<(i16, LeaveGroupResponse)> {
        refused(version, |code| LeaveGroupResponse::default().with_error_code(code))
    }
}
