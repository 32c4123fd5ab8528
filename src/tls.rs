//! Server-side TLS: certificates, protocol versions, client certificates.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ServerSessionMemoryCache, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};

use tokio_rustls::TlsAcceptor;

use crate::config::{ClientCertificates, Tls};
use crate::trust::{self, TrustError};

/// TLS 1.2 sessions that can be resumed by id; 1.3 and ticket-capable clients carry theirs themselves.
const RESUMABLE_SESSIONS: usize = 4096;

/// Longest TLS record that is sent; RFC 8446 §5.1 allows 16 KiB. That is four pages of memory: each record would be copied to nearly the
/// place in its page that it comes from, and there copying takes AMD processors ten times as long (glibc's bug 30994).
const RECORD_BYTES: usize = 15_000;

/// From so many days before the end on, the log is told.
const WARNING_DAYS: i64 = 14;
const SECONDS_OF_DAY: i64 = 24 * 60 * 60;

/// Why the listener has no TLS. The text names the file.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    /// A certificate of the chain is over.
    #[error("{}: holds a certificate that has expired", file.display())]
    Expired {
        /// The file.
        file: PathBuf,
    },
    /// A certificate of the chain is not valid yet.
    #[error("{}: holds a certificate that is not valid yet", file.display())]
    NotYetValid {
        /// The file.
        file: PathBuf,
    },
    /// A file cannot be read.
    #[error("{0}")]
    Digest(TrustError),
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

/// What the listener's TLS files became.
pub(crate) struct ServerTls {
    /// The files and what they held.
    made_of: (Tls, Vec<trust::Digest>),
    pub(crate) acceptor: TlsAcceptor,
    /// When the last certificate of the chain to become valid does.
    begins: Option<i64>,
    /// When the first certificate of the chain ends, in seconds since 1970; `None` when none can be read.
    pub(crate) expires: Option<i64>,
}

impl ServerTls {
    /// The same while the files hold the same: clients go on with the sessions that they have.
    pub(crate) fn like(before: Option<&Arc<Self>>, tls: &Tls) -> Result<Arc<Self>, TlsError> {
        let digests = digests(tls)?;
        let kept = before.filter(|before| before.made_of.0 == *tls && before.made_of.1 == digests);
        kept.map_or_else(|| Self::load(tls, digests).map(Arc::new), |kept| Ok(Arc::clone(kept)))
    }

    fn load(tls: &Tls, digests: Vec<trust::Digest>) -> Result<Self, TlsError> {
        let chain = certificates(&tls.certificate)?;
        let (begins, expires) = validity(&chain);
        let acceptor = TlsAcceptor::from(Arc::new(server_config(tls, chain)?));
        Ok(Self { made_of: (tls.clone(), digests), acceptor, begins, expires })
    }

    /// An error when some certificate of the chain is over, or not valid yet.
    pub(crate) fn refuse_dead(&self, now: SystemTime) -> Result<(), TlsError> {
        let now = seconds(now);
        let file = || self.made_of.0.certificate.clone();
        match (self.begins, self.expires) {
            (_, Some(end)) if end <= now => Err(TlsError::Expired { file: file() }),
            (Some(begin), _) if begin > now => Err(TlsError::NotYetValid { file: file() }),
            _ => Ok(()),
        }
    }

    /// Tells the log when the chain ends soon, or has ended.
    pub(crate) fn warn_of_end(&self, now: SystemTime) {
        let Some(left) = self.expires.map(|end| end - seconds(now)) else { return };
        let (file, days) = (self.made_of.0.certificate.display(), left / SECONDS_OF_DAY);
        if left <= 0 {
            tracing::error!(event = "tls.expired", %file, "the certificate has expired: clients refuse it");
        } else if days < WARNING_DAYS {
            tracing::warn!(event = "tls.expires", %file, days, "the certificate ends soon");
        }
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls").field("expires", &self.expires).finish_non_exhaustive()
    }
}

fn digests(tls: &Tls) -> Result<Vec<trust::Digest>, TlsError> {
    let files = [Some(&tls.certificate), Some(&tls.key), tls.client.as_ref().map(|client| &client.ca)];
    files.into_iter().flatten().map(|file| trust::digest(file).map_err(TlsError::Digest)).collect()
}

/// TLS 1.2 and 1.3 with AEAD suites, ALPN `h2` and `http/1.1`, resumption, no early data.
fn server_config(tls: &Tls, chain: Vec<CertificateDer<'static>>) -> Result<ServerConfig, TlsError> {
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
    let mut config = builder.with_single_cert(chain, key).map_err(unusable)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.session_storage = ServerSessionMemoryCache::new(RESUMABLE_SESSIONS);
    config.ticketer = aws_lc_rs::Ticketer::new().map_err(unusable)?;
    config.max_fragment_size = Some(RECORD_BYTES);
    config.max_early_data_size = 0; // threat O6: early data can be replayed
    Ok(config)
}

/// When the whole chain begins and ends to be valid, in seconds since 1970.
pub(crate) fn validity(chain: &[CertificateDer<'_>]) -> (Option<i64>, Option<i64>) {
    let of_one = |der: &CertificateDer<'_>| {
        let (_, certificate) = x509_parser::parse_x509_certificate(der).ok()?;
        let validity = certificate.validity();
        Some((validity.not_before.timestamp(), validity.not_after.timestamp()))
    };
    let (begins, ends): (Vec<_>, Vec<_>) = chain.iter().filter_map(of_one).unzip();
    (begins.into_iter().max(), ends.into_iter().min())
}

fn seconds(time: SystemTime) -> i64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
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
    fn chain(years: &[i32]) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        for year in years {
            let mut params = rcgen::CertificateParams::new(vec!["mcp.test".into()]).unwrap();
            params.not_after = rcgen::date_time_ymd(*year, 1, 1);
            let certificate = params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
            file.write_all(certificate.pem().as_bytes()).unwrap();
        }
        file
    }

    #[test]
    fn a_chain_ends_with_the_first_of_its_certificates() {
        const JANUARY_2030: i64 = 1_893_456_000;
        for years in [&[2030][..], &[2031, 2030, 2040]] {
            let file = chain(years);
            assert_eq!(validity(&certificates(file.path()).unwrap()).1, Some(JANUARY_2030), "{years:?}");
        }
        assert!(matches!(certificates(chain(&[]).path()), Err(TlsError::Empty { .. })));
        assert_eq!(validity(&[]), (None, None));
    }
}
