//! `[routes.identity]`: which header field carries what of the verified identity.

use http::HeaderName;

use super::super::read::item::{Item, Text};
use super::super::read::table::Table;
use super::super::{ClaimPath, IdentityField};

/// The namespace of identity: stripped from every request, then set.
pub(super) const NAMESPACE: &str = "x-auth-";
/// How a claim is named.
const CLAIMS: &str = "claims.";
/// What a route without `[routes.identity]` sends.
const DEFAULT: [(HeaderName, IdentityField); 5] = [
    (HeaderName::from_static("x-auth-subject"), IdentityField::Subject),
    (HeaderName::from_static("x-auth-client"), IdentityField::Client),
    (HeaderName::from_static("x-auth-tenant"), IdentityField::Tenant),
    (HeaderName::from_static("x-auth-scopes"), IdentityField::Scopes),
    (HeaderName::from_static("x-auth-issuer"), IdentityField::Issuer),
];

pub(super) fn read(table: &Table<'_>) -> Vec<(HeaderName, IdentityField)> {
    let Some(item) = table.get("identity") else {
        return DEFAULT.into();
    };
    let Some(table) = item.free_table() else {
        return Vec::new();
    };
    let field = |(name, item): (&str, Item<'_>)| {
        let name = header_name(name, &item);
        let field = item.text().and_then(|text| field(&text));
        Some((name?, field?))
    };
    table.items().filter_map(field).collect()
}

fn header_name(written: &str, item: &Item<'_>) -> Option<HeaderName> {
    // Lower case, no underscore: two spellings of one field would let a client's survive in some server's eyes.
    let rest = written.strip_prefix(NAMESPACE).filter(|rest| !rest.is_empty());
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let name =
        rest.filter(|rest| rest.bytes().all(plain)).and_then(|_| HeaderName::from_bytes(written.as_bytes()).ok());
    name.or_else(|| item.error("must be a header field's name that starts with x-auth-, of a-z, 0-9 and -"))
}

fn field(text: &Text<'_>) -> Option<IdentityField> {
    match text.as_str() {
        "subject" => Some(IdentityField::Subject),
        "client" => Some(IdentityField::Client),
        "tenant" => Some(IdentityField::Tenant),
        "scopes" => Some(IdentityField::Scopes),
        "issuer" => Some(IdentityField::Issuer),
        other => match other.strip_prefix(CLAIMS) {
            Some(claim) => text.parse(|_| ClaimPath::parse(claim)).map(IdentityField::Claim),
            None => text.error("must be subject, client, tenant, scopes, issuer or claims.NAME"),
        },
    }
}
