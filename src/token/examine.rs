//! A token held against a route claim by claim, on past the first mistake: for `doctor`, which lets nobody in. The rules are those of
//! [`Unverified::check`], one by one and in its order.

use crate::keys::jwks::KeySet;
use crate::names::TenantId;

use super::json::Value;
use super::verify::{Expectations, Unverified, check_tenant, signer};
use super::{TokenError, audience, claims, header, times};

/// Longer values are cut: a token may hold hundreds of groups.
const MAX_SHOWN: usize = 200;

/// One thing that a token says, and whether the route takes it.
#[derive(Debug)]
pub struct Examined {
    /// The member's name in the header or the payload.
    pub name: String,
    /// Its value, cut where it is long; `None` when it is absent.
    pub found: Option<String>,
    /// What the route says.
    pub verdict: Result<(), TokenError>,
}

impl Unverified<'_> {
    /// The text of a member of the payload, unverified.
    pub fn claim(&self, name: &str) -> Option<&str> {
        self.payload.members().get(name).and_then(Value::as_text)
    }

    /// True when the payload has a member of this name.
    pub fn has_claim(&self, name: &str) -> bool {
        self.payload.members().has(name)
    }

    /// Everything that [`Unverified::check`] looks at, and then the tenant.
    pub fn examine(&self, expect: &Expectations, tenant: Option<&TenantId>, now: u64) -> Vec<Examined> {
        let (rules, header, payload) = (&expect.rules, self.header.members(), self.payload.members());
        let of_issuer = self.issuer() == Some(expect.issuer.as_str());
        let mut found = vec![
            self.of_header("alg", header::check_algorithm(header, rules).map(drop)),
            self.of_header("crit", header::check_extensions(header)),
            self.of_header("kid", header::key_id(header).map(drop)),
            self.of_header("typ", header::check_type(header, rules)),
            self.of_claim("iss", of_issuer.then_some(()).ok_or(TokenError::Issuer)),
            self.of_claim("exp", times::expiry(payload, rules, now).map(drop)),
            self.of_claim("nbf", times::not_before(payload, rules, now)),
            self.of_claim("iat", times::not_issued_later(payload, rules, now)),
            self.of_claim("aud", audience::check(payload, expect, tenant)),
        ];
        let kind = claims::check_kind_of_token(header, payload, rules);
        let required = rules.claims.require.first().map_or("cnf", |(path, _)| path.text.as_str());
        found.push(self.of_claim(if kind == Err(TokenError::Required) { required } else { "cnf" }, kind));
        let first = |paths: &[crate::config::ClaimPath], otherwise: &str| {
            let present = paths.iter().find(|path| payload.find(path).is_some()).or(paths.first());
            present.map_or_else(|| otherwise.to_owned(), |path| path.text.clone())
        };
        let facts = &rules.claims;
        found.push(self.of_claim(&first(&facts.subject, "sub"), claims::subject(payload, facts).map(drop)));
        found.push(self.of_claim(&first(&facts.client, "client_id"), claims::client(payload, rules).map(drop)));
        found.push(self.of_claim(&first(&facts.scopes, "scope"), claims::scopes(payload, facts).map(drop)));
        found.push(self.of_claim("jti", claims::token_id(payload, rules).map(drop)));
        found.push(self.of_claim("further claims", claims::further(payload, expect).map(drop)));
        let name = first(facts.tenant.as_slice(), "tenant");
        found.push(self.of_claim(&name, check_tenant(payload, expect, tenant).map(drop)));
        // What is neither there nor missed is not worth a line.
        found.retain(|one| one.found.is_some() || one.verdict.is_err());
        found
    }

    /// Whether one of the issuer's keys made the signature.
    pub fn examine_signature(&self, expect: &Expectations, keys: &KeySet) -> Result<(), TokenError> {
        self.check_signed()?;
        let algorithm = header::check_algorithm(self.header.members(), &expect.rules)?;
        let key_id = header::key_id(self.header.members())?;
        signer(self.message, &self.signature, algorithm, &keys.candidates(key_id, algorithm)).map(drop)
    }

    fn of_header(&self, name: &str, verdict: Result<(), TokenError>) -> Examined {
        Examined { name: name.into(), found: self.header.members().get(name).map(shown), verdict }
    }

    fn of_claim(&self, name: &str, verdict: Result<(), TokenError>) -> Examined {
        let path = crate::config::ClaimPath { text: name.into() };
        Examined { name: name.into(), found: self.payload.members().find(&path).map(shown), verdict }
    }
}

fn shown(value: Value<'_>) -> String {
    let text = serde_json::Value::from(value).to_string();
    let mut cut: String = text.chars().take(MAX_SHOWN).collect();
    if cut.len() < text.len() {
        cut.push('…');
    }
    cut
}
