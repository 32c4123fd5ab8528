//! Which key may verify which token (threats K1 to K13).

use serde_json::{Value, json};

use crate::support::keys::{self, base64url};
use crate::support::log;
use crate::support::{Gateway, Issuer, PATH, Upstream};

/// A gateway whose issuer publishes these keys, and a good P-256 key besides.
async fn with_keys(published: impl IntoIterator<Item = Value>) -> (Issuer, Upstream, Gateway) {
    let (issuer, upstream) = (Issuer::start().await, Upstream::start().await);
    let mut keys: Vec<Value> = published.into_iter().collect();
    keys.push(keys::ec().jwk());
    issuer.publish(keys);
    let gateway = Gateway::start_with(&issuer, &upstream, "").await;
    gateway.accepts("the good key beside", issuer.mint().key(keys::ec())).await;
    (issuer, upstream, gateway)
}

/// The warning that a key of this issuer was left out.
async fn skipped(issuer: &Issuer, reason: &str) {
    let what = format!("jwks.key_skipped for {reason}");
    let wanted = |line: &log::Line| line.text("event") == "jwks.key_skipped" && line.text("reason") == reason;
    log::first(&what, |line| wanted(line) && line.text("issuer") == issuer.url()).await;
}

#[tokio::test]
async fn k1_key_for_another_use_gets_401() {
    for (member, value) in [
        ("use", json!("enc")),
        ("use", json!("")),
        ("key_ops", json!(["sign"])),
        ("key_ops", json!(["encrypt", "wrapKey"])),
        ("key_ops", json!([])),
    ] {
        let jwk = keys::rsa().jwk_with(&[(member, value.clone())]);
        let (issuer, _upstream, gateway) = with_keys([jwk]).await;
        gateway.refuses(&format!("{member} {value}"), issuer.mint(), "token.kid | key.use").await;
        skipped(&issuer, "key.use").await;
    }
}

#[tokio::test]
async fn k1_key_for_verifying_is_used() {
    for (member, value) in [("use", json!("sig")), ("key_ops", json!(["verify"]))] {
        let (issuer, _upstream, gateway) = with_keys([keys::rsa().jwk_with(&[(member, value)])]).await;
        gateway.accepts(member, issuer.mint()).await;
    }
}

#[tokio::test]
async fn k2_key_for_another_algorithm_gets_401() {
    for alg in ["RS512", "PS256", "RS384", "ES256", "RSA-OAEP", "none", "HS256", "rs256"] {
        let (issuer, _upstream, gateway) = with_keys([keys::rsa().jwk_with(&[("alg", json!(alg))])]).await;
        gateway.refuses(alg, issuer.mint(), "token.kid | token.signature | key.alg").await;
    }
    let (issuer, _upstream, gateway) = with_keys([keys::rsa().jwk_with(&[("alg", json!("RS256"))])]).await;
    gateway.accepts("its own", issuer.mint()).await;
    gateway.refuses("PS256", issuer.mint().algorithm("PS256"), "token.kid | token.signature | key.alg").await;
}

/// The modulus of a key of 1024 bits, and a good token made with it.
const WEAK_MODULUS: &str = "t18T3Z4qv_y_r1kBOZRYVs7LrJe4LXCBQS5yAUihtfYfoDE2b1em9eDPQvflHSDacLDgcDL3LGpK3SMDPzuBT3298jk4qdv7zudUUxRwhoLs0qtsrS3J_a_wOffO6mUi0UaZ4lsvd_-ZbI3ENqVMSDCtaCCnLOE8Ic4lgi4OwDE";
const WEAK_TOKEN: &str = "eyJhbGciOiAiUlMyNTYiLCAidHlwIjogImF0K2p3dCIsICJraWQiOiAid2VhayJ9.eyJpc3MiOiAiaHR0cHM6Ly93ZWFrLmV4YW1wbGUuY29tIiwgInN1YiI6ICJhbGljZSIsICJhdWQiOiAiaHR0cHM6Ly9tY3AuZXhhbXBsZS5jb20vbm90ZXMvbWNwIiwgImV4cCI6IDQxMDI0NDQ4MDAsICJpYXQiOiAxNzAwMDAwMDAwLCAianRpIjogIjEiLCAiY2xpZW50X2lkIjogImNsaWVudC0xIiwgInNjb3BlIjogIm1jcDp0b29scyIsICJ0ZW5hbnQiOiAiYWNtZSJ9.lE0Zs_H9_ULd3K7SmeHfVVB4e1xe-Fyj4XahxrtlQ-XCVqPbnqewGCuiVjp27b6QmAKP54nS6PA74mVvC5HwQYw3huxnjsiboMI6sVr9f-4pkNfkWqzG5k0yfCbAj2OEZvr9_P8rYVKfVxH_GF2Eqns9Bqb5k0TMdk38rVezqCg";

#[tokio::test]
async fn k3_rsa_key_under_2048_bits_gets_401_and_a_warning() {
    let (issuer, upstream) = (Issuer::start().await, Upstream::start().await);
    let weak = json!({ "kty": "RSA", "kid": "weak", "n": WEAK_MODULUS, "e": "AQAB" });
    issuer.publish([weak, keys::rsa().jwk()]);
    let changes = format!(
        r#"issuers = [{{ name = "corp", issuer = "https://weak.example.com", jwks_uri = "{}/jwks" }}]"#,
        issuer.url()
    );
    let gateway = Gateway::start_with(&issuer, &upstream, &changes).await;
    gateway.refuses("1024 bits", WEAK_TOKEN, "token.kid | key.weak").await;
    let warned = |line: &log::Line| line.text("reason") == "key.weak" && line.text("kid") == "weak";
    let line = log::first("a warning about the weak key", warned).await;
    assert_eq!(line.text("level"), "WARN");
}

#[tokio::test]
async fn k5_point_off_the_curve_gets_401() {
    let mut jwk = keys::ec().jwk_with(&[("kid", json!("off"))]);
    jwk["y"] = json!(base64url([7; 32]));
    let (issuer, _upstream, gateway) = with_keys([jwk]).await;
    let mint = issuer.mint().key(keys::ec()).header("kid", "off");
    gateway.refuses("off the curve", mint, "token.kid | token.signature").await;
    skipped(&issuer, "key.invalid").await;
}

#[tokio::test]
async fn k5_curve_that_does_not_fit_the_algorithm_gets_401() {
    let (issuer, _upstream, gateway) = with_keys([keys::ec_384().jwk()]).await;
    let mint = issuer.mint().key(keys::ec_384()).header("alg", "ES256");
    gateway.refuses("P-384 under ES256", mint, "token.kid | token.signature").await;
    for crv in ["P-256K", "secp256k1", "Ed25519", "p-256", ""] {
        let jwk = keys::ec().jwk_with(&[("kid", json!("odd")), ("crv", json!(crv))]);
        let (issuer, _upstream, gateway) = with_keys([jwk]).await;
        let mint = issuer.mint().key(keys::ec()).header("kid", "odd");
        gateway.refuses(crv, mint, "token.kid | token.signature").await;
    }
}

#[tokio::test]
async fn k7_symmetric_key_in_the_set_gets_401() {
    let secret = b"0123456789abcdef0123456789abcdef";
    let jwk = json!({ "kty": "oct", "kid": "shared", "k": base64url(secret), "alg": "HS256" });
    let (issuer, _upstream, gateway) = with_keys([jwk]).await;
    let mint = issuer.mint().header("kid", "shared");
    gateway.refuses("RS256 under its name", mint.clone(), "token.kid").await;
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, secret);
    let sign = |message: &[u8]| aws_lc_rs::hmac::sign(&key, message).as_ref().to_vec();
    let token = mint.header("alg", "HS256").signed_by(sign);
    gateway.refuses("HS256", token, "token.alg").await;
    skipped(&issuer, "key.type").await;
}

#[tokio::test]
async fn k8_broken_members_do_not_spoil_the_good_ones() {
    let broken = [
        json!({}),
        json!(null),
        json!(1),
        json!("rsa-1"),
        json!([]),
        json!({ "kty": "new", "kid": "x" }),
        json!({ "kty": 1 }),
        json!({ "kty": "RSA", "kid": "x" }),
        json!({ "kty": "RSA", "kid": "x", "n": "!", "e": "AQAB" }),
        json!({ "kty": "RSA", "kid": "x", "n": "AQAB", "e": "" }),
        json!({ "kty": "EC", "kid": "x", "crv": "P-256", "x": "AA", "y": "AA" }),
        json!({ "kty": "OKP", "kid": "x", "crv": "X25519", "x": "AA" }),
        json!({ "kty": "RSA", "kid": 1, "n": "AQAB", "e": "AQAB" }),
        keys::rsa().jwk(),
    ];
    let (issuer, _upstream, gateway) = with_keys(broken).await;
    gateway.accepts("the good one among them", issuer.mint()).await;
    skipped(&issuer, "key.type").await;
    skipped(&issuer, "key.invalid").await;
}

#[tokio::test]
async fn k9_kid_twice_in_one_set_is_never_a_fault() {
    let named = |key: &keys::Key| key.jwk_with(&[("kid", json!("twice"))]);
    for set in [
        [named(keys::rsa()), named(keys::other_rsa())],
        [named(keys::other_rsa()), named(keys::rsa())],
        [named(keys::rsa()), named(keys::ec_384())],
        [named(keys::rsa()), named(keys::rsa())],
    ] {
        let (issuer, _upstream, gateway) = with_keys(set).await;
        let mint = issuer.mint().header("kid", "twice");
        let reply = gateway.client().bearer(&mint).post(PATH).await;
        assert!([200, 401].contains(&reply.status()), "{}", reply.status());
        let forged = mint.signed_by(|_| vec![1; 256]);
        gateway.refuses("forged", forged, "token.signature | token.kid").await;
    }
}

#[tokio::test]
async fn k10_token_without_kid_is_verified_by_the_only_fitting_key_or_gets_401() {
    let (issuer, _upstream, gateway) = with_keys([keys::rsa().jwk()]).await;
    let reply = gateway.client().bearer(issuer.mint().without_header("kid")).post(PATH).await;
    assert!([200, 401].contains(&reply.status()), "{}", reply.status());
    let forged = issuer.mint().key(keys::other_rsa()).without_header("kid");
    gateway.refuses("another key", forged, "token.signature | token.kid").await;
}

/// Two issuers `corp` and `other`, both trusted; the route lists what `listed` says.
async fn two_issuers(listed: &str) -> (Issuer, Issuer, Upstream, Gateway) {
    let (corp, other, upstream) = (Issuer::start().await, Issuer::start().await, Upstream::start().await);
    other.publish([keys::other_rsa().jwk_with(&[("kid", json!("rsa-1"))])]);
    let changes = format!(
        r#"
        issuers = [{{ name = "other", issuer = "{}", insecure_http = true, claims = {{ tenant = "tenant" }} }}]
        routes = [{{ name = "notes", issuers = {listed} }}]
        "#,
        other.url()
    );
    let gateway = Gateway::start_with(&corp, &upstream, &changes).await;
    (corp, other, upstream, gateway)
}

#[tokio::test]
async fn k11_key_of_another_issuer_gets_401() {
    let (corp, other, _upstream, gateway) = two_issuers(r#"["corp", "other"]"#).await;
    let by_other = |issuer: &Issuer| issuer.mint().key(keys::other_rsa()).header("kid", "rsa-1");
    gateway.accepts("corp", corp.mint()).await;
    gateway.accepts("other", by_other(&other)).await;
    gateway.refuses("corp's name, other's key", by_other(&corp), "token.signature").await;
    gateway.refuses("other's name, corp's key", other.mint(), "token.signature").await;
}

#[tokio::test]
async fn k13_issuer_that_the_route_does_not_list_gets_401() {
    let (corp, other, _upstream, gateway) = two_issuers(r#"["corp"]"#).await;
    gateway.accepts("listed", corp.mint()).await;
    let mint = other.mint().key(keys::other_rsa()).header("kid", "rsa-1");
    gateway.refuses("not listed", mint, "token.iss").await;
}
