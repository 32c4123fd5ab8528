//! Whom a token is for (RFC 7519 §4.1.3, RFC 8707): exactly this route, in one of a URL's few equal spellings.

use crate::names::TenantId;

use super::TokenError;
use super::json::{Inside, Value};
use super::verify::Expectations;

/// Holds `aud` against the route: at least one member must name it, and every member must be a string.
pub(super) fn check(payload: Inside<'_>, expect: &Expectations, tenant: Option<&TenantId>) -> Result<(), TokenError> {
    let absent = || expect.rules.claims.audience_when_absent.as_ref();
    let value = match payload.get("aud") {
        Some(value) => Some(value),
        None => absent().and_then(|path| payload.find(path)),
    };
    // A resource whose `{tenant}` the request left open is nobody's audience.
    let resource = (tenant.is_some() || !expect.resource.has_tenant()).then(|| expect.resource.for_tenant(tenant));
    let is_meant = |member: &str| {
        let is_resource = resource.as_ref().is_some_and(|resource| is_same_url(resource, member));
        is_resource || expect.audiences.iter().any(|audience| audience == member)
    };
    let names_us = match value {
        Some(Value::Text(one)) => is_meant(one),
        // Every member must be a text, those after ours too.
        Some(Value::Array(members)) => {
            let meant = members.values().map(|member| member.as_text().map(is_meant));
            meant.collect::<Option<Vec<bool>>>().is_some_and(|meant| meant.contains(&true))
        }
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) | None => false,
    };
    names_us.then_some(()).ok_or(TokenError::Audience)
}

/// Equal byte for byte, or but for the case of scheme and host, a default port, and an empty path for `/`.
///
/// Nothing else is folded: no trailing slash, no percent escape, no path case.
pub(super) fn is_same_url(a: &str, b: &str) -> bool {
    a == b
        || match (Url::split(a), Url::split(b)) {
            (Some(a), Some(b)) => a.is_same(&b),
            _ => false,
        }
}

/// The pieces of an `http` or `https` URL that are compared; the path holds everything after the authority.
struct Url<'a> {
    is_https: bool,
    host: &'a str,
    port: &'a str,
    path: &'a str,
}

impl<'a> Url<'a> {
    /// `None` for other schemes: such texts can only be equal byte for byte.
    fn split(text: &'a str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let is_https = scheme.eq_ignore_ascii_case("https");
        if !is_https && !scheme.eq_ignore_ascii_case("http") {
            return None;
        }
        let path_start = rest.find('/').unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(path_start)?;
        // The last colon after a bracketed address, if any: `[::1]` has no port.
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, Some(port)),
            _ => (authority, None),
        };
        let default_port = if is_https { "443" } else { "80" };
        Some(Self {
            is_https,
            host,
            port: port.unwrap_or(default_port),
            path: if path.is_empty() { "/" } else { path },
        })
    }

    fn is_same(&self, other: &Self) -> bool {
        self.is_https == other.is_https
            && self.host.eq_ignore_ascii_case(other.host)
            && self.port == other.port
            && self.path == other.path
    }
}
