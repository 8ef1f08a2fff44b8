//! What can go wrong between kboard and one broker.

use std::time::Duration;

use kafka_protocol::error::ResponseError;

/// A request that wasn't answered as it should be. Everyone who waits on a connection that breaks gets the same one.
#[derive(Clone, Debug, thiserror::Error)]
pub enum WireError {
    /// No connection could be made.
    #[error("can't connect to {address}: {reason}")]
    Connect {
        /// The broker's address.
        address: String,
        /// Why.
        reason: String,
    },
    /// The two don't trust each other's certificates.
    #[error("TLS with {address}: {reason}")]
    Tls {
        /// The broker's address.
        address: String,
        /// Why not.
        reason: String,
    },
    /// The broker doesn't let this user in.
    #[error("authentication at {address} as {username:?} failed: {reason}")]
    Authentication {
        /// The broker's address.
        address: String,
        /// Who wanted in.
        username: String,
        /// Why not.
        reason: String,
    },
    /// The connection broke.
    #[error("the connection to {address} ended: {reason}")]
    Lost {
        /// The broker's address.
        address: String,
        /// Why.
        reason: String,
    },
    /// No answer came.
    #[error("{address} didn't answer within {waited:?}")]
    TimedOut {
        /// The broker's address.
        address: String,
        /// How long it was waited for.
        waited: Duration,
    },
    /// The broker knows no version of a request that kboard knows.
    #[error("{address} doesn't answer {request} in a version that kboard knows; is it older than Kafka 1.0?")]
    Unsupported {
        /// The broker's address.
        address: String,
        /// The request.
        request: String,
    },
    /// The answer is larger than any should be.
    #[error("an answer of {address} has {bytes} bytes, and more than {limit} are not taken")]
    TooLarge {
        /// The broker's address.
        address: String,
        /// Its size.
        bytes: usize,
        /// What is taken at most.
        limit: usize,
    },
    /// The answer makes no sense.
    #[error("the answer of {address} can't be read: {reason}")]
    Malformed {
        /// The broker's address.
        address: String,
        /// Why not.
        reason: String,
    },
    /// The broker answered with an error.
    #[error("Kafka answers {0}")]
    Refused(ResponseError),
    /// A partition has no leader at the moment.
    #[error("it has no leader; are its brokers up?")]
    NoLeader,
}

impl WireError {
    /// Whether the same may succeed later, perhaps with another broker.
    pub fn is_retriable(&self) -> bool {
        match self {
            Self::Connect { .. } | Self::Lost { .. } | Self::TimedOut { .. } | Self::NoLeader => true,
            Self::Refused(error) => error.is_retriable(),
            Self::Tls { .. }
            | Self::Authentication { .. }
            | Self::Unsupported { .. }
            | Self::TooLarge { .. }
            | Self::Malformed { .. } => false,
        }
    }

    /// The error that a broker's answer has for this code, if it is one.
    pub fn check(code: i16) -> Result<(), Self> {
        ResponseError::try_from_code(code).map_or(Ok(()), |error| Err(Self::Refused(error)))
    }
}
