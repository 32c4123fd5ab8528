//! The authorization endpoint: a client's request, a person's answer, and the way back to the client.

use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};

use super::Shared;
use super::client::{Client, Grant};
use super::error::{Code, OAuthError};
use super::grants::{Approval, Binding};
use super::page::{self, Consent};
use super::params::Params;
use super::redirect::RedirectUri;
use super::secret::{self, Digest};
use super::store::Expiring;
use super::user::User;

/// How long a person may look at the consent page.
const CONSENT_LIFETIME: Duration = Duration::from_mins(10);
/// Consent pages open at the same time.
const MAX_PENDING: usize = 1000;
/// `BASE64URL(SHA-256)` is this long (RFC 7636 §4.2).
const CHALLENGE_CHARS: usize = 43;
/// Longest `state` that is carried around.
const MAX_STATE_BYTES: usize = 2048;
/// The name in the form when nothing says who it is.
const DEFAULT_USER: &str = "alice";

/// A request that waits for its person.
#[derive(Debug, Clone)]
pub(super) struct Pending {
    client: Client,
    back: Way,
    challenge: String,
    resource: String,
    scope: String,
    /// What the browser's cookie must be, so that no other site can press the button (RFC 9700 §2.1, CSRF).
    cookie: Digest,
}

/// The requests that wait, by the ticket in their page.
pub(super) type PendingStore = Expiring<String, Pending>;

pub(super) fn pending_store() -> PendingStore {
    Expiring::new(MAX_PENDING)
}

/// The way back to a client that is known, at a redirect URI that is its own.
#[derive(Debug, Clone)]
struct Way {
    redirect: RedirectUri,
    state: Option<String>,
}

impl Way {
    fn answer(&self, issuer: &str, parameters: &[(&str, &str)]) -> Response {
        let mut all = parameters.to_vec();
        if let Some(state) = &self.state {
            all.push(("state", state));
        }
        // RFC 9207 §2: in every answer, errors too, so that a client of several servers cannot mix them up.
        all.push(("iss", issuer));
        let Ok(location) = HeaderValue::try_from(self.redirect.with(&all)) else {
            return page::problem(StatusCode::BAD_REQUEST, "The redirect URI cannot be used.");
        };
        // RFC 9700 §4.12: 303, which never repeats the form's body at the client.
        let headers = [(header::LOCATION, location), (header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
        (StatusCode::SEE_OTHER, headers).into_response()
    }

    fn refuse(&self, issuer: &str, error: OAuthError) -> Response {
        let parameters = [("error", error.code.as_str()), ("error_description", error.description)];
        self.answer(issuer, &parameters)
    }
}

/// `GET /authorize`.
pub(super) async fn ask(State(shared): State<Shared>, RawQuery(query): RawQuery) -> Response {
    let params = Params::parse(query.unwrap_or_default().as_bytes());
    let (client, back) = match who_asks(&shared, &params).await {
        Ok(known) => known,
        Err(error) => return page::problem(StatusCode::BAD_REQUEST, error.description),
    };
    match start(&shared, &params, client, back.clone()) {
        Ok(response) => response,
        Err(error) => back.refuse(&shared.issuer, error),
    }
}

/// RFC 6749 §4.1.2.1: until both are known, nobody is redirected.
async fn who_asks(shared: &Shared, params: &Params) -> Result<(Client, Way), OAuthError> {
    let client = shared.client(params.required("client_id", "client_id is required")?).await?;
    // OAuth 2.1 §4.1.1 lets a lone registered URI be left out; asking for it always is simpler to get right.
    let asked = params.required("redirect_uri", "redirect_uri is required")?;
    let redirect = client
        .redirect(asked)
        .ok_or(OAuthError::new(Code::InvalidRequest, "redirect_uri is not one that this client registered"))?;
    // A state that cannot be carried is dropped here and refused in `start`.
    let state = params.one("state").ok().flatten().filter(|state| state.len() <= MAX_STATE_BYTES);
    let state = state.map(str::to_owned);
    Ok((client, Way { redirect, state }))
}

fn start(shared: &Shared, params: &Params, client: Client, back: Way) -> Result<Response, OAuthError> {
    let invalid = |why| OAuthError::new(Code::InvalidRequest, why);
    if params.one("state")?.is_some() && back.state.is_none() {
        return Err(invalid("state is too long"));
    }
    if params.required("response_type", "response_type is required")? != "code" {
        return Err(OAuthError::new(Code::UnsupportedResponseType, "the only response type is code"));
    }
    if params.one("response_mode")?.is_some_and(|mode| mode != "query") {
        return Err(invalid("the only response mode is query"));
    }
    if !client.may(Grant::AuthorizationCode) {
        return Err(OAuthError::new(Code::UnauthorizedClient, "this client may not use codes"));
    }
    // RFC 7636 §4.3: an absent method means plain, which OAuth 2.1 §7.5.2 leaves out.
    if params.one("code_challenge_method")? != Some("S256") {
        return Err(invalid("code_challenge_method must be S256"));
    }
    let challenge = params.required("code_challenge", "code_challenge is required")?;
    if challenge.len() != CHALLENGE_CHARS || !challenge.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
    {
        return Err(invalid("code_challenge must be 43 base64url characters"));
    }
    // OpenID Connect Core §3.1.2.1: `none` forbids any page, and there is no session to answer from.
    if params.one("prompt")? == Some("none") {
        return Err(OAuthError::new(Code::InteractionRequired, "this server always asks"));
    }
    let cookie = secret::generate()?;
    let pending = Pending {
        resource: shared.resource(params.resource()?)?.to_owned(),
        scope: shared.scope(params.one("scope")?)?,
        challenge: challenge.to_owned(),
        cookie: Digest::of(&cookie),
        client,
        back,
    };
    let ticket = secret::generate()?;
    let user = params.one("login_hint")?.unwrap_or(DEFAULT_USER);
    let mut response = consent(&pending, &ticket, user, None);
    let now = Instant::now();
    shared.pending().insert(ticket.clone(), pending, now + CONSENT_LIFETIME, now)?;
    response.headers_mut().append(header::SET_COOKIE, cookie_for(&ticket, &cookie)?);
    Ok(response)
}

fn consent(pending: &Pending, ticket: &str, user: &str, wrong: Option<&str>) -> Response {
    let client = &pending.client;
    Consent {
        client_name: client.name.as_deref().unwrap_or(&client.id),
        client_id: &client.id,
        destination: &pending.back.redirect.destination(),
        resource: &pending.resource,
        scope: &pending.scope,
        user,
        wrong,
        ticket,
        form_action: &pending.back.redirect.form_action(),
    }
    .response()
}

/// One cookie per page, so that several may be open. Not `Secure`: this server speaks http on loopback.
fn cookie_for(ticket: &str, value: &str) -> Result<HeaderValue, OAuthError> {
    let age = CONSENT_LIFETIME.as_secs();
    let text = format!("consent-{ticket}={value}; Path=/authorize; Max-Age={age}; HttpOnly; SameSite=Strict");
    HeaderValue::try_from(text).map_err(|_| OAuthError::new(Code::ServerError, "no cookie could be made"))
}

/// `POST /authorize`: the consent page's form.
pub(super) async fn decide(State(shared): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    match try_decide(&shared, &headers, &body) {
        Ok(response) => response,
        Err(error) => page::problem(StatusCode::BAD_REQUEST, error.description),
    }
}

fn try_decide(shared: &Shared, headers: &HeaderMap, body: &[u8]) -> Result<Response, OAuthError> {
    let gone = OAuthError::new(Code::InvalidRequest, "This page has expired or belongs to another browser.");
    // A browser names the page a form comes from; only our own may send this one.
    if headers.get(header::ORIGIN).is_some_and(|origin| origin != shared.issuer.as_str()) {
        return Err(gone);
    }
    let form = Params::form(headers, body)?;
    let ticket = form.required("ticket", gone.description)?.to_owned();
    let now = Instant::now();
    let pending = shared.pending().get(&ticket, now).cloned().ok_or(gone)?;
    if !cookies(headers, &format!("consent-{ticket}")).any(|value| pending.cookie.matches(value)) {
        return Err(gone);
    }
    let typed = form.one("user")?.unwrap_or_default();
    if form.one("decision")? != Some("approve") {
        shared.pending().remove(&ticket, now);
        let denied = OAuthError::new(Code::AccessDenied, "the person said no");
        return Ok(pending.back.refuse(&shared.issuer, denied));
    }
    let Some(user) = User::parse(typed).filter(|user| !shared.clients.is_fixed(&user.subject)) else {
        let wrong = "Not a name: use a-z, 0-9, . _ - and one @.";
        return Ok(consent(&pending, &ticket, typed, Some(wrong)));
    };
    // Whoever removes it answers it: a form sent twice gets one code.
    let pending = shared.pending().remove(&ticket, now).ok_or(gone)?;
    let back = pending.back.clone();
    Ok(match approve(shared, pending, user, now) {
        Ok(code) => back.answer(&shared.issuer, &[("code", &code)]),
        Err(error) => back.refuse(&shared.issuer, error),
    })
}

fn approve(shared: &Shared, pending: Pending, user: User, now: Instant) -> Result<String, OAuthError> {
    let approval = Approval {
        client: pending.client.id,
        tenant: user.tenant.or_else(|| shared.options.default_tenant.clone()),
        subject: user.subject,
        resource: pending.resource,
        scope: pending.scope,
    };
    let binding = Binding { redirect_uri: pending.back.redirect.to_string(), challenge: pending.challenge };
    shared.grants().issue_code(approval, binding, now)
}

fn cookies<'a>(headers: &'a HeaderMap, name: &'a str) -> impl Iterator<Item = &'a str> {
    let fields = headers.get_all(header::COOKIE).iter();
    let pairs = fields.filter_map(|field| field.to_str().ok()).flat_map(|field| field.split(';'));
    pairs.filter_map(move |pair| pair.trim().strip_prefix(name)?.strip_prefix('='))
}
