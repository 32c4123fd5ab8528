//! The token endpoint and revocation: a proof of approval goes in, a short-lived access token comes out.

use std::time::Instant;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Serialize;

use super::authenticate::authenticate;
use super::client::{Client, Grant, Proof};
use super::error::{Code, OAuthError};
use super::grants::{Approval, GrantId, Redemption};
use super::params::Params;
use super::{Shared, secret};
use crate::names::TenantId;

/// RFC 7636 §4.1: shortest and longest verifier.
const VERIFIER_CHARS: std::ops::RangeInclusive<usize> = 43..=128;

/// RFC 9068 §2.2, with the tenant as a claim of our own.
#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    exp: u64,
    iat: u64,
    jti: String,
    client_id: &'a str,
    scope: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<&'a str>,
}

/// RFC 6749 §5.1.
#[derive(Serialize)]
struct Answer {
    access_token: String,
    token_type: &'static str,
    expires_in: u64,
    scope: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
}

/// `POST /token`.
pub(super) async fn token(State(shared): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    match try_token(&shared, &headers, &body).await {
        Ok(answer) => no_store(Json(answer)),
        Err(error) => error.into_response(),
    }
}

async fn try_token(shared: &Shared, headers: &HeaderMap, body: &[u8]) -> Result<Answer, OAuthError> {
    let form = Params::form(headers, body)?;
    let client = authenticate(shared, headers, &form).await?;
    let unsupported = OAuthError::new(Code::UnsupportedGrantType, "this grant type is not offered");
    let grant = Grant::parse(form.required("grant_type", "grant_type is required")?).ok_or(unsupported)?;
    if !client.may(grant) {
        return Err(OAuthError::new(Code::UnauthorizedClient, "this client may not use this grant type"));
    }
    match grant {
        Grant::AuthorizationCode => redeem(shared, &client, &form),
        Grant::RefreshToken => refresh(shared, &client, &form),
        Grant::ClientCredentials => own(shared, &client, &form),
    }
}

/// RFC 6749 §4.1.3, RFC 7636 §4.5, RFC 8707 §2.2.
fn redeem(shared: &Shared, client: &Client, form: &Params) -> Result<Answer, OAuthError> {
    let verifier = form.required("code_verifier", "code_verifier is required")?;
    if !VERIFIER_CHARS.contains(&verifier.len()) {
        return Err(OAuthError::new(Code::InvalidRequest, "code_verifier must be 43 to 128 characters"));
    }
    let shown = Redemption {
        code: form.required("code", "code is required")?,
        client: &client.id,
        redirect_uri: form.required("redirect_uri", "redirect_uri is required")?,
        verifier,
        resource: form.resource()?,
    };
    let now = Instant::now();
    let (grant, approval) = shared.grants().redeem(&shown, now)?;
    issue_for_grant(shared, client, grant, &approval, now)
}

/// RFC 6749 §6 with rotation (RFC 9700 §4.14.2).
fn refresh(shared: &Shared, client: &Client, form: &Params) -> Result<Answer, OAuthError> {
    let token = form.required("refresh_token", "refresh_token is required")?;
    let resource = form.resource()?;
    let narrower = form.one("scope")?;
    let now = Instant::now();
    let allow = |approval| narrow(approval, resource, narrower);
    let (grant, approval) = shared.grants().use_refresh(token, &client.id, allow, now)?;
    issue_for_grant(shared, client, grant, &approval, now)
}

/// RFC 6749 §6, RFC 8707 §2.2: the resource that was approved, and never more scopes than were.
fn narrow(mut approval: Approval, resource: &str, scope: Option<&str>) -> Result<Approval, OAuthError> {
    if approval.resource != resource {
        return Err(OAuthError::new(Code::InvalidTarget, "resource is not the one that was approved"));
    }
    if let Some(scope) = scope {
        let approved: Vec<_> = approval.scope.split(' ').collect();
        if !scope.split(' ').all(|scope| approved.contains(&scope)) {
            return Err(OAuthError::new(Code::InvalidScope, "scope is more than was approved"));
        }
        scope.clone_into(&mut approval.scope);
    }
    Ok(approval)
}

/// RFC 6749 §4.4: the client for itself.
fn own(shared: &Shared, client: &Client, form: &Params) -> Result<Answer, OAuthError> {
    if matches!(client.proof, Proof::None) {
        return Err(OAuthError::new(Code::UnauthorizedClient, "only a client with a secret may"));
    }
    let approval = Approval {
        client: client.id.clone(),
        // RFC 9068 §2.2: without a person the subject is the client.
        subject: client.id.clone(),
        tenant: client.tenant.clone(),
        resource: shared.resource(form.resource()?)?.to_owned(),
        scope: shared.scope(form.one("scope")?)?,
    };
    // RFC 6749 §4.4.3: no refresh token.
    answer(shared, &approval, None)
}

fn issue_for_grant(
    shared: &Shared,
    client: &Client,
    grant: GrantId,
    approval: &Approval,
    now: Instant,
) -> Result<Answer, OAuthError> {
    let refresh = client.may(Grant::RefreshToken).then(|| shared.grants().issue_refresh(grant, now)).transpose()?;
    let answer = answer(shared, approval, refresh)?;
    let expires = now + shared.options.access_token_lifetime;
    shared.grants().note_access(&answer.access_token, grant, expires, now)?;
    Ok(answer)
}

fn answer(shared: &Shared, approval: &Approval, refresh_token: Option<String>) -> Result<Answer, OAuthError> {
    let iat = super::seconds_since_epoch();
    let expires_in = shared.options.access_token_lifetime.as_secs();
    let claims = Claims {
        iss: &shared.issuer,
        sub: &approval.subject,
        aud: &approval.resource,
        exp: iat + expires_in,
        iat,
        jti: secret::generate()?,
        client_id: &approval.client,
        scope: &approval.scope,
        tenant: approval.tenant.as_ref().map(TenantId::as_str),
    };
    let signed = shared.keys().sign(&claims);
    Ok(Answer {
        access_token: signed.map_err(|_| OAuthError::new(Code::ServerError, "the token could not be signed"))?,
        token_type: "Bearer",
        expires_in,
        scope: approval.scope.clone(),
        refresh_token,
    })
}

/// `POST /revoke` (RFC 7009).
pub(super) async fn revoke(State(shared): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    match try_revoke(&shared, &headers, &body).await {
        Ok(()) => no_store(StatusCode::OK),
        Err(error) => error.into_response(),
    }
}

async fn try_revoke(shared: &Shared, headers: &HeaderMap, body: &[u8]) -> Result<(), OAuthError> {
    let form = Params::form(headers, body)?;
    let client = authenticate(shared, headers, &form).await?;
    let token = form.required("token", "token is required")?;
    // RFC 7009 §2.2: a token nobody knows is as good as revoked; §2.1: another client's is not this one's to revoke.
    if shared.grants().revoke_token(token, &client.id, Instant::now()) {
        return Ok(());
    }
    Err(OAuthError::new(Code::InvalidRequest, "the token was issued to another client"))
}

/// RFC 6749 §5.1.
fn no_store(answer: impl IntoResponse) -> Response {
    let mut response = answer.into_response();
    let no_store = HeaderValue::from_static("no-store");
    response.headers_mut().insert(header::CACHE_CONTROL, no_store);
    response
}
