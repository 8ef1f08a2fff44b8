//! InitProducerId: numbers for idempotent producers.

use std::sync::Arc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::{InitProducerIdRequest, InitProducerIdResponse};
use kafka_protocol::protocol::VersionRange;

use super::{Answer, Api, Call, off_thread, refused};
use crate::embedded::kafka::broker::Broker;

/// The API.
pub struct InitProducerId;

/// What stands for a number where there is none.
const NONE: i64 = -1;

impl Api for InitProducerId {
    type Request = InitProducerIdRequest;

    const VERSIONS: VersionRange = VersionRange { min: 0, max: 5 };

    /// Every producer that asks gets a number that nobody had before, with epoch 0; so does one that asks again after
    /// a sequence of its own went wrong, as Kafka answers producers without transactions.
    async fn answer(
        broker: &Arc<Broker>,
        call: &Call,
        request: InitProducerIdRequest,
    ) -> Answer<InitProducerIdResponse> {
        let id = match request.transactional_id {
            Some(_) => Err(ResponseError::TransactionalIdAuthorizationFailed),
            None => off_thread(broker, |broker| broker.producer_ids.next()).await.and_then(|id| id),
        };
        let response = InitProducerIdResponse::default();
        match id {
            Ok(id) => response.with_producer_id(id.into()).with_producer_epoch(0),
            Err(error) => {
                response.with_error_code(call.code(error)).with_producer_id(NONE.into()).with_producer_epoch(-1)
            }
        }
        .into()
    }

    fn refuse(version: i16) -> Option<(i16, InitProducerIdResponse)> {
        refused(version, |code| InitProducerIdResponse::default().with_error_code(code))
    }
}
