//! What answers and log lines may say (threats R1, R2, R5, R6).

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::log::{self, Line};
use crate::support::mint::unique;
use crate::support::{PATH, eventually, start, start_with};

#[tokio::test]
async fn r1_every_401_has_one_bearer_challenge() {
    let (issuer, _upstream, gateway) = start().await;
    for method in ["GET", "POST", "DELETE", "HEAD", "PUT"] {
        for client in [gateway.client(), gateway.client().bearer(issuer.mint().expired())] {
            let reply = client.request(method, PATH).await;
            assert_eq!(reply.status(), 401);
            let url = crate::support::reply::METADATA_URL;
            assert_eq!(reply.challenge().get("resource_metadata"), Some(url));
        }
    }
}

#[tokio::test]
async fn r2_bad_token_is_not_explained_to_the_client() {
    let (issuer, _upstream, gateway) = start().await;
    let subject = unique();
    for mint in [
        issuer.mint().claim("sub", subject.clone()).header("kid", "secret-kid"),
        issuer.mint().claim("sub", subject.clone()).claim("aud", "secret-audience"),
        issuer.mint().claim("sub", subject.clone()).key(crate::support::keys::other_rsa()).header("kid", "rsa-1"),
    ] {
        let reply = gateway.client().bearer(&mint).post(PATH).await;
        assert_eq!(reply.challenge().error(), Some("invalid_token"));
        let whole = format!("{:?}{}", reply.head, reply.text()).to_lowercase();
        let port = issuer.authority();
        for secret in [&subject, "kid", "secret", "rsa", "jwks", "key", "signature", "jsonwebtoken", &port] {
            assert!(!whole.contains(secret), "{secret} in {whole}");
        }
    }
}

#[tokio::test]
async fn r5_refusals_are_json_that_nobody_stores() {
    let (issuer, _upstream, gateway) = start().await;
    let client = || gateway.client();
    let token = || client().bearer(issuer.mint());
    // `assert_refused` compares the shape, the fields and the log.
    client().post(PATH).await.assert_refused(401, "unauthorized", "auth.missing").await;
    token().post("/x").await.assert_refused(404, "not_found", "route.none").await;
    token().host("x").post(PATH).await.assert_refused(421, "misdirected_request", "host.unknown").await;
    token().request("PUT", PATH).await.assert_refused(405, "method_not_allowed", "route.method").await;
    let text = token().header("content-type", "text/plain");
    text.post(PATH).await.assert_refused(415, "unsupported_media_type", "mcp.type").await;
}

#[tokio::test]
async fn r5_request_ids_are_new_for_each_request_and_go_upstream() {
    let (issuer, upstream, gateway) = start().await;
    let chosen = || gateway.client().bearer(issuer.mint()).header("x-request-id", "chosen");
    let (first, second) = (chosen().post(PATH).await, chosen().post(PATH).await);
    let ids = [first.header("x-request-id").unwrap(), second.header("x-request-id").unwrap()];
    assert_ne!(ids[0], ids[1]);
    assert_ne!(ids[0], "chosen");
    let received = upstream.received();
    assert_eq!(received[0].fields.get("x-request-id"), Some(ids[0]));
    assert_eq!(received[1].fields.get("x-request-id"), Some(ids[1]));
}

#[tokio::test]
async fn r6_log_line_of_a_served_request_names_the_caller_and_not_the_token() {
    let (issuer, _upstream, gateway) = start().await;
    let (subject, id) = (unique(), unique());
    let token = issuer.mint().claim("sub", subject.clone()).claim("jti", id.clone()).to_string();
    let reply = gateway.client().bearer(&token).post(&format!("{PATH}?secret-query")).await;
    reply.assert_served();
    let line = reply.log().await;
    for (field, value) in [
        ("event", "served"),
        ("status", "200"),
        ("route", "notes"),
        ("iss", &issuer.url()),
        ("sub", &subject),
        ("client_id", "client-1"),
        ("tenant", "acme"),
        ("jti", &id),
        ("method", "POST"),
    ] {
        assert_eq!(line.text(field), value, "{field} in {line:?}");
    }
    assert!(line.text("peer").starts_with("127.0.0.1:"), "{line:?}");
    assert!(!line.json().contains("secret-query"), "{line:?}");
}

#[tokio::test]
async fn log_without_served_requests_has_the_refused_ones_and_follows_reloads() {
    let (issuer, _upstream, gateway) = start().await;
    assert!(gateway.reload("log.served = false").await);
    let served = gateway.client().bearer(issuer.mint()).post(PATH).await;
    served.assert_served();
    gateway.client().post(PATH).await.assert_refused(401, "unauthorized", "auth.missing").await;
    assert!(gateway.reload("").await);
    gateway.client().bearer(issuer.mint()).post(PATH).await.log().await;
    let lines = log::all(|line| served.header("x-request-id") == Some(line.text("request_id").as_str()));
    assert!(lines.is_empty(), "{lines:?}");
}

#[tokio::test]
async fn refusals_that_repeat_are_counted_in_the_log() {
    let (_issuer, _upstream, gateway) = start_with("log = { every_refusal = false }\n").await;
    for _ in 0..4 {
        assert_eq!(gateway.client().post("/nowhere//at-all").await.status(), 404);
    }
    let repeated = |reason: &str| {
        let of_these = |line: &Line| line.text("reason") == reason && !line.text("repeated").is_empty();
        log::all(of_these).iter().map(|line| line.text("repeated").parse::<u32>().unwrap()).sum::<u32>()
    };
    eventually("the count of those after the first", || (repeated("route.path") == 3).then_some(())).await;
    // Connections too.
    for _ in 0..4 {
        let mut stream = TcpStream::connect(gateway.address()).await.unwrap();
        stream.write_all(b"no handshake").await.unwrap();
        stream.read_to_end(&mut Vec::new()).await.unwrap_or_default();
    }
    eventually("the count of connections", || (repeated("conn.tls") == 3).then_some(())).await;
}

#[tokio::test]
async fn r6_token_and_body_are_never_logged() {
    let (issuer, _upstream, gateway) = start().await;
    for mint in [issuer.mint(), issuer.mint().expired(), issuer.mint().header("kid", "unknown")] {
        let secret = unique();
        let token = mint.claim("private", secret.clone()).to_string();
        let client = gateway.client().bearer(&token).body(format!(r#"{{"secret":"{secret}-body"}}"#));
        let reply = client.post(PATH).await;
        reply.log().await;
        let signature = token.split('.').nth(2).unwrap().to_owned();
        let leaks = log::all(|line| {
            let json = line.json();
            json.contains(&signature) || json.contains(&secret) || json.contains(&token)
        });
        assert!(leaks.is_empty(), "{leaks:?}");
    }
}

#[tokio::test]
async fn r6_token_in_a_query_is_never_logged() {
    let (issuer, _upstream, gateway) = start().await;
    let token = issuer.mint().to_string();
    let reply = gateway.client().post(&format!("{PATH}?access_token={token}")).await;
    reply.assert_refused(400, "invalid_request", "auth.query").await;
    assert!(log::all(|line| line.json().contains(&token)).is_empty());
}

#[tokio::test]
async fn r6_refused_token_is_logged_with_its_reason_and_without_its_claims() {
    let (issuer, _upstream, gateway) = start().await;
    let subject = unique();
    let forged = issuer.mint().claim("sub", subject.clone()).key(crate::support::keys::other_rsa());
    let reply = gateway.client().bearer(forged.header("kid", "rsa-1")).post(PATH).await;
    let line = reply.assert_refused(401, "invalid_token", "token.signature").await;
    assert_eq!(line.text("route"), "notes");
    assert_eq!(line.text("sub"), "");
    assert!(!line.json().contains(&subject), "{line:?}");
}

#[tokio::test]
async fn r6_long_paths_are_cut_in_the_log() {
    let (_issuer, _upstream, gateway) = start().await;
    let reply = gateway.client().post(&format!("/{}", "a".repeat(4000))).await;
    let line = reply.assert_refused(404, "not_found", "route.none").await;
    assert!(line.json().len() < 2000, "{line:?}");
}
