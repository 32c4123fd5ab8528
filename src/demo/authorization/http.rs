//! The server's addresses, and what holds for all of them: who may be called, from where, with how much.

use std::time::Instant;

use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::{HeaderValue, Method, StatusCode, header};

use super::page::STYLE;
use super::{Shared, authorize, metadata, registration, token};

/// The largest request any endpoint needs.
const MAX_BODY_BYTES: usize = 64 * 1024;

pub(super) fn router(shared: Shared) -> Router {
    let public = Router::new()
        // RFC 8414 §3 and OpenID Connect Discovery §4: the same facts for whoever asks at either place.
        .route("/.well-known/oauth-authorization-server", get(facts))
        .route("/.well-known/openid-configuration", get(facts))
        .route("/jwks", get(keys))
        .layer(middleware::map_response(open_to_all));
    let for_origins = Router::new()
        .route("/token", post(token::token))
        .route("/revoke", post(token::revoke))
        .route("/register", post(registration::register))
        .layer(middleware::from_fn_with_state(shared.clone(), open_to_configured));
    Router::new()
        .merge(public)
        .merge(for_origins)
        // No CORS at all: a page of another origin must not read the consent page's ticket.
        .route("/authorize", get(authorize::ask).post(authorize::decide))
        .route("/style.css", get(style))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(middleware::from_fn_with_state(shared.clone(), addressed_to_us))
        .with_state(shared)
}

async fn facts(State(shared): State<Shared>) -> Response {
    cacheable(Json(metadata::document(&shared.issuer, &shared.options)))
}

async fn keys(State(shared): State<Shared>) -> Response {
    let published = shared.keys().published(Instant::now());
    cacheable(Json(published))
}

async fn style() -> Response {
    let css = HeaderValue::from_static("text/css; charset=utf-8");
    ([(header::CONTENT_TYPE, css)], STYLE).into_response()
}

fn cacheable(answer: impl IntoResponse) -> Response {
    let age = HeaderValue::from_static("public, max-age=300");
    ([(header::CACHE_CONTROL, age)], answer).into_response()
}

/// Documents without credentials may be read by any page.
async fn open_to_all(mut response: Response) -> Response {
    let any = HeaderValue::from_static("*");
    response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, any);
    response
}

/// What answers with credentials may be read by pages of the configured origins only. Never a wildcard.
async fn open_to_configured(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    let origin = request.headers().get(header::ORIGIN);
    let origin = origin.filter(|origin| shared.options.browser_origins.contains(origin)).cloned();
    let preflight = request.method() == Method::OPTIONS;
    let mut response = if preflight { StatusCode::NO_CONTENT.into_response() } else { next.run(request).await };
    let headers = response.headers_mut();
    headers.insert(header::VARY, HeaderValue::from_static("Origin"));
    if let Some(origin) = origin {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        if preflight {
            let methods = HeaderValue::from_static("POST");
            headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods);
            let fields = HeaderValue::from_static("Authorization, Content-Type, MCP-Protocol-Version");
            headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, fields);
        }
    }
    response
}

/// A name that was rebound to loopback is not this server's: RFC 9110 §7.4.
async fn addressed_to_us(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    if host.is_none_or(|host| Some(host) != shared.issuer.strip_prefix("http://")) {
        return StatusCode::MISDIRECTED_REQUEST.into_response();
    }
    next.run(request).await
}
