//! An issuer's key set, key by key.

use http::StatusCode;
use url::Url;

use super::probe::Client;
use super::reach::Way;
use super::report::{Section, quoted};
use crate::config::IssuerConfig;
use crate::keys::jwks::{KeySet, Parsed, SkippedKey};
use crate::keys::may_be_fetched;

/// The set, when there is one.
pub(super) async fn examine(
    section: &mut Section,
    issuer: &IssuerConfig,
    url: &Url,
    client: &Client,
) -> Option<KeySet> {
    if !may_be_fetched(url, issuer.insecure_http) {
        section.problem("keys.insecure", format!("{url} is no https:// URL"), "keys come over https:// only");
        return None;
    }
    let elsewhere = Url::parse(issuer.issuer.as_str()).is_ok_and(|issuer| issuer.origin() != url.origin());
    if elsewhere {
        let way = Way { url, ca: issuer.ca.as_deref(), ca_key: "ca of the issuer", connect: None };
        way.walk(section).await?;
    }
    let answer = match client.get(url, "application/json, application/jwk-set+json").await {
        Ok(answer) if answer.status == StatusCode::OK => answer,
        Ok(answer) if answer.status.is_redirection() => {
            let to = quoted(answer.field("location").unwrap_or_default());
            section.problem(
                "keys.redirect",
                format!("{url} answers {} to {to}", answer.status),
                "set jwks_uri to the final address",
            );
            return None;
        }
        Ok(answer) => {
            section.problem(
                "keys.status",
                format!("{url} answers {}", answer.status),
                "the address of the key set: jwks_uri",
            );
            return None;
        }
        Err(why) => {
            section.problem("keys.status", format!("{url}: {why}"), "the address of the key set: jwks_uri");
            return None;
        }
    };
    match KeySet::parse(&answer.body) {
        Ok(parsed) => Some(look_at(section, issuer, url, parsed)),
        Err(why) => {
            section.problem("keys.malformed", format!("{url}: {why}"), "the address of a JWK set (RFC 7517): jwks_uri");
            None
        }
    }
}

fn look_at(section: &mut Section, issuer: &IssuerConfig, url: &Url, parsed: Parsed) -> KeySet {
    let Parsed { keys, skipped } = parsed;
    section.ok("keys", format!("{url} holds {} usable keys", keys.len()));
    let mut offered: Vec<String> = Vec::new();
    for key in keys.iter() {
        let kid = quoted(key.kid().unwrap_or_default());
        let names: Vec<String> = key.algorithms().iter().map(ToString::to_string).collect();
        let accepted: Vec<String> = key
            .algorithms()
            .iter()
            .filter(|algorithm| issuer.rules.algorithms.contains(algorithm))
            .map(ToString::to_string)
            .collect();
        if accepted.is_empty() {
            let text = format!("key {kid} is for {}, which the configuration does not accept", names.join(", "));
            section.note("keys.key", text);
        } else {
            section.ok("keys.key", format!("key {kid} verifies {}", accepted.join(", ")));
        }
        offered.extend(names);
    }
    for key in &skipped {
        skip(section, key);
    }
    let fits = keys.iter().any(|key| issuer.rules.algorithms.iter().any(|algorithm| key.fits(*algorithm)));
    if !fits {
        let accepted: Vec<String> = issuer.rules.algorithms.iter().map(ToString::to_string).collect();
        offered.sort_unstable();
        offered.dedup();
        let text = format!("no key fits what the configuration accepts: {}", accepted.join(", "));
        let fix = if offered.is_empty() {
            "a signature key at the issuer".to_owned()
        } else {
            format!("algorithms with one of the set's own: {}", offered.join(", "))
        };
        section.problem("keys.algorithms", text, fix);
    }
    keys
}

fn skip(section: &mut Section, SkippedKey { kid, reason }: &SkippedKey) {
    let kid = quoted(kid.as_deref().unwrap_or_default());
    let why = match *reason {
        "key.private" => {
            let fix = "replace it at once: whoever read this set can sign tokens";
            section.problem("keys.private", format!("key {kid} is published with its private part"), fix);
            return;
        }
        "key.use" => "is not for signatures",
        "key.type" => "is of a type that verifies nothing here (RSA, EC and OKP do)",
        "key.alg" => "is for an algorithm that is never accepted",
        "key.weak" => "is too weak: RSA needs 2048 bits at least",
        "key.kid" => "has a kid that is no text, or too long",
        _ => "cannot be read",
    };
    section.note("keys.unusable", format!("key {kid} {why} ({reason})"));
}
