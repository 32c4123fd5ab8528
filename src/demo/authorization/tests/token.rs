//! The token endpoint and revocation.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use super::*;

fn part(token: &str, index: usize) -> Value {
    let part = token.split('.').nth(index).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

fn basic(id: &str, secret: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")))
}

/// `svc` with its secret, form-encoded as RFC 6749 §2.3.1 says.
fn svc() -> String {
    basic("svc", "s3cret%3A%2B+%25")
}

fn own<'a>() -> [(&'a str, &'a str); 2] {
    [("grant_type", "client_credentials"), ("resource", RESOURCE)]
}

#[tokio::test]
async fn a_token_says_everything_rfc_9068_asks_for_and_its_signature_holds() {
    let setup = Setup::start().await;
    let reply = setup.redeem(&setup.code("alice@acme", &[]).await, &[]).await;
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    let answer = reply.json();
    assert_eq!((&answer["token_type"], &answer["expires_in"]), (&"Bearer".into(), &300.into()));
    assert_eq!(answer["scope"], "mcp:tools");
    let token = answer["access_token"].as_str().unwrap();
    let (header, claims) = (part(token, 0), part(token, 1));
    assert_eq!((&header["typ"], &header["alg"]), (&"at+jwt".into(), &"ES256".into()));
    assert_eq!(claims["iss"], setup.server.issuer());
    assert_eq!(claims["sub"], "alice@acme");
    assert_eq!(claims["tenant"], "acme");
    assert_eq!(claims["aud"], RESOURCE);
    assert_eq!(claims["client_id"], "app");
    assert_eq!(claims["scope"], "mcp:tools");
    assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 300);
    assert_eq!(claims["jti"].as_str().unwrap().len(), 43);

    let set = setup.get("/jwks").await.json();
    let key = set["keys"].as_array().unwrap().iter().find(|key| key["kid"] == header["kid"]).unwrap();
    assert_eq!((&key["kty"], &key["use"], &key["d"]), (&"EC".into(), &"sig".into(), &Value::Null));
    let coordinate = |name: &str| URL_SAFE_NO_PAD.decode(key[name].as_str().unwrap()).unwrap();
    let point = [vec![4], coordinate("x"), coordinate("y")].concat();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(signed.as_bytes(), &signature).unwrap();
}

#[tokio::test]
async fn the_tenant_is_the_typed_one_or_the_default_or_none() {
    let none = Setup::start().await;
    let token = none.redeem(&none.code("alice", &[]).await, &[]).await.json();
    assert_eq!(part(token["access_token"].as_str().unwrap(), 1).get("tenant"), None);
    let options = Options { default_tenant: TenantId::parse("acme").ok(), ..Options::default() };
    let acme = Setup::with(options).await;
    for (user, tenant) in [("alice", "acme"), ("bob@globex", "globex")] {
        let token = acme.redeem(&acme.code(user, &[]).await, &[]).await.json();
        assert_eq!(part(token["access_token"].as_str().unwrap(), 1)["tenant"], tenant);
    }
}

#[tokio::test]
async fn the_token_lives_as_long_as_configured() {
    let options = Options { access_token_lifetime: Duration::from_secs(2), ..Options::default() };
    let setup = Setup::with(options).await;
    let token = setup.redeem(&setup.code("alice", &[]).await, &[]).await.json();
    assert_eq!(token["expires_in"], 2);
}

#[tokio::test]
async fn a_code_is_refused_with_anything_that_was_not_asked_with() {
    let setup = Setup::start().await;
    let wrong: [(Changes<'_>, u16, &str); 9] = [
        (&[("code_verifier", "")], 400, "invalid_request"),
        (&[("code_verifier", "short")], 400, "invalid_request"),
        (&[("code_verifier", CHALLENGE)], 400, "invalid_grant"),
        (&[("redirect_uri", "")], 400, "invalid_request"),
        // The port may differ from the registered one, not from the one asked with.
        (&[("redirect_uri", "http://127.0.0.1:7001/cb")], 400, "invalid_grant"),
        (&[("resource", "")], 400, "invalid_target"),
        (&[("resource", "https://127.0.0.1:8443/other")], 400, "invalid_target"),
        (&[("client_id", "nobody")], 401, "invalid_client"),
        (&[("client_id", "")], 401, "invalid_client"),
    ];
    for (changes, status, error) in wrong {
        let code = setup.code("alice", &[]).await;
        setup.redeem(&code, changes).await.refused(status, error);
    }
    setup.redeem("unknown", &[]).await.refused(400, "invalid_grant");
}

#[tokio::test]
async fn a_loopback_port_may_vary_between_registration_and_request() {
    let setup = Setup::start().await;
    for redirect in ["http://127.0.0.1:1/cb", "http://127.0.0.1:65535/cb", "http://127.0.0.1/cb"] {
        let code = setup.code("alice", &[("redirect_uri", redirect)]).await;
        assert_eq!(setup.redeem(&code, &[("redirect_uri", redirect)]).await.status, 200, "{redirect}");
    }
}

#[tokio::test]
async fn a_code_used_twice_revokes_what_it_gave() {
    let setup = Setup::start().await;
    let code = setup.code("alice", &[]).await;
    let first = setup.redeem(&code, &[]).await.json();
    setup.redeem(&code, &[]).await.refused(400, "invalid_grant");
    let refresh = first["refresh_token"].as_str().unwrap();
    setup.refresh(refresh, &[]).await.refused(400, "invalid_grant");
}

#[tokio::test]
async fn refresh_tokens_rotate_and_reuse_revokes_the_family() {
    let setup = Setup::start().await;
    let first = setup.redeem(&setup.code("alice@acme", &[]).await, &[]).await.json();
    let first = first["refresh_token"].as_str().unwrap();
    let second = setup.refresh(first, &[]).await.json();
    assert_eq!(part(second["access_token"].as_str().unwrap(), 1)["tenant"], "acme");
    let second = second["refresh_token"].as_str().unwrap();
    assert_ne!(first, second);
    setup.refresh(first, &[]).await.refused(400, "invalid_grant");
    setup.refresh(second, &[]).await.refused(400, "invalid_grant");
}

#[tokio::test]
async fn a_refresh_cannot_reach_further_than_the_approval() {
    let scopes = ["mcp:read", "mcp:write", "mcp:admin"].map(|scope| Scope::parse(scope).unwrap()).to_vec();
    let setup = Setup::with(Options { scopes, ..Options::default() }).await;
    let code = setup.code("alice", &[("scope", "mcp:read mcp:write")]).await;
    let tokens = setup.redeem(&code, &[]).await.json();
    let token = tokens["refresh_token"].as_str().unwrap();
    for (changes, error) in [
        ([("scope", "mcp:admin")], "invalid_scope"),
        ([("resource", "https://other.example")], "invalid_target"),
        ([("resource", "")], "invalid_target"),
    ] {
        setup.refresh(token, &changes).await.refused(400, error);
    }
    // A mistake does not use the token up.
    let narrow = setup.refresh(token, &[("scope", "mcp:read")]).await.json();
    assert_eq!(narrow["scope"], "mcp:read");
    let again = narrow["refresh_token"].as_str().unwrap();
    assert_eq!(setup.refresh(again, &[]).await.json()["scope"], "mcp:read mcp:write");
}

#[tokio::test]
async fn a_service_proves_itself_by_header_or_form_and_speaks_for_its_tenant() {
    let setup = Setup::start().await;
    let by_header = setup.post("/token", &[("authorization", &svc())], &own()).await;
    let form = [own().as_slice(), &[("client_id", "svc"), ("client_secret", "s3cret:+ %")]].concat();
    let by_form = setup.post("/token", &[], &form).await;
    for reply in [by_header, by_form] {
        let answer = reply.json();
        let claims = part(answer["access_token"].as_str().unwrap(), 1);
        assert_eq!((&claims["sub"], &claims["client_id"]), (&"svc".into(), &"svc".into()));
        assert_eq!((&claims["tenant"], &claims["aud"]), (&"acme".into(), &RESOURCE.into()));
        assert_eq!(answer.get("refresh_token"), None);
    }
}

#[tokio::test]
async fn a_client_that_is_not_who_it_says_is_refused() {
    let setup = Setup::start().await;
    for header in [basic("svc", "wrong"), basic("svc", ""), basic("app", "x"), "Basic !".into(), "Bearer x".into()] {
        let reply = setup.post("/token", &[("authorization", &header)], &own()).await;
        reply.refused(401, "invalid_client");
        assert_eq!(reply.header("www-authenticate"), Some("Basic realm=\"token\""));
    }
    let bare = [own().as_slice(), &[("client_id", "svc")]].concat();
    setup.post("/token", &[], &bare).await.refused(401, "invalid_client");
    let public = [own().as_slice(), &[("client_id", "app")]].concat();
    setup.post("/token", &[], &public).await.refused(400, "unauthorized_client");
    let both = [own().as_slice(), &[("client_secret", "x")]].concat();
    setup.post("/token", &[("authorization", &svc())], &both).await.refused(400, "invalid_request");
    let two = [own().as_slice(), &[("client_id", "app")]].concat();
    setup.post("/token", &[("authorization", &svc())], &two).await.refused(400, "invalid_request");
}

#[tokio::test]
async fn only_forms_with_one_of_each_parameter_and_a_known_grant_are_read() {
    let setup = Setup::start().await;
    let auth = svc();
    let json = [("authorization", auth.as_str()), ("content-type", "application/json")];
    setup.send(Method::POST, "/token", &json, "{}".into()).await.refused(400, "invalid_request");
    let password = [("grant_type", "password"), ("username", "a"), ("password", "b")];
    setup.post("/token", &json[..1], &password).await.refused(400, "unsupported_grant_type");
    let twice = [own().as_slice(), &[("grant_type", "client_credentials")]].concat();
    setup.post("/token", &json[..1], &twice).await.refused(400, "invalid_request");
    setup.post("/token", &json[..1], &own()[..1]).await.refused(400, "invalid_target");
}

#[tokio::test]
async fn only_configured_resources_get_tokens_when_there_are_any() {
    let setup = Setup::with(Options { resources: vec![RESOURCE.into()], ..Options::default() }).await;
    let back = setup.ask(&[("resource", "https://127.0.0.1:8443/mcp/")]).await;
    assert_eq!(back.answered("error").as_deref(), Some("invalid_target"));
    assert_eq!(setup.ask(&[]).await.status, 200);
}

#[tokio::test]
async fn revoking_either_token_ends_the_refresh_token_and_unknown_ones_are_fine() {
    let setup = Setup::start().await;
    for kind in ["access_token", "refresh_token"] {
        let tokens = setup.redeem(&setup.code("alice", &[]).await, &[]).await.json();
        let token = tokens[kind].as_str().unwrap();
        let foreign = setup.post("/revoke", &[("authorization", &svc())], &[("token", token)]).await;
        foreign.refused(400, "invalid_request");
        let revoked = setup.post("/revoke", &[], &[("client_id", "app"), ("token", token)]).await;
        assert_eq!(revoked.status, 200);
        let refresh = tokens["refresh_token"].as_str().unwrap();
        setup.refresh(refresh, &[]).await.refused(400, "invalid_grant");
    }
    let unknown = setup.post("/revoke", &[], &[("client_id", "app"), ("token", "unknown")]).await;
    assert_eq!(unknown.status, 200);
    setup.post("/revoke", &[], &[("token", "x")]).await.refused(401, "invalid_client");
}

#[tokio::test]
async fn tokens_of_either_key_verify_after_a_rotation() {
    for algorithm in [SigningAlgorithm::Es256, SigningAlgorithm::Rs256, SigningAlgorithm::EdDsa] {
        let setup = Setup::with(Options { algorithm, ..Options::default() }).await;
        let kid = async || {
            let token = setup.post("/token", &[("authorization", &svc())], &own()).await.json();
            let header = part(token["access_token"].as_str().unwrap(), 0);
            assert_eq!(header["alg"], algorithm.as_str());
            header["kid"].clone()
        };
        let first = kid().await;
        setup.server.rotate_keys(OldKey::StaysPublished).unwrap();
        let second = kid().await;
        assert_eq!(setup.key_ids().await, [second.clone(), first.clone()]);
        setup.server.rotate_keys(OldKey::IsWithdrawn).unwrap();
        assert_eq!(setup.key_ids().await, [kid().await]);
    }
}
