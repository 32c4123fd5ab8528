//! Rule 4: algorithms, issuers and key places come from the configuration; nothing that a token, a key set or a document names is
//! fetched.

use serde_json::{Value, json};

use crate::support::issuer::Manner;
use crate::support::keys;
use crate::support::log;
use crate::support::{Gateway, Issuer, PATH, Upstream, start, start_with};

/// An issuer's document leads to keys over https, or over loopback where the configuration says so: to nothing else.
#[tokio::test]
async fn x4a_metadata_leads_to_no_file_and_no_other_scheme() {
    let (upstream, neighbour) = (Upstream::start().await, Issuer::start().await);
    let port = neighbour.authority();
    for uri in [
        "file:///etc/passwd".to_owned(),
        "data:application/json,%7B%22keys%22%3A%5B%5D%7D".to_owned(),
        "ftp://127.0.0.1/jwks".to_owned(),
        "gopher://127.0.0.1/jwks".to_owned(),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
        "http://[fd00:ec2::254]/jwks".to_owned(),
        "http://10.0.0.1/jwks".to_owned(),
        "http://localhost.evil.example/jwks".to_owned(),
        format!("http://{port}@10.0.0.1/jwks"),
        format!("http://10.0.0.1#@{port}/jwks"),
        "http://[::ffff:10.0.0.1]/jwks".to_owned(),
        "http://0.0.0.0/jwks".to_owned(),
        "//169.254.169.254/jwks".to_owned(),
    ] {
        println!("case: {uri}");
        let issuer = Issuer::start().await;
        issuer.claims_to_be("jwks_uri", uri.clone());
        let gateway = Gateway::launch_with(&issuer, &upstream, "").await;
        let of_issuer = |line: &log::Line| line.text("issuer") == issuer.url() && !line.text("reason").is_empty();
        let line = log::first(&format!("why {uri} is no place for keys"), of_issuer).await;
        assert!(["jwks.insecure_uri", "issuer.metadata"].contains(&&*line.text("reason")), "{line:?}");
        let reply = gateway.client().bearer(issuer.mint()).post(PATH).await;
        reply.assert_refused(503, "temporarily_unavailable", "jwks.unavailable").await;
    }
    assert_eq!(neighbour.targets(), [""; 0]);
    assert!(upstream.received().is_empty());
}

/// What a key set says of further places is not looked at, however it is said.
#[tokio::test]
async fn x4b_key_set_that_points_elsewhere_is_read_and_not_followed() {
    let (issuer, _upstream, gateway) = start_with(r#"issuers = [{ name = "corp", key_max_age = "1s" }]"#).await;
    let attacker = Issuer::start().await;
    attacker.publish([keys::other_rsa().jwk()]);
    let at = |path: &str| json!(format!("{}{path}", attacker.url()));
    let pointing = keys::rsa().jwk_with(&[("x5u", at("/chain")), ("jku", at("/jwks")), ("url", at("/jwks"))]);
    let foreign = json!({"kty": "RSA", "kid": attacker.url() + "/jwks", "jku": at("/jwks"), "x5u": at("/chain")});
    issuer.publish([pointing, foreign, json!({"$ref": at("/jwks")}), at("/jwks"), Value::Null]);
    let link =
        format!("link: <{0}/jwks>; rel=\"next\"\r\nlocation: {0}/jwks\r\nrefresh: 0; url={0}/jwks", attacker.url());
    issuer.serves(Manner::WithField(link));
    issuer.fetched_more_than(issuer.fetches() + 1).await;
    gateway.accepts("the good key of the set", issuer.mint()).await;
    let forged = issuer.mint().key(keys::other_rsa()).header("kid", attacker.url() + "/jwks");
    gateway.refuses("signed by the place that is named", forged, "token.kid").await;
    assert_eq!(attacker.targets(), [""; 0]);
}

/// OpenID Connect Core §5.6.2: claims that lie elsewhere. They are not fetched, and a rule that needs one is not met.
#[tokio::test]
async fn x4c_claims_that_lie_elsewhere_are_not_fetched() {
    let (issuer, upstream, gateway) = start().await;
    let elsewhere = Issuer::start().await;
    let place = json!({"src1": {"endpoint": elsewhere.url() + "/claims", "access_token": "x"}});
    let token =
        issuer.mint().claim("_claim_names", json!({"email": "src1", "scope": "src1"})).claim("_claim_sources", place);
    let token = token.claim("jwks_uri", elsewhere.url() + "/jwks").claim("jku", elsewhere.url() + "/jwks");
    gateway.accepts("the token's own claims", token.clone()).await;
    assert_eq!(upstream.only().field("x-auth-email"), None);
    let reply = gateway.client().bearer(token.without("scope")).post(PATH).await;
    reply.assert_refused(403, "insufficient_scope", "authz.scope").await;
    assert_eq!(elsewhere.targets(), [""; 0]);
}
