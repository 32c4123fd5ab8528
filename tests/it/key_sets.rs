//! How keys are fetched and how long they serve (threats K14 to K23).

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::issuer::Manner;
use crate::support::keys;
use crate::support::log;
use crate::support::{Gateway, Issuer, PATH, Upstream, start, start_with};

/// An unknown `kid` may ask for a fetch ten times a second, and a fetch takes at most 300 ms.
const EAGER: &str = r#"issuers = [{ name = "corp", key_cool_down = "100ms", key_timeout = "300ms" }]"#;

/// Answers that never wait for a fetch come within this, on a busy machine too.
const AT_ONCE: Duration = Duration::from_secs(2);

/// Waits for a line about this issuer's keys.
async fn logged(issuer: &Issuer, reason: &str) {
    let wanted = |line: &log::Line| line.text("reason") == reason || line.text("event") == reason;
    let url = issuer.url();
    log::first(&format!("{reason} about {url}"), |line| wanted(line) && line.text("issuer") == url).await;
}

/// Makes the gateway ask for keys, and waits until it has.
async fn provoke_a_fetch(gateway: &Gateway, issuer: &Issuer) {
    let before = issuer.fetches();
    let start = Instant::now();
    while issuer.fetches() == before {
        assert!(start.elapsed() < Duration::from_secs(8), "no fetch");
        let unknown = issuer.mint().header("kid", "unknown");
        gateway.client().bearer(unknown).post(PATH).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn k14_unknown_kids_cause_one_fetch_in_the_cool_down() {
    let (issuer, _upstream, gateway) = start().await;
    let before = issuer.fetches();
    for i in 0..30 {
        let unknown = issuer.mint().header("kid", format!("unknown-{i}"));
        gateway.refuses("unknown", unknown, "token.kid").await;
    }
    assert!(issuer.fetches() <= before + 1, "{} fetches", issuer.fetches() - before);
}

#[tokio::test]
async fn k14_unknown_kid_is_answered_at_once_while_the_issuer_is_silent() {
    let (issuer, _upstream, gateway) = start().await;
    issuer.serves(Manner::Silent);
    let start = Instant::now();
    for _ in 0..3 {
        gateway.refuses("unknown", issuer.mint().header("kid", "unknown"), "token.kid").await;
    }
    assert!(start.elapsed() < 3 * AT_ONCE, "{:?}", start.elapsed());
}

#[tokio::test]
async fn k14_forged_signatures_cause_one_fetch_in_the_cool_down() {
    let (issuer, _upstream, gateway) = start().await;
    let before = issuer.fetches();
    for _ in 0..10 {
        let forged = issuer.mint().key(keys::other_rsa()).header("kid", "rsa-1");
        gateway.refuses("forged", forged, "token.signature").await;
    }
    assert!(issuer.fetches() <= before + 1, "{} fetches", issuer.fetches() - before);
}

#[tokio::test]
async fn k15_new_key_is_accepted_after_one_fetch() {
    let (issuer, _upstream, gateway) = start_with(EAGER).await;
    let mint = issuer.mint().key(keys::other_rsa());
    gateway.refuses("not yet published", &mint, "token.kid").await;
    issuer.publish([keys::rsa().jwk(), keys::other_rsa().jwk()]);
    let start = Instant::now();
    while gateway.client().bearer(&mint).post(PATH).await.status() != 200 {
        assert!(start.elapsed() < Duration::from_secs(5), "never accepted");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    gateway.accepts("the old key", issuer.mint()).await;
    logged(&issuer, "jwks.updated").await;
}

/// Whatever the issuer does now, a known key serves on, at once.
async fn survives(what: &str, manner: Manner, reason: &str) {
    println!("case: {what}");
    let (issuer, _upstream, gateway) = start_with(EAGER).await;
    issuer.serves(manner);
    provoke_a_fetch(&gateway, &issuer).await;
    let start = Instant::now();
    gateway.accepts("while the fetch runs", issuer.mint()).await;
    assert!(start.elapsed() < AT_ONCE, "waited {:?}", start.elapsed());
    logged(&issuer, reason).await;
    gateway.accepts("after the fetch failed", issuer.mint()).await;
}

fn answer(status: &str, body: &str) -> Manner {
    let length = body.len();
    Manner::Bytes(format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n{body}").into())
}

#[tokio::test]
async fn k16_old_keys_serve_while_the_issuer_answers_errors() {
    survives("503", answer("503 Busy", "{}"), "jwks.fetch_failed").await;
    survives("404", answer("404 Gone", "{}"), "jwks.fetch_failed").await;
    survives("204", answer("204 Nothing", ""), "jwks.fetch_failed").await;
}

#[tokio::test]
async fn k16_old_keys_serve_while_the_issuer_is_gone_or_slow() {
    survives("closed", Manner::Gone, "jwks.fetch_failed").await;
    survives("silent", Manner::Silent, "jwks.fetch_failed").await;
    survives("dribbling", Manner::Dribbling, "jwks.fetch_failed").await;
}

#[tokio::test]
async fn k16_old_keys_serve_while_the_issuer_answers_nonsense() {
    survives("HTML", answer("200 OK", "<html></html>"), "jwks.fetch_failed").await;
    survives("truncated", answer("200 OK", r#"{"keys":[{"kty":"RSA""#), "jwks.fetch_failed").await;
    survives("no set", answer("200 OK", r#"{"kyes":[]}"#), "jwks.fetch_failed").await;
    survives("cut off", Manner::Bytes("HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{".into()), "jwks.fetch_failed")
        .await;
}

#[tokio::test]
async fn k16_keys_that_are_too_old_get_503() {
    let (issuer, upstream) = (Issuer::start().await, Upstream::start().await);
    let changes = r#"issuers = [{ name = "corp", key_max_age = "1s", key_max_stale = "2s", key_cool_down = "100ms" }]"#;
    let gateway = Gateway::start_with(&issuer, &upstream, changes).await;
    gateway.accepts("fresh", issuer.mint()).await;
    issuer.serves(Manner::Gone);
    let start = Instant::now();
    let reply = loop {
        let reply = gateway.client().bearer(issuer.mint()).post(PATH).await;
        if reply.status() != 200 {
            break reply;
        }
        assert!(start.elapsed() < Duration::from_secs(9), "still served");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert!(start.elapsed() > Duration::from_millis(900), "{:?}", start.elapsed());
    reply.assert_refused(503, "temporarily_unavailable", "jwks.unavailable").await;
    assert!(reply.header("retry-after").is_some());
}

#[tokio::test]
async fn k17_key_set_over_512_kib_is_cut_off() {
    let padded = json!({ "keys": [keys::other_rsa().jwk()], "padding": "x".repeat(600 * 1024) });
    survives("600 KiB", answer("200 OK", &padded.to_string()), "jwks.too_large").await;
    survives("without an end", Manner::Endless, "jwks.too_large").await;
}

#[tokio::test]
async fn k17_key_set_over_100_keys_is_refused() {
    let keys: Vec<_> = (0..101).map(|i| keys::rsa().jwk_with(&[("kid", json!(format!("k{i}")))])).collect();
    let set = json!({ "keys": keys }).to_string();
    survives("101 keys", answer("200 OK", &set), "jwks.too_large").await;
}

#[tokio::test]
async fn k19_redirect_is_not_followed() {
    let attacker = Issuer::start().await;
    attacker.publish([keys::other_rsa().jwk()]);
    let redirect = format!("HTTP/1.1 302 Found\r\nlocation: {}/jwks\r\ncontent-length: 0\r\n\r\n", attacker.url());
    survives("302", Manner::Bytes(redirect.into()), "jwks.redirect").await;
    assert_eq!(attacker.targets(), [""; 0]);
}

#[tokio::test]
async fn k21_tokens_get_503_until_keys_are_there() {
    let (issuer, upstream) = (Issuer::start().await, Upstream::start().await);
    issuer.serves(Manner::Gone);
    let gateway = Gateway::launch_with(&issuer, &upstream, EAGER).await;
    let reply = gateway.client().bearer(issuer.mint()).post(PATH).await;
    reply.assert_refused(503, "temporarily_unavailable", "jwks.unavailable").await;
    assert!(reply.header("retry-after").unwrap().parse::<u64>().unwrap() > 0);
    gateway.client().post(PATH).await.assert_refused(401, "unauthorized", "auth.missing").await;
    let ready = gateway.admin().get("/readyz").await;
    assert_eq!(ready.status(), 503);
    assert!(ready.text().contains("corp"), "{}", ready.text());
    issuer.serves(Manner::Well);
    gateway.ready().await;
    gateway.accepts("keys are there", issuer.mint()).await;
}

#[tokio::test]
async fn k22_metadata_of_another_issuer_is_not_used() {
    let (issuer, upstream) = (Issuer::start().await, Upstream::start().await);
    issuer.claims_to_be("issuer", format!("{}/", issuer.url()));
    let gateway = Gateway::launch_with(&issuer, &upstream, EAGER).await;
    logged(&issuer, "issuer.mismatch").await;
    let reply = gateway.client().bearer(issuer.mint()).post(PATH).await;
    reply.assert_refused(503, "temporarily_unavailable", "jwks.unavailable").await;
    assert_eq!(issuer.fetches(), 0);
}

#[tokio::test]
async fn k23_withdrawn_key_gets_401_after_the_next_refresh() {
    let changes = r#"issuers = [{ name = "corp", key_max_age = "1s", key_cool_down = "100ms" }]"#;
    let (issuer, _upstream, gateway) = start_with(changes).await;
    let token = issuer.mint().to_string();
    gateway.accepts("published", &token).await;
    issuer.publish([keys::ec().jwk()]);
    issuer.fetched_more_than(issuer.fetches()).await;
    let start = Instant::now();
    let reply = loop {
        let reply = gateway.client().bearer(&token).post(PATH).await;
        if reply.status() != 200 {
            break reply;
        }
        assert!(start.elapsed() < Duration::from_secs(5), "still served");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    reply.assert_refused(401, "invalid_token", "token.kid").await;
    gateway.accepts("the other key", issuer.mint().key(keys::ec())).await;
}

#[tokio::test]
async fn k23_cache_headers_cannot_stretch_the_refresh() {
    let (issuer, upstream) = (Issuer::start().await, Upstream::start().await);
    issuer.serves(Manner::WithField("cache-control: max-age=86400".into()));
    let changes = r#"issuers = [{ name = "corp", key_max_age = "1s" }]"#;
    let _gateway = Gateway::start_with(&issuer, &upstream, changes).await;
    issuer.fetched_more_than(issuer.fetches()).await;
}

#[tokio::test]
async fn d19_floods_of_unknown_keys_and_issuers_cause_no_more_than_one_fetch() {
    let (issuer, upstream, gateway) = start().await;
    let elsewhere = Issuer::start().await;
    let before = issuer.fetches();
    for number in 0..60 {
        let client = if number % 2 == 0 { gateway.client() } else { gateway.client().http2() };
        let unknown = issuer.mint().header("kid", format!("{}/{number}", elsewhere.url()));
        client.clone().bearer(unknown).post(PATH).await.assert_refused(401, "invalid_token", "token.kid").await;
        let foreign = issuer.mint().claim("iss", format!("{}/{number}", elsewhere.url()));
        client.clone().bearer(foreign).post(PATH).await.assert_refused(401, "invalid_token", "token.iss").await;
        let own = elsewhere.mint();
        client.clone().bearer(own).post(PATH).await.assert_refused(401, "invalid_token", "token.iss").await;
        client.bearer(issuer.mint()).post(PATH).await.assert_served();
    }
    assert!(issuer.fetches() <= before + 1, "{} fetches", issuer.fetches() - before);
    assert_eq!(elsewhere.targets(), [""; 0]);
    assert_eq!(upstream.received().len(), 60);
}
