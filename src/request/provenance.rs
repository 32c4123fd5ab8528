//! Where a request comes from: the peer, or the client that a trusted proxy names.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use http::{HeaderName, header};
use ipnet::IpNet;

use crate::head::Fields;
use crate::network::PeerAddress;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// What the connection itself tells of a request.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    /// The other end of the socket.
    pub(crate) address: Arc<PeerAddress>,
    /// True under TLS of our own.
    pub(crate) secure: bool,
    /// The TLS server name, lower case; `None` without TLS and for addresses.
    pub(crate) server_name: Option<Arc<str>>,
}

/// Whom a request comes from, as far as the configuration lets anyone say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Provenance {
    /// The client: the peer, or the last address before the trusted proxies.
    pub(crate) client: IpAddr,
    /// The other end of the socket.
    pub(crate) peer: IpAddr,
    /// What trusted proxies said of the way before them, client first.
    pub(crate) hops: Vec<IpAddr>,
    /// `https` when the client used TLS with us or with a trusted proxy.
    pub(crate) secure: bool,
}

/// Believes `Forwarded` and `X-Forwarded-*` only of trusted peers, and of them only the part that trusted hops wrote.
pub(crate) fn provenance(peer: &Peer, fields: &Fields, trusted: &[IpNet]) -> Provenance {
    let is_trusted = |address: IpAddr| trusted.iter().any(|net| net.contains(&address));
    let address = peer.address.canonical;
    if !is_trusted(address) {
        return Provenance { client: address, peer: address, hops: Vec::new(), secure: peer.secure };
    }
    let (said, proto) = said_by_proxies(fields);
    // From the nearest hop outwards: the first address that is no trusted proxy is the client; what stands before it is hearsay.
    let believed = said.iter().rev().position(|hop| !is_trusted(*hop)).map_or(said.len(), |at| at + 1);
    let hops: Vec<IpAddr> = said.into_iter().rev().take(believed).rev().collect();
    let client = hops.first().copied().unwrap_or(address);
    Provenance {
        client,
        peer: address,
        hops,
        secure: peer.secure || proto.is_some_and(|proto| proto.eq_ignore_ascii_case("https")),
    }
}

/// Hops in the order in which they were written, up to the last one that can be read, and the nearest proxy's protocol.
///
/// Proxies write one of the two forms and pass the other on as it came; where both are there and differ, the client may
/// have written one of them, so neither is believed.
fn said_by_proxies(fields: &Fields) -> (Vec<IpAddr>, Option<String>) {
    let elements = list(fields, &header::FORWARDED);
    let forwarded = readable_tail(elements.iter().map(|element| parse_node(member(element, "for")?)));
    let x_forwarded = list(fields, &X_FORWARDED_FOR);
    let x_hops = readable_tail(x_forwarded.iter().map(|node| parse_node(node)));
    let x_proto = list(fields, &X_FORWARDED_PROTO).pop();
    let proto = elements.last().and_then(|element| member(element, "proto")).map(str::to_owned);
    match (elements.is_empty(), x_forwarded.is_empty()) {
        (true, _) => (x_hops, x_proto),
        (false, true) => (forwarded, proto),
        (false, false) if forwarded == x_hops => {
            (forwarded, proto.filter(|proto| x_proto.as_ref().is_none_or(|x| x == proto)))
        }
        (false, false) => (Vec::new(), None),
    }
}

fn list(fields: &Fields, name: &HeaderName) -> Vec<String> {
    // What is no ASCII stays an element that cannot be read: it must not hide those that trusted proxies wrote behind it.
    let values = fields.all(name).map(String::from_utf8_lossy);
    values.flat_map(|value| value.split(',').map(|part| part.trim().to_owned()).collect::<Vec<_>>()).collect()
}

/// A parameter of one `Forwarded` element.
fn member<'a>(element: &'a str, wanted: &str) -> Option<&'a str> {
    let mut pairs = element.split(';').filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.trim_matches('"'))
}

/// An unreadable hop hides everything before it.
fn readable_tail(hops: impl Iterator<Item = Option<IpAddr>>) -> Vec<IpAddr> {
    hops.fold(Vec::new(), |mut read, hop| {
        match hop {
            Some(hop) => read.push(hop),
            None => read.clear(),
        }
        read
    })
}

/// A node of RFC 7239 §6 or of `X-Forwarded-For`: address, perhaps with port, perhaps quoted and bracketed.
fn parse_node(node: &str) -> Option<IpAddr> {
    let node = node.trim().trim_matches('"');
    let bare = node.strip_prefix('[').and_then(|rest| rest.split_once(']')).map_or(node, |(address, _)| address);
    let address = bare.parse().or_else(|_| bare.parse::<SocketAddr>().map(|address| address.ip()));
    address.ok().map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue};

    use super::*;

    fn at(socket: SocketAddr) -> Arc<PeerAddress> {
        Arc::new(socket.into())
    }

    fn see(peer: &str, fields: &[(&'static str, &'static str)]) -> Provenance {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_static(value));
        }
        let peer = Peer { address: at(SocketAddr::new(peer.parse().unwrap(), 9)), secure: false, server_name: None };
        provenance(&peer, &Fields::from(&headers), &["10.0.0.0/8".parse().unwrap()])
    }

    fn addresses(texts: &[&str]) -> Vec<IpAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn h8_strangers_are_not_believed() {
        let seen = see("192.0.2.9", &[("x-forwarded-for", "1.1.1.1"), ("forwarded", "for=2.2.2.2;proto=https")]);
        let peer: IpAddr = "192.0.2.9".parse().unwrap();
        assert_eq!(seen, Provenance { client: peer, peer, hops: vec![], secure: false });
    }

    #[test]
    fn of_a_chain_only_what_trusted_hops_wrote_is_believed() {
        let seen =
            see("10.0.0.1", &[("x-forwarded-for", "6.6.6.6, 192.0.2.1, 10.0.0.2"), ("x-forwarded-proto", "https")]);
        assert_eq!((seen.client, seen.secure), ("192.0.2.1".parse().unwrap(), true));
        assert_eq!(seen.hops, addresses(&["192.0.2.1", "10.0.0.2"]));
    }

    #[test]
    fn forwarded_is_read_with_ports_and_brackets() {
        let seen =
            see("10.0.0.1", &[("forwarded", "for=\"[2001:db8::1]:4711\";proto=https, for=10.1.1.1:80;proto=http")]);
        assert_eq!((seen.client, seen.secure), ("2001:db8::1".parse().unwrap(), false));
    }

    #[test]
    fn an_unreadable_hop_hides_what_stands_before_it() {
        assert_eq!(
            see("10.0.0.1", &[("x-forwarded-for", "1.1.1.1, unknown, 10.0.0.2")]).client,
            "10.0.0.2".parse::<IpAddr>().unwrap()
        );
    }

    #[test]
    fn bytes_beyond_ascii_hide_nothing_that_a_proxy_wrote() {
        let mut headers = HeaderMap::new();
        headers.insert(X_FORWARDED_FOR, HeaderValue::from_bytes(b"\xff, 192.0.2.1").unwrap());
        let peer = Peer { address: at("10.0.0.1:9".parse().unwrap()), secure: false, server_name: None };
        let seen = provenance(&peer, &Fields::from(&headers), &["10.0.0.0/8".parse().unwrap()]);
        assert_eq!((seen.client, seen.hops), ("192.0.2.1".parse().unwrap(), addresses(&["192.0.2.1"])));
    }

    #[test]
    fn two_forms_that_differ_are_both_hearsay() {
        let seen = see("10.0.0.1", &[("forwarded", "for=1.1.1.1;proto=https"), ("x-forwarded-for", "192.0.2.1")]);
        assert_eq!((seen.client, seen.secure), ("10.0.0.1".parse().unwrap(), false));
    }

    #[test]
    fn two_forms_that_agree_are_believed_as_far_as_they_do() {
        let both = |further: &[(&'static str, &'static str)]| {
            let seen = [("forwarded", "for=192.0.2.1;proto=https"), ("x-forwarded-for", "192.0.2.1")];
            let seen = see("10.0.0.1", &[&seen[..], further].concat());
            assert_eq!(seen.client, "192.0.2.1".parse::<IpAddr>().unwrap());
            seen.secure
        };
        assert!(both(&[]) && both(&[("x-forwarded-proto", "https")]));
        assert!(!both(&[("x-forwarded-proto", "http")]));
    }
}
