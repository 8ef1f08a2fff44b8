//! One connection to one broker.
//!
//! A task of its own writes the requests and reads the answers, which come in the order of the requests. So a caller who
//! goes away leaves nothing half written or half read behind: the answer to it is read and dropped.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{ApiKey, RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes, VersionRange};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{mpsc, oneshot};
use tokio_util::task::AbortOnDropHandle;

use super::WireError;
use crate::kafka::cluster::{CLIENT_ID, MAX_RESPONSE_BYTES};

/// A connection that has been opened: see [`super::handshake`].
#[derive(Debug)]
pub struct Connection {
    address: Arc<str>,
    /// What the broker answers, by API key.
    pub(super) versions: HashMap<i16, VersionRange>,
    /// When the broker wants to be asked for a password again; the connection isn't used that long.
    pub(super) expires: Option<Instant>,
    correlation_id: AtomicI32,
    unanswered: Arc<AtomicUsize>,
    outgoing: mpsc::UnboundedSender<Outgoing>,
    _task: AbortOnDropHandle<()>,
}

/// A request to be written.
#[derive(Debug)]
struct Outgoing {
    frame: Bytes,
    waiting: Waiting,
}

/// Who waits for an answer.
#[derive(Debug)]
struct Waiting {
    correlation_id: i32,
    answer: oneshot::Sender<Result<Bytes, WireError>>,
}

/// An answer to come.
#[derive(Debug)]
pub struct Answer<R> {
    address: Arc<str>,
    version: i16,
    received: oneshot::Receiver<Result<Bytes, WireError>>,
    request: std::marker::PhantomData<fn() -> R>,
}

/// What a connection runs over.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

impl Connection {
    /// A connection over `stream` that knows of no versions yet.
    pub(super) fn over(stream: impl Stream + 'static, address: Arc<str>) -> Self {
        let (outgoing, requests) = mpsc::unbounded_channel();
        let unanswered = Arc::new(AtomicUsize::new(0));
        let task = tokio::spawn(run(stream, Arc::clone(&address), requests, Arc::clone(&unanswered)));
        Self {
            address,
            versions: HashMap::new(),
            expires: None,
            correlation_id: AtomicI32::new(0),
            unanswered,
            outgoing,
            _task: AbortOnDropHandle::new(task),
        }
    }

    /// The broker's address.
    pub fn address(&self) -> &Arc<str> {
        &self.address
    }

    /// Whether it can take a request that will be answered at once.
    pub fn is_free(&self) -> bool {
        let is_fresh = self.expires.is_none_or(|expires| Instant::now() < expires);
        is_fresh && !self.outgoing.is_closed() && self.unanswered.load(Ordering::Relaxed) == 0
    }

    /// The newest version of the request `R` that the broker answers and that is among `known`.
    ///
    /// # Errors
    /// [`WireError::Unsupported`] when there is none.
    pub fn version<R: Request>(&self, known: VersionRange) -> Result<i16, WireError> {
        let common = self.versions.get(&R::KEY).map(|offered| offered.intersect(&known));
        common.filter(|common| !common.is_empty()).map(|common| common.max).ok_or_else(|| {
            let request = ApiKey::try_from(R::KEY).map_or_else(|()| R::KEY.to_string(), |key| format!("{key:?}"));
            WireError::Unsupported { address: self.address.to_string(), request }
        })
    }

    /// Sends a request; the answers to several come in their order. Dropping the answer leaves the connection in order.
    ///
    /// # Errors
    /// When the request can't be written in this version. That the connection is lost is said by the answer.
    pub fn send<R: Request>(&self, version: i16, request: &R) -> Result<Answer<R>, WireError> {
        let correlation_id = self.correlation_id.fetch_add(1, Ordering::Relaxed);
        let frame = frame(correlation_id, version, request).map_err(|error| self.malformed(&error))?;
        let (answer, received) = oneshot::channel();
        self.unanswered.fetch_add(1, Ordering::Relaxed);
        // A connection that is gone drops the sender, which the receiver learns of.
        let _ = self.outgoing.send(Outgoing { frame, waiting: Waiting { correlation_id, answer } });
        Ok(Answer { address: Arc::clone(&self.address), version, received, request: std::marker::PhantomData })
    }

    fn malformed(&self, error: &anyhow::Error) -> WireError {
        WireError::Malformed { address: self.address.to_string(), reason: format!("{error:#}") }
    }
}

impl<R: Request> Answer<R> {
    /// Waits for it, for `patience` at most. After that the connection is of no more use.
    ///
    /// # Errors
    /// When it doesn't come, or can't be read.
    pub async fn receive(self, patience: Duration) -> Result<R::Response, WireError> {
        let version = self.version;
        let address = Arc::clone(&self.address);
        let mut frame = self.receive_bytes(patience).await?;
        let malformed =
            |error: anyhow::Error| WireError::Malformed { address: address.to_string(), reason: format!("{error:#}") };
        ResponseHeader::decode(&mut frame, R::Response::header_version(version)).map_err(malformed)?;
        R::Response::decode(&mut frame, version).map_err(malformed)
    }

    /// The same as it is, with its header.
    pub(super) async fn receive_bytes(self, patience: Duration) -> Result<Bytes, WireError> {
        let address = || self.address.to_string();
        match tokio::time::timeout(patience, self.received).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(WireError::Lost { address: address(), reason: "it was closed".to_owned() }),
            Err(_) => Err(WireError::TimedOut { address: address(), waited: patience }),
        }
    }
}

fn frame<R: Request>(correlation_id: i32, version: i16, request: &R) -> anyhow::Result<Bytes> {
    let header = RequestHeader::default()
        .with_request_api_key(R::KEY)
        .with_request_api_version(version)
        .with_correlation_id(correlation_id)
        .with_client_id(Some(StrBytes::from_static_str(CLIENT_ID)));
    let mut frame = BytesMut::new();
    frame.put_u32(0);
    header.encode(&mut frame, R::header_version(version))?;
    request.encode(&mut frame, version)?;
    let length = u32::try_from(frame.len() - size_of::<u32>())?;
    frame[..size_of::<u32>()].copy_from_slice(&length.to_be_bytes());
    Ok(frame.freeze())
}

/// Writes and reads until the connection is lost, and says so to all who wait.
async fn run(
    stream: impl Stream,
    address: Arc<str>,
    mut requests: mpsc::UnboundedReceiver<Outgoing>,
    unanswered: Arc<AtomicUsize>,
) {
    let (mut from, mut to) = tokio::io::split(stream);
    let (asked, mut waiting) = mpsc::unbounded_channel::<Waiting>();
    let lost = |reason: String| WireError::Lost { address: address.to_string(), reason };
    let writing = async {
        while let Some(Outgoing { frame, waiting }) = requests.recv().await {
            // Before the request is out, so that the answer finds it.
            let _ = asked.send(waiting);
            to.write_all(&frame).await.map_err(|error| lost(error.to_string()))?;
            to.flush().await.map_err(|error| lost(error.to_string()))?;
        }
        // Nobody can ask any more: the task is about to be ended.
        std::future::pending::<Result<(), WireError>>().await
    };
    let reading = async {
        loop {
            let frame = read_frame(&mut from, &address).await?;
            let malformed = |reason: &str| WireError::Malformed { address: address.to_string(), reason: reason.into() };
            let correlation_id = frame.first_chunk().map(|id| i32::from_be_bytes(*id));
            let first = waiting.try_recv().map_err(|_| malformed("nobody asked for it"))?;
            unanswered.fetch_sub(1, Ordering::Relaxed);
            if correlation_id != Some(first.correlation_id) {
                let error = malformed("it answers another request");
                let _ = first.answer.send(Err(error.clone()));
                return Err::<(), _>(error);
            }
            let _ = first.answer.send(Ok(frame));
        }
    };
    let ended = tokio::select! { ended = writing => ended, ended = reading => ended };
    let Err(error) = ended else { return };
    tracing::debug!(%error, "a connection to Kafka ended");
    requests.close();
    drop(asked);
    while let Some(waiting) = waiting.recv().await {
        let _ = waiting.answer.send(Err(error.clone()));
    }
    while let Some(outgoing) = requests.recv().await {
        let _ = outgoing.waiting.answer.send(Err(error.clone()));
    }
}

async fn read_frame(from: &mut (impl AsyncRead + Unpin), address: &str) -> Result<Bytes, WireError> {
    let lost = |error: std::io::Error| WireError::Lost { address: address.to_owned(), reason: error.to_string() };
    let length = from.read_u32().await.map_err(lost)? as usize;
    if length > MAX_RESPONSE_BYTES {
        return Err(WireError::TooLarge { address: address.to_owned(), bytes: length, limit: MAX_RESPONSE_BYTES });
    }
    let mut frame = BytesMut::with_capacity(length);
    let mut rest = from.take(length as u64);
    while frame.len() < length {
        if rest.read_buf(&mut frame).await.map_err(lost)? == 0 {
            return Err(lost(std::io::ErrorKind::UnexpectedEof.into()));
        }
    }
    Ok(frame.freeze())
}
