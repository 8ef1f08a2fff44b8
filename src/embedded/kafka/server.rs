//! The listener: accepts connections, and answers the requests of each in their order.
//!
//! A connection that sends what can't be understood is closed, with one line in the log that names peer, API and
//! reason; the others don't notice. Requests of one connection are handled one at a time: what a client sends meanwhile
//! waits in its socket.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use metrics::Gauge;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::embedded::kafka::api::{self, Answer, Malformed};
use crate::embedded::kafka::broker::Broker;
use crate::embedded::kafka::instruments::ServerInstruments;
use crate::listen::{self, Accepted};
use crate::telemetry::seldom::Seldom;
use frames::{FrameError, Frames};

pub mod frames;

/// How long requests in hand may take once the broker is asked to end.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a client may take nothing of its answer.
const STALL_TIMEOUT: Duration = Duration::from_secs(30);

/// That the broker is full.
static FULL: Seldom = Seldom::every(Duration::from_secs(60));

/// Why a connection ended, other than that the client left.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error(transparent)]
    Malformed(#[from] Malformed),
    #[error("{0}")]
    Refused(String),
    #[error("the client takes nothing any more")]
    Stalled,
    #[error(transparent)]
    Write(io::Error),
}

/// Serves `broker` until its [`stopping`](Broker::stopping) is cancelled, then finishes the requests in hand.
pub async fn serve(listener: TcpListener, broker: Arc<Broker>) {
    let places = Arc::new(Semaphore::new(broker.limits.connections));
    let instruments = Arc::new(ServerInstruments::new());
    let (connections, cut) = (TaskTracker::new(), CancellationToken::new());
    while let Some(accepted) = broker.stopping.run_until_cancelled(listen::accept(&listener, &places)).await {
        let Accepted { stream, peer, place } = accepted;
        if places.available_permits() == 0 {
            FULL.warn("the broker has as many connections as it may have", &"more wait until some are closed");
        }
        let (broker, instruments, cut) = (Arc::clone(&broker), Arc::clone(&instruments), cut.clone());
        connections.spawn(async move {
            let place = Place::new(place, &instruments);
            if let Some(Err(ended)) = cut.run_until_cancelled(serve_one(stream, peer, &broker)).await {
                say(peer, &ended, &instruments);
            }
            drop(place);
        });
    }
    drop(listener);
    connections.close();
    if tokio::time::timeout(DRAIN_TIMEOUT, connections.wait()).await.is_err() {
        tracing::warn!("some requests to the broker were cut off");
        cut.cancel();
        connections.wait().await;
    }
}

/// A connection's place among those there may be.
struct Place {
    _permit: OwnedSemaphorePermit,
    connections: Gauge,
}

impl Place {
    fn new(permit: OwnedSemaphorePermit, instruments: &ServerInstruments) -> Self {
        instruments.connections.increment(1.0);
        Self { _permit: permit, connections: instruments.connections.clone() }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.connections.decrement(1.0);
    }
}

/// One line for what the client should not have sent; clients that just leave are no news.
fn say(peer: SocketAddr, ended: &Ended, instruments: &ServerInstruments) {
    let (api, reason) = match ended {
        Ended::Malformed(malformed) => (malformed.api.as_str(), malformed.reason.clone()),
        Ended::Frame(FrameError::Length { .. }) => ("unknown", ended.to_string()),
        Ended::Refused(reason) => return tracing::warn!(%peer, reason, "closed a connection"),
        _ => return tracing::debug!(%peer, reason = %ended, "a connection ended"),
    };
    instruments.malformed.increment(1);
    tracing::warn!(%peer, api, reason, "closed a connection because of a malformed request");
}

async fn serve_one(mut stream: TcpStream, peer: SocketAddr, broker: &Arc<Broker>) -> Result<(), Ended> {
    let (reader, mut writer) = stream.split();
    let mut frames = Frames::new(reader, broker.limits.request_bytes, broker.limits.idle, broker.memory.clone());
    loop {
        // A request of which not everything is here yet is nothing that anybody waits for.
        let Some(frame) = broker.stopping.run_until_cancelled(frames.next()).await else { return Ok(()) };
        let Some((frame, memory)) = frame? else { return Ok(()) };
        let (answer, memory) = api::answer(broker, peer, frame, memory).await?;
        match answer {
            Answer::Send(bytes) => {
                let mut rest = &bytes[..];
                while !rest.is_empty() {
                    let written = tokio::time::timeout(broker.limits.idle.min(STALL_TIMEOUT), writer.write(rest)).await;
                    match written.map_err(|_| Ended::Stalled)?.map_err(Ended::Write)? {
                        0 => return Err(Ended::Stalled),
                        written => rest = &rest[written..],
                    }
                }
            }
            Answer::Nothing => {}
            Answer::Close(reason) => return Err(Ended::Refused(reason)),
        }
        drop(memory);
    }
}
