//! JoinGroup: a member comes, or comes again when its group rebalances; answered once all have.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::join_group_response::JoinGroupResponseMember;
use kafka_protocol::messages::{JoinGroupRequest, JoinGroupResponse};
use kafka_protocol::protocol::VersionRange;

use super::{identity, text};
use crate::embedded::kafka::api::{Answer, Api, Call, nearest};
use crate::embedded::kafka::broker::Broker;
use crate::embedded::kafka::groups::{Join, JoinError, Joined};

/// The API.
pub struct JoinGroup;

/// The first version with a rebalance timeout of its own.
const REBALANCE_TIMEOUT: i16 = 1;
/// The first version whose clients come back with the id that they are given.
const MUST_KNOW_ID: i16 = 4;
/// The first version that knows static members.
const STATIC: i16 = 5;
/// The first version that may leave out the kind of group.
const OPTIONAL_TYPE: i16 = 7;
/// The first version whose leaders can be told not to assign.
const SKIP_ASSIGNMENT: i16 = 9;
/// What stands for a generation where there is none.
const NO_GENERATION: i32 = -1;

impl Api for JoinGroup {
    type Request = JoinGroupRequest;

    const VERSIONS: VersionRange = VersionRange { min: 0, max: 9 };

    async fn answer(broker: &Arc<Broker>, call: &Call, request: JoinGroupRequest) -> Answer<JoinGroupResponse> {
        let join = read(call, request);
        call.let_go_of_request();
        match broker.groups.join(join).await {
            Ok(joined) => response(call.version, joined),
            Err(JoinError { error, member_id }) => refused(call.version, call.code(error), member_id),
        }
        .into()
    }

    fn refuse(version: i16) -> Option<(i16, JoinGroupResponse)> {
        let version = nearest::<JoinGroupResponse>(version);
        Some((version, refused(version, ResponseError::UnsupportedVersion.code(), String::new())))
    }
}

fn read(call: &Call, request: JoinGroupRequest) -> Join {
    let millis = |millis: i32| Duration::from_millis(u64::try_from(millis).unwrap_or(0));
    let rebalance = match call.version < REBALANCE_TIMEOUT {
        true => request.session_timeout_ms,
        false => request.rebalance_timeout_ms,
    };
    Join {
        member: identity(&request.member_id, request.group_instance_id.as_ref()),
        group: request.group_id.to_string(),
        client_id: call.client_id.to_string(),
        client_host: format!("/{}", call.peer.ip()),
        session_timeout: millis(request.session_timeout_ms),
        rebalance_timeout: millis(rebalance),
        protocol_type: request.protocol_type.to_string(),
        protocols: request
            .protocols
            .into_iter()
            // Copied, because the group keeps it, and would keep the whole request with it.
            .map(|protocol| (protocol.name.to_string(), Bytes::copy_from_slice(&protocol.metadata)))
            .collect(),
        must_know_id: call.version >= MUST_KNOW_ID,
        can_skip_assignment: call.version >= SKIP_ASSIGNMENT,
    }
}

fn response(version: i16, joined: Joined) -> JoinGroupResponse {
    let members = joined.members.into_iter().map(|(member, metadata)| {
        JoinGroupResponseMember::default()
            .with_member_id(text(member.member_id))
            .with_group_instance_id(member.instance_id.filter(|_| version >= STATIC).map(text))
            .with_metadata(metadata)
    });
    JoinGroupResponse::default()
        .with_generation_id(joined.generation)
        .with_protocol_type((version >= OPTIONAL_TYPE).then(|| text(joined.protocol_type)))
        .with_protocol_name(Some(text(joined.protocol)))
        .with_leader(text(joined.leader))
        .with_member_id(text(joined.member_id))
        .with_members(members.collect())
        .with_skip_assignment(joined.skip_assignment)
}

fn refused(version: i16, error_code: i16, member_id: String) -> JoinGroupResponse {
    JoinGroupResponse::default()
        .with_error_code(error_code)
        .with_generation_id(NO_GENERATION)
        // Older versions have no place for none.
        .with_protocol_name((version < OPTIONAL_TYPE).then(|| text(String::new())))
        .with_member_id(text(member_id))
}
