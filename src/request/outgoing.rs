//! The head that goes upstream: what may pass of the client's, then what the gateway states.

use std::fmt::Write as _;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Request, Version, request::Parts};

use crate::config::IdentityField;
use crate::headers::{
    X_REQUEST_ID, exactly, for_upstream, forwarded_node, from_ascii, push_visible, push_visible_list, remove_mirrors,
    remove_spellings, visible,
};
use crate::mcp::Era;
use crate::names::Scope;
use crate::network::PeerAddress;
use crate::token::Caller;

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
    let mut headers = for_upstream(&parts.headers);
    if permit.era() == Era::Legacy {
        remove_mirrors(&mut headers);
    }
    permit.session().write(permit.era(), &mut headers);
    headers.insert(header::HOST, route.upstream.host());
    let fields = &route.config.identity;
    let values = permit.identity().told(|caller| identity_values(fields, caller));
    for ((name, _), value) in fields.iter().zip(values) {
        match value {
            Some(value) => headers.insert(name, value.clone()),
            None => headers.remove(name),
        };
    }
    write_provenance(provenance, told.peer(), public_host(parts), &mut headers);
    headers.append(header::VIA, via(parts.version));
    told.trace().write(&mut headers);
    headers.insert(X_REQUEST_ID, exactly(told.request_id()));
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

/// One text that all values are parts of: they are kept with every remembered token.
fn identity_values(fields: &[(HeaderName, IdentityField)], caller: &Caller) -> Box<[Option<HeaderValue>]> {
    let mut text = String::new();
    let ends: Vec<Option<usize>> =
        fields.iter().map(|(_, field)| push_identity(&mut text, field, caller).map(|()| text.len())).collect();
    text.shrink_to_fit();
    let (text, mut begin) = (Bytes::from(text), 0);
    let value = |end: Option<usize>| {
        let value = text.slice(std::mem::replace(&mut begin, end?)..end?);
        // Visible ASCII by construction.
        Some(HeaderValue::from_maybe_shared(value).unwrap_or(HeaderValue::from_static("")))
    };
    ends.into_iter().map(value).collect()
}

fn push_identity(text: &mut String, field: &IdentityField, caller: &Caller) -> Option<()> {
    match field {
        IdentityField::Subject => push_visible(text, caller.subject().as_str()),
        IdentityField::Client => push_visible(text, caller.client()?.as_str()),
        IdentityField::Tenant => push_visible(text, caller.tenant()?.as_str()),
        IdentityField::Scopes => push_visible_list(text, caller.scopes().iter().map(Scope::as_str)),
        IdentityField::Issuer => push_visible(text, caller.issuer().as_str()),
        IdentityField::Claim(path) => push_visible(text, caller.claim(path)?),
    }
    Some(())
}

/// RFC 7239, and the older fields that most servers read. The client's own were removed before.
fn write_provenance(provenance: &Provenance, peer: &PeerAddress, host: Option<&str>, headers: &mut HeaderMap) {
    let proto = if provenance.secure { "https" } else { "http" };
    let mut forwarded = String::with_capacity(ROOM_FOR_FORWARDED);
    let mut addresses = String::with_capacity(ROOM_FOR_ADDRESSES);
    for hop in &provenance.hops {
        // Writing to a String cannot fail, here and below.
        _ = write!(forwarded, "for={}, ", forwarded_node(*hop));
        _ = write!(addresses, "{hop}, ");
    }
    match provenance.peer {
        own if own == peer.socket.ip() => addresses.push_str(&peer.ip_text),
        own => _ = write!(addresses, "{own}"),
    }
    match provenance.peer {
        own if own.is_ipv4() && own == peer.socket.ip() => forwarded.extend(["for=", &peer.ip_text]),
        own => _ = write!(forwarded, "for={}", forwarded_node(own)),
    }
    forwarded.extend([";proto=", proto]);
    if let Some(host) = host {
        forwarded.extend([";host=\"", host, "\""]);
        headers.insert(X_FORWARDED_HOST, visible(host));
    }
    headers.insert(header::FORWARDED, from_ascii(forwarded));
    headers.insert(X_FORWARDED_FOR, from_ascii(addresses));
    headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static(proto));
}

/// Rarely more: one address, and a host name.
const ROOM_FOR_FORWARDED: usize = 96;
const ROOM_FOR_ADDRESSES: usize = 40;

/// The authority the request was addressed to; routing has found it to be configured, so it is harmless.
fn public_host(parts: &Parts) -> Option<&str> {
    let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    parts.uri.authority().map(http::uri::Authority::as_str).or(host)
}

fn via(version: Version) -> HeaderValue {
    HeaderValue::from_static(match version {
        Version::HTTP_10 => "1.0 portcullis",
        Version::HTTP_2 => "2 portcullis",
        _ => "1.1 portcullis",
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::headers::PSEUDONYM;

    #[test]
    fn via_names_the_gateway_as_the_loop_test_expects_it() {
        for (version, number) in [(Version::HTTP_10, "1.0"), (Version::HTTP_11, "1.1"), (Version::HTTP_2, "2")] {
            assert_eq!(via(version), format!("{number} {PSEUDONYM}"));
        }
    }

    #[test]
    fn the_peer_is_named_as_ipv4_wherever_it_is_one() {
        let written = |peer: &str, hops: &[&str]| {
            let peer = PeerAddress::from(std::net::SocketAddr::new(peer.parse().unwrap(), 9));
            let hops = hops.iter().map(|hop| hop.parse().unwrap()).collect();
            let provenance = Provenance { client: peer.canonical, peer: peer.canonical, hops, secure: true };
            let mut headers = HeaderMap::new();
            write_provenance(&provenance, &peer, Some("h.example"), &mut headers);
            [header::FORWARDED, X_FORWARDED_FOR].map(|name| headers[name].to_str().unwrap().to_owned())
        };
        let ipv4 = ["for=192.0.2.1;proto=https;host=\"h.example\"", "192.0.2.1"];
        assert_eq!(written("192.0.2.1", &[]), ipv4);
        assert_eq!(written("::ffff:192.0.2.1", &[]), ipv4);
        let ipv6 = ["for=\"[2001:db8::1]\";proto=https;host=\"h.example\"", "2001:db8::1"];
        assert_eq!(written("2001:db8::1", &[]), ipv6);
        let behind = ["for=203.0.113.7, for=192.0.2.1;proto=https;host=\"h.example\"", "203.0.113.7, 192.0.2.1"];
        assert_eq!(written("192.0.2.1", &["203.0.113.7"]), behind);
    }
}
