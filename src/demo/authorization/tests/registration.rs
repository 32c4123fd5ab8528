//! Dynamic registration and client id metadata documents.

use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::routing::get;
use serde_json::json;

use super::*;

async fn register(setup: &Setup, description: Value) -> Reply {
    let json = [("content-type", "application/json")];
    setup.send(Method::POST, "/register", &json, description.to_string()).await
}

#[tokio::test]
async fn a_public_client_registers_and_gets_a_token() {
    let setup = Setup::start().await;
    let reply = register(
        &setup,
        json!({
            "client_name": "<b>Tool</b>",
            "redirect_uris": ["http://localhost:1234/cb"],
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "token_endpoint_auth_method": "none",
            "software_id": "ignored",
        }),
    )
    .await;
    assert_eq!((reply.status.as_u16(), reply.header("cache-control")), (201, Some("no-store")));
    let client = reply.json();
    assert_eq!(client["redirect_uris"], json!(["http://localhost:1234/cb"]));
    assert_eq!(client.get("client_secret"), None);
    let id = client["client_id"].as_str().unwrap();
    let own = [("client_id", id), ("redirect_uri", "http://localhost:99/cb")];
    let page = setup.ask(&own).await;
    assert!(page.body.contains("&lt;b&gt;Tool&lt;/b&gt;") && page.body.contains("localhost:99"));
    let code = setup.press(&page, "alice", "approve").await.answered("code").unwrap();
    let tokens = setup.redeem(&code, &own).await.json();
    assert!(tokens["access_token"].is_string() && tokens["refresh_token"].is_string());
}

#[tokio::test]
async fn a_confidential_client_gets_a_secret_and_must_use_it() {
    let setup = Setup::start().await;
    let client = register(&setup, json!({ "redirect_uris": [REDIRECT] })).await.json();
    assert_eq!(client["token_endpoint_auth_method"], "client_secret_basic");
    assert_eq!(client["grant_types"], json!(["authorization_code"]));
    assert!(client["client_secret_expires_at"].as_u64().unwrap() > 0);
    let (id, secret) = (client["client_id"].as_str().unwrap(), client["client_secret"].as_str().unwrap());
    let code = setup.code("alice", &[("client_id", id)]).await;
    setup.redeem(&code, &[("client_id", id)]).await.refused(401, "invalid_client");
    let tokens = setup.redeem(&code, &[("client_id", id), ("client_secret", secret)]).await.json();
    assert!(tokens["access_token"].is_string());
    assert_eq!(tokens.get("refresh_token"), None, "it did not register for refresh tokens");
}

#[tokio::test]
async fn whoever_registers_gets_no_tokens_without_a_person() {
    let setup = Setup::start().await;
    let asked = json!({ "redirect_uris": [REDIRECT], "grant_types": ["client_credentials"] });
    let client = register(&setup, asked).await.json();
    assert_eq!(client["grant_types"], json!(["authorization_code"]));
    let form = [
        ("grant_type", "client_credentials"),
        ("resource", RESOURCE),
        ("client_id", client["client_id"].as_str().unwrap()),
        ("client_secret", client["client_secret"].as_str().unwrap()),
    ];
    setup.post("/token", &[], &form).await.refused(400, "unauthorized_client");
}

#[tokio::test]
async fn a_description_that_cannot_be_is_refused() {
    let setup = Setup::start().await;
    for (description, error) in [
        (json!({}), "invalid_redirect_uri"),
        (json!({ "redirect_uris": [] }), "invalid_redirect_uri"),
        (json!({ "redirect_uris": vec![REDIRECT; 17] }), "invalid_redirect_uri"),
        (json!({ "redirect_uris": ["http://app.example.com/cb"] }), "invalid_redirect_uri"),
        (json!({ "redirect_uris": [REDIRECT, "javascript:alert(1)"] }), "invalid_redirect_uri"),
        (json!({ "redirect_uris": [REDIRECT], "response_types": ["token"] }), "invalid_client_metadata"),
        (
            json!({ "redirect_uris": [REDIRECT], "token_endpoint_auth_method": "private_key_jwt" }),
            "invalid_client_metadata",
        ),
        (json!([]), "invalid_client_metadata"),
    ] {
        register(&setup, description).await.refused(400, error);
    }
    let text = setup.send(Method::POST, "/register", &[("content-type", "text/plain")], "{}".into()).await;
    text.refused(400, "invalid_client_metadata");
    let large = json!({ "redirect_uris": [REDIRECT], "client_name": "x".repeat(70_000) });
    assert_eq!(register(&setup, large).await.status, 413);
}

#[tokio::test]
async fn registrations_are_bounded() {
    let clients = Clients::new(Vec::new()).unwrap();
    let now = Instant::now();
    let client = |id: usize| Client {
        id: id.to_string(),
        name: None,
        redirects: Vec::new(),
        grants: Vec::new(),
        proof: super::super::client::Proof::None,
        tenant: None,
    };
    let taken = (0..2000).take_while(|id| clients.add(client(*id), now).is_ok()).count();
    assert_eq!(taken, 1000);
    let later = now + super::super::client::REGISTRATION_LIFETIME;
    assert!(clients.find("0", now).is_some() && clients.find("0", later).is_none());
    assert!(clients.add(client(2000), later).is_ok());
}

/// Serves one text at `/client.json`, and counts.
async fn document(body: impl Fn(&str) -> String) -> (Serving, String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let id = format!("http://{}/client.json", listener.local_addr().unwrap());
    let (body, count) = (body(&id), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&count);
    let answer = move || {
        counted.fetch_add(1, Ordering::SeqCst);
        async move { body }
    };
    let elsewhere = id.clone();
    let moved = move || async move { axum::response::Redirect::temporary(&elsewhere) };
    let router = Router::new().route("/client.json", get(answer)).route("/moved.json", get(moved));
    (Serving::start(listener, router, CancellationToken::new()).unwrap(), id, count)
}

#[tokio::test]
async fn a_client_can_be_the_document_at_its_identifier() {
    let describe =
        |id: &str| json!({ "client_id": id, "client_name": "Tool", "redirect_uris": [REDIRECT] }).to_string();
    let (_serving, id, fetched) = document(describe).await;
    let setup = Setup::start().await;
    let code = setup.code("alice", &[("client_id", &id)]).await;
    let tokens = setup.redeem(&code, &[("client_id", &id)]).await.json();
    assert!(tokens["access_token"].is_string());
    assert_eq!(fetched.load(Ordering::SeqCst), 1, "the document is kept");
    let other = setup.ask(&[("client_id", &id), ("redirect_uri", "http://127.0.0.1:7000/other")]).await;
    assert_eq!((other.status.as_u16(), other.header("location")), (400, None));
    let moved = id.replace("client.json", "moved.json");
    assert_eq!(setup.ask(&[("client_id", &moved)]).await.status, 400, "redirects are not followed");
}

#[tokio::test]
async fn a_document_of_another_client_or_too_large_or_missing_is_no_client() {
    let setup = Setup::start().await;
    let (_a, other, _) =
        document(|id| json!({ "client_id": format!("{id}x"), "redirect_uris": [REDIRECT] }).to_string()).await;
    let padding = "x".repeat(6000);
    let large = |id: &str| json!({ "client_id": id, "redirect_uris": [REDIRECT], "client_name": padding }).to_string();
    let (_b, large, _) = document(large).await;
    let missing = other.replace("client.json", "nothing.json");
    for id in [other, large, missing, "http://127.0.0.1:1/client.json".into()] {
        assert_eq!(setup.ask(&[("client_id", &id)]).await.status, 400, "{id}");
    }
}
