//! Server-side TLS: certificates, protocol versions, client certificates.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ServerSessionMemoryCache, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};

use crate::config::{ClientCertificates, Tls};

/// TLS 1.2 sessions that can be resumed by id; 1.3 and ticket-capable clients carry theirs themselves.
const RESUMABLE_SESSIONS: usize = 4096;

/// Why the listener has no TLS. The text names the file.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or is no PEM of the kind.
    #[error("{}: {source}", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What the PEM reader says.
        source: pem::Error,
    },
    /// No certificate in a file that should hold some.
    #[error("{}: holds no certificate; accepted is PEM with at least one", file.display())]
    Empty {
        /// The file.
        file: PathBuf,
    },
    /// The pair does not fit, or a certificate is no certificate.
    #[error("{}: {source}", file.display())]
    Unusable {
        /// The file.
        file: PathBuf,
        /// What the TLS library says.
        source: rustls::Error,
    },
    /// Client certificate authorities that cannot serve.
    #[error("{}: {source}", file.display())]
    ClientCa {
        /// The file.
        file: PathBuf,
        /// What the verifier says.
        source: rustls::server::VerifierBuilderError,
    },
}

/// TLS 1.2 and 1.3 with AEAD suites, ALPN `h2` and `http/1.1`, resumption, no early data.
pub fn server_config(tls: &Tls) -> Result<ServerConfig, TlsError> {
    let unusable = |source| TlsError::Unusable { file: tls.certificate.clone(), source };
    let key = PrivateKeyDer::from_pem_file(&tls.key)
        .map_err(|source| TlsError::Unreadable { file: tls.key.clone(), source })?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(unusable)?;
    let builder = match &tls.client {
        None => builder.with_no_client_auth(),
        Some(client) => builder.with_client_cert_verifier(client_verifier(client, provider)?),
    };
    let mut config = builder.with_single_cert(certificates(&tls.certificate)?, key).map_err(unusable)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.session_storage = ServerSessionMemoryCache::new(RESUMABLE_SESSIONS);
    config.ticketer = aws_lc_rs::Ticketer::new().map_err(unusable)?;
    config.max_early_data_size = 0; // threat O6: early data can be replayed
    Ok(config)
}

/// When the first certificate of the chain ends, in seconds since 1970; `None` when none can be read.
pub(crate) fn expires(tls: &Tls) -> Option<i64> {
    let end = |der: &CertificateDer<'_>| {
        x509_parser::parse_x509_certificate(der)
            .ok()
            .map(|(_, certificate)| certificate.validity().not_after.timestamp())
    };
    certificates(&tls.certificate).ok()?.iter().filter_map(end).min()
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let unreadable = |source| TlsError::Unreadable { file: file.to_owned(), source };
    let certificates: Vec<_> = CertificateDer::pem_file_iter(file).and_then(Iterator::collect).map_err(unreadable)?;
    if certificates.is_empty() { Err(TlsError::Empty { file: file.to_owned() }) } else { Ok(certificates) }
}

fn client_verifier(
    client: &ClientCertificates,
    provider: Arc<rustls::crypto::CryptoProvider>,
) -> Result<Arc<dyn rustls::server::danger::ClientCertVerifier>, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(&client.ca)? {
        roots.add(certificate).map_err(|source| TlsError::Unusable { file: client.ca.clone(), source })?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let builder = if client.required { builder } else { builder.allow_unauthenticated() };
    builder.build().map_err(|source| TlsError::ClientCa { file: client.ca.clone(), source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    /// A file with one certificate per year of end.
    fn chain(years: &[i32]) -> (tempfile::NamedTempFile, Tls) {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        for year in years {
            let mut params = rcgen::CertificateParams::new(vec!["mcp.test".into()]).unwrap();
            params.not_after = rcgen::date_time_ymd(*year, 1, 1);
            let certificate = params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
            file.write_all(certificate.pem().as_bytes()).unwrap();
        }
        let path = file.path().to_owned();
        (file, Tls { certificate: path.clone(), key: path, client: None })
    }

    #[test]
    fn a_chain_ends_with_the_first_of_its_certificates() {
        const JANUARY_2030: i64 = 1_893_456_000;
        for years in [&[2030][..], &[2031, 2030, 2040]] {
            let (file, tls) = chain(years);
            assert_eq!(expires(&tls), Some(JANUARY_2030), "{years:?}");
            drop(file);
            assert_eq!(expires(&tls), None, "the file is gone");
        }
        let (_file, tls) = chain(&[]);
        assert_eq!(expires(&tls), None);
    }
}
