//! From an address to a connection that can be used: TCP, TLS, what the broker can, who we are.

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes};
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::{
    ApiVersionsRequest, ApiVersionsResponse, ResponseHeader, SaslAuthenticateRequest, SaslAuthenticateResponse,
    SaslHandshakeRequest,
};
use kafka_protocol::protocol::{Decodable, StrBytes, VersionRange};
use rsasl::prelude::{Mechname, SASLClient, SASLConfig};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::WireError;
use super::connection::Connection;
use crate::config::{Sasl, SaslMechanism};
use crate::kafka::cluster::CLIENT_ID;

/// How long it may take to connect, and each step after that.
const PATIENCE: Duration = Duration::from_secs(3);
/// Versions of ApiVersions with and without the client's name; brokers before 2.4 know the latter only.
const API_VERSIONS: [i16; 2] = [3, 0];
/// Tokens in requests of their own.
const SASL_HANDSHAKE: VersionRange = VersionRange { min: 1, max: 1 };
const SASL_AUTHENTICATE: VersionRange = VersionRange { min: 0, max: 2 };

/// Opens a connection to `address`, `host:port`.
pub async fn open(
    address: Arc<str>,
    tls: Option<Arc<ClientConfig>>,
    sasl: Option<&Sasl>,
) -> Result<Connection, WireError> {
    let failed = |reason: String| WireError::Connect { address: address.to_string(), reason };
    let connect = tokio::time::timeout(PATIENCE, TcpStream::connect(&*address)).await;
    let stream = connect
        .map_err(|_| failed(format!("no answer within {PATIENCE:?}")))?
        .map_err(|error| failed(error.to_string()))?;
    stream.set_nodelay(true).map_err(|error| failed(error.to_string()))?;
    let mut connection = match tls {
        None => Connection::over(stream, Arc::clone(&address)),
        Some(config) => {
            let host = address.rsplit_once(':').map_or(&*address, |(host, _)| host);
            let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
            let name = ServerName::try_from(host).map_err(|error| failed(error.to_string()))?;
            let secured = tokio::time::timeout(PATIENCE, TlsConnector::from(config).connect(name, stream)).await;
            let secured = secured
                .map_err(|_| failed(format!("no TLS within {PATIENCE:?}; is it a TLS port?")))?
                .map_err(|error| untrusted(&address, &error))?;
            Connection::over(secured, Arc::clone(&address))
        }
    };
    learn_versions(&mut connection).await?;
    if let Some(sasl) = sasl {
        connection.expires = log_in(&connection, sasl).await?;
    }
    Ok(connection)
}

fn untrusted(address: &str, error: &io::Error) -> WireError {
    let (address, reason) = (address.to_owned(), error.to_string());
    // What the library says of certificates and versions; the rest is about the connection.
    match error.kind() {
        ErrorKind::InvalidData => WireError::Tls { address, reason },
        _ => WireError::Connect { address, reason: format!("TLS: {reason}") },
    }
}

async fn learn_versions(connection: &mut Connection) -> Result<(), WireError> {
    let malformed =
        |error| WireError::Malformed { address: connection.address().to_string(), reason: format!("{error:#}") };
    let mut response = ApiVersionsResponse::default();
    for version in API_VERSIONS {
        let mut request = ApiVersionsRequest::default();
        if version >= 3 {
            request = request
                .with_client_software_name(StrBytes::from_static_str(CLIENT_ID))
                .with_client_software_version(StrBytes::from_static_str(env!("CARGO_PKG_VERSION")));
        }
        let mut frame = connection.send(version, &request)?.receive_bytes(PATIENCE).await?;
        ResponseHeader::decode(&mut frame, 0).map_err(malformed)?;
        // That it doesn't know the version is said in the format of the oldest.
        if version > 0 && frame.clone().try_get_i16().ok() == Some(ResponseError::UnsupportedVersion.code()) {
            continue;
        }
        response = ApiVersionsResponse::decode(&mut frame, version).map_err(malformed)?;
        break;
    }
    WireError::check(response.error_code)?;
    let range = |api: &kafka_protocol::messages::api_versions_response::ApiVersion| {
        (api.api_key, VersionRange { min: api.min_version, max: api.max_version })
    };
    connection.versions = response.api_keys.iter().map(range).collect();
    Ok(())
}

/// Proves who we are. Returns when that is no longer believed, if ever.
async fn log_in(connection: &Connection, sasl: &Sasl) -> Result<Option<Instant>, WireError> {
    let failed = |reason: String| WireError::Authentication {
        address: connection.address().to_string(),
        username: sasl.username.clone(),
        reason,
    };
    let mechanism = match sasl.mechanism {
        SaslMechanism::Plain => "PLAIN",
        SaslMechanism::ScramSha256 => "SCRAM-SHA-256",
        SaslMechanism::ScramSha512 => "SCRAM-SHA-512",
    };
    let request = SaslHandshakeRequest::default().with_mechanism(StrBytes::from_static_str(mechanism));
    let version = connection.version::<SaslHandshakeRequest>(SASL_HANDSHAKE)?;
    let offered = connection.send(version, &request)?.receive(PATIENCE).await?;
    if offered.error_code != 0 {
        let names: Vec<_> = offered.mechanisms.iter().map(|name| name.as_str()).collect();
        return Err(failed(format!("the broker doesn't know {mechanism}, but {}", names.join(", "))));
    }
    let config = SASLConfig::with_credentials(None, sasl.username.clone(), sasl.password.clone());
    let config = config.map_err(|error| failed(error.to_string()))?;
    let name = Mechname::parse(mechanism.as_bytes()).map_err(|error| failed(error.to_string()))?;
    let mut session = SASLClient::new(config).start_suggested(&[name]).map_err(|error| failed(error.to_string()))?;
    let mut challenge: Option<Bytes> = None;
    let mut lifetime = 0;
    loop {
        let mut token = Vec::new();
        let state = session.step(challenge.as_deref(), &mut token).map_err(|error| failed(sasl_reason(&error)))?;
        if state.has_sent_message() {
            let answer = authenticate(connection, token).await?;
            if answer.error_code != 0 {
                let reason = answer.error_message.map_or_else(String::new, |message| message.to_string());
                return Err(failed(reason));
            }
            lifetime = answer.session_lifetime_ms;
            challenge = Some(answer.auth_bytes);
        }
        if state.is_finished() {
            break;
        }
    }
    let lifetime = u64::try_from(lifetime).ok().filter(|lifetime| *lifetime > 0);
    Ok(lifetime.map(|lifetime| Instant::now() + Duration::from_millis(lifetime).mul_f64(0.8)))
}

/// What failed in a step; the library's own text says that of the whole session.
fn sasl_reason(error: &rsasl::prelude::SessionError) -> String {
    format!("the broker's answer is not that of one who knows the password: {error}")
}

async fn authenticate(connection: &Connection, token: Vec<u8>) -> Result<SaslAuthenticateResponse, WireError> {
    let version = connection.version::<SaslAuthenticateRequest>(SASL_AUTHENTICATE)?;
    let request = SaslAuthenticateRequest::default().with_auth_bytes(token.into());
    connection.send(version, &request)?.receive(PATIENCE).await
}
