//! What a handler says when it can't do what it was asked.

use krafka::KrafkaError;
use krafka::error::ErrorCode;
use warp::http::StatusCode;

use crate::kafka::KafkaError;
use crate::web::body::BodyError;

/// Why something was not done: for people, with the status for programs.
#[derive(Debug)]
pub struct Refusal {
    /// The status.
    pub status: StatusCode,
    /// What is wrong and, where that helps, what to do.
    pub reason: String,
    /// The field at fault, when there is one.
    pub field: Option<&'static str>,
}

impl Refusal {
    /// With this status.
    pub fn new(status: StatusCode, reason: impl Into<String>) -> Self {
        Self { status, reason: reason.into(), field: None }
    }

    /// The request makes no sense.
    pub fn bad_request(reason: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, reason)
    }

    /// A field of the request makes no sense.
    pub fn field(field: &'static str, reason: impl Into<String>) -> Self {
        Self { field: Some(field), ..Self::bad_request(reason) }
    }

    /// What was asked for is not there.
    pub fn not_found(reason: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, reason)
    }

    /// It may not be done.
    pub fn forbidden(reason: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, reason)
    }

    /// It can't be done as things are now.
    pub fn conflict(reason: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, reason)
    }
}

impl From<KafkaError> for Refusal {
    fn from(error: KafkaError) -> Self {
        let status = match &error {
            KafkaError::UnknownTopic { .. } | KafkaError::UnknownGroup { .. } | KafkaError::UnknownPartition { .. } => {
                StatusCode::NOT_FOUND
            }
            KafkaError::InvalidTopic { .. } | KafkaError::NothingCommitted { .. } => StatusCode::BAD_REQUEST,
            KafkaError::Request { source: KrafkaError::Broker { code, .. }, .. } => status_of(*code),
            error if error.is_retriable() => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::BAD_GATEWAY,
        };
        Self::new(status, error.to_string())
    }
}

/// The status for what a broker refused.
fn status_of(code: ErrorCode) -> StatusCode {
    match code {
        ErrorCode::TopicAuthorizationFailed
        | ErrorCode::GroupAuthorizationFailed
        | ErrorCode::ClusterAuthorizationFailed => StatusCode::FORBIDDEN,
        ErrorCode::UnknownTopicOrPartition | ErrorCode::GroupIdNotFound => StatusCode::NOT_FOUND,
        ErrorCode::TopicAlreadyExists | ErrorCode::NonEmptyGroup | ErrorCode::GroupSubscribedToTopic => {
            StatusCode::CONFLICT
        }
        code if code.is_retriable() => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    }
}

impl From<BodyError> for Refusal {
    fn from(error: BodyError) -> Self {
        let status = match error {
            BodyError::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            BodyError::TimedOut => StatusCode::REQUEST_TIMEOUT,
            BodyError::Broken => StatusCode::BAD_REQUEST,
        };
        Self::new(status, error.to_string())
    }
}
