//! Rule 5: remove first, inject last.

use std::net::SocketAddr;

use crate::support::client::Client;
use crate::support::{PATH, start, start_with};

/// Fields by which other gateways and servers tell who asks, from where, and for what. The upstream may have stood behind one of them.
const NAMESAKES: [&str; 18] = [
    "X-Original-URI",
    "X-Original-Path",
    "X-Original-Method",
    "X-Original-Host",
    "X-Original-Forwarded-For",
    "X-Forwarded",
    "Forwarded-For",
    "X-Envoy-Original-Path",
    "X-Envoy-External-Address",
    "X-Envoy-Internal",
    "Fastly-Client-IP",
    "Remote-User",
    "Remote_User",
    "Remote-Groups",
    "X-Remote-User",
    "X-Remote-Group",
    "X-Remote-Extra-Scopes",
    "SSL-Client-Cert",
];

#[tokio::test]
async fn x5a_namesakes_of_identity_and_place_end_at_the_gateway() {
    let (issuer, upstream, gateway) = start().await;
    let client = NAMESAKES.iter().fold(gateway.client(), |client, name| client.header(name, "mallory"));
    client.bearer(issuer.mint()).post(PATH).await.assert_served();
    upstream.only().assert_only(&[]);
}

/// Fields that speak for the whole public origin, which other servers share. The upstream speaks for itself alone.
const OF_THE_ORIGIN: [(&str, &str); 8] = [
    ("Strict-Transport-Security", "max-age=0; includeSubDomains"),
    ("Clear-Site-Data", "\"*\""),
    ("NEL", r#"{"report_to":"x","max_age":31536000}"#),
    ("Report-To", r#"{"group":"x","max_age":31536000,"endpoints":[{"url":"https://evil.example"}]}"#),
    ("Accept-CH", "Sec-CH-UA-Full-Version-List"),
    ("Origin-Agent-Cluster", "?1"),
    ("Service-Worker-Allowed", "/"),
    ("strict_transport_security", "max-age=0"),
];

#[tokio::test]
async fn x5b_upstream_does_not_speak_for_the_public_origin() {
    let (issuer, upstream, gateway) = start().await;
    let fields: Vec<_> = OF_THE_ORIGIN.into_iter().chain([("X-Own", "1")]).collect();
    upstream.answers_with(200, &fields, crate::support::upstream::ANSWER);
    for client in [gateway.client(), gateway.client().http2()] {
        let reply = client.bearer(issuer.mint()).post(PATH).await;
        reply.assert_served();
        assert_eq!(reply.header("x-own"), Some("1"));
        for (name, _) in OF_THE_ORIGIN {
            assert_eq!(reply.header(name), None, "{name}");
        }
    }
}

/// A listener for both families sees IPv4 clients under addresses of IPv6: they are the same clients to rules and to upstreams.
#[tokio::test]
async fn x5c_ipv4_client_in_an_ipv6_address_is_an_ipv4_client() {
    let (issuer, upstream) = (crate::support::Issuer::start().await, crate::support::Upstream::start().await);
    for (trusted, seen) in [("127.0.0.0/8", "203.0.113.7, 127.0.0.1"), ("10.0.0.0/8", "127.0.0.1")] {
        let changes = format!("listen.address = \"[::]:0\"\nlisten.trusted_proxies = [\"{trusted}\"]");
        let gateway = crate::support::Gateway::start_with(&issuer, &upstream, &changes).await;
        let address = SocketAddr::from(([127, 0, 0, 1], gateway.address().port()));
        let client = Client::new(address, true, upstream.shared()).header("x-forwarded-for", "::ffff:203.0.113.7");
        client.bearer(issuer.mint()).post(PATH).await.assert_served();
        let received = upstream.received().pop().unwrap();
        assert_eq!(received.field("x-forwarded-for"), Some(seen));
        assert!(!received.field("forwarded").unwrap().contains("ffff"), "{:?}", received.fields);
    }
}

/// Two fields of one meaning, one of which the gateway writes: the client's is gone however it is nominated and however often it stands.
#[tokio::test]
async fn x5d_what_the_gateway_writes_cannot_be_nominated_away_in_another_spelling() {
    let changes = "routes = [{ name = \"notes\", upstream_headers = { \"x-api-key\" = \"secret\" } }]";
    let (issuer, upstream, gateway) = start_with(changes).await;
    let client =
        gateway.client().header("connection", "X-API-Key, x_api_key").header("connection", "x-request-id ,, ;");
    let client = client.header("X_Api_Key", "mine").header("X.API-KEY", "mine").header("x-api-key", "mine");
    client.header("x-request-id", "mine").bearer(issuer.mint()).post(PATH).await.assert_served();
    let received = upstream.only();
    assert_eq!(received.field("x-api-key"), Some("secret"));
    assert!(received.fields.0.iter().all(|(_, value)| value != "mine"), "{:?}", received.fields);
}
