//! FindCoordinator: which node coordinates a group. It is always this one.
//!
//! There are no transactions and no share groups yet: asked for their coordinators, it refuses.

use std::sync::Arc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::find_coordinator_response::Coordinator;
use kafka_protocol::messages::{FindCoordinatorRequest, FindCoordinatorResponse};
use kafka_protocol::protocol::{StrBytes, VersionRange};

use super::{Answer, Api, Call, refused};
use crate::embedded::kafka::broker::{Broker, NODE_ID};

/// The API.
pub struct FindCoordinator;

/// The first version with several coordinators in an answer.
const SEVERAL: i16 = 4;

impl Api for FindCoordinator {
    type Request = FindCoordinatorRequest;

    const VERSIONS: VersionRange = VersionRange { min: 0, max: 6 };

    async fn answer(
        broker: &Arc<Broker>,
        call: &Call,
        request: FindCoordinatorRequest,
    ) -> Answer<FindCoordinatorResponse> {
        let refused = refusal(request.key_type);
        let error_code = refused.map_or(0, |(error, _)| call.code(error));
        let message = refused.map(|(_, why)| StrBytes::from_static_str(why));
        let (node, port) = if refused.is_some() { (-1, -1) } else { (NODE_ID, i32::from(broker.advertised.port)) };
        let host = if refused.is_some() { String::new() } else { broker.advertised.host.clone() };
        let host = StrBytes::from_string(host);
        let response = FindCoordinatorResponse::default();
        if call.version < SEVERAL {
            return response
                .with_error_code(error_code)
                .with_error_message(message)
                .with_node_id(node.into())
                .with_host(host)
                .with_port(port)
                .into();
        }
        let coordinators = request.coordinator_keys.into_iter().map(|key| {
            Coordinator::default()
                .with_key(key)
                .with_error_code(error_code)
                .with_error_message(message.clone())
                .with_node_id(node.into())
                .with_host(host.clone())
                .with_port(port)
        });
        response.with_coordinators(coordinators.collect()).into()
    }

    fn refuse(version: i16) -> Option<(i16, FindCoordinatorResponse)> {
        refused(version, |code| FindCoordinatorResponse::default().with_error_code(code))
    }
}

/// Why there is no coordinator for keys of this type.
fn refusal(key_type: i8) -> Option<(ResponseError, &'static str)> {
    match key_type {
        0 => None,
        // Producers give up at this; librdkafka asks again for a minute at others, and doesn't say why.
        1 => Some((
            ResponseError::TransactionalIdAuthorizationFailed,
            "this broker has no transactions; producers without a transactional.id work",
        )),
        2 => Some((ResponseError::InvalidRequest, "this broker has no share groups")),
        _ => Some((ResponseError::InvalidRequest, "no coordinator has keys of this type")),
    }
}
