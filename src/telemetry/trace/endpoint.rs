//! Where spans go: one connection over which requests of OTLP/HTTP are made, one after the other.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{CONTENT_TYPE, HOST, HeaderMap, RETRY_AFTER, USER_AGENT};
use hyper::http::response::Parts;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use url::Url;

use crate::config::Tls;
use crate::config::tls::{self, TlsError};

/// How long a request may take, the connection included.
const TIMEOUT: Duration = Duration::from_secs(5);
/// An answer at most, in bytes.
const LARGEST_ANSWER: usize = 64 * 1024;
/// Where an endpoint takes traces, as OTLP has it.
const PATH: &str = "v1/traces";

/// Why spans were not taken.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// It can't be reached, or the connection was lost.
    #[error("can't reach {endpoint}: {reason}")]
    Away {
        /// The address.
        endpoint: String,
        /// Why.
        reason: String,
    },
    /// It answered with another status than that of success.
    #[error("{endpoint} answered {status}")]
    Refused {
        /// The address.
        endpoint: String,
        /// What it answered.
        status: StatusCode,
        /// The pause that it asks for.
        retry_after: Option<Duration>,
    },
}

impl SendError {
    /// Whether the same request may be taken later, as OTLP has it.
    pub fn is_retriable(&self) -> bool {
        match self {
            Self::Away { .. } => true,
            Self::Refused { status, .. } => matches!(status.as_u16(), 429 | 502 | 503 | 504),
        }
    }

    /// The pause that the endpoint asks for before it is spoken to again.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Away { .. } => None,
            Self::Refused { retry_after, .. } => *retry_after,
        }
    }
}

/// An endpoint.
pub struct Endpoint {
    url: Url,
    /// As the header `Host` has it.
    authority: String,
    /// How to speak TLS, if that is asked for.
    tls: Option<TlsConnector>,
    connection: Option<SendRequest<Full<Bytes>>>,
}

impl Endpoint {
    /// The endpoint at `base`, or at the path below it where OTLP has traces; it is not connected yet.
    ///
    /// # Errors
    /// When there are no certificates to check its own.
    pub fn new(base: &Url) -> Result<Self, TlsError> {
        let mut url = base.clone();
        if !base.path().trim_end_matches('/').ends_with(PATH) {
            url.set_path(&format!("{}/{PATH}", base.path().trim_end_matches('/')));
        }
        let tls = match url.scheme() {
            "https" => Some(TlsConnector::from(Arc::new(tls::client_config(&Tls::default())?))),
            _ => None,
        };
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        let authority = format!("{}{port}", url.host_str().unwrap_or_default());
        Ok(Self { url, authority, tls, connection: None })
    }

    /// Its address.
    pub fn address(&self) -> String {
        self.url.to_string()
    }

    /// Makes a request of `body` and waits for the answer.
    ///
    /// # Errors
    /// When it was not taken.
    pub async fn send(&mut self, body: Bytes) -> Result<Bytes, SendError> {
        let sent = tokio::time::timeout(TIMEOUT, self.try_send(body)).await;
        let (head, answer) = match sent {
            Ok(Ok(answered)) => answered,
            Ok(Err(error)) => return Err(self.away(&format!("{error:#}"))),
            Err(_) => return Err(self.away(&format!("no answer within {} s", TIMEOUT.as_secs()))),
        };
        match head.status {
            status if status.is_success() => Ok(answer),
            status => Err(SendError::Refused { endpoint: self.address(), status, retry_after: pause(&head.headers) }),
        }
    }

    fn away(&self, reason: &str) -> SendError {
        SendError::Away { endpoint: self.address(), reason: reason.to_owned() }
    }

    /// The connection is kept only if all went well.
    async fn try_send(&mut self, body: Bytes) -> anyhow::Result<(Parts, Bytes)> {
        let mut connection = match self.connection.take().filter(|connection| !connection.is_closed()) {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        let request = Request::post(self.url.path())
            .header(HOST, self.authority.as_str())
            .header(CONTENT_TYPE, "application/x-protobuf")
            .header(USER_AGENT, concat!("kboard/", env!("CARGO_PKG_VERSION")))
            .body(Full::new(body))?;
        connection.ready().await?;
        let (head, body) = connection.send_request(request).await?.into_parts();
        let answer = Limited::new(body, LARGEST_ANSWER).collect().await.map_err(anyhow::Error::from_boxed)?;
        self.connection = Some(connection);
        Ok((head, answer.to_bytes()))
    }

    async fn connect(&self) -> anyhow::Result<SendRequest<Full<Bytes>>> {
        let host = self.url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        let stream = TcpStream::connect((host, self.url.port_or_known_default().unwrap_or(80))).await?;
        stream.set_nodelay(true)?;
        match &self.tls {
            None => handshake(stream).await,
            Some(tls) => handshake(tls.connect(ServerName::try_from(host.to_owned())?, stream).await?).await,
        }
    }
}

/// The pause that an answer asks for in seconds; a date is left to our own pauses.
fn pause(headers: &HeaderMap) -> Option<Duration> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok().map(Duration::from_secs)
}

async fn handshake(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
) -> anyhow::Result<SendRequest<Full<Bytes>>> {
    let (requests, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(async move {
        // Who made a request hears of it.
        let _ = connection.await;
    });
    Ok(requests)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traces_go_below_the_address_unless_it_says_so_itself() {
        for (base, address) in [
            ("http://localhost:4318", "http://localhost:4318/v1/traces"),
            ("http://localhost:4318/", "http://localhost:4318/v1/traces"),
            ("http://host/otlp/", "http://host/otlp/v1/traces"),
            ("http://host/api/v1/traces", "http://host/api/v1/traces"),
        ] {
            assert_eq!(Endpoint::new(&base.parse().unwrap()).unwrap().address(), address);
        }
    }

    #[test]
    fn what_may_pass_is_tried_again() {
        let refused = |status| SendError::Refused { endpoint: String::new(), status, retry_after: None };
        let retried = [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE].map(refused);
        assert!(retried.iter().all(SendError::is_retriable));
        let given_up = [StatusCode::BAD_REQUEST, StatusCode::INTERNAL_SERVER_ERROR].map(refused);
        assert!(!given_up.iter().any(SendError::is_retriable));
    }

    #[test]
    fn a_pause_is_asked_for_in_seconds() {
        let asked = |text: &'static str| pause(&HeaderMap::from_iter([(RETRY_AFTER, text.parse().unwrap())]));
        assert_eq!(asked("7"), Some(Duration::from_secs(7)));
        assert_eq!((asked("Sun, 29 Nov 2026 12:00:00 GMT"), pause(&HeaderMap::new())), (None, None));
    }
}
