//! HTTP/2 frames that no library would send (threats 21 to 27).

use crate::support::client::CALL;
use crate::support::http2::{Outcome, RawHttp2};
use crate::support::{Gateway, Issuer, PATH, Upstream, start};

pub(crate) type Field<'a> = (&'a str, &'a str);

/// The pseudo-fields of a good GET.
pub(crate) const PSEUDO: [Field<'static>; 4] =
    [(":method", "GET"), (":scheme", "https"), (":authority", "mcp.example.com"), (":path", PATH)];

/// The same of a POST.
pub(crate) fn post() -> [Field<'static>; 4] {
    PSEUDO.map(|field| if field.0 == ":method" { (":method", "POST") } else { field })
}

/// A request without a body that is good but for what a test adds.
pub(crate) async fn request(gateway: &Gateway, issuer: &Issuer, pseudo: &[Field<'_>], more: &[Field<'_>]) -> Outcome {
    let bearer = format!("Bearer {}", issuer.mint());
    let common = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let fields: Vec<_> = pseudo.iter().chain(&common).chain(more).copied().collect();
    RawHttp2::connect(&gateway.client()).await.request(&fields).await
}

/// Asserts that a request with these further fields is refused as malformed.
async fn malformed(more: &[&[Field<'_>]]) {
    let (issuer, upstream, gateway) = start().await;
    for fields in more {
        let outcome = request(&gateway, &issuer, &PSEUDO, fields).await;
        outcome.assert_malformed(&format!("{fields:?}"));
    }
    assert!(upstream.received().is_empty(), "{:?}", upstream.received());
}

#[tokio::test]
async fn hand_written_frames_of_a_good_request_are_served() {
    let (issuer, upstream, gateway) = start().await;
    let outcome = request(&gateway, &issuer, &PSEUDO, &[("te", "trailers"), ("content-length", "0")]).await;
    assert_eq!(outcome, Outcome::Answered(200));
    assert!(upstream.only().complete);
}

#[tokio::test]
async fn h2_21_illegal_names_are_malformed() {
    malformed(&[
        &[("X-Upper", "1")],
        &[("x-uppeR", "1")],
        &[("x a", "1")],
        &[("x:y", "1")],
        &[("x\r\ny", "1")],
        &[("x\ny", "1")],
        &[("x\0y", "1")],
        &[("", "1")],
        &[("x\u{7f}", "1")],
        &[("x-ä", "1")],
        &[("X-Auth-Subject", "mallory")],
    ])
    .await;
}

#[tokio::test]
async fn h2_21_illegal_values_are_malformed() {
    malformed(&[
        &[("x-a", "a\r\nx-auth-subject: mallory")],
        &[("x-a", "a\nb")],
        &[("x-a", "a\rb")],
        &[("x-a", "a\0b")],
        &[("x-a", "\r")],
        &[("x-a", "a\u{1}b")],
        &[("x-a", " a")],
        &[("x-a", "a ")],
        &[("x-a", "\ta")],
        &[("x-a", " ")],
    ])
    .await;
}

#[tokio::test]
async fn h2_21_illegal_pseudo_values_never_reach_the_upstream() {
    let (issuer, upstream, gateway) = start().await;
    for (name, value) in [
        (":path", "/notes/mcp\r\nx: y"),
        (":path", "/notes/mcp HTTP/1.1"),
        (":path", "/notes/mcp\0"),
        (":method", "POST /x"),
        (":method", "PO\r\nST"),
        (":method", ""),
        (":scheme", "https\r\n"),
        (":authority", "mcp.example.com\r\nx: y"),
        (":authority", "user@mcp.example.com"),
        (":authority", "mcp.example.com/x"),
    ] {
        let pseudo = PSEUDO.map(|field| if field.0 == name { (name, value) } else { field });
        let outcome = request(&gateway, &issuer, &pseudo, &[]).await;
        let refused = !matches!(outcome, Outcome::Answered(200..=299));
        assert!(refused, "{name} {value:?}: {outcome:?}");
    }
    assert!(upstream.received().is_empty(), "{:?}", upstream.received());
}

#[tokio::test]
async fn h2_22_connection_specific_fields_are_malformed() {
    malformed(&[
        &[("connection", "close")],
        &[("connection", "x-auth-subject")],
        &[("transfer-encoding", "chunked")],
        &[("upgrade", "h2c")],
        &[("keep-alive", "timeout=5")],
        &[("proxy-connection", "keep-alive")],
        &[("te", "gzip")],
        &[("te", "trailers, gzip")],
    ])
    .await;
}

/// Sends a head with this length and this body; whatever happens, the upstream must not get a complete request.
async fn mismatched(issuer: &Issuer, upstream: &Upstream, gateway: &Gateway, lengths: &[&str], body: &str) {
    println!("case: {lengths:?} {body:?}");
    let bearer = format!("Bearer {}", issuer.mint());
    let common = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let lengths = lengths.iter().map(|length| ("content-length", *length));
    let fields: Vec<_> = post().into_iter().chain(common).chain(lengths).collect();
    let mut connection = RawHttp2::connect(&gateway.client()).await;
    let stream = connection.head(&fields, body.is_empty()).await;
    if !body.is_empty() {
        connection.data(stream, body.as_bytes(), true).await;
    }
    connection.outcome(stream).await.assert_malformed("length mismatch");
    assert!(upstream.received().iter().all(|request| !request.complete), "{:?}", upstream.received());
}

#[tokio::test]
async fn h2_23_content_length_that_does_not_fit_the_data_is_malformed() {
    let (issuer, upstream, gateway) = start().await;
    let whole = CALL.len();
    let [more, less, exact] = [whole + 2, whole - 1, whole].map(|length| length.to_string());
    let [minus, plus, hex] = [format!("-{exact}"), format!("+{exact}"), format!("0x{whole:x}")];
    mismatched(&issuer, &upstream, &gateway, &["5"], "").await;
    for lengths in [
        &[more.as_str()][..],
        &[&less],
        &["0"],
        &[&exact, &more],
        &[&more, &exact],
        &[&minus],
        &[&plus],
        &[&hex],
        &["99999999999999999999"],
    ] {
        mismatched(&issuer, &upstream, &gateway, lengths, CALL).await;
    }
}

#[tokio::test]
async fn h2_25_doubled_late_unknown_or_missing_pseudo_fields_are_malformed() {
    let (issuer, upstream, gateway) = start().await;
    let with = |field: Field<'static>| PSEUDO.into_iter().chain([field]).collect::<Vec<_>>();
    let without = |name: &str| PSEUDO.into_iter().filter(|field| field.0 != name).collect::<Vec<_>>();
    let mut cases = vec![with((":unknown", "1")), with((":status", "200")), with((":", "1"))];
    cases.extend(PSEUDO.map(with));
    cases.extend([":method", ":scheme", ":path"].map(without));
    cases.push(PSEUDO.map(|field| if field.0 == ":path" { (":path", "") } else { field }).to_vec());
    cases.push(with((":path", "/other")));
    cases.push(with((":authority", "evil.example")));
    for pseudo in cases {
        let outcome = request(&gateway, &issuer, &pseudo, &[]).await;
        outcome.assert_malformed(&format!("{pseudo:?}"));
    }
    for late in PSEUDO {
        let outcome = request(&gateway, &issuer, &without(late.0), &[late]).await;
        outcome.assert_malformed(&format!("late {late:?}"));
    }
    assert!(upstream.received().is_empty());
}

#[tokio::test]
async fn h2_25_missing_authority_is_refused_without_a_host() {
    let (issuer, upstream, gateway) = start().await;
    let without: Vec<_> = PSEUDO.into_iter().filter(|field| field.0 != ":authority").collect();
    let outcome = request(&gateway, &issuer, &without, &[]).await;
    assert!(!matches!(outcome, Outcome::Answered(200..=299)), "{outcome:?}");
    assert!(upstream.received().is_empty());
}

#[tokio::test]
async fn h2_25_host_that_differs_from_the_authority_is_refused() {
    let (issuer, upstream, gateway) = start().await;
    for more in [&[("host", "evil.example")][..], &[("host", "mcp.example.com"), ("host", "evil.example")]] {
        let outcome = request(&gateway, &issuer, &PSEUDO, more).await;
        let refused = matches!(outcome, Outcome::Reset(_) | Outcome::Answered(400 | 421));
        assert!(refused, "{more:?}: {outcome:?}");
    }
    assert!(upstream.received().is_empty());
    let same = request(&gateway, &issuer, &PSEUDO, &[("host", "mcp.example.com")]).await;
    assert_eq!(same, Outcome::Answered(200));
}

#[tokio::test]
async fn h2_25_scheme_that_is_not_the_connections_is_refused() {
    let (issuer, upstream, gateway) = start().await;
    for scheme in ["http", "ftp", "gopher"] {
        let pseudo = PSEUDO.map(|field| if field.0 == ":scheme" { (":scheme", scheme) } else { field });
        let outcome = request(&gateway, &issuer, &pseudo, &[]).await;
        assert!(!matches!(outcome, Outcome::Answered(200..=299)), "{scheme}: {outcome:?}");
    }
    assert!(upstream.received().is_empty());
}

#[tokio::test]
async fn h2_27_connect_is_refused() {
    let (issuer, upstream, gateway) = start().await;
    let target = upstream.authority();
    for pseudo in [
        &[(":method", "CONNECT"), (":authority", "mcp.example.com:443")][..],
        &[(":method", "CONNECT"), (":authority", target.as_str())],
        &[(":method", "CONNECT"), (":scheme", "https"), (":authority", "mcp.example.com"), (":path", PATH)],
        &[
            (":method", "CONNECT"),
            (":protocol", "websocket"),
            (":scheme", "https"),
            (":authority", "mcp.example.com"),
            (":path", PATH),
        ],
    ] {
        let outcome = request(&gateway, &issuer, pseudo, &[]).await;
        let refused =
            matches!(outcome, Outcome::Reset(_) | Outcome::GoAway(_) | Outcome::Answered(400 | 404 | 405 | 421));
        assert!(refused, "{pseudo:?}: {outcome:?}");
    }
    assert_eq!(upstream.connections(), 0);
}

#[tokio::test]
async fn body_in_many_small_frames_arrives_whole() {
    let (issuer, upstream, gateway) = start().await;
    let bearer = format!("Bearer {}", issuer.mint());
    let common = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let fields: Vec<_> = post().into_iter().chain(common).collect();
    let mut connection = RawHttp2::connect(&gateway.client()).await;
    let stream = connection.head(&fields, false).await;
    for byte in CALL.bytes() {
        connection.data(stream, &[byte], false).await;
    }
    connection.data(stream, b"", true).await;
    assert_eq!(connection.outcome(stream).await, Outcome::Answered(200));
    assert_eq!(upstream.only().body, CALL.as_bytes());
}

#[tokio::test]
async fn f15_a_body_that_a_reset_without_an_error_ends_is_not_whole() {
    let (issuer, upstream, gateway) = start().await;
    // A connection to the upstream is ready: what is taken for whole would be there at once.
    gateway.accepts("before", issuer.mint()).await;
    let bearer = format!("Bearer {}", issuer.mint());
    let common = [("authorization", bearer.as_str()), ("content-type", "application/json"), ("accept", "*/*")];
    let fields: Vec<_> = post().iter().chain(&common).copied().collect();
    let mut connection = RawHttp2::connect(&gateway.client()).await;
    for _ in 0..20 {
        let stream = connection.head(&fields, false).await;
        connection.data(stream, CALL.as_bytes(), false).await;
        connection.reset_without_error(stream).await;
    }
    let get: Vec<_> = PSEUDO.iter().chain(&common).copied().collect();
    assert_eq!(connection.request(&get).await, Outcome::Answered(200));
    let methods: Vec<_> = upstream.received().into_iter().map(|received| received.method).collect();
    assert_eq!(methods, ["POST", "GET"]);
}
