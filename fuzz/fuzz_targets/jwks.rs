//! Key sets of strangers: bounded, and no key that must not verify.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis::config::Algorithm;
use portcullis::keys::jwks::KeySet;

fuzz_target!(|data: &[u8]| {
    portcullis::install_crypto();
    let Ok(parsed) = KeySet::parse(data) else { return };
    let document: serde_json::Value = serde_json::from_slice(data).unwrap();
    let written = document["keys"].as_array().unwrap();
    assert_eq!(parsed.keys.len() + parsed.skipped.len(), written.len());
    assert!(parsed.keys.len() <= 100);
    for key in parsed.keys.iter() {
        assert!(!key.algorithms().is_empty() && key.kid().is_none_or(|kid| kid.len() <= 256));
        assert!(parsed.keys.contains(key.fingerprint()));
        for (_, algorithm) in Algorithm::NAMED {
            assert_eq!(key.fits(*algorithm), key.algorithms().contains(algorithm));
            assert!(!key.verify(*algorithm, b"message", &[0; 64]));
            assert!(parsed.keys.candidates(key.kid(), *algorithm).len() <= 4);
        }
    }
    let secret = written.iter().filter(|key| key.get("d").is_some() || key["kty"] == "oct").count();
    assert!(parsed.skipped.len() >= secret, "a private or symmetric key is in use");
});
