//! `[[issuers]]`: the authorization servers, and what their tokens must look like.

use super::super::profile::{GENERIC, PROFILES, Profile};
use super::super::read::item::{Item, Seen, Text};
use super::super::read::shape::{Key, Shape, words};
use super::super::read::table::Table;
use super::super::{Algorithm, ClaimPath, ClaimRules, IssuerConfig, KeyRules, TokenRules};
use super::{bounds, url};
use crate::names::{Issuer, RouteName, TenantId};

pub(super) const KEYS: &[Key] = &[
    Key::of("name", Shape::Text).required(),
    Key::of("issuer", Shape::Text).required(),
    Key::of("profile", Shape::Word(|| PROFILES.iter().map(|profile| profile.name).collect())),
    Key::of("jwks_uri", Shape::Text),
    Key::of("ca", Shape::Text),
    Key::of("insecure_http", Shape::Flag),
    Key::of("algorithms", Shape::Words(|| words(Algorithm::NAMED))),
    Key::of("token_types", Shape::Texts),
    Key::of("leeway", Shape::Wait(&bounds::LEEWAY)),
    Key::of("strict", Shape::Flag),
    Key::of("tenants", Shape::Texts),
    Key::of("claims", Shape::Table(CLAIMS_KEYS)),
    Key::of("key_cool_down", Shape::Wait(&bounds::KEY_COOL_DOWN)),
    Key::of("key_max_age", Shape::Wait(&bounds::KEY_MAX_AGE)),
    Key::of("key_max_stale", Shape::Wait(&bounds::KEY_MAX_STALE)),
    Key::of("key_timeout", Shape::Wait(&bounds::KEY_TIMEOUT)),
];
const CLAIMS_KEYS: &[Key] = &[
    Key::of("subject", Shape::TextOrTexts),
    Key::of("client", Shape::TextOrTexts),
    Key::of("scopes", Shape::TextOrTexts),
    Key::of("tenant", Shape::Text),
];
/// RFC 8725 §3.11: tokens made for another purpose, which share the issuer's keys and must never pass as access tokens.
const OTHER_PURPOSES: &[&str] =
    &["oauth-id-jag+jwt", "dpop+jwt", "logout+jwt", "secevent+jwt", "token-introspection+jwt"];

/// One `[[issuers]]` table. The name is known even when the rest is wrong, so that routes can still be checked.
pub(super) struct Known {
    pub(super) name: Option<String>,
    pub(super) config: Option<IssuerConfig>,
}

pub(super) fn read_all(root: &Table<'_>) -> Vec<Known> {
    let Some(item) = root.need("issuers") else {
        return Vec::new();
    };
    let tables = item.array().unwrap_or_default();
    if tables.is_empty() && item.value.is_array() {
        item.error::<()>("must hold at least one issuer");
    }
    let (mut names, mut issuers) = (Seen::default(), Seen::default());
    let mut one = |item: &Item<'_>| read(item, &mut names, &mut issuers);
    tables.iter().map(&mut one).collect()
}

fn read(item: &Item<'_>, names: &mut Seen, issuers: &mut Seen) -> Known {
    let Some(table) = item.table(KEYS) else {
        return Known { name: None, config: None };
    };
    let text = table.need("name").and_then(Item::text);
    let name = text.as_ref().map(|text| text.as_str().to_owned());
    // An issuer's name stands where a route's does: in logs and metrics.
    let valid = text.filter(|text| text.is_new(names) && text.parse(RouteName::parse).is_some());
    let config = config(&table, name.clone().filter(|_| valid.is_some()), issuers);
    Known { name, config }
}

fn config(table: &Table<'_>, name: Option<String>, issuers: &mut Seen) -> Option<IssuerConfig> {
    let insecure_http = table.flag("insecure_http");
    let issuer = table.need("issuer").and_then(Item::text);
    let issuer = issuer.filter(|text| text.is_new(issuers)).and_then(|text| issuer_name(&text, insecure_http));
    let jwks_uri = table.get("jwks_uri").and_then(Item::text).and_then(|text| url::issuer(&text, insecure_http));
    let ca = table.get("ca").and_then(Item::text).and_then(|text| text.path());
    let profile = profile(table).unwrap_or(&GENERIC);
    let keys = keys(table);
    let rules = rules(table, profile);
    Some(IssuerConfig { name: name?, issuer: issuer?, jwks_uri, ca, insecure_http, profile: profile.name, rules, keys })
}

fn issuer_name(text: &Text<'_>, insecure_http: bool) -> Option<Issuer> {
    let url = url::issuer(text, insecure_http)?;
    // RFC 8414 §2: an issuer identifier has no query and no fragment.
    if url.query().is_some() {
        return text.error("must not have a query");
    }
    if text.as_str().contains(['{', '}']) {
        return text.error("must be one issuer, without placeholders: write one [[issuers]] table per tenant");
    }
    text.parse(Issuer::parse)
}

fn profile(table: &Table<'_>) -> Option<&'static Profile> {
    let text = table.get("profile").and_then(Item::text)?;
    if text.as_str() == "google" {
        return text.error(
            "google cannot be used: its access tokens are opaque and bound to no resource; \
             put an authorization server that signs its users in with Google in front",
        );
    }
    let profiles: Vec<(&str, &Profile)> = PROFILES.iter().map(|profile| (profile.name, profile)).collect();
    text.choose(&profiles)
}

fn rules(table: &Table<'_>, profile: &Profile) -> TokenRules {
    let mut seen = Seen::default();
    let algorithm = |text: &Text<'_>| algorithm(text).filter(|_| text.is_new(&mut seen));
    let algorithms = list(table, "algorithms", algorithm);
    let mut seen = Seen::default();
    let token_type = |text: &Text<'_>| token_type(text).filter(|typ| text.is_new_as(typ.clone(), &mut seen));
    let token_types = list(table, "token_types", token_type);
    let strict = table.get("strict").and_then(|item| item.boolean()).unwrap_or(profile.strict);
    let claims = claims(table, profile);
    let mut seen = Seen::default();
    let tenants = list(table, "tenants", |text| text.parse(TenantId::parse).filter(|_| text.is_new(&mut seen)));
    if tenants.is_some() && claims.tenant.is_none() {
        table.error("tenants", "needs a tenant claim, and the profile names none: set claims.tenant");
    }
    TokenRules {
        algorithms: algorithms.unwrap_or_else(|| profile.algorithms.to_vec()),
        token_types: token_types.unwrap_or_else(|| profile.token_types.iter().map(ToString::to_string).collect()),
        leeway: table.duration("leeway", &bounds::LEEWAY),
        strict,
        client_required: strict || profile.client_required,
        claims,
        tenants: tenants.unwrap_or_default(),
    }
}

/// An array that, when it is there, is not empty.
fn list<T>(table: &Table<'_>, key: &str, read: impl FnMut(&Text<'_>) -> Option<T>) -> Option<Vec<T>> {
    let item = table.get(key)?;
    let texts = item.texts()?;
    if texts.is_empty() && item.value.as_array().is_some_and(|array| array.is_empty()) {
        return item.error("must not be empty; leave it out instead");
    }
    Some(texts.iter().filter_map(read).collect())
}

fn algorithm(text: &Text<'_>) -> Option<Algorithm> {
    match text.as_str() {
        "HS256" | "HS384" | "HS512" => {
            text.error("HMAC cannot be allowed: whoever can check such a token can also make one")
        }
        other if other.eq_ignore_ascii_case("none") => text.error("none cannot be allowed: it is no signature"),
        _ => text.choose(Algorithm::NAMED),
    }
}

fn token_type(text: &Text<'_>) -> Option<String> {
    // RFC 7515 §4.1.9: a media type, compared without case; `application/` may be left out.
    let lower = text.as_str().to_ascii_lowercase();
    let typ = lower.strip_prefix("application/").unwrap_or(&lower);
    if OTHER_PURPOSES.contains(&typ) {
        return text
            .error(&format!("{typ} cannot be allowed: such tokens are made for another purpose (RFC 8725 §3.11)"));
    }
    if typ.bytes().any(|b| !b.is_ascii_graphic()) {
        return text.error("must be a media type such as at+jwt, or empty for tokens without typ");
    }
    Some(typ.to_owned())
}

fn claims(table: &Table<'_>, profile: &Profile) -> ClaimRules {
    let mut rules = profile.claims();
    let Some(claims) = table.get("claims").and_then(|item| item.table(CLAIMS_KEYS)) else {
        return rules;
    };
    let paths = |key| {
        let item = claims.get(key)?;
        let empty = item.value.as_array().is_some_and(|array| array.is_empty());
        if empty {
            return item.error("must name at least one claim");
        }
        let texts = item.text_or_texts()?;
        Some(texts.iter().filter_map(|text| text.parse(ClaimPath::parse)).collect::<Vec<_>>())
    };
    if let Some(subject) = paths("subject") {
        rules.subject = subject;
    }
    if let Some(client) = paths("client") {
        rules.client = client;
    }
    if let Some(scopes) = paths("scopes") {
        rules.scopes = scopes;
        // Who names the claim knows its shape; an array of strings can be read in one way only.
        rules.scopes_may_be_array = true;
    }
    let tenant = claims.get("tenant").and_then(Item::text);
    if let Some(tenant) = tenant.and_then(|text| text.parse(ClaimPath::parse)) {
        rules.tenant = Some(tenant);
    }
    rules
}

fn keys(table: &Table<'_>) -> KeyRules {
    let keys = KeyRules {
        cool_down: table.duration("key_cool_down", &bounds::KEY_COOL_DOWN),
        max_age: table.duration("key_max_age", &bounds::KEY_MAX_AGE),
        max_stale: table.duration("key_max_stale", &bounds::KEY_MAX_STALE),
        timeout: table.duration("key_timeout", &bounds::KEY_TIMEOUT),
    };
    if keys.max_stale < keys.max_age {
        table.error("key_max_stale", "must not be shorter than key_max_age: keys would end before their refresh");
    }
    keys
}
