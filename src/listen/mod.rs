//! Listening on a TCP port, for everyone who serves one.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::telemetry::seldom::Seldom;
use neighbour::Neighbour;

mod neighbour;

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 4_096;
/// How long to wait when no connection can be accepted (out of file descriptors).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How long the port of a process that was killed a moment ago may stay taken.
const DYING: Duration = Duration::from_secs(1);
/// How often it is looked whether it still is.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

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
    let deadline = Instant::now() + DYING;
    loop {
        let source = match listen(address) {
            Ok(listener) => return Ok(listener),
            Err(source) => source,
        };
        if source.kind() != io::ErrorKind::AddrInUse {
            return Err(BindError { address, hint: String::new(), source });
        }
        let neighbour = Neighbour::at(address).await;
        if neighbour != Neighbour::Other || Instant::now() >= deadline {
            let hint =
                format!("; {neighbour} has this port, pass {flag} with a free one{}", neighbour.or_use_it(address));
            return Err(BindError { address, hint, source });
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Where to connect to what listens on `address`: every address of this machine is reached on its loopback.
pub fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        let loopback = if address.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() };
        address.set_ip(loopback);
    }
    address
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_listens_everywhere_is_reached_on_loopback() {
        let reached = |address: &str| reachable(address.parse().unwrap()).to_string();
        assert_eq!(reached("0.0.0.0:9092"), "127.0.0.1:9092");
        assert_eq!(reached("[::]:9092"), "[::1]:9092");
        assert_eq!(reached("10.0.0.7:9092"), "10.0.0.7:9092");
    }

    #[tokio::test]
    async fn a_taken_port_is_an_error_with_the_port_and_the_flag() {
        let taken = bind("127.0.0.1:0".parse().unwrap(), "--listen").await.unwrap();
        let address = taken.local_addr().unwrap();
        let said = bind(address, "--listen").await.unwrap_err().to_string();
        assert_eq!(
            said,
            format!("can't listen on {address}; another program has this port, pass --listen with a free one")
        );
    }
}
