//! The demo's certificates: an authority that lives as long as this process, and one certificate by it for loopback.

use std::net::IpAddr;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SanType,
};

/// PEM texts. The authority's key is not among them: nothing else will ever be signed with it.
pub(super) struct Certificates {
    /// What clients are told to trust.
    pub(super) authority: String,
    /// The gateway's own.
    pub(super) certificate: String,
    /// The gateway's key.
    pub(super) key: String,
}

impl Certificates {
    /// New keys and certificates for an address and for `localhost`.
    pub(super) fn generate(address: IpAddr) -> Result<Self, rcgen::Error> {
        let mut authority = CertificateParams::default();
        authority.distinguished_name.push(DnType::CommonName, "Portcullis demo authority");
        authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let authority_key = KeyPair::generate()?;
        let authority_certificate = authority.self_signed(&authority_key)?;

        let mut own = CertificateParams::new(vec!["localhost".to_owned()])?;
        own.subject_alt_names.push(SanType::IpAddress(address));
        own.distinguished_name.push(DnType::CommonName, "Portcullis demo gateway");
        own.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        own.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        // Strict verifiers (Python's since 3.13) want to be told which key signed.
        own.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        let certificate = own.signed_by(&key, &Issuer::new(authority, authority_key))?;
        Ok(Self { authority: authority_certificate.pem(), certificate: certificate.pem(), key: key.serialize_pem() })
    }
}
