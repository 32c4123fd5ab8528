//! Keys, tokens and the route that they are for.

use std::sync::OnceLock;
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
    Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PSS_SHA256, RsaEncoding, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::config::{Algorithm, ClaimPath, ClaimRules, Resource, TenantRule, TokenRules};
use crate::keys::jwks::KeySet;
use crate::names::{Issuer, TenantId};
use crate::token::verify::{Expectations, Unverified};
use crate::token::{Identity, TokenError};

pub(super) const NOW: u64 = 1_800_000_000;
pub(super) const ISSUER: &str = "https://login.example.com";
pub(super) const RESOURCE: &str = "https://mcp.example.com/mcp";

/// A private key and the JWK that its issuer publishes.
pub(super) struct Signer {
    pub(super) jwk: Value,
    pub(super) alg: &'static str,
    key: Private,
}

enum Private {
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
    Rsa(RsaKeyPair),
}

pub(super) fn ec() -> &'static Signer {
    static KEY: OnceLock<Signer> = OnceLock::new();
    KEY.get_or_init(|| new_ec("ES256", "P-256", &ECDSA_P256_SHA256_FIXED_SIGNING))
}

/// Another key under the same `kid`.
pub(super) fn stranger() -> &'static Signer {
    static KEY: OnceLock<Signer> = OnceLock::new();
    KEY.get_or_init(|| new_ec("ES256", "P-256", &ECDSA_P256_SHA256_FIXED_SIGNING))
}

pub(super) fn ec384() -> &'static Signer {
    static KEY: OnceLock<Signer> = OnceLock::new();
    KEY.get_or_init(|| new_ec("ES384", "P-384", &ECDSA_P384_SHA384_FIXED_SIGNING))
}

pub(super) fn ed() -> &'static Signer {
    static KEY: OnceLock<Signer> = OnceLock::new();
    KEY.get_or_init(|| {
        let key = Ed25519KeyPair::generate().unwrap();
        let x = encode(key.public_key());
        Signer {
            jwk: json!({"kty": "OKP", "crv": "Ed25519", "x": x, "kid": "EdDSA"}),
            alg: "EdDSA",
            key: Private::Ed(key),
        }
    })
}

/// Slow to make without optimization: one for all tests.
pub(super) fn rsa() -> &'static Signer {
    static KEY: OnceLock<Signer> = OnceLock::new();
    KEY.get_or_init(|| {
        let key = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        // RFC 8017 A.1.1: two headers, a zero byte, 256 bytes of modulus, then the exponent 65537.
        let n = encode(&key.public_key().as_ref()[9..265]);
        Signer {
            jwk: json!({"kty": "RSA", "n": n, "e": "AQAB", "kid": "RS256", "use": "sig"}),
            alg: "RS256",
            key: Private::Rsa(key),
        }
    })
}

fn new_ec(alg: &'static str, crv: &str, rules: &'static EcdsaSigningAlgorithm) -> Signer {
    let key = EcdsaKeyPair::generate(rules).unwrap();
    let (x, y) = key.public_key().as_ref()[1..].split_at(key.public_key().as_ref().len() / 2);
    let (x, y) = (encode(x), encode(y));
    Signer { jwk: json!({"kty": "EC", "crv": crv, "x": x, "y": y, "kid": alg, "alg": alg}), alg, key: Private::Ec(key) }
}

impl Signer {
    /// Signs as this algorithm demands of this kind of key, whatever the header of the message says.
    pub(super) fn sign(&self, alg: &str, message: &str) -> Vec<u8> {
        let random = SystemRandom::new();
        let message = message.as_bytes();
        match &self.key {
            Private::Ec(key) => key.sign(&random, message).unwrap().as_ref().to_vec(),
            Private::Ed(key) => key.sign(message).as_ref().to_vec(),
            Private::Rsa(key) => {
                let padding: &'static dyn RsaEncoding = match alg {
                    "RS384" => &RSA_PKCS1_SHA384,
                    "PS256" => &RSA_PSS_SHA256,
                    _ => &RSA_PKCS1_SHA256,
                };
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(padding, &random, message, &mut signature).unwrap();
                signature
            }
        }
    }

    /// The header of an honest token.
    pub(super) fn header(&self) -> Value {
        json!({"alg": self.alg, "kid": self.jwk["kid"], "typ": "at+jwt"})
    }

    pub(super) fn token(&self, header: &Value, claims: &Value) -> String {
        self.raw(header.to_string(), claims.to_string())
    }

    /// A good signature over any header and payload.
    pub(super) fn raw(&self, header: impl AsRef<[u8]>, payload: impl AsRef<[u8]>) -> String {
        let message = format!("{}.{}", encode(header), encode(payload));
        let signature = encode(self.sign(self.alg, &message));
        format!("{message}.{signature}")
    }
}

pub(super) fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The claims of a token that every test starts from (RFC 9068 §3).
pub(super) fn claims() -> Value {
    json!({
        "iss": ISSUER, "aud": RESOURCE, "sub": "alice", "client_id": "editor", "jti": "t-1",
        "iat": NOW - 60, "exp": NOW + 600, "scope": "mcp:read mcp:write", "tid": "acme",
    })
}

pub(super) fn paths(names: &[&str]) -> Vec<ClaimPath> {
    names.iter().map(|name| path(name)).collect()
}

pub(super) fn path(name: &str) -> ClaimPath {
    ClaimPath { text: name.to_owned() }
}

/// What the `generic` profile says.
pub(super) fn generic() -> ClaimRules {
    ClaimRules {
        subject: paths(&["sub"]),
        client: paths(&["client_id", "azp"]),
        scopes: paths(&["scope", "scp"]),
        scopes_may_be_array: false,
        tenant: Some(path("tid")),
        require: Vec::new(),
        audience_when_absent: None,
    }
}

/// One route with one issuer: judges tokens as the request path does.
pub(super) struct Judge {
    pub(super) expect: Expectations,
    pub(super) keys: KeySet,
    pub(super) tenant: Option<TenantId>,
    pub(super) now: u64,
}

impl Judge {
    pub(super) fn new() -> Self {
        let rules = TokenRules {
            algorithms: vec![Algorithm::Rs256, Algorithm::Ps256, Algorithm::Es256, Algorithm::EdDsa],
            token_types: ["at+jwt", "jwt", ""].map(str::to_owned).to_vec(),
            leeway: Duration::from_secs(30),
            strict: false,
            client_required: false,
            claims: generic(),
            tenants: Vec::new(),
        };
        Self {
            expect: Expectations {
                issuer: Issuer::parse(ISSUER).unwrap(),
                rules,
                resource: Resource::parse(RESOURCE).unwrap(),
                audiences: Vec::new(),
                tenant: TenantRule::Any,
                claims: Vec::new(),
                facts: Vec::new(),
            },
            keys: keys(&[ec()]),
            tenant: None,
            now: NOW,
        }
    }

    pub(super) fn strict() -> Self {
        let mut judge = Self::new();
        judge.expect.rules.strict = true;
        judge.expect.rules.client_required = true;
        judge.expect.rules.token_types = vec!["at+jwt".to_owned()];
        judge
    }

    /// The verdict of the request path. `examine` must come to the same.
    pub(super) fn judge(&self, token: &str) -> Result<Identity, TokenError> {
        let verdict = self.verdict(token);
        if let Ok(unverified) = Unverified::read(token) {
            let claims = unverified.examine(&self.expect, self.tenant.as_ref(), self.now);
            let signature = unverified.examine_signature(&self.expect, &self.keys);
            let mut faults: Vec<TokenError> = claims.iter().filter_map(|one| one.verdict.err()).collect();
            faults.extend(signature.err());
            assert_eq!(verdict.is_ok(), faults.is_empty(), "{verdict:?}, but {faults:?}");
            assert!(verdict.as_ref().err().is_none_or(|fault| faults.contains(fault)), "{verdict:?}, but {faults:?}");
        }
        verdict
    }

    fn verdict(&self, token: &str) -> Result<Identity, TokenError> {
        let checked = Unverified::read(token)?.check(&self.expect, self.tenant.as_ref(), self.now)?;
        let candidates = self.keys.candidates(checked.key_id(), checked.algorithm());
        checked.verify(&candidates)
    }

    /// The verdict on an honest token with its claims changed.
    pub(super) fn claims(&self, change: impl FnOnce(&mut Value)) -> Result<Identity, TokenError> {
        let mut claims = claims();
        change(&mut claims);
        self.judge(&ec().token(&ec().header(), &claims))
    }

    /// The same with its header changed.
    pub(super) fn header(&self, change: impl FnOnce(&mut Value)) -> Result<Identity, TokenError> {
        let mut header = ec().header();
        change(&mut header);
        self.judge(&ec().token(&header, &claims()))
    }

    /// The verdict when one claim has this value; `Value::Null` is the JSON null, [`Self::without`] removes.
    pub(super) fn with(&self, claim: &str, value: impl Into<Value>) -> Result<Identity, TokenError> {
        let value = value.into();
        self.claims(|claims| claims[claim] = value)
    }

    pub(super) fn without(&self, claim: &str) -> Result<Identity, TokenError> {
        self.claims(|claims| {
            assert!(claims.as_object_mut().unwrap().remove(claim).is_some(), "{claim}");
        })
    }
}

pub(super) fn keys(signers: &[&Signer]) -> KeySet {
    let keys: Vec<&Value> = signers.iter().map(|signer| &signer.jwk).collect();
    set(&json!({ "keys": keys }))
}

/// A set in which every key is usable.
pub(super) fn set(jwks: &Value) -> KeySet {
    let parsed = KeySet::parse(jwks.to_string().as_bytes()).unwrap();
    assert_eq!(parsed.skipped, []);
    parsed.keys
}

/// Asserts the refusal, and says of which token.
#[track_caller]
pub(super) fn refused(verdict: Result<Identity, TokenError>, expected: TokenError, token: impl std::fmt::Debug) {
    assert_eq!(verdict.err(), Some(expected), "{token:?}");
}
