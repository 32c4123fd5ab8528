//! Dynamic client registration (RFC 7591): a client describes itself, and gets an identifier.

use std::time::Instant;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Shared;
use super::client::{Client, Grant, Proof};
use super::error::{Code, OAuthError};
use super::params::is_of_type;
use super::redirect::RedirectUri;
use super::secret::{self, Digest};

/// Redirect URIs of one client.
const MAX_REDIRECTS: usize = 16;
/// Characters of a client's name.
const MAX_NAME_CHARS: usize = 100;

/// What a client says of itself, in a registration (RFC 7591 §2) or in its metadata document. Unknown members are ignored.
#[derive(Debug, Deserialize)]
pub(super) struct Description {
    #[serde(default)]
    redirect_uris: Vec<String>,
    client_name: Option<String>,
    grant_types: Option<Vec<String>>,
    response_types: Option<Vec<String>>,
    pub(super) token_endpoint_auth_method: Option<String>,
}

impl Description {
    /// The client described here, once all of it has been checked.
    pub(super) fn into_client(self, id: String, proof: Proof) -> Result<Client, OAuthError> {
        let metadata = |why| OAuthError::new(Code::InvalidClientMetadata, why);
        if self.redirect_uris.is_empty() || self.redirect_uris.len() > MAX_REDIRECTS {
            return Err(OAuthError::new(Code::InvalidRedirectUri, "between 1 and 16 redirect URIs are needed"));
        }
        let redirects: Result<Vec<_>, _> = self.redirect_uris.iter().map(|uri| RedirectUri::parse(uri)).collect();
        let redirects = redirects.map_err(|_| {
            OAuthError::new(
                Code::InvalidRedirectUri,
                "a redirect URI must be https, http on a loopback host, or a private-use scheme",
            )
        })?;
        if self.response_types.is_some_and(|types| types.iter().any(|kind| kind != "code")) {
            return Err(metadata("the only response type is code"));
        }
        Ok(Client {
            id,
            name: self.client_name.map(|name| name.chars().take(MAX_NAME_CHARS).collect()),
            redirects,
            grants: grants(self.grant_types),
            proof,
            tenant: None,
        })
    }
}

/// RFC 7591 §2: `authorization_code` when nothing is said; §3.2.1: the server may drop what it does not offer.
/// Client credentials are never given to whoever asks: no person approves those tokens.
fn grants(asked: Option<Vec<String>>) -> Vec<Grant> {
    let mut grants = vec![Grant::AuthorizationCode];
    if asked.is_some_and(|asked| asked.iter().any(|grant| grant == Grant::RefreshToken.as_str())) {
        grants.push(Grant::RefreshToken);
    }
    grants
}

/// `POST /register`.
pub(super) async fn register(State(shared): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    match try_register(&shared, &headers, &body) {
        Ok(document) => {
            let no_store = (header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            (StatusCode::CREATED, [no_store], Json(document)).into_response()
        }
        Err(error) => error.into_response(),
    }
}

fn try_register(shared: &Shared, headers: &HeaderMap, body: &[u8]) -> Result<Value, OAuthError> {
    // RFC 7591 §3.1. It also keeps pages of other origins out: a browser asks before it sends JSON, and is told no.
    if !is_of_type(headers, "application/json") {
        let wrong = "the body must be application/json";
        return Err(OAuthError::new(Code::InvalidClientMetadata, wrong));
    }
    let description: Description = serde_json::from_slice(body)
        .map_err(|_| OAuthError::new(Code::InvalidClientMetadata, "the body must be a JSON client description"))?;
    // RFC 7591 §2: client_secret_basic when nothing is said.
    let method = description.token_endpoint_auth_method.clone();
    let method = method.unwrap_or_else(|| "client_secret_basic".to_owned());
    let secret = match method.as_str() {
        "none" => None,
        "client_secret_basic" | "client_secret_post" => Some(secret::generate()?),
        _ => {
            return Err(OAuthError::new(
                Code::InvalidClientMetadata,
                "token_endpoint_auth_method must be none, client_secret_basic or client_secret_post",
            ));
        }
    };
    let proof = secret.as_deref().map_or(Proof::None, |secret| Proof::Secret(Digest::of(secret)));
    let client = description.into_client(secret::generate()?, proof)?;
    let answer = answer(&client, &method, secret.as_deref());
    shared.clients.add(client, Instant::now())?;
    Ok(answer)
}

/// RFC 7591 §3.2.1: everything registered, as it was registered.
fn answer(client: &Client, method: &str, secret: Option<&str>) -> Value {
    let now = super::seconds_since_epoch();
    let mut document = json!({
        "client_id": client.id,
        "client_id_issued_at": now,
        "redirect_uris": client.redirects.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "grant_types": client.grants.iter().map(|grant| grant.as_str()).collect::<Vec<_>>(),
        "response_types": ["code"],
        "token_endpoint_auth_method": method,
    });
    if let Value::Object(members) = &mut document {
        if let Some(name) = &client.name {
            members.insert("client_name".into(), json!(name));
        }
        if let Some(secret) = secret {
            members.insert("client_secret".into(), json!(secret));
            let expires = now + super::client::REGISTRATION_LIFETIME.as_secs();
            members.insert("client_secret_expires_at".into(), json!(expires));
        }
    }
    document
}
