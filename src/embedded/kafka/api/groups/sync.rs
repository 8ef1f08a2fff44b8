//! SyncGroup: the leader brings the assignments, everybody gets their own.

use std::sync::Arc;

use bytes::Bytes;
use kafka_protocol::messages::{SyncGroupRequest, SyncGroupResponse};
use kafka_protocol::protocol::VersionRange;

use super::{identity, text};
use crate::embedded::kafka::api::{Answer, Api, Call, refused};
use crate::embedded::kafka::broker::Broker;
use crate::embedded::kafka::groups::Sync;

/// The API.
pub struct SyncGroup;

/// The first version that names the kind of group and the protocol.
const NAMES_PROTOCOL: i16 = 5;

impl Api for SyncGroup {
    type Request = SyncGroupRequest;

    const VERSIONS: VersionRange = VersionRange { min: 0, max: 5 };

    async fn answer(broker: &Arc<Broker>, call: &Call, request: SyncGroupRequest) -> Answer<SyncGroupResponse> {
        let sync = Sync {
            member: identity(&request.member_id, request.group_instance_id.as_ref()),
            group: request.group_id.to_string(),
            generation: request.generation_id,
            protocol_type: request.protocol_type.map(|kind| kind.to_string()),
            protocol: request.protocol_name.map(|name| name.to_string()),
            assignments: (request.assignments.into_iter())
                // Copied, because the group keeps it, and would keep the whole request with it.
                .map(|assigned| (assigned.member_id.to_string(), Bytes::copy_from_slice(&assigned.assignment)))
                .collect(),
        };
        call.let_go_of_request();
        match broker.groups.sync(sync).await {
            Ok(synced) => {
                let names = call.version >= NAMES_PROTOCOL;
                SyncGroupResponse::default()
                    .with_protocol_type(names.then(|| text(synced.protocol_type)))
                    .with_protocol_name(names.then(|| text(synced.protocol)))
                    .with_assignment(synced.assignment)
            }
            Err(error) => SyncGroupResponse::default().with_error_code(call.code(error)),
        }
        .into()
    }

    fn refuse(version: i16) -> Option<(i16, SyncGroupResponse)> {
        refused(version, |code| SyncGroupResponse::default().with_error_code(code))
    }
}
