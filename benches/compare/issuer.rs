//! The issuer: its keys, its key set, good tokens and every kind of bad ones.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::scene::Scene;

/// Of each algorithm: fewer than the gateway remembers.
const TOKENS: usize = 10_000;
/// Of a token, in seconds: longer than a run.
const LIFE: u64 = 36_000;

pub(crate) struct Issuer {
    pub(crate) url: String,
    rsa: RsaKeyPair,
    ec: EcdsaKeyPair,
    ed: Ed25519KeyPair,
    /// In no key set.
    foreign: RsaKeyPair,
}

/// Good ones are each of another caller.
pub(crate) struct Tokens {
    pub(crate) rs256: Vec<String>,
    pub(crate) es256: Vec<String>,
    pub(crate) eddsa: Vec<String>,
    pub(crate) expired: String,
    /// Says another subject than was signed. That of another key could be a number beyond this key's modulus, which is refused at no cost.
    pub(crate) forged: String,
    pub(crate) foreign_audience: String,
    pub(crate) foreign_issuer: String,
    pub(crate) unknown_key: String,
    pub(crate) malformed: String,
}

impl Issuer {
    pub(crate) fn at(port: u16) -> Self {
        let new_rsa = || RsaKeyPair::generate(KeySize::Rsa2048).expect("a key");
        Self {
            url: format!("http://127.0.0.1:{port}"),
            rsa: new_rsa(),
            ec: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key"),
            ed: Ed25519KeyPair::generate().expect("a key"),
            foreign: new_rsa(),
        }
    }

    /// JWK set.
    pub(crate) fn key_set(&self) -> String {
        let text = |bytes: Option<&[u8]>| URL_SAFE_NO_PAD.encode(bytes.expect("long enough"));
        let (rsa, ec) = (self.rsa.public_key().as_ref(), self.ec.public_key().as_ref());
        json!({"keys": [
            // RFC 8017 A.1.1: two headers, a zero byte, 256 bytes of modulus, then the exponent 65537.
            {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "rsa", "n": text(rsa.get(9..265)), "e": "AQAB"},
            // SEC 1 2.3.3: a byte for "uncompressed", then both coordinates.
            {"kty": "EC", "use": "sig", "alg": "ES256", "kid": "ec", "crv": "P-256", "x": text(ec.get(1..33)), "y": text(ec.get(33..65))},
            {"kty": "OKP", "use": "sig", "alg": "EdDSA", "kid": "ed", "crv": "Ed25519", "x": text(Some(self.ed.public_key().as_ref()))},
        ]})
        .to_string()
    }

    /// For gateways that read no JWK sets: the RSA key and the elliptic one.
    pub(crate) fn public_pems(&self) -> [String; 2] {
        let rsa: PublicKeyX509Der<'_> = self.rsa.public_key().as_der().expect("a key");
        let ec: PublicKeyX509Der<'_> = self.ec.public_key().as_der().expect("a key");
        [pem(rsa.as_ref()), pem(ec.as_ref())]
    }

    pub(crate) fn mint(&self) -> Tokens {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_secs();
        let one = self.claims(0, now + LIFE);
        let but = |name: &str, value: &str| {
            let mut claims = one.clone();
            claims.as_object_mut().expect("an object").insert(name.to_owned(), value.into());
            claims
        };
        let all = |sign: fn(&Self, &Value) -> String| {
            (0..TOKENS).map(|number| sign(self, &self.claims(number, now + LIFE))).collect::<Vec<_>>()
        };
        Tokens {
            rs256: all(|issuer, claims| Self::rs256("rsa", &issuer.rsa, claims)),
            es256: all(Self::es256),
            eddsa: all(Self::eddsa),
            expired: Self::rs256("rsa", &self.rsa, &self.claims(0, now - LIFE)),
            forged: with_signature_of(
                &Self::rs256("rsa", &self.rsa, &but("sub", "somebody-else")),
                &Self::rs256("rsa", &self.rsa, &one),
            ),
            foreign_audience: Self::rs256("rsa", &self.rsa, &but("aud", "https://other.example.com/mcp")),
            foreign_issuer: Self::rs256("rsa", &self.rsa, &but("iss", "https://other.example.com")),
            unknown_key: Self::rs256("foreign", &self.foreign, &one),
            malformed: "not-a-token".repeat(60),
        }
    }

    fn claims(&self, number: usize, exp: u64) -> Value {
        json!({
            "iss": self.url, "aud": Scene::resource(), "sub": format!("user-{number}"), "client_id": "bench",
            "scope": "mcp:tools mcp:read", "tenant": "acme", "jti": format!("id-{number}"), "iat": exp - LIFE - 60, "exp": exp,
        })
    }

    fn rs256(kid: &str, signer: &RsaKeyPair, claims: &Value) -> String {
        token("RS256", kid, claims, |message| {
            let mut signature = vec![0; signer.public_modulus_len()];
            signer.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature).expect("signed");
            signature
        })
    }

    fn es256(&self, claims: &Value) -> String {
        let sign = |message: &[u8]| self.ec.sign(&SystemRandom::new(), message).expect("signed").as_ref().to_vec();
        token("ES256", "ec", claims, sign)
    }

    fn eddsa(&self, claims: &Value) -> String {
        token("EdDSA", "ed", claims, |message| self.ed.sign(message).as_ref().to_vec())
    }
}

fn token(algorithm: &str, kid: &str, claims: &Value, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let header = json!({"alg": algorithm, "typ": "at+jwt", "kid": kid});
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", part(&header), part(claims));
    let signature = URL_SAFE_NO_PAD.encode(sign(message.as_bytes()));
    format!("{message}.{signature}")
}

fn with_signature_of(token: &str, other: &str) -> String {
    let halves = |token: &str| {
        token.rsplit_once('.').map(|(message, signature)| [message, signature].map(str::to_owned)).expect("three parts")
    };
    let ([message, _], [_, signature]) = (halves(token), halves(other));
    format!("{message}.{signature}")
}

fn pem(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).expect("ASCII")).collect();
    format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"))
}
