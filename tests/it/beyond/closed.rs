//! Rule 8: fail closed: no keys, no policy, no verdict means no request upstream.

use std::time::Duration;

use serde_json::json;

use crate::support::client::CALL;
use crate::support::raw::post_head_with;
use crate::support::{Mint, PATH, eventually_reply, keys, start, start_with};

/// Two refreshes in a second.
const EAGER: &str = r#"issuers = [{ name = "corp", key_max_age = "1s", key_cool_down = "100ms" }]"#;

/// An issuer that publishes nothing that can be used has withdrawn everything: remembered tokens fall with it.
#[tokio::test]
async fn x8a_set_without_a_usable_key_ends_remembered_tokens_too() {
    let private = keys::rsa().jwk_with(&[("d", json!("AQ"))]);
    let symmetric = json!({"kty": "oct", "kid": keys::rsa().id, "k": "c2VjcmV0"});
    for set in [vec![], vec![private], vec![symmetric]] {
        let (issuer, upstream, gateway) = start_with(EAGER).await;
        let token = issuer.mint().to_string();
        gateway.accepts("before", &token).await;
        issuer.publish(set.clone());
        let reply = eventually_reply("no keys", async || {
            let reply = gateway.client().bearer(&token).post(PATH).await;
            (reply.status() != 200).then_some(reply)
        });
        reply.await.assert_refused(503, "temporarily_unavailable", "jwks.unavailable").await;
        let served = upstream.received().len();
        gateway.client().bearer(issuer.mint()).post(PATH).await;
        assert_eq!(upstream.received().len(), served, "{set:?}");
        assert_eq!(gateway.admin().get("/readyz").await.status(), 503);
    }
}

/// A limit by something that a token does not say is a limit all the same: a claim that is not there is no way around it.
#[tokio::test]
async fn x8b_callers_without_what_a_limit_counts_by_are_counted_together() {
    let changes =
        r#"routes = [{ name = "notes", limits = [{ per = ["tenant"], requests = 2, window = "1h", burst = 2 }] }]"#;
    let (issuer, upstream, gateway) = start_with(changes).await;
    let without = |subject: &str| issuer.mint().without("tenant").claim("sub", subject);
    gateway.accepts("one", without("alice")).await;
    gateway.accepts("another", without("bob")).await;
    let reply = gateway.client().bearer(without("carol")).post(PATH).await;
    reply.assert_refused(429, "too_many_requests", "limit.rate").await;
    assert_eq!(upstream.received().len(), 2);
    gateway.accepts("somebody of a tenant", issuer.mint()).await;
}

/// An open connection and a token that was verified under the old rules earn nothing under the new ones.
#[tokio::test]
async fn x8c_new_rules_hold_at_once_on_open_connections() {
    let (issuer, upstream, gateway) = start().await;
    let client = gateway.client().bearer(issuer.mint());
    let (mut first, mut second) = (gateway.connect().await, gateway.connect_http2().await);
    first.send(&client, "POST", PATH).await.assert_served();
    second.send(&client, "POST", PATH).await.assert_served();
    let asks_more = |scopes: &str| format!("routes = [{{ name = \"notes\", scopes = {scopes} }}]");
    assert!(gateway.reload(&asks_more(r#"["mcp:tools", "mcp:admin"]"#)).await);
    for reply in [first.send(&client, "POST", PATH).await, second.send(&client, "POST", PATH).await] {
        let document = "https://mcp.example.com/.well-known/oauth-protected-resource/notes/mcp";
        let reply = reply.of_resource(document, "mcp:tools mcp:admin");
        reply.assert_refused(403, "insufficient_scope", "authz.scope").await;
    }
    let denied = "[[routes]]\nname = \"notes\"\n[routes.policy]\ndefault = \"deny\"\nrules = []";
    assert!(gateway.reload(denied).await);
    for reply in [first.send(&client, "POST", PATH).await, second.send(&client, "POST", PATH).await] {
        reply.assert_refused(403, "forbidden", "authz.method | authz.denied | authz.operation").await;
    }
    assert!(gateway.reload("routes = [{ name = \"notes\", audiences = [], tenant = { allow = [\"globex\"] } }]").await);
    for reply in [first.send(&client, "POST", PATH).await, second.send(&client, "POST", PATH).await] {
        reply.assert_refused(403, "forbidden", "authz.tenant").await;
    }
    assert_eq!(upstream.received().len(), 2);
}

/// A body may come for an hour, a little each second. Who prepares many such calls could work on long after the token has ended.
#[tokio::test]
async fn x8d_token_that_ends_while_its_body_comes_lets_nothing_through() {
    let changes = "[revocations]\nfile = \"revoked.toml\"\n[[issuers]]\nname = \"corp\"\nleeway = \"0s\"\n";
    let (issuer, upstream, gateway) = start_with(changes).await;
    let begin = async |token: Mint| {
        let mut connection = gateway.connect().await;
        connection.write(post_head_with(token, &format!("Content-Length: {}\r\n", CALL.len())) + &CALL[..9]).await;
        connection
    };
    let mut expiring = begin(issuer.mint().expires_in(Duration::from_secs(2))).await;
    let mut revoked = begin(issuer.mint().claim("sub", "mallory")).await;
    let mut good = begin(issuer.mint()).await;
    // Longer than the token lives, and than its second takes to end.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let list = "[[revoked]]\nissuer = \"corp\"\nnote = \"left\"\nsubject = \"mallory\"\n";
    std::fs::write(gateway.file("revoked.toml"), list).unwrap();
    assert!(gateway.reload(changes).await);
    for (connection, reason) in [(&mut expiring, "token.exp"), (&mut revoked, "token.revoked")] {
        let reply = connection.exchange(&CALL[9..]).await;
        assert_eq!((reply.status(), reply.challenge().error()), (401, Some("invalid_token")));
        assert_eq!(reply.log().await.text("reason"), reason);
    }
    assert!(upstream.received().is_empty());
    good.exchange(&CALL[9..]).await.assert_served();
}
