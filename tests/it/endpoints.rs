//! Whose the message endpoint of an HTTP+SSE server is: announced sealed, and of use to its own caller alone (threat M20).

use crate::support::{Gateway, Issuer, PATH, Upstream};

/// The upstream's own query.
const QUERY: &str = "session_id=0f8fad5b-d9cb&x=1";

async fn start() -> (Issuer, Upstream, Gateway) {
    let (issuer, upstream) = (Issuer::start().await, Upstream::start().await);
    let changes =
        format!(r#"routes = [{{ name = "notes", upstream_messages = "http://{}/messages" }}]"#, upstream.authority());
    let gateway = Gateway::start_with(&issuer, &upstream, &changes).await;
    (issuer, upstream, gateway)
}

/// Opens a stream on which the upstream announces this place; the target that the client is told.
async fn announced(gateway: &Gateway, issuer: &Issuer, upstream: &mut Upstream, place: &str) -> String {
    upstream.streams();
    let mut reply = gateway.client().bearer(issuer.mint()).open("GET", PATH).await;
    let stream = upstream.stream().await;
    stream.send(&format!("event: endpoint\ndata: {place}\n\n")).await;
    let event = reply.next().await.unwrap();
    upstream.answers(202, "");
    let target = event.strip_prefix("event: endpoint\ndata: ").and_then(|rest| rest.strip_suffix("\n\n"));
    let target = target.unwrap_or_else(|| panic!("{event:?}")).to_owned();
    let sealed = target.strip_prefix("/notes/mcp?sessionId=").unwrap_or_else(|| panic!("{target}"));
    assert!(!sealed.is_empty() && !event.contains("0f8fad5b"), "{event}");
    target
}

async fn refuses(gateway: &Gateway, token: impl std::fmt::Display, target: &str, detail: &str) {
    println!("case: {target}");
    let reply = gateway.client().bearer(token).post(target).await;
    let line = reply.assert_refused(404, "not_found", "mcp.session").await;
    assert_eq!(line.text("detail"), detail);
}

#[tokio::test]
async fn own_endpoint_leads_to_the_upstreams_own_query() {
    let (issuer, mut upstream, gateway) = start().await;
    for (place, wanted) in [
        (format!("/messages?{QUERY}"), format!("/messages?{QUERY}")),
        ("/messages".into(), "/messages".into()),
        ("/messages?".into(), "/messages".into()),
    ] {
        let target = announced(&gateway, &issuer, &mut upstream, &place).await;
        for client in [gateway.client(), gateway.client().http2()] {
            assert_eq!(client.bearer(issuer.mint()).post(&target).await.status(), 202);
            assert_eq!(upstream.received().last().unwrap().target, wanted);
        }
    }
}

#[tokio::test]
async fn m20_endpoint_of_another_caller_gets_404() {
    let (issuer, mut upstream, gateway) = start().await;
    let target = announced(&gateway, &issuer, &mut upstream, &format!("/messages?{QUERY}")).await;
    for (claim, other) in [("sub", "bob"), ("client_id", "client-2"), ("tenant", "umbrella"), ("sub", "client-1")] {
        refuses(&gateway, issuer.mint().claim(claim, other), &target, "another caller's session").await;
    }
    assert_eq!(gateway.client().bearer(issuer.mint()).post(&target).await.status(), 202);
}

#[tokio::test]
async fn m20_endpoint_that_was_not_announced_gets_404() {
    let (issuer, mut upstream, gateway) = start().await;
    let target = announced(&gateway, &issuer, &mut upstream, &format!("/messages?{QUERY}")).await;
    let other = if target.ends_with('A') { "B" } else { "A" };
    let queries = [
        PATH.to_owned(),
        format!("{PATH}?"),
        format!("{PATH}?sessionId="),
        format!("{PATH}?{QUERY}"),
        format!("{PATH}?sessionId=0f8fad5b-d9cb"),
        format!("{}{other}", &target[..target.len() - 1]),
        format!("{target}A"),
        format!("{target}&x=2"),
        format!("{target}&sessionId=1"),
        target.replace("?sessionId", "?x=2&sessionId"),
        target.replace("sessionId", "sessionid"),
        target.replace("sessionId", "session%49d"),
    ];
    for bad in queries {
        refuses(&gateway, issuer.mint(), &bad, "no session id of this gateway").await;
    }
    // The era that a head claims does not lead around the endpoint.
    let modern = gateway.client().bearer(issuer.mint()).header("mcp-protocol-version", "2026-07-28");
    let reply = modern.post(&format!("{PATH}?{QUERY}")).await;
    reply.assert_refused(404, "not_found", "mcp.session").await;
}

#[tokio::test]
async fn m20_sealed_header_is_no_endpoint_and_the_reverse() {
    let (issuer, mut upstream, gateway) = start().await;
    let target = announced(&gateway, &issuer, &mut upstream, &format!("/messages?{QUERY}")).await;
    upstream.answers_with(200, &[("mcp-session-id", "0f8fad5b-d9cb")], "");
    let reply = gateway.client().bearer(issuer.mint()).post(&target).await;
    let id = reply.header("mcp-session-id").unwrap();
    refuses(&gateway, issuer.mint(), &format!("{PATH}?sessionId={id}"), "no session id of this gateway").await;
    let sealed = target.split_once('=').unwrap().1;
    let client = gateway.client().bearer(issuer.mint()).header("mcp-session-id", sealed);
    client.get(PATH).await.assert_refused(404, "not_found", "mcp.session").await;
}

#[tokio::test]
async fn stream_is_opened_with_the_clients_query_and_without_an_event() {
    let (issuer, upstream, gateway) = start().await;
    let client = gateway.client().bearer(issuer.mint()).header("last-event-id", "7");
    client.get(&format!("{PATH}?team=a")).await.assert_served();
    let received = upstream.only();
    assert_eq!((received.target.as_str(), received.field("last-event-id")), ("/mcp?team=a", None));
}

#[tokio::test]
async fn endpoint_that_cannot_be_sealed_ends_the_stream() {
    let (issuer, mut upstream, gateway) = start().await;
    upstream.streams();
    let mut reply = gateway.client().bearer(issuer.mint()).open("GET", PATH).await;
    let stream = upstream.stream().await;
    stream.send(&format!("event: endpoint\ndata: /messages?{}\n\n", "x".repeat(2000))).await;
    assert!(!reply.ends_well().await);
}
