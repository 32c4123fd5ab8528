//! Makes access tokens, good ones and every kind of bad ones.

use std::fmt;
use std::time::{Duration, SystemTime};

use serde_json::{Map, Value, json};

use super::keys::{self, Key, base64url};

/// A token in the making: good unless something is changed.
#[derive(Clone)]
pub(crate) struct Mint {
    header: Map<String, Value>,
    claims: Map<String, Value>,
    header_text: Option<Vec<u8>>,
    payload_text: Option<Vec<u8>>,
    key: &'static Key,
    algorithm: &'static str,
}

/// Seconds since 1970, now.
pub(crate) fn now() -> i64 {
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap();
    i64::try_from(now.as_secs()).unwrap()
}

impl Mint {
    /// A good token of this issuer for this audience.
    pub(crate) fn new(issuer: &str, audience: &str) -> Self {
        let claims = json!({
            "iss": issuer, "sub": "alice", "aud": audience, "exp": now() + 300, "iat": now(), "jti": unique(),
            "client_id": "client-1", "scope": "mcp:tools", "tenant": "acme",
        });
        let Value::Object(claims) = claims else {
            panic!("an object");
        };
        let mut mint =
            Self { header: Map::new(), claims, header_text: None, payload_text: None, key: keys::rsa(), algorithm: "" };
        mint.header.insert("typ".into(), "at+jwt".into());
        mint.key(keys::rsa())
    }

    /// Signs with this key: `alg` and `kid` follow.
    pub(crate) fn key(mut self, key: &'static Key) -> Self {
        self.key = key;
        self.algorithm = key.algorithm;
        self.header("alg", key.algorithm).header("kid", key.id)
    }

    /// Signs under another algorithm of the key: `alg` follows.
    pub(crate) fn algorithm(mut self, algorithm: &'static str) -> Self {
        self.algorithm = algorithm;
        self.header("alg", algorithm)
    }

    /// Sets a header member, and nothing else.
    pub(crate) fn header(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.header.insert(name.into(), value.into());
        self
    }

    /// Leaves a header member out.
    pub(crate) fn without_header(mut self, name: &str) -> Self {
        self.header.remove(name);
        self
    }

    /// Sets a claim.
    pub(crate) fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims.insert(name.into(), value.into());
        self
    }

    /// Leaves a claim out.
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.claims.remove(name);
        self
    }

    /// Expired an hour ago.
    pub(crate) fn expired(self) -> Self {
        self.claim("exp", now() - 3600).claim("iat", now() - 7200)
    }

    /// Expires after this time.
    pub(crate) fn expires_in(self, time: Duration) -> Self {
        self.claim("exp", now() + i64::try_from(time.as_secs()).unwrap())
    }

    /// The header as it would be, for changing its text.
    pub(crate) fn header_json(&self) -> String {
        Value::Object(self.header.clone()).to_string()
    }

    /// The payload as it would be, for changing its text.
    pub(crate) fn payload_json(&self) -> String {
        Value::Object(self.claims.clone()).to_string()
    }

    /// These bytes are the header, whatever they are.
    pub(crate) fn header_text(mut self, text: impl Into<Vec<u8>>) -> Self {
        self.header_text = Some(text.into());
        self
    }

    /// These bytes are the payload, whatever they are.
    pub(crate) fn payload_text(mut self, text: impl Into<Vec<u8>>) -> Self {
        self.payload_text = Some(text.into());
        self
    }

    /// Header, payload and signature, each in base64url.
    pub(crate) fn parts(&self) -> [String; 3] {
        let [header, payload] = self.unsigned();
        let signature = self.key.sign(self.algorithm, format!("{header}.{payload}").as_bytes());
        [header, payload, base64url(signature)]
    }

    /// Header and payload, each in base64url.
    pub(crate) fn unsigned(&self) -> [String; 2] {
        let header = self.header_text.clone().unwrap_or(self.header_json().into());
        let payload = self.payload_text.clone().unwrap_or(self.payload_json().into());
        [base64url(header), base64url(payload)]
    }

    /// The token with a signature made from what would be signed.
    pub(crate) fn signed_by(&self, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
        let [header, payload] = self.unsigned();
        let message = format!("{header}.{payload}");
        let signature = sign(message.as_bytes());
        format!("{message}.{}", base64url(signature))
    }
}

impl fmt::Display for Mint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.parts().join("."))
    }
}

/// A text that no other call returns.
pub(crate) fn unique() -> String {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(1);
    format!("id-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}
