//! Metadata, keys, and who may read what from a browser.

use super::*;

#[tokio::test]
async fn both_well_known_documents_state_the_same_facts() {
    let setup = Setup::with(Options { resources: vec![RESOURCE.into()], ..Options::default() }).await;
    let oauth = setup.get("/.well-known/oauth-authorization-server").await;
    let oidc = setup.get("/.well-known/openid-configuration").await;
    assert_eq!(oauth.json(), oidc.json());
    assert_eq!(oauth.header("access-control-allow-origin"), Some("*"));
    let (facts, issuer) = (oauth.json(), setup.server.issuer());
    assert_eq!(facts["issuer"], issuer);
    for (member, path) in [
        ("authorization_endpoint", "/authorize"),
        ("token_endpoint", "/token"),
        ("registration_endpoint", "/register"),
        ("revocation_endpoint", "/revoke"),
        ("jwks_uri", "/jwks"),
    ] {
        assert_eq!(facts[member], format!("{issuer}{path}"));
    }
    assert_eq!(facts["code_challenge_methods_supported"], serde_json::json!(["S256"]));
    assert_eq!(facts["response_types_supported"], serde_json::json!(["code"]));
    assert_eq!(facts["authorization_response_iss_parameter_supported"], true);
    assert_eq!(facts["client_id_metadata_document_supported"], true);
    assert_eq!(facts["protected_resources"], serde_json::json!([RESOURCE]));
}

#[tokio::test]
async fn no_page_of_another_origin_reads_what_carries_credentials() {
    let setup = Setup::start().await;
    for origin in ["https://evil.example", "null"] {
        for path in ["/token", "/revoke", "/register", "/authorize"] {
            let posted = setup.post(path, &[("origin", origin)], &[]).await;
            assert_eq!(posted.header("access-control-allow-origin"), None, "{path}");
            let asked = setup.send(Method::OPTIONS, path, &[("origin", origin)], String::new()).await;
            assert_eq!(asked.header("access-control-allow-origin"), None, "{path}");
        }
    }
}

#[tokio::test]
async fn a_configured_origin_reads_tokens_and_no_other_does() {
    let app = "https://inspector.example";
    let options =
        Options { browser_origins: vec![HeaderValue::from_static("https://inspector.example")], ..Options::default() };
    let setup = Setup::with(options).await;
    for method in [Method::POST, Method::OPTIONS] {
        let own = setup.send(method.clone(), "/token", &[("origin", app)], String::new()).await;
        assert_eq!(own.header("access-control-allow-origin"), Some(app));
        assert_eq!(own.header("vary"), Some("Origin"));
        assert_eq!(own.header("access-control-allow-credentials"), None);
        let other = setup.send(method, "/token", &[("origin", "https://evil.example")], String::new()).await;
        assert_eq!(other.header("access-control-allow-origin"), None);
    }
}

#[tokio::test]
async fn it_never_listens_beyond_loopback() {
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let refused = AuthorizationServer::start(listener, Options::default()).unwrap_err();
    assert!(matches!(refused, AuthorizationServerError::NotLoopback));
}
