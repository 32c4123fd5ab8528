//! Certificates, made once per process.

use std::sync::{Arc, OnceLock};

use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// An authority and what it has signed.
pub(crate) struct Pki {
    /// The authority, PEM.
    pub(crate) ca: String,
    /// The gateway's certificate, PEM: `mcp.example.com`, `*.example.com`, `other.example.net`, `127.0.0.1`.
    pub(crate) certificate: String,
    /// The gateway's key, PEM.
    pub(crate) key: String,
    /// A client's certificate and key, PEM.
    pub(crate) client: (String, String),
}

/// The authority that gateway and clients trust.
pub(crate) fn pki() -> &'static Pki {
    static PKI: OnceLock<Pki> = OnceLock::new();
    PKI.get_or_init(make)
}

/// An authority that nobody trusts, with the same names.
pub(crate) fn foreign() -> &'static Pki {
    static PKI: OnceLock<Pki> = OnceLock::new();
    PKI.get_or_init(make)
}

fn make() -> Pki {
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_key = KeyPair::generate().unwrap();
    let ca = authority.self_signed(&authority_key).unwrap().pem();
    let authority = Issuer::new(authority, authority_key);
    let sign = |names: &[&str], purpose| {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut leaf = CertificateParams::new(names).unwrap();
        leaf.extended_key_usages = vec![purpose];
        let key = KeyPair::generate().unwrap();
        (leaf.signed_by(&key, &authority).unwrap().pem(), key.serialize_pem())
    };
    let names = ["mcp.example.com", "*.example.com", "other.example.net", "127.0.0.1"];
    let (certificate, key) = sign(&names, ExtendedKeyUsagePurpose::ServerAuth);
    Pki { ca, certificate, key, client: sign(&["client.example.com"], ExtendedKeyUsagePurpose::ClientAuth) }
}

impl Pki {
    /// The authority as the trust of a client.
    pub(crate) fn roots(&self) -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.ca.as_bytes()).unwrap()).unwrap();
        Arc::new(roots)
    }

    /// The client's certificate chain and key.
    pub(crate) fn client_identity(&self) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let chain = CertificateDer::from_pem_slice(self.client.0.as_bytes()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(self.client.1.as_bytes()).unwrap();
        (vec![chain], key)
    }
}
