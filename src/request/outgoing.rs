//! The head that goes upstream: what may pass of the client's, then what the gateway states.

use http::header::{self, HeaderName};
use http::{Version, uri};

use crate::config::{IdentityField, RouteConfig};
use crate::head::{Head, Lines, as_text};
use crate::headers::{Passing, Stated, X_REQUEST_ID, for_upstream, forwarded_node, push_visible, push_visible_list};
use crate::mcp::Era;
use crate::names::Scope;
use crate::network::PeerAddress;
use crate::token::Caller;
use crate::trace;

use super::audit::Audit;
use super::authorize::Permit;
use super::provenance::Provenance;
use super::route::Route;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The fields that the gateway states on a route beyond those that never pass: whatever a client calls so ends here, in every
/// spelling. Made at start.
pub(crate) fn stated(route: &RouteConfig) -> Stated {
    let identity = route.identity.iter().map(|(name, _)| name);
    let configured = route.upstream.headers.iter().map(|(name, _)| name);
    Stated::new(identity.chain(configured).chain(&trace::FIELDS))
}

/// What a request's fields become upstream, but for its framing.
pub(crate) fn outgoing(
    route: &Route,
    permit: &Permit,
    (head, takes_codings): (&Head, bool),
    (provenance, told): (&Provenance, &Audit),
    lines: &mut Lines,
) {
    lines.push(&header::HOST, route.upstream.host());
    let passing = Passing { mirrors: permit.era() == Era::Modern, codings: takes_codings };
    for_upstream(&head.fields, &route.stated, passing, lines);
    if !takes_codings {
        lines.push_text(&header::ACCEPT_ENCODING, &["identity"]);
    }
    permit.session().write(permit.era(), lines);
    lines.extend(permit.identity().told(|caller| identity_lines(&route.config.identity, caller)));
    write_provenance(provenance, told.peer(), public_host(head), lines);
    lines.push_text(&header::VIA, &[via(head.version)]);
    told.trace().write(lines);
    lines.push_text(&X_REQUEST_ID, &[told.request_id()]);
    for (name, value) in &route.config.upstream.headers {
        lines.push(name, value);
    }
}

/// Kept with every remembered token.
fn identity_lines(fields: &[(HeaderName, IdentityField)], caller: &Caller) -> Lines {
    let mut lines = Lines::default();
    for (name, field) in fields {
        let mut value = String::new();
        if push_identity(&mut value, field, caller).is_some() {
            lines.push_text(name, &[&value]);
        }
    }
    lines
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
fn write_provenance(provenance: &Provenance, peer: &PeerAddress, host: Option<&str>, lines: &mut Lines) {
    let proto = if provenance.secure { "https" } else { "http" };
    // Nothing, and no memory, where no proxy stands in front.
    let hops =
        |write: fn(std::net::IpAddr) -> String| provenance.hops.iter().map(|hop| write(*hop)).collect::<String>();
    let before = hops(|hop| format!("for={}, ", forwarded_node(hop)));
    let own = provenance.peer;
    let own_text = if own == peer.socket.ip() { &peer.ip_text } else { &own.to_string() };
    // RFC 7239 §6: IPv6 is bracketed and quoted.
    let (open, close) = if own.is_ipv4() { ("", "") } else { ("\"[", "]\"") };
    let host_parts = host.map_or(["", "", ""], |host| [";host=\"", host, "\""]);
    let [host_begin, host_text, host_end] = host_parts;
    let parts = [&*before, "for=", open, own_text, close, ";proto=", proto, host_begin, host_text, host_end];
    lines.push_text(&header::FORWARDED, &parts);
    lines.push_text(&X_FORWARDED_FOR, &[&hops(|hop| format!("{hop}, ")), own_text]);
    lines.push_text(&X_FORWARDED_PROTO, &[proto]);
    if let Some(host) = host {
        lines.push_text(&X_FORWARDED_HOST, &[host]);
    }
}

/// The authority the request was addressed to; routing has found it to be configured, so it is harmless.
fn public_host(head: &Head) -> Option<&str> {
    let host = head.fields.get(&header::HOST).and_then(as_text);
    head.uri.authority().map(uri::Authority::as_str).or(host)
}

fn via(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "1.0 portcullis",
        Version::HTTP_2 => "2 portcullis",
        _ => "1.1 portcullis",
    }
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
            let mut lines = Lines::default();
            write_provenance(&provenance, &peer, Some("h.example"), &mut lines);
            let headers = lines.into_map();
            assert!(headers[X_FORWARDED_HOST] == "h.example" && headers[X_FORWARDED_PROTO] == "https");
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
