//! Listening on a TCP port, for everyone who serves one.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::telemetry::seldom::Seldom;
use neighbour::Neighbour;

mod neighbour;

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 4_096;
/// How long to wait when no connection can be accepted (out of file descriptors).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// That connections can't be accepted.
static CANT_ACCEPT: Seldom = Seldom::new();

/// An address can't be listened on.
#[derive(Debug, thiserror::Error)]
#[error("can't listen on {address}{hint}")]
pub struct BindError {
    address: SocketAddr,
    hint: String,
    #[source]
    source: io::Error,
}

/// Listens on `address`; `flag` is what sets it, for the error.
///
/// # Errors
/// When the address is taken, and then it tells by what, or not this machine's.
pub async fn bind(address: SocketAddr, flag: &str) -> Result<TcpListener, BindError> {
    let source = match listen(address) {
        Ok(listener) => return Ok(listener),
        Err(source) => source,
    };
    let hint = if source.kind() == io::ErrorKind::AddrInUse {
        let neighbour = Neighbour::at(address).await;
        format!("; {neighbour} has this port, pass {flag} with a free one{}", neighbour.or_use_it(address))
    } else {
        String::new()
    };
    Err(BindError { address, hint, source })
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// A connection, and its place among those there may be.
pub struct Accepted {
    /// The connection; small answers leave on it at once.
    pub stream: TcpStream,
    /// Who connected.
    pub peer: SocketAddr,
    /// The place, free again when this is dropped.
    pub place: OwnedSemaphorePermit,
}

/// The next connection, as soon as there is one of `places` for it.
pub async fn accept(listener: &TcpListener, places: &Arc<Semaphore>) -> Accepted {
    #[expect(clippy::expect_used, reason = "nobody closes the semaphore")]
    let place = Arc::clone(places).acquire_owned().await.expect("the semaphore is open");
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                // An improvement only: a socket that refuses it is used as it is.
                let _ = stream.set_nodelay(true);
                return Accepted { stream, peer, place };
            }
            Err(error) => {
                CANT_ACCEPT.warn("can't accept a connection", &error);
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}
