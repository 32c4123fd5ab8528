//! Suspicious behaviour: said once, in the log, the audit stream and the metrics; blocked where that is asked for.

use std::fs;

use crate::support::{Client, Gateway, PATH, Reply, eventually, log, start_with};

/// Three of anything are suspicious; clients are told apart by what the proxy says of them.
const THREE: &str = r#"
[listen]
trusted_proxies = ["127.0.0.1"]

[detection]
window = "1h"
failures_per_address = 3
failures_per_client = 3
foreign_tenants = 3
foreign_sessions = 3
unknown_keys = 3
step_ups = 3
"#;

fn blocking(what: &str) -> String {
    format!("{THREE}block = [\"{what}\"]\nblock_time = \"1h\"\n")
}

fn from(client: Client, address: &str) -> Client {
    client.header("x-forwarded-for", address)
}

async fn suspicious(gateway: &Gateway, reason: &str) -> Option<f64> {
    gateway.metric("portcullis_suspicious_total", &[("reason", reason)]).await
}

async fn assert_blocked(reply: &Reply, reason: &str) {
    let line = reply.assert_refused(429, "too_many_requests", reason).await;
    assert_eq!(line.text("reason"), reason);
    let wait: u64 = reply.header("retry-after").unwrap().parse().unwrap();
    assert!((3590..=3600).contains(&wait), "{wait}");
}

#[tokio::test]
async fn refused_tokens_are_said_once_in_every_place() {
    let changes = format!("{THREE}[audit]\nsink = \"file\"\nfile = \"audit.jsonl\"\n");
    let (issuer, upstream, gateway) = start_with(&changes).await;
    let client = from(gateway.client(), "192.0.2.77").bearer(issuer.mint().claim("aud", "https://other.example.com"));
    for _ in 0..5 {
        assert_eq!(client.clone().post(PATH).await.status(), 401);
    }
    assert_eq!(suspicious(&gateway, "suspicious.failures_address").await, Some(1.0));
    let is_it = |line: &log::Line| line.text("event") == "suspicious" && line.text("client_address") == "192.0.2.77";
    let line = log::first("the event", is_it).await;
    assert_eq!((line.text("reason"), line.text("count")), ("suspicious.failures_address".into(), "3".into()));
    assert_eq!(log::all(is_it).len(), 1);
    let record = eventually("the record", || {
        let text = fs::read_to_string(gateway.file("audit.jsonl")).unwrap();
        text.lines().find(|line| line.contains("\"event\":\"suspicious\"")).map(str::to_owned)
    });
    assert!(record.await.contains("192.0.2.77"));
    gateway.accepts("an honest neighbour", issuer.mint()).await;
    client.bearer(issuer.mint()).post(PATH).await;
    assert_eq!(upstream.received().len(), 1, "two credentials at once are none");
}

#[tokio::test]
async fn blocked_address_is_refused_whatever_it_brings_and_others_are_not() {
    let (issuer, upstream, gateway) = start_with(&blocking("address")).await;
    let bad = issuer.mint().header("kid", "nobody's");
    for _ in 0..3 {
        assert_eq!(from(gateway.client(), "192.0.2.1").bearer(&bad).post(PATH).await.status(), 401);
    }
    let client = from(gateway.client(), "192.0.2.1").bearer(issuer.mint());
    assert_blocked(&client.post(PATH).await, "block.address").await;
    assert!(upstream.received().is_empty());
    assert_eq!(gateway.metric("portcullis_blocked", &[("kind", "address")]).await, Some(1.0));
    from(gateway.client(), "192.0.2.2").bearer(issuer.mint()).post(PATH).await.assert_served();
    assert!(gateway.reload(&(blocking("address") + "[[routes]]\nname = \"notes\"\nbatches = true\n")).await);
    let client = from(gateway.client(), "192.0.2.1").bearer(issuer.mint());
    assert_blocked(&client.post(PATH).await, "block.address").await;
}

#[tokio::test]
async fn client_is_blocked_for_what_its_own_tokens_did_never_for_forged_ones() {
    let changes = blocking("client")
        + "[[routes]]\nname = \"notes\"\n[routes.policy]\ndefault = \"allow\"\nrules = [{ tools = [\"secret\"], deny = true }]\n";
    let (issuer, upstream, gateway) = start_with(&changes).await;
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"secret"}}"#;
    let of = |client: &str| issuer.mint().claim("client_id", client);
    for _ in 0..5 {
        let forged = of("victim").signed_by(|_| vec![1; 256]);
        assert_eq!(gateway.client().bearer(forged).body(call).post(PATH).await.status(), 401);
    }
    gateway.accepts("the victim", of("victim")).await;
    for _ in 0..3 {
        assert_eq!(gateway.client().bearer(of("mallory")).body(call).post(PATH).await.status(), 403);
    }
    assert_eq!(suspicious(&gateway, "suspicious.failures_client").await, Some(1.0));
    let reply = gateway.client().bearer(of("mallory")).post(PATH).await;
    assert_blocked(&reply, "block.client").await;
    gateway.accepts("the victim", of("victim")).await;
    assert_eq!(upstream.received().len(), 2);
}

#[tokio::test]
async fn tenants_sessions_and_step_ups_have_patterns_of_their_own() {
    let changes = format!(
        "{THREE}[[routes]]\nname = \"notes\"\ntenant = {{ allow = [\"acme\"] }}\n\
         [routes.policy]\ndefault = \"allow\"\nrules = [{{ tools = [\"delete\"], scopes = [\"mcp:admin\"] }}]\n"
    );
    let (issuer, upstream, gateway) = start_with(&changes).await;
    let of = |subject: &str| issuer.mint().claim("tenant", "acme").claim("sub", subject);
    for _ in 0..3 {
        let foreign = issuer.mint().claim("tenant", "globex");
        assert_eq!(from(gateway.client(), "192.0.2.1").bearer(foreign).post(PATH).await.status(), 403);
    }
    assert_eq!(suspicious(&gateway, "suspicious.foreign_tenants").await, Some(1.0));

    upstream.answers_with(200, &[("content-type", "application/json"), ("mcp-session-id", "s-1")], "{}");
    let begin = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}"#;
    let answer = gateway.client().bearer(of("alice")).body(begin).post(PATH).await;
    let session = answer.header("mcp-session-id").unwrap();
    for _ in 0..3 {
        let client = gateway.client().bearer(of("bob")).header("mcp-session-id", session);
        assert_eq!(client.post(PATH).await.status(), 404);
    }
    assert_eq!(suspicious(&gateway, "suspicious.foreign_sessions").await, Some(1.0));

    let delete = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"delete"}}"#;
    let step_up = async || gateway.client().bearer(of("carol")).body(delete).post(PATH).await.status();
    assert_eq!((step_up().await, step_up().await), (403, 403));
    gateway.client().bearer(of("carol")).post(PATH).await;
    assert_eq!((step_up().await, step_up().await), (403, 403));
    assert_eq!(suspicious(&gateway, "suspicious.step_ups").await, Some(0.0), "the row was interrupted");
    assert_eq!(step_up().await, 403);
    assert_eq!(suspicious(&gateway, "suspicious.step_ups").await, Some(1.0));
}

#[tokio::test]
async fn use_outside_the_hours_is_said_once_per_caller_and_refused_for_nobody() {
    // A minute of a day that was long ago, every day: hardly ever now, and never twice in a row.
    let hours = |from: &str, to: &str| {
        format!("[[routes]]\nname = \"notes\"\nhours = {{ from = \"{from}\", to = \"{to}\", timezone = \"UTC\" }}\n")
    };
    let (issuer, _upstream, gateway) = start_with(&hours("00:00", "24:00")).await;
    gateway.accepts("in hours", issuer.mint()).await;
    assert_eq!(suspicious(&gateway, "suspicious.off_hours").await, Some(0.0));
    let now = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC);
    let (from, to) = (now.hour() + 2, now.hour() + 3);
    let away = hours(&format!("{:02}:00", from % 24), &format!("{:02}:00", to % 24));
    assert!(gateway.reload(&away).await);
    for subject in ["alice", "alice", "bob"] {
        gateway.accepts("out of hours", issuer.mint().claim("sub", subject)).await;
    }
    assert_eq!(suspicious(&gateway, "suspicious.off_hours").await, Some(2.0));
}
