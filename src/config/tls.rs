//! From PEM files to a TLS client configuration, for the clients that take one.

use std::path::{Path, PathBuf};

use rustls::ClientConfig;
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::Tls;

/// A certificate or key that can't be used.
#[derive(Debug, thiserror::Error)]
#[error("TLS: {}: {reason}", path.display())]
pub struct TlsError {
    /// The file, or the words "system certificates".
    pub path: PathBuf,
    /// What is wrong with it.
    pub reason: String,
}

/// Makes the configuration that `tls` describes.
///
/// # Errors
/// A file that can't be read, or holds no usable certificate or key.
pub fn client_config(tls: &Tls) -> Result<ClientConfig, TlsError> {
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| failed("protocol versions", error))?
        .with_root_certificates(roots(tls.ca.as_deref())?);
    match &tls.identity {
        None => Ok(builder.with_no_client_auth()),
        Some((cert, key)) => {
            let private_key = PrivateKeyDer::from_pem_file(key).map_err(|error| failed(key, error))?;
            builder.with_client_auth_cert(certificates(cert)?, private_key).map_err(|error| failed(cert, error))
        }
    }
}

fn roots(ca: Option<&Path>) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    match ca {
        Some(path) => {
            for certificate in certificates(path)? {
                roots.add(certificate).map_err(|error| failed(path, error))?;
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if roots.is_empty() {
                return Err(failed("system certificates", "none found; name a file of CA certificates"));
            }
        }
    }
    Ok(roots)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates: Vec<_> =
        CertificateDer::pem_file_iter(path).and_then(Iterator::collect).map_err(|error| failed(path, error))?;
    if certificates.is_empty() {
        return Err(failed(path, "holds no certificate"));
    }
    Ok(certificates)
}

fn failed(path: impl AsRef<Path>, reason: impl ToString) -> TlsError {
    TlsError { path: path.as_ref().to_owned(), reason: reason.to_string() }
}
