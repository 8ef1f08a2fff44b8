//! Request bodies, read within bounds: warp's own `body::bytes` reads without a limit.

use std::task::Poll;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use futures::{Stream, StreamExt};
use warp::http::StatusCode;

/// How long a client may take to send a body.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes of a body that is too large that are read all the same.
const MAX_PASSED_OVER: usize = 8 * 1024 * 1024;

/// Why a body could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// It is larger than allowed.
    #[error("the body is larger than {0} bytes")]
    TooLarge(usize),
    /// It did not come in time.
    #[error("the body did not arrive within {} s", TIMEOUT.as_secs())]
    TimedOut,
    /// The client went away.
    #[error("the body ended early")]
    Broken,
}

impl BodyError {
    /// The status that says so.
    pub fn status(self) -> StatusCode {
        match self {
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TimedOut => StatusCode::REQUEST_TIMEOUT,
            Self::Broken => StatusCode::BAD_REQUEST,
        }
    }
}

/// Reads a whole body of at most `limit` bytes.
///
/// # Errors
/// [`BodyError`].
pub async fn read<S, B>(body: S, limit: usize) -> Result<Bytes, BodyError>
where
    S: Stream<Item = Result<B, warp::Error>>,
    B: Buf,
{
    let mut body = std::pin::pin!(collect(body, limit));
    // A small body came together with its head: no clock needs to be set.
    if let Poll::Ready(result) = futures::poll!(body.as_mut()) {
        return result;
    }
    tokio::time::timeout(TIMEOUT, body).await.unwrap_or(Err(BodyError::TimedOut))
}

/// Reads on without keeping anything: closed while a client still sends, a connection is reset, and the client may never
/// see why.
async fn pass_over<S, B>(mut body: std::pin::Pin<&mut S>)
where
    S: Stream<Item = Result<B, warp::Error>>,
    B: Buf,
{
    let mut passed = 0;
    while passed < MAX_PASSED_OVER
        && let Some(Ok(chunk)) = body.next().await
    {
        passed += chunk.remaining();
    }
}

async fn collect<S, B>(body: S, limit: usize) -> Result<Bytes, BodyError>
where
    S: Stream<Item = Result<B, warp::Error>>,
    B: Buf,
{
    let mut body = std::pin::pin!(body);
    let mut all = BytesMut::new();
    while let Some(chunk) = body.next().await {
        let mut chunk = chunk.map_err(|_| BodyError::Broken)?;
        if all.len() + chunk.remaining() > limit {
            pass_over(body).await;
            return Err(BodyError::TooLarge(limit));
        }
        // A small body comes in one piece, which needs no copy.
        if all.is_empty() {
            let first = chunk.copy_to_bytes(chunk.remaining());
            all = first.try_into_mut().unwrap_or_else(|first| BytesMut::from(&*first));
        } else {
            all.extend_from_slice(&chunk.copy_to_bytes(chunk.remaining()));
        }
    }
    Ok(all.freeze())
}
