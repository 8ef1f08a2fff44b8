//! Heartbeat: a member is alive, and hears whether its group rebalances.

use std::sync::Arc;

use kafka_protocol::messages::{HeartbeatRequest, HeartbeatResponse};
use kafka_protocol::protocol::VersionRange;

use super::identity;
use crate::embedded::kafka::api::{Answer, Api, Call, refused};
use crate::embedded::kafka::broker::Broker;

/// The API.
pub struct Heartbeat;

impl Api for Heartbeat {
    type Request = HeartbeatRequest;

    const VERSIONS: VersionRange = VersionRange { min: 0, max: 4 };

    async fn answer(broker: &Arc<Broker>, call: &Call, request: HeartbeatRequest) -> Answer<HeartbeatResponse> {
        let member = identity(&request.member_id, request.group_instance_id.as_ref());
        let heard = broker.groups.heartbeat(&request.group_id, request.generation_id, &member);
        HeartbeatResponse::default().with_error_code(call.code_of(heard)).into()
    }

    fn refuse(version: i16) -> Option<(i16, HeartbeatResponse)> {
        refused(version, |code| HeartbeatResponse::default().with_error_code(code))
    }
}
