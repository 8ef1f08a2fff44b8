//! Which program has a port that somebody wants: it is asked.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::reachable;

/// How long one question may take.
const PATIENCE: Duration = Duration::from_millis(300);

/// Understood by a Redis, and by a web server as nonsense that it says so of.
const PING: &[u8] = b"PING\r\n\r\n";
/// ApiVersions, version 0, correlation id 7, no client id, after its length: every Kafka broker answers it.
const API_VERSIONS: &[u8] = &[0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 7, 0xff, 0xff];
/// Where the answer to it repeats the correlation id, behind its own length.
const CORRELATION_ID: (usize, [u8; 4]) = (4, [0, 0, 0, 7]);

/// What listens on a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Neighbour {
    Kafka,
    Redis,
    Web,
    Other,
}

impl Neighbour {
    /// Asks who listens on `address`.
    pub(super) async fn at(address: SocketAddr) -> Self {
        let address = reachable(address);
        // A broker first: it would complain of a PING in its log.
        let (at, id) = CORRELATION_ID;
        let answer = ask(address, API_VERSIONS).await.unwrap_or_default();
        if answer.get(at..).is_some_and(|rest| rest.starts_with(&id)) {
            return Self::Kafka;
        }
        match ask(address, PING).await.as_deref() {
            // An answer, or an error: it may want a password first.
            Some([b'+' | b'-', ..]) => Self::Redis,
            Some([b'H', b'T', b'T', b'P', ..]) => Self::Web,
            _ => Self::Other,
        }
    }

    /// What else to do about it than to listen elsewhere.
    pub(super) fn or_use_it(self, address: SocketAddr) -> String {
        let address = reachable(address);
        match self {
            Self::Kafka => format!(", or use that broker with --kafka {address}"),
            Self::Redis => format!(", or use that Redis with --redis redis://{address}"),
            Self::Web | Self::Other => String::new(),
        }
    }
}

impl fmt::Display for Neighbour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kafka => "a Kafka broker",
            Self::Redis => "a Redis",
            Self::Web => "a web server",
            Self::Other => "another program",
        })
    }
}

/// The beginning of what `address` answers to `question`.
async fn ask(address: SocketAddr, question: &[u8]) -> Option<Vec<u8>> {
    let mut answer = [0; 8];
    let asked = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(question).await?;
        stream.read_exact(&mut answer[..1]).await?;
        let mut length = 1;
        while length < answer.len() {
            match stream.read(&mut answer[length..]).await? {
                0 => break,
                read => length += read,
            }
        }
        std::io::Result::Ok(length)
    };
    let length = tokio::time::timeout(PATIENCE, asked).await.ok()?.ok()?;
    Some(answer[..length].to_vec())
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// Who a program is taken for that gives each question its `answer`.
    async fn neighbour(answer: fn(&[u8]) -> Option<&'static [u8]>) -> Neighbour {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut question = [0; 64];
                let length = stream.read(&mut question).await.unwrap();
                if let Some(answer) = answer(&question[..length]) {
                    stream.write_all(answer).await.unwrap();
                }
            }
        });
        let neighbour = Neighbour::at(address).await;
        server.abort();
        neighbour
    }

    #[tokio::test]
    async fn a_redis_with_and_without_a_password_a_web_server_a_broker_and_whatever_else() {
        assert_eq!(neighbour(|_| Some(b"+PONG\r\n")).await, Neighbour::Redis);
        assert_eq!(neighbour(|_| Some(b"-NOAUTH Authentication required.\r\n")).await, Neighbour::Redis);
        assert_eq!(neighbour(|_| Some(b"HTTP/1.1 400 Bad Request\r\n\r\n")).await, Neighbour::Web);
        assert_eq!(neighbour(|_| Some(b"SSH-2.0-OpenSSH_9.2\r\n")).await, Neighbour::Other);
        assert_eq!(neighbour(|_| None).await, Neighbour::Other);
        let kafka = |question: &[u8]| (question == API_VERSIONS).then_some(&[0, 0, 0, 9, 0, 0, 0, 7, 0, 0][..]);
        assert_eq!(neighbour(kafka).await, Neighbour::Kafka);
    }

    #[tokio::test]
    async fn one_that_says_nothing_is_not_waited_for() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        assert_eq!(Neighbour::at(listener.local_addr().unwrap()).await, Neighbour::Other);
    }
}
