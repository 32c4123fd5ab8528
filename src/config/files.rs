//! Loads every file that a configuration names, for `portcullis check`: what would fail at start is said beforehand.

use std::path::Path;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{Error as PemError, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::read::line_of;
use super::{Config, ConfigError, Tls};

impl Config {
    /// [`Config::load`], and every named file must be readable and hold what it should. Changes nothing, opens no socket.
    pub fn check(file: &Path) -> Result<Self, Vec<ConfigError>> {
        let text = super::read_text(file)?;
        let config = Self::parse(&text, file)?;
        let error = |(key, message): (String, String)| ConfigError {
            file: file.to_owned(),
            line: line_of(&text, &key),
            key,
            message,
        };
        let mut errors: Vec<_> = mistakes(&config).into_iter().map(error).collect();
        if let Some(list) = &config.revocations {
            errors.extend(super::load_revocations(list, &config.issuers).err().into_iter().flatten());
        }
        if errors.is_empty() { Ok(config) } else { Err(errors) }
    }
}

/// Key and message of every file that is not as it should be.
fn mistakes(config: &Config) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut check = |key: String, result: Result<(), String>| found.extend(result.err().map(|message| (key, message)));
    if let Some(tls) = &config.listen.tls {
        check("listen.tls.certificate".into(), certificates(&tls.certificate).map(drop));
        check("listen.tls.key".into(), key_pair(tls));
        if let Some(client) = &tls.client {
            check("listen.tls.client_ca".into(), authorities(&client.ca));
        }
    }
    for (index, issuer) in config.issuers.iter().enumerate() {
        let result = issuer.ca.as_deref().map_or(Ok(()), authorities);
        check(format!("issuers[{index}].ca"), result);
    }
    for (index, route) in config.routes.iter().enumerate() {
        let result = route.upstream.ca.as_deref().map_or(Ok(()), authorities);
        check(format!("routes[{index}].upstream_ca"), result);
    }
    found
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let found = read.map_err(|why| complaint(file, &why, "certificate"))?;
    if found.is_empty() {
        return Err(format!("{} holds no certificate in PEM form", file.display()));
    }
    Ok(found)
}

fn key_pair(tls: &Tls) -> Result<(), String> {
    let file = tls.key.as_path();
    let key = PrivateKeyDer::from_pem_file(file).map_err(|why| complaint(file, &why, "private key"))?;
    let Ok(chain) = certificates(&tls.certificate) else {
        return Ok(()); // Reported for the certificate.
    };
    let provider: Arc<CryptoProvider> = rustls::crypto::aws_lc_rs::default_provider().into();
    match CertifiedKey::from_der(chain, key, &provider) {
        Ok(_) => Ok(()),
        Err(rustls::Error::InconsistentKeys(_)) => {
            Err(format!("{} is not the key of {}", file.display(), tls.certificate.display()))
        }
        Err(why) => Err(format!("{} and {} cannot be used: {why}", file.display(), tls.certificate.display())),
    }
}

fn authorities(file: &Path) -> Result<(), String> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(file)? {
        let added = roots.add(certificate);
        added.map_err(|why| format!("{} holds a certificate that cannot be trusted: {why}", file.display()))?;
    }
    Ok(())
}

/// Says what is wrong with a PEM file without quoting its content.
fn complaint(file: &Path, why: &PemError, wanted: &str) -> String {
    let file = file.display();
    match why {
        PemError::Io(why) => format!("{file} cannot be read: {why}"),
        PemError::NoItemsFound => format!("{file} holds no {wanted} in PEM form"),
        PemError::MissingSectionEnd { .. } | PemError::IllegalSectionStart { .. } | PemError::Base64Decode(_) | _ => {
            format!("{file} is damaged: no {wanted} can be read from it")
        }
    }
}
