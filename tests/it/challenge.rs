//! Challenges: each refusal that has one, each value compared whole (RFC 6750, RFC 9728).

use crate::support::gateway::TENANT_IN_PATH;
use crate::support::issuer::Manner;
use crate::support::{Gateway, Issuer, PATH, Upstream, start, start_with};

const METADATA: &str = r#"resource_metadata="https://mcp.example.com/.well-known/oauth-protected-resource/notes/mcp""#;

fn has_parts(value: &str, parts: &[&str]) {
    assert!(value.starts_with("Bearer "), "{value}");
    let length: usize = parts.iter().map(|part| part.len() + 2).sum::<usize>() - 2;
    assert!(parts.iter().all(|part| value.contains(part)), "{value}");
    assert_eq!(value.len(), "Bearer ".len() + length, "{value}");
}

#[tokio::test]
async fn no_credentials_are_told_where_to_begin() {
    let (_issuer, _upstream, gateway) = start().await;
    for client in [gateway.client(), gateway.client().http2(), gateway.client().header("authorization", "Basic eDp5")] {
        let reply = client.post(PATH).await;
        has_parts(reply.header("www-authenticate").unwrap(), &[r#"scope="mcp:tools""#, METADATA]);
    }
}

#[tokio::test]
async fn challenge_without_scopes_has_no_scope() {
    let (issuer, _upstream, gateway) = start_with(r#"routes = [{ name = "notes", scopes = [] }]"#).await;
    let reply = gateway.client().post(PATH).await;
    has_parts(reply.header("www-authenticate").unwrap(), &[METADATA]);
    gateway.accepts("no scope needed", issuer.mint().without("scope")).await;
}

#[tokio::test]
async fn malformed_credentials_are_an_invalid_request() {
    let (issuer, _upstream, gateway) = start().await;
    let token = issuer.mint();
    let client = || gateway.client();
    for reply in [
        client().bearer(&token).bearer(&token).post(PATH).await,
        client().bearer("a b").post(PATH).await,
        client().post(&format!("{PATH}?access_token={token}")).await,
    ] {
        let wanted = "auth.multiple | auth.malformed | auth.query";
        reply.assert_refused(400, "invalid_request", wanted).await;
    }
}

#[tokio::test]
async fn bad_token_is_an_invalid_token_with_a_fixed_description() {
    let (issuer, _upstream, gateway) = start().await;
    for (mint, description) in [
        (issuer.mint().expired(), "the access token expired"),
        (issuer.mint().claim("nbf", 4_102_444_800_u64), "the access token is not valid yet"),
        (issuer.mint().claim("aud", "x"), "the access token is not meant for this resource"),
        (issuer.mint().claim("sub", 1), "the access token is not valid"),
    ] {
        let reply = gateway.client().bearer(mint).post(PATH).await;
        let description = format!(r#"error_description="{description}""#);
        let parts = [r#"error="invalid_token""#, &description, r#"scope="mcp:tools""#, METADATA];
        has_parts(reply.header("www-authenticate").unwrap(), &parts);
    }
}

#[tokio::test]
async fn missing_scope_is_told_which() {
    let (issuer, _upstream, gateway) = start().await;
    let reply = gateway.client().bearer(issuer.mint().claim("scope", "x")).post(PATH).await;
    let challenge = reply.challenge();
    assert_eq!(challenge.error(), Some("insufficient_scope"));
    assert_eq!(challenge.get("scope"), Some("mcp:tools"));
    reply.assert_refused(403, "insufficient_scope", "authz.scope").await;
}

#[tokio::test]
async fn other_denials_have_no_challenge() {
    let (issuer, _upstream, gateway) =
        start_with(r#"routes = [{ name = "notes", tenant = { allow = ["umbrella"] } }]"#).await;
    let reply = gateway.client().bearer(issuer.mint()).post(PATH).await;
    reply.assert_refused(403, "forbidden", "authz.tenant").await;
}

#[tokio::test]
async fn missing_keys_are_no_fault_of_the_token() {
    let (issuer, upstream) = (Issuer::start().await, Upstream::start().await);
    issuer.serves(Manner::Gone);
    let gateway = Gateway::launch_with(&issuer, &upstream, "").await;
    let reply = gateway.client().bearer(issuer.mint()).post(PATH).await;
    reply.assert_refused(503, "temporarily_unavailable", "jwks.unavailable").await;
    assert!(reply.header("retry-after").is_some());
}

#[tokio::test]
async fn challenge_of_a_tenant_names_its_own_document() {
    let changes = TENANT_IN_PATH;
    let (_issuer, _upstream, gateway) = start_with(changes).await;
    for tenant in ["acme", "umbrella"] {
        let reply = gateway.client().post(&format!("/{tenant}/mcp")).await;
        let url = format!("https://mcp.example.com/.well-known/oauth-protected-resource/{tenant}/mcp");
        reply.of_resource(&url, "mcp:tools").assert_refused(401, "unauthorized", "auth.missing").await;
    }
}
