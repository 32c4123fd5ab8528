//! How an MCP client gets a token: from the challenge to the token, by what each answer says and nothing else.

use reqwest::header::{COOKIE, HeaderValue, LOCATION, SET_COOKIE};
use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};
use url::Url;

use super::report::{Broken, Held, Step, ensure};
use super::secret::{self, Digest};

/// Where a real client would listen for the answer. Here the redirect is read and not followed.
const REDIRECT: &str = "http://127.0.0.1/callback";
/// Who logs in: a person of a tenant.
pub(super) const USER: &str = "alice@acme";

/// What the challenge told (RFC 6750 §3, RFC 9728 §5.1).
pub(super) struct Challenge {
    pub(super) metadata: Url,
    pub(super) scope: Option<String>,
}

impl Challenge {
    /// Reads a 401's `WWW-Authenticate`.
    pub(super) fn of(response: &Response) -> Result<Self, Broken> {
        ensure(response.status() == StatusCode::UNAUTHORIZED, || format!("expected 401, got {}", response.status()))?;
        let text = challenge_text(response);
        let metadata = parameter(&text, "resource_metadata");
        let metadata = metadata.ok_or_else(|| Broken(format!("no resource_metadata in the challenge: {text}")))?;
        let metadata = Url::parse(&metadata).map_err(|e| Broken(format!("resource_metadata is no URL: {e}")))?;
        let scope = parameter(&text, "scope");
        Ok(Self { metadata, scope })
    }
}

/// The whole challenge, for people.
pub(super) fn challenge_text(response: &Response) -> String {
    let value = response.headers().get("www-authenticate");
    String::from_utf8_lossy(value.map(HeaderValue::as_bytes).unwrap_or_default()).into_owned()
}

/// One quoted parameter of a Bearer challenge.
pub(super) fn parameter(challenge: &str, name: &str) -> Option<String> {
    let parameters = challenge.strip_prefix("Bearer ")?;
    let mut rest = parameters;
    while let Some((key, after)) = rest.split_once("=\"") {
        let (value, after) = after.split_once('"')?;
        if key.trim_matches([' ', ',']) == name {
            return Some(value.to_owned());
        }
        rest = after;
    }
    None
}

/// The endpoints of an authorization server that can do what is needed.
pub(super) struct Server {
    issuer: String,
    authorize: String,
    token: String,
    register: String,
}

/// RFC 9728 §3.3: the document must be about the URL that was called.
pub(super) async fn resource_metadata(http: &Client, challenge: &Challenge, resource: &str) -> Step<String> {
    let document = json_of(http.get(challenge.metadata.clone()).send().await?).await?;
    let about = text(&document, "/resource")?;
    ensure(about == resource, || format!("resource is {about}"))?;
    let issuer = text(&document, "/authorization_servers/0")?.to_owned();
    Ok(Held { said: format!("{}: log in at {issuer}", challenge.metadata), value: issuer })
}

/// RFC 8414 §3.3: the document must be about the issuer that was asked for.
pub(super) async fn server_metadata(http: &Client, issuer: &str) -> Step<Server> {
    let url = format!("{issuer}/.well-known/oauth-authorization-server");
    let document = json_of(http.get(&url).send().await?).await?;
    let about = text(&document, "/issuer")?;
    ensure(about == issuer, || format!("issuer is {about}"))?;
    let methods = document.get("code_challenge_methods_supported").and_then(Value::as_array);
    ensure(methods.is_some_and(|all| all.contains(&json!("S256"))), || "PKCE with S256 is not offered".to_owned())?;
    let value = Server {
        issuer: issuer.to_owned(),
        authorize: text(&document, "/authorization_endpoint")?.to_owned(),
        token: text(&document, "/token_endpoint")?.to_owned(),
        register: text(&document, "/registration_endpoint")?.to_owned(),
    };
    Ok(Held { value, said: format!("{url}: PKCE S256, registration") })
}

/// RFC 7591 §3.1, as a public client.
pub(super) async fn register(http: &Client, server: &Server) -> Step<String> {
    let description = json!({
        "client_name": "Portcullis demo round trip",
        "redirect_uris": [REDIRECT],
        "grant_types": ["authorization_code"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
    });
    let request = http.post(&server.register).header("content-type", "application/json");
    let response = request.body(description.to_string()).send().await?;
    ensure(response.status() == StatusCode::CREATED, || format!("expected 201, got {}", response.status()))?;
    let id = text(&json_of(response).await?, "/client_id")?.to_owned();
    Ok(Held { said: format!("client {}", shortened(&id)), value: id })
}

/// An authorization code and what it has to be redeemed with.
pub(super) struct Code {
    code: String,
    verifier: String,
}

/// RFC 6749 §4.1.1 with PKCE (RFC 7636) and `resource` (RFC 8707): the page is fetched and its form sent, as by a browser.
pub(super) async fn authorize(
    http: &Client,
    server: &Server,
    client: &str,
    resource: &str,
    scope: Option<&str>,
) -> Step<Code> {
    let no_random = |_| Broken("no random bytes could be had".to_owned());
    let (verifier, state) = (secret::generate().map_err(no_random)?, secret::generate().map_err(no_random)?);
    let mut url = Url::parse(&server.authorize).map_err(|e| Broken(format!("authorization_endpoint: {e}")))?;
    let challenge = Digest::of(&verifier).to_base64url();
    url.query_pairs_mut().extend_pairs([
        ("response_type", "code"),
        ("client_id", client),
        ("redirect_uri", REDIRECT),
        ("state", &state),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
        ("resource", resource),
    ]);
    if let Some(scope) = scope {
        url.query_pairs_mut().append_pair("scope", scope);
    }
    let response = approve(http, url).await?;
    ensure(response.status() == StatusCode::SEE_OTHER, || format!("expected 303, got {}", response.status()))?;
    let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
    let back = Url::parse(location.unwrap_or_default()).map_err(|e| Broken(format!("Location: {e}")))?;
    let answer = |name: &str| back.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
    ensure(back.as_str().starts_with(REDIRECT), || "the redirect goes elsewhere".to_owned())?;
    ensure(answer("state").as_ref() == Some(&state), || "state is not the one that was sent".to_owned())?;
    // RFC 9207 §2.4: an answer by another server is dropped.
    ensure(answer("iss").as_ref() == Some(&server.issuer), || "iss is not the server that was asked".to_owned())?;
    let code = answer("code").ok_or_else(|| Broken(format!("no code: {}", answer("error").unwrap_or_default())))?;
    Ok(Held { said: format!("approved as {USER}; state and iss match"), value: Code { code, verifier } })
}

/// What a person does: reads the page, types a name, presses the button.
async fn approve(http: &Client, url: Url) -> Result<Response, Broken> {
    let page = http.get(url.clone()).send().await?;
    ensure(page.status() == StatusCode::OK, || format!("no consent page: {}", page.status()))?;
    let cookie = page.headers().get(SET_COOKIE).and_then(|value| value.to_str().ok());
    let cookie = cookie.and_then(|cookie| cookie.split(';').next()).unwrap_or_default().to_owned();
    let html = page.text().await?;
    let ticket = html.split_once("name=ticket value=\"").and_then(|(_, rest)| rest.split_once('"'));
    let (ticket, _) = ticket.ok_or_else(|| Broken("the consent page has no form".to_owned()))?;
    let form = [("ticket", ticket), ("user", USER), ("decision", "approve")];
    let mut action = url;
    action.set_query(None);
    Ok(post_form(http, action.as_str(), &form).header(COOKIE, cookie).send().await?)
}

/// RFC 6749 §4.1.3, RFC 7636 §4.5, RFC 8707 §2.2.
pub(super) async fn redeem(http: &Client, server: &Server, client: &str, code: &Code, resource: &str) -> Step<String> {
    let form = [
        ("grant_type", "authorization_code"),
        ("client_id", client),
        ("code", &code.code),
        ("redirect_uri", REDIRECT),
        ("code_verifier", &code.verifier),
        ("resource", resource),
    ];
    let answer = json_of(post_form(http, &server.token, &form).send().await?).await?;
    let kind = text(&answer, "/token_type")?;
    ensure(kind.eq_ignore_ascii_case("Bearer"), || format!("token_type is {kind}"))?;
    let (token, scope) = (text(&answer, "/access_token")?, text(&answer, "/scope")?);
    let seconds = answer.get("expires_in").and_then(Value::as_u64).unwrap_or_default();
    Ok(Held { value: token.to_owned(), said: format!("{} for {seconds} s, scope {scope}", shortened(token)) })
}

fn post_form(http: &Client, url: &str, form: &[(&str, &str)]) -> reqwest::RequestBuilder {
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    http.post(url).header("content-type", "application/x-www-form-urlencoded").body(body)
}

/// A successful answer as JSON.
async fn json_of(response: Response) -> Result<Value, Broken> {
    let status = response.status();
    let body = response.text().await?;
    ensure(status.is_success(), || format!("{status}: {}", body.trim()))?;
    serde_json::from_str(&body).map_err(|_| Broken("the answer is not JSON".to_owned()))
}

/// A text that the answer must hold.
pub(super) fn text<'a>(document: &'a Value, pointer: &str) -> Result<&'a str, Broken> {
    let value = document.pointer(pointer).and_then(Value::as_str);
    value.ok_or_else(|| Broken(format!("no {pointer} in the answer")))
}

/// Enough of a token or identifier to recognize it, not enough to use it.
pub(super) fn shortened(text: &str) -> String {
    const SHOWN: usize = 12;
    text.char_indices().nth(SHOWN).map_or_else(|| text.to_owned(), |(end, _)| format!("{}…", text.split_at(end).0))
}
