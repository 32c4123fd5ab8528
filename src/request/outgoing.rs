//! The head that goes upstream: what may pass of the client's, then what the gateway states.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Request, Version, request::Parts};

use crate::config::IdentityField;
use crate::headers::{
    PSEUDONYM, X_REQUEST_ID, for_upstream, forwarded_node, from_ascii, remove_mirrors, remove_spellings, visible,
    visible_list,
};
use crate::mcp::Era;
use crate::names::{ClientId, Scope, TenantId};
use crate::token::Identity;

use super::audit::Audit;
use super::authorize::Permit;
use super::provenance::Provenance;
use super::route::Route;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// What a request's head becomes upstream.
pub(crate) fn outgoing<B>(
    route: &Route,
    permit: &Permit,
    parts: &Parts,
    provenance: &Provenance,
    told: &Audit,
    body: B,
) -> Request<B> {
    let public_host = public_host(parts);
    let mut headers = for_upstream(&parts.headers);
    if permit.era() == Era::Legacy {
        remove_mirrors(&mut headers);
    }
    permit.session().write(permit.era(), &mut headers);
    headers.insert(header::HOST, route.upstream.host());
    write_identity(&route.config.identity, permit.identity(), &mut headers);
    write_provenance(provenance, public_host.as_deref(), &mut headers);
    headers.append(header::VIA, via(parts.version));
    told.trace().write(&mut headers);
    headers.insert(X_REQUEST_ID, visible(told.request_id()));
    for (name, value) in &route.config.upstream.headers {
        remove_spellings(&mut headers, name);
        headers.insert(name, value.clone());
    }

    let mut request = Request::new(body);
    *request.method_mut() = parts.method.clone();
    *request.version_mut() = Version::HTTP_11;
    *request.headers_mut() = headers;
    request
}

fn write_identity(fields: &[(HeaderName, IdentityField)], identity: &Identity, headers: &mut HeaderMap) {
    for (name, field) in fields {
        let value = match field {
            IdentityField::Subject => Some(visible(identity.subject().as_str())),
            IdentityField::Client => identity.client().map(ClientId::as_str).map(visible),
            IdentityField::Tenant => identity.tenant().map(TenantId::as_str).map(visible),
            IdentityField::Scopes => Some(visible_list(identity.scopes().iter().map(Scope::as_str))),
            IdentityField::Issuer => Some(visible(identity.issuer().as_str())),
            IdentityField::Claim(path) => identity.claim(path).map(visible),
        };
        headers.remove(name);
        if let Some(value) = value {
            headers.insert(name, value);
        }
    }
}

/// RFC 7239, and the older fields that most servers read. The client's own were removed before.
fn write_provenance(provenance: &Provenance, public_host: Option<&str>, headers: &mut HeaderMap) {
    let proto = if provenance.secure { "https" } else { "http" };
    let own = format!("for={};proto={proto}", forwarded_node(provenance.peer));
    let host = public_host.map(|host| format!(";host=\"{host}\"")).unwrap_or_default();
    let hops = provenance.hops.iter().map(|hop| format!("for={}", forwarded_node(*hop)));
    let forwarded = hops.chain([own + &host]).collect::<Vec<_>>().join(", ");
    let addresses = provenance.hops.iter().chain([&provenance.peer]).map(ToString::to_string).collect::<Vec<_>>();
    headers.insert(header::FORWARDED, from_ascii(forwarded));
    headers.insert(X_FORWARDED_FOR, from_ascii(addresses.join(", ")));
    headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static(proto));
    if let Some(host) = public_host {
        headers.insert(X_FORWARDED_HOST, visible(host));
    }
}

/// The authority the request was addressed to; routing has found it to be configured, so it is harmless.
fn public_host(parts: &Parts) -> Option<String> {
    let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    parts.uri.authority().map(http::uri::Authority::as_str).or(host).map(str::to_owned)
}

fn via(version: Version) -> HeaderValue {
    let protocol = match version {
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2",
        _ => "1.1",
    };
    from_ascii(format!("{protocol} {PSEUDONYM}"))
}
