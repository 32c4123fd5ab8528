//! Whose a legacy session is: its id is of use to one caller on one route, and the upstream's own id stays inside (threat M20).

use std::fmt::Display;

use crate::support::client::CALL;
use crate::support::gateway::route;
use crate::support::upstream::ANSWER;
use crate::support::{Gateway, Issuer, Mint, PATH, Reply, Upstream, log, start, start_with};

/// 32 bytes of one kind each.
const KEY: &str = "[sessions]\nkeys = [\"AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\"]";
const OTHER_KEY: &str = "[sessions]\nkeys = [\"AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=\"]";
const BOTH_KEYS: &str = r#"
    [sessions]
    keys = ["AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=", "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="]
"#;

/// The upstream's own id.
const ID: &str = "0f8fad5b-d9cb-469f-a165-70867728950e";
const JSON: (&str, &str) = ("content-type", "application/json");

/// Every way to use a session: method, and the event to resume from.
const USES: [(&str, Option<&str>); 5] =
    [("POST", None), ("GET", None), ("GET", Some("7")), ("POST", Some("7")), ("DELETE", None)];

/// Opens a session: the id as the client sees it.
async fn open(gateway: &Gateway, upstream: &Upstream, token: impl Display) -> String {
    upstream.answers_with(200, &[JSON, ("mcp-session-id", ID)], ANSWER);
    let reply = gateway.client().bearer(token).post(PATH).await;
    reply.assert_served();
    upstream.answers(200, ANSWER);
    assert_hidden(&reply);
    reply.header("mcp-session-id").unwrap().to_owned()
}

/// The upstream's id is nowhere in the answer.
#[track_caller]
fn assert_hidden(reply: &Reply) {
    assert!(!format!("{:?}{}", reply.head, reply.text()).contains(ID), "{:?}\n{}", reply.head, reply.text());
}

async fn use_it(gateway: &Gateway, token: impl Display, id: &str, (method, event): (&str, Option<&str>)) -> Reply {
    let client = gateway.client().bearer(token).header("mcp-session-id", id);
    let client = event.into_iter().fold(client, |client, event| client.header("last-event-id", event));
    client.request(method, PATH).await
}

/// Asserts that no use of this id gets anywhere.
async fn refuses(gateway: &Gateway, what: &str, token: impl Display, id: &str, detail: &str) {
    for kind in USES {
        println!("case: {what}, {kind:?}");
        let reply = use_it(gateway, &token, id, kind).await;
        let line = reply.assert_refused(404, "not_found", "mcp.session").await;
        assert_eq!(line.text("detail"), detail, "{line:?}");
        assert!(id.len() < 20 || !line.json().contains(id), "{line:?}");
    }
}

const FOREIGN: &str = "another caller's session";
const UNKNOWN: &str = "no session id of this gateway";

/// Asserts that every use reaches the upstream under its own id; the session is ended afterwards.
async fn serves(gateway: &Gateway, upstream: &Upstream, token: impl Display, id: &str) {
    for kind in USES {
        println!("case: served, {kind:?}");
        use_it(gateway, &token, id, kind).await.assert_served();
        let received = upstream.received().pop().unwrap();
        assert_eq!((received.field("mcp-session-id"), received.field("last-event-id")), (Some(ID), kind.1));
        assert!(!format!("{received:?}").contains(id), "{received:?}");
    }
}

#[tokio::test]
async fn m20_session_of_another_subject_client_tenant_or_kind_gets_404() {
    let (issuer, upstream, gateway) = start_with(KEY).await;
    let id = open(&gateway, &upstream, issuer.mint()).await;
    let others: [(&str, Mint); 6] = [
        ("subject", issuer.mint().claim("sub", "bob")),
        ("client", issuer.mint().claim("client_id", "client-2")),
        ("tenant", issuer.mint().claim("tenant", "umbrella")),
        ("no tenant", issuer.mint().without("tenant")),
        ("kind", issuer.mint().claim("sub", "client-1")),
        ("shifted", issuer.mint().claim("sub", "aliceclient").claim("client_id", "-1")),
    ];
    for (what, mint) in others {
        refuses(&gateway, what, mint, &id, FOREIGN).await;
    }
    serves(&gateway, &upstream, issuer.mint(), &id).await;
}

#[tokio::test]
async fn m20_session_of_another_issuers_namesake_gets_404() {
    let (corp, other, upstream) = (Issuer::start().await, Issuer::start().await, Upstream::start().await);
    let changes = format!(
        r#"
        issuers = [{{ name = "other", issuer = "{}", insecure_http = true, claims = {{ tenant = "tenant" }} }}]
        routes = [{{ name = "notes", issuers = ["corp", "other"] }}]
        "#,
        other.url()
    );
    let gateway = Gateway::start_with(&corp, &upstream, &changes).await;
    let id = open(&gateway, &upstream, corp.mint()).await;
    refuses(&gateway, "issuer", other.mint(), &id, FOREIGN).await;
    serves(&gateway, &upstream, corp.mint(), &id).await;
}

#[tokio::test]
async fn m20_session_of_another_route_gets_404() {
    let (issuer, upstream) = (Issuer::start().await, Upstream::start().await);
    let route = route("second", "https://mcp.example.com/second", &upstream, &["mcp:tools"]);
    let gateway = Gateway::start_with(&issuer, &upstream, &route).await;
    let id = open(&gateway, &upstream, issuer.mint()).await;
    let mint = issuer.mint_for("https://mcp.example.com/second");
    let reply = gateway.client().bearer(&mint).header("mcp-session-id", &id).post("/second").await;
    let line = reply.assert_refused(404, "not_found", "mcp.session").await;
    assert_eq!(line.text("detail"), FOREIGN);
    gateway.client().bearer(mint).post("/second").await.assert_served();
}

#[tokio::test]
async fn m20_id_that_the_gateway_did_not_seal_gets_404() {
    let (issuer, upstream, gateway) = start_with(KEY).await;
    let id = open(&gateway, &upstream, issuer.mint()).await;
    let flipped = |at: usize| {
        let other = if id[at..].starts_with('A') { "B" } else { "A" };
        format!("{}{other}{}", &id[..at], &id[at + 1..])
    };
    let cases = [
        ("bare", ID.to_owned()),
        ("empty", String::new()),
        ("short", "a".into()),
        ("truncated", id[..id.len() - 1].into()),
        ("longer", format!("{id}A")),
        ("padded", format!("{id}=")),
        ("doubled", format!("{id},{id}")),
        ("quoted", format!("\"{id}\"")),
        ("first character", flipped(0)),
        ("a character", flipped(id.len() / 2)),
        ("last character", flipped(id.len() - 1)),
        ("forged", "A".repeat(id.len())),
        ("endless", "A".repeat(4000)),
        ("not ASCII", "é".into()),
    ];
    for (what, bad) in cases {
        refuses(&gateway, what, issuer.mint(), &bad, UNKNOWN).await;
    }
    serves(&gateway, &upstream, issuer.mint(), &id).await;
}

#[tokio::test]
async fn m20_event_without_an_own_session_gets_404() {
    let (issuer, upstream, gateway) = start().await;
    for method in ["GET", "POST", "DELETE"] {
        let reply = gateway.client().bearer(issuer.mint()).header("last-event-id", "7").request(method, PATH).await;
        reply.assert_refused(404, "not_found", "mcp.session").await;
    }
    assert!(upstream.received().is_empty());
}

#[tokio::test]
async fn m20_repeated_fields_get_404() {
    let (issuer, upstream, gateway) = start().await;
    let id = open(&gateway, &upstream, issuer.mint()).await;
    let client = gateway.client().bearer(issuer.mint()).header("mcp-session-id", &id);
    let twice = [
        client.clone().header("mcp-session-id", &id),
        client.clone().header("Mcp-Session-Id", ID),
        client.clone().header("last-event-id", "1").header("last-event-id", "1"),
    ];
    for client in twice {
        for client in [client.clone(), client.http2()] {
            client.post(PATH).await.assert_refused(404, "not_found", "mcp.session").await;
        }
    }
    client.http2().post(PATH).await.assert_served();
}

#[tokio::test]
async fn session_lives_on_with_a_new_token_a_new_gateway_and_over_http2() {
    let (issuer, upstream, gateway) = start_with(KEY).await;
    let id = open(&gateway, &upstream, issuer.mint()).await;
    let later = issuer.mint().expires_in(std::time::Duration::from_mins(1)).claim("scope", "mcp:tools more");
    use_it(&gateway, later, &id, ("POST", None)).await.assert_served();
    assert!(gateway.shut_down().await);
    let gateway = Gateway::start_with(&issuer, &upstream, KEY).await;
    gateway.client().bearer(issuer.mint()).header("mcp-session-id", &id).http2().post(PATH).await.assert_served();
    serves(&gateway, &upstream, issuer.mint(), &id).await;
}

#[tokio::test]
async fn another_key_does_not_open_a_session() {
    let (issuer, upstream, gateway) = start_with(KEY).await;
    let id = open(&gateway, &upstream, issuer.mint()).await;
    for (what, changes) in [("another key", OTHER_KEY), ("a key of its own", "")] {
        let other = Gateway::start_with(&issuer, &upstream, changes).await;
        refuses(&other, what, issuer.mint(), &id, UNKNOWN).await;
    }
}

#[tokio::test]
async fn keys_are_exchanged_without_losing_a_session() {
    let (issuer, upstream, old) = start_with(KEY).await;
    let before = open(&old, &upstream, issuer.mint()).await;
    let both = Gateway::start_with(&issuer, &upstream, BOTH_KEYS).await;
    let during = open(&both, &upstream, issuer.mint()).await;
    serves(&both, &upstream, issuer.mint(), &before).await;
    let new = Gateway::start_with(&issuer, &upstream, OTHER_KEY).await;
    refuses(&new, "sealed before", issuer.mint(), &before, UNKNOWN).await;
    serves(&new, &upstream, issuer.mint(), &during).await;
}

#[tokio::test]
async fn start_without_a_key_is_said_once_in_the_log() {
    let (_issuer, _upstream, _gateway) = start().await;
    let line = log::first("a word about the key", |line| line.text("event") == "sessions.key_made").await;
    assert_eq!(line.text("level"), "WARN");
    assert!(line.text("detail").contains("sessions.keys"), "{line:?}");
}

#[tokio::test]
async fn own_id_comes_back_as_the_client_knows_it() {
    let (issuer, upstream, gateway) = start().await;
    let id = open(&gateway, &upstream, issuer.mint()).await;
    upstream.answers_with(200, &[JSON, ("Mcp-Session-Id", ID)], ANSWER);
    let reply = use_it(&gateway, issuer.mint(), &id, ("POST", None)).await;
    assert_eq!(reply.header("mcp-session-id"), Some(id.as_str()));
    assert_hidden(&reply);
    upstream.answers_with(200, &[JSON, ("Mcp-Session-Id", "another")], ANSWER);
    let reply = use_it(&gateway, issuer.mint(), &id, ("POST", None)).await;
    let other = reply.header("mcp-session-id").unwrap();
    assert!(other != id && other != "another", "{other}");
    use_it(&gateway, issuer.mint(), other, ("POST", None)).await.assert_served();
    assert_eq!(upstream.received().last().unwrap().field("mcp-session-id"), Some("another"));
}

#[tokio::test]
async fn upstreams_id_is_hidden_in_answers_of_every_status_and_in_streams() {
    let (issuer, mut upstream, gateway) = start().await;
    for status in [200, 202, 400, 404, 500] {
        upstream.answers_with(status, &[JSON, ("mcp-session-id", ID)], ANSWER);
        let reply = gateway.client().bearer(issuer.mint()).post(PATH).await;
        assert_eq!(reply.status(), status);
        assert!(reply.header("mcp-session-id").is_some());
        assert_hidden(&reply);
    }
    upstream.streams_with(&format!("content-type: text/event-stream\r\nmcp-session-id: {ID}\r\n"));
    let reply = gateway.client().bearer(issuer.mint()).open("GET", PATH).await;
    let _stream = upstream.stream().await;
    assert!(reply.head.fields.get("mcp-session-id").is_some_and(|id| id != ID));
}

#[tokio::test]
async fn other_spellings_of_the_id_do_not_reach_the_client() {
    let (issuer, upstream, gateway) = start().await;
    let odd = [("mcp_session_id", ID), ("Mcp.Session-Id", ID), ("last-event-id", ID), ("last_event_id", ID)];
    upstream.answers_with(200, &[&[JSON], odd.as_slice()].concat(), ANSWER);
    let reply = gateway.client().bearer(issuer.mint()).post(PATH).await;
    reply.assert_served();
    assert_hidden(&reply);
    assert!(reply.fields().names().iter().all(|name| !name.contains("session") && !name.contains("event")));
}

#[tokio::test]
async fn answer_with_an_id_that_is_none_or_stands_twice_gets_502() {
    let (issuer, upstream, gateway) = start().await;
    let own = open(&gateway, &upstream, issuer.mint()).await;
    for ids in
        [vec![""], vec!["a b"], vec!["é"], vec!["a\tb"], vec![&"x".repeat(1025)], vec![ID, ID], vec![ID, "other"]]
    {
        println!("case: {ids:?}");
        let fields: Vec<_> = ids.iter().map(|id| ("mcp-session-id", *id)).chain([JSON]).collect();
        upstream.answers_with(200, &fields, ANSWER);
        for fields in [vec![], vec![("mcp-session-id", own.as_str())]] {
            let client = fields.iter().fold(gateway.client(), |client, (name, value)| client.header(name, value));
            let reply = client.bearer(issuer.mint()).post(PATH).await;
            let line = reply.assert_failed(502, "bad_gateway", "upstream.session").await;
            assert!(line.text("detail").contains("session id"), "{line:?}");
            assert_eq!(reply.header("mcp-session-id"), None);
            assert_hidden(&reply);
        }
    }
}

#[tokio::test]
async fn ended_session_gets_404_and_others_go_on() {
    let (issuer, upstream, gateway) = start_with(KEY).await;
    let id = open(&gateway, &upstream, issuer.mint()).await;
    for status in [400, 405, 500] {
        upstream.answers(status, ANSWER);
        assert_eq!(use_it(&gateway, issuer.mint(), &id, ("DELETE", None)).await.status(), status);
    }
    upstream.answers(200, ANSWER);
    use_it(&gateway, issuer.mint(), &id, ("POST", None)).await.assert_served();
    let again = open(&gateway, &upstream, issuer.mint()).await;
    let bobs = open(&gateway, &upstream, issuer.mint().claim("sub", "bob")).await;
    upstream.answers(204, "");
    assert_eq!(use_it(&gateway, issuer.mint(), &id, ("DELETE", None)).await.status(), 204);
    upstream.answers(200, ANSWER);
    refuses(&gateway, "ended", issuer.mint(), &id, UNKNOWN).await;
    refuses(&gateway, "ended under its other name", issuer.mint(), &again, UNKNOWN).await;
    serves(&gateway, &upstream, issuer.mint().claim("sub", "bob"), &bobs).await;
}

#[tokio::test]
async fn session_that_the_upstream_begins_anew_under_its_old_id_is_served() {
    let (issuer, upstream, gateway) = start().await;
    let id = open(&gateway, &upstream, issuer.mint()).await;
    use_it(&gateway, issuer.mint(), &id, ("DELETE", None)).await.assert_served();
    refuses(&gateway, "ended", issuer.mint(), &id, UNKNOWN).await;
    let id = open(&gateway, &upstream, issuer.mint()).await;
    serves(&gateway, &upstream, issuer.mint(), &id).await;
}

#[tokio::test]
async fn other_spellings_and_fields_of_the_other_era_do_not_reach_the_upstream() {
    let (issuer, upstream, gateway) = start().await;
    let id = open(&gateway, &upstream, issuer.mint()).await;
    let odd =
        ["mcp_session_id", "Mcp.Session-Id", "last_event_id", "Last.Event.Id", "mcp_method", "mcp_protocol_version"];
    let modern = ["mcp-method", "Mcp-Name", "mcp-param-city", "mcp_param_city"];
    let client = odd.iter().chain(&modern).fold(gateway.client(), |client, name| client.header(name, &id));
    client.bearer(issuer.mint()).post(PATH).await.assert_served();
    upstream.received().last().unwrap().assert_only(&[]);
}

#[tokio::test]
async fn nominated_session_is_judged_all_the_same() {
    let (issuer, upstream, gateway) = start().await;
    let id = open(&gateway, &upstream, issuer.mint()).await;
    let client = gateway.client().header("connection", "mcp-session-id").header("mcp-session-id", &id);
    let foreign = client.clone().bearer(issuer.mint().claim("sub", "bob")).post(PATH).await;
    foreign.assert_refused(404, "not_found", "mcp.session").await;
    client.bearer(issuer.mint()).post(PATH).await.assert_served();
    assert_eq!(upstream.received().last().unwrap().field("mcp-session-id"), Some(ID));
}

#[tokio::test]
async fn modern_requests_neither_send_nor_receive_sessions() {
    let (issuer, upstream, gateway) = start().await;
    upstream.answers_with(200, &[JSON, ("mcp-session-id", ID), ("last-event-id", "7")], ANSWER);
    let meta = r#""params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}"#;
    let client = gateway.client().bearer(issuer.mint()).body(CALL.replace(r#""params":{}"#, meta));
    let client = client.header("mcp-protocol-version", "2026-07-28").header("mcp-method", "tools/list");
    let client = client.header("mcp-session-id", "anything").header("last-event-id", "7").header("mcp-param-a.b", "x");
    let reply = client.header("mcp_param_a", "y").post(PATH).await;
    reply.assert_served();
    assert_hidden(&reply);
    assert!(reply.fields().names().iter().all(|name| !name.contains("session") && !name.contains("event")));
    upstream.only().assert_only(&["mcp-protocol-version", "mcp-method", "mcp-param-a.b"]);
}
