//! Whom the gateway believes when it is the TLS client: of issuers and of upstreams.

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use ::aws_lc_rs::digest as aws_lc_rs_digest;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject};
use rustls::{ClientConfig, RootCertStore};
use tracing::{debug, warn};

/// Why there is no TLS client. The text names the file.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TrustError {
    /// The file cannot be read, or is no PEM.
    #[error("{}: cannot read certificates: {source}", file.display())]
    Unreadable { file: PathBuf, source: pem::Error },
    /// A PEM file without any certificate would silently add nothing.
    #[error("{}: holds no certificate; accepted is PEM with at least one", file.display())]
    Empty { file: PathBuf },
    /// A certificate that cannot serve as a trust anchor.
    #[error("{}: not a usable trust anchor: {source}", file.display())]
    Unusable { file: PathBuf, source: rustls::Error },
    /// The cryptography library offers no protocol version; a fault of the build.
    #[error("TLS client: {0}")]
    Tls(#[from] rustls::Error),
    /// The HTTP client cannot be built; a fault of the build.
    #[error("HTTP client: {0}")]
    Http(#[from] reqwest::Error),
}

/// A TLS client (1.2 and 1.3) that trusts the system's roots and the certificates in `extra_ca`.
///
/// ALPN is left empty: who uses it knows which protocols it speaks.
pub(crate) fn client_tls(extra_ca: Option<&Path>) -> Result<ClientConfig, TrustError> {
    let mut roots = SYSTEM_ROOTS.clone();
    if let Some(file) = extra_ca {
        add_file(&mut roots, file)?;
    }
    with_roots(roots)
}

/// The same for URLs of one scheme. Where that is plain text it is never used: it trusts nobody, and reads no roots for nothing.
pub(crate) fn client_tls_towards(scheme: Option<&str>, extra_ca: Option<&Path>) -> Result<ClientConfig, TrustError> {
    match (scheme, extra_ca) {
        (Some("http"), None) => with_roots(RootCertStore::empty()),
        _ => client_tls(extra_ca),
    }
}

fn with_roots(roots: RootCertStore) -> Result<ClientConfig, TrustError> {
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}

/// Read once: a bundle of some hundred certificates, the same for every issuer and upstream.
static SYSTEM_ROOTS: LazyLock<RootCertStore> = LazyLock::new(system_roots);

fn system_roots() -> RootCertStore {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (added, ignored) = roots.add_parsable_certificates(found.certs);
    debug!(added, ignored, "system trust roots");
    if roots.is_empty() {
        // A container image made from scratch has none.
        for error in &found.errors {
            warn!(%error, "system trust roots");
        }
        debug!("no system trust roots: using the built-in Mozilla list");
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    roots
}

/// What a file holds, told apart.
pub(crate) type Digest = [u8; 32];

/// Of what the file holds now.
pub(crate) fn digest(file: &Path) -> Result<Digest, TrustError> {
    let unreadable = |why| TrustError::Unreadable { file: file.to_owned(), source: pem::Error::Io(why) };
    let hash = aws_lc_rs_digest::digest(&aws_lc_rs_digest::SHA256, &std::fs::read(file).map_err(unreadable)?);
    Ok(hash.as_ref().try_into().unwrap_or_default())
}

fn add_file(roots: &mut RootCertStore, file: &Path) -> Result<(), TrustError> {
    let unreadable = |source| TrustError::Unreadable { file: file.to_owned(), source };
    let mut added = 0_usize;
    for certificate in CertificateDer::pem_file_iter(file).map_err(unreadable)? {
        let certificate = certificate.map_err(unreadable)?;
        roots.add(certificate).map_err(|source| TrustError::Unusable { file: file.to_owned(), source })?;
        added += 1;
    }
    if added == 0 {
        return Err(TrustError::Empty { file: file.to_owned() });
    }
    Ok(())
}

/// An error with all its causes: the outermost text ends where it becomes interesting ("error sending request").
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| text + ": " + &cause.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn file_with(text: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    }

    #[test]
    fn there_are_always_roots() {
        assert!(!SYSTEM_ROOTS.is_empty());
        assert!(client_tls(None).unwrap().alpn_protocols.is_empty());
    }

    #[test]
    fn a_further_anchor_is_added_to_the_roots() {
        let authority = rcgen::generate_simple_self_signed(vec!["idp.test".into()]).unwrap();
        let file = file_with(&authority.cert.pem());
        let mut roots = SYSTEM_ROOTS.clone();
        add_file(&mut roots, file.path()).unwrap();
        assert_eq!(roots.len(), SYSTEM_ROOTS.len() + 1);
        assert!(client_tls(Some(file.path())).is_ok());
    }

    #[test]
    fn a_file_that_adds_nothing_is_refused_by_name() {
        let empty = file_with("# nothing here\n");
        let error = client_tls(Some(empty.path())).unwrap_err();
        assert!(matches!(error, TrustError::Empty { .. }), "{error}");
        assert!(error.to_string().starts_with(&*empty.path().to_string_lossy()), "{error}");

        let absent = client_tls(Some(Path::new("/nowhere/ca.pem"))).unwrap_err();
        assert!(absent.to_string().starts_with("/nowhere/ca.pem: cannot read"), "{absent}");

        let broken = file_with("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
        let error = client_tls(Some(broken.path())).unwrap_err();
        assert!(matches!(error, TrustError::Unusable { .. }), "{error}");
    }
}
