//! Who signs the gateway's certificates: as often as one is wanted.

use std::fs;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::RootCertStore;

use crate::attacker::HOST;

/// The authority that all clients trust.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) roots: Arc<RootCertStore>,
}

pub(crate) fn authority() -> &'static Authority {
    static AUTHORITY: OnceLock<Authority> = OnceLock::new();
    AUTHORITY.get_or_init(|| {
        let mut parameters = CertificateParams::new(Vec::new()).unwrap();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(parameters.self_signed(&key).unwrap().der().clone()).unwrap();
        Authority { issuer: Issuer::new(parameters, key), roots: Arc::new(roots) }
    })
}

impl Authority {
    /// A new certificate and its key, in place of those that are there.
    pub(crate) fn certify(&self, folder: &Path) {
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(vec![HOST.to_owned()]).unwrap();
        let certificate = leaf.signed_by(&key, &self.issuer).unwrap().pem();
        replace(&folder.join("tls.key"), &key.serialize_pem());
        replace(&folder.join("tls.crt"), &certificate);
    }
}

/// Whoever reads finds the old text or the new one, never a part.
pub(crate) fn replace(file: &Path, text: &str) {
    let beside = file.with_extension("new");
    fs::write(&beside, text).unwrap();
    fs::rename(beside, file).unwrap();
}
