//! What every request begins with, and what its API is told beside it.

use std::net::SocketAddr;
use std::sync::{Mutex, OnceLock, PoisonError};

use bytes::{Buf, Bytes};
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::{ApiKey, RequestHeader};
use kafka_protocol::protocol::StrBytes;

use super::guard;
use crate::embedded::kafka::memory::{Memory, Reserved};
use crate::embedded::kafka::topics::Refused;

/// The part of a request that is the same in all versions of all APIs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The API's number.
    pub key: i16,
    /// The version that the rest is in.
    pub version: i16,
    /// What the answer has to repeat.
    pub correlation_id: i32,
}

/// A request that can't be answered; its connection is closed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{api}: {reason}")]
pub struct Malformed {
    /// The API and the version, as far as they are known.
    pub api: String,
    /// What is wrong.
    pub reason: String,
}

impl Head {
    const LENGTH: usize = 8;

    /// Reads the head of `frame`.
    ///
    /// # Errors
    /// The frame is too short.
    pub fn read(frame: &Bytes) -> Result<Self, Malformed> {
        let Some(mut head) = frame.get(..Self::LENGTH) else {
            let reason = format!("{} bytes are too few for a request", frame.len());
            return Err(Malformed { api: "unknown".to_owned(), reason });
        };
        Ok(Self { key: head.get_i16(), version: head.get_i16(), correlation_id: head.get_i32() })
    }

    /// This request is malformed because of `reason`.
    pub fn malformed(&self, reason: impl Into<String>) -> Malformed {
        let api = ApiKey::try_from(self.key).map_or_else(|()| format!("API {}", self.key), |key| format!("{key:?}"));
        Malformed { api: format!("{api} version {}", self.version), reason: reason.into() }
    }

    /// Takes the whole header off `frame`; what is left is the body. Returns the client's name.
    ///
    /// # Errors
    /// There is no header.
    pub fn take(&self, frame: &mut Bytes, key: ApiKey) -> Result<Option<StrBytes>, Malformed> {
        let header: Result<RequestHeader, _> =
            guard::decode(frame, key.request_header_version(self.version), Self::LENGTH);
        match header {
            Ok(header) => Ok(header.client_id),
            Err(reason) => Err(self.malformed(format!("the header can't be decoded: {reason}"))),
        }
    }
}

/// What an API is told beside the request itself.
pub struct Call {
    /// The version of the request, and so of the answer.
    pub version: i16,
    /// Who connected.
    pub peer: SocketAddr,
    /// What the client calls itself; empty if it doesn't say.
    pub client_id: StrBytes,
    error: OnceLock<ResponseError>,
    memory: Memory,
    request: Mutex<Option<Reserved>>,
    reserved: Mutex<Vec<Reserved>>,
}

impl Call {
    /// A call of `version` by `peer`, whose request takes `request` of `memory`.
    pub fn new(
        version: i16,
        peer: SocketAddr,
        client_id: Option<StrBytes>,
        memory: Memory,
        request: Option<Reserved>,
    ) -> Self {
        Self {
            version,
            peer,
            client_id: client_id.unwrap_or_default(),
            error: OnceLock::new(),
            memory,
            request: Mutex::new(request),
            reserved: Mutex::default(),
        }
    }

    /// The number of `error` for the answer; the first one that is asked for is what the metrics count.
    pub fn code(&self, error: ResponseError) -> i16 {
        self.error.get_or_init(|| error);
        error.code()
    }

    /// The same of how something went: 0 if it went well.
    pub fn code_of(&self, result: Result<(), ResponseError>) -> i16 {
        result.map_or_else(|error| self.code(error), |()| 0)
    }

    /// The number and the sentence for the answer of how something went.
    pub fn outcome_of(&self, result: Result<(), Refused>) -> (i16, Option<StrBytes>) {
        let refused = |refused: Refused| (self.code(refused.error), Some(StrBytes::from_string(refused.message)));
        result.map_or_else(refused, |()| (0, None))
    }

    /// The first error in the answer.
    pub fn error(&self) -> Option<ResponseError> {
        self.error.get().copied()
    }

    /// Gives back the memory that the request takes. To be called before a wait for what others do, by who has taken
    /// out of the request what it needs: a few large ones that wait would otherwise hold up all others.
    pub fn let_go_of_request(&self) {
        self.request.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// Waits until the answer may take `bytes` more, and holds them until it was sent. For large answers only, and not
    /// while it holds some, be it for the request, or two of them could wait for each other.
    pub async fn reserve(&self, bytes: usize) {
        let reserved = self.memory.reserve(bytes).await;
        self.reserved.lock().unwrap_or_else(PoisonError::into_inner).push(reserved);
    }

    /// Gives back all but `bytes` of what is reserved.
    pub fn keep(&self, bytes: usize) {
        let mut reserved = self.reserved.lock().unwrap_or_else(PoisonError::into_inner);
        reserved.iter_mut().for_each(|reserved| reserved.keep(bytes));
        reserved.retain(|reserved| !reserved.is_empty());
    }

    /// What was reserved, for whoever sends the answer.
    pub fn into_reserved(self) -> Vec<Reserved> {
        self.reserved.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}
