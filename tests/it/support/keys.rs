//! Signing keys, generated once per process, and their public halves as JWKs.

use std::sync::OnceLock;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
    Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PSS_SHA256, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// A key pair with a name.
pub(crate) struct Key {
    /// `kid`.
    pub(crate) id: &'static str,
    /// The algorithm it signs with unless told otherwise.
    pub(crate) algorithm: &'static str,
    pair: Pair,
}

enum Pair {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair, &'static str),
    Ed(Ed25519KeyPair),
}

macro_rules! key {
    ($(#[$doc:meta])* $name:ident, $id:literal, $algorithm:literal, $pair:expr) => {
        $(#[$doc])*
        pub(crate) fn $name() -> &'static Key {
            static KEY: OnceLock<Key> = OnceLock::new();
            KEY.get_or_init(|| Key { id: $id, algorithm: $algorithm, pair: $pair })
        }
    };
}

key! {
    /// The key that signs unless told otherwise.
    rsa, "rsa-1", "RS256", new_rsa()
}
key! {
    /// A second RSA key, which issuers do not publish by themselves.
    other_rsa, "rsa-2", "RS256", new_rsa()
}
key! {
    /// P-256.
    ec, "ec-1", "ES256", new_ec(&ECDSA_P256_SHA256_FIXED_SIGNING, "P-256")
}
key! {
    /// P-384, which issuers do not publish by themselves.
    ec_384, "ec-384", "ES384", new_ec(&ECDSA_P384_SHA384_FIXED_SIGNING, "P-384")
}
key! {
    /// Ed25519.
    ed, "ed-1", "EdDSA", Pair::Ed(Ed25519KeyPair::generate().unwrap())
}

fn new_rsa() -> Pair {
    Pair::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap())
}

fn new_ec(algorithm: &'static EcdsaSigningAlgorithm, curve: &'static str) -> Pair {
    Pair::Ec(EcdsaKeyPair::generate(algorithm).unwrap(), curve)
}

impl Key {
    /// The signature over `message` under `algorithm`, in the form of RFC 7518.
    pub(crate) fn sign(&self, algorithm: &str, message: &[u8]) -> Vec<u8> {
        match &self.pair {
            Pair::Rsa(pair) => {
                let padding: &dyn aws_lc_rs::signature::RsaEncoding = match algorithm {
                    "RS256" => &RSA_PKCS1_SHA256,
                    "RS384" => &RSA_PKCS1_SHA384,
                    "PS256" => &RSA_PSS_SHA256,
                    other => panic!("an RSA key cannot sign {other}"),
                };
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(padding, &SystemRandom::new(), message, &mut signature).unwrap();
                signature
            }
            Pair::Ec(pair, _) => pair.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec(),
            Pair::Ed(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }

    /// The public half, without `alg` and `use`.
    pub(crate) fn jwk(&self) -> Value {
        match &self.pair {
            Pair::Rsa(pair) => {
                let public = pair.public_key();
                let number = |bytes: &[u8]| base64url(bytes);
                let modulus = number(public.modulus().big_endian_without_leading_zero());
                let exponent = number(public.exponent().big_endian_without_leading_zero());
                json!({ "kty": "RSA", "kid": self.id, "n": modulus, "e": exponent })
            }
            Pair::Ec(pair, curve) => {
                let point = &pair.public_key().as_ref()[1..];
                let (x, y) = point.split_at(point.len() / 2);
                json!({ "kty": "EC", "kid": self.id, "crv": curve, "x": base64url(x), "y": base64url(y) })
            }
            Pair::Ed(pair) => {
                let x = base64url(pair.public_key().as_ref());
                json!({ "kty": "OKP", "kid": self.id, "crv": "Ed25519", "x": x })
            }
        }
    }

    /// The public half with some members set.
    pub(crate) fn jwk_with(&self, members: &[(&str, Value)]) -> Value {
        let mut jwk = self.jwk();
        for (name, value) in members {
            jwk[*name] = value.clone();
        }
        jwk
    }

    /// The public half as X.509 `SubjectPublicKeyInfo` or as PKCS #1, as raw bytes.
    pub(crate) fn public_bytes(&self) -> Vec<u8> {
        match &self.pair {
            Pair::Rsa(pair) => pair.public_key().as_ref().to_vec(),
            Pair::Ec(pair, _) => pair.public_key().as_ref().to_vec(),
            Pair::Ed(pair) => pair.public_key().as_ref().to_vec(),
        }
    }
}

/// Base64url without padding.
pub(crate) fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
