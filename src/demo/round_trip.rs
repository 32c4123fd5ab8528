//! One round trip as an MCP client makes it: challenge, login, calls; and one with a token somebody meddled with.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap};
use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};

use super::DemoError;
use super::login::{self, Challenge};
use super::report::{Broken, Held, Report, Step, ensure};

/// The newest revision that still has sessions: the round trip shows one.
const PROTOCOL: &str = "2025-11-25";
/// The name of the field that carries the session.
const SESSION: &str = "mcp-session-id";
/// A field that the caller has no business setting.
const FORGED: (&str, &str) = ("x-auth-tenant", "globex");

/// What the round trip leaves for the person to use.
pub(super) struct Outcome {
    /// A working access token.
    pub(super) token: String,
    /// The header fields by which the MCP server knew its caller.
    pub(super) identity: String,
    /// Status and challenge that a wrong token got.
    pub(super) refusal: String,
}

/// Runs every step in order; the first that does not hold ends it.
pub(super) async fn round_trip(http: &Client, resource: &str, report: &mut Report<'_>) -> Result<Outcome, DemoError> {
    let anonymous = Mcp::new(http, resource, None);
    let challenge = report.step("call without a token", without_token(&anonymous).await)?;
    let found = login::resource_metadata(http, &challenge, resource).await;
    let issuer = report.step("resource metadata", found)?;
    let server = report.step("issuer metadata", login::server_metadata(http, &issuer).await)?;
    let client = report.step("register a client", login::register(http, &server).await)?;
    let approved = login::authorize(http, &server, &client, resource, challenge.scope.as_deref()).await;
    let code = report.step("log in and approve", approved)?;
    let redeemed = login::redeem(http, &server, &client, &code, resource).await;
    let token = report.step("redeem the code", redeemed)?;

    let mut mcp = Mcp::new(http, resource, Some(token.clone()));
    report.step("initialize", initialize(&mut mcp).await)?;
    report.step("tools/list", tools(&mcp).await)?;
    let identity = report.step("tools/call whoami", who_am_i(&mcp).await)?;
    report.step("tools/call add_note", add_note(&mcp).await)?;
    let refusal = report.step("call with a forged token", with_forged_token(http, resource, &token).await)?;
    report.step("end the session", end(&mcp).await)?;
    Ok(Outcome { token, identity, refusal })
}

/// RFC 6750 §3.1: without credentials, no error code.
async fn without_token(mcp: &Mcp<'_>) -> Step<Challenge> {
    let response = mcp.post("initialize", &hello(), &[]).await?;
    let value = Challenge::of(&response)?;
    let text = login::challenge_text(&response);
    ensure(login::parameter(&text, "error").is_none(), || format!("an error without a token: {text}"))?;
    Ok(Held { value, said: format!("401 {text}") })
}

async fn initialize(mcp: &mut Mcp<'_>) -> Step<()> {
    let response = mcp.post("initialize", &hello(), &[]).await?;
    let session = response.headers().get(SESSION).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let result = result_of(response).await?;
    let protocol = login::text(&result, "/protocolVersion")?;
    ensure(protocol == PROTOCOL, || format!("protocol {protocol}"))?;
    let (name, version) = (login::text(&result, "/serverInfo/name")?, login::text(&result, "/serverInfo/version")?);
    let session = session.ok_or_else(|| Broken("no session".to_owned()))?;
    let said = format!("{name} {version}, protocol {PROTOCOL}, session {}", login::shortened(&session));
    mcp.session = Some(session);
    let noted = mcp.send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }), &[]).await?;
    ensure(noted.status() == StatusCode::ACCEPTED, || format!("initialized: expected 202, got {}", noted.status()))?;
    Ok(Held { value: (), said })
}

async fn tools(mcp: &Mcp<'_>) -> Step<()> {
    let result = result_of(mcp.post("tools/list", &json!({}), &[]).await?).await?;
    let tools = result.get("tools").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let tools = tools.iter().map(|tool| login::text(tool, "/name")).collect::<Result<Vec<_>, _>>()?;
    ensure(tools.contains(&"whoami"), || format!("no whoami among {tools:?}"))?;
    let said = tools.join(", ");
    Ok(Held { value: (), said })
}

/// The caller claims to be of another tenant; the server must see the tenant of the token.
async fn who_am_i(mcp: &Mcp<'_>) -> Step<String> {
    let call = json!({ "name": "whoami", "arguments": {} });
    let seen = said_by(&result_of(mcp.post("tools/call", &call, &[FORGED]).await?).await?)?;
    let subject = format!("x-auth-subject: {}", login::USER);
    ensure(seen.lines().any(|line| line == subject), || format!("the server saw: {seen}"))?;
    ensure(!seen.contains(FORGED.1), || format!("a forged field got through: {seen}"))?;
    Ok(Held { said: seen.clone(), value: seen })
}

async fn add_note(mcp: &Mcp<'_>) -> Step<()> {
    let call = json!({ "name": "add_note", "arguments": { "text": "the gate is open" } });
    let said = said_by(&result_of(mcp.post("tools/call", &call, &[]).await?).await?)?;
    Ok(Held { value: (), said })
}

/// The token says it is for somebody else; its signature no longer fits.
async fn with_forged_token(http: &Client, resource: &str, token: &str) -> Step<String> {
    let mcp = Mcp::new(http, resource, Some(forge(token)?));
    let response = mcp.post("initialize", &hello(), &[]).await?;
    Challenge::of(&response)?;
    let text = login::challenge_text(&response);
    let error = login::parameter(&text, "error");
    ensure(error.as_deref() == Some("invalid_token"), || format!("the challenge is {text}"))?;
    let said = format!("401 {text}");
    Ok(Held { value: said.clone(), said })
}

fn forge(token: &str) -> Result<String, Broken> {
    let opaque = || Broken("the token is no JWT".to_owned());
    let mut parts = token.split('.');
    let (Some(header), Some(payload), Some(signature)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(opaque());
    };
    let payload = URL_SAFE_NO_PAD.decode(payload).map_err(|_| opaque())?;
    let forged = String::from_utf8_lossy(&payload).replace(login::USER, "mallory@acme");
    Ok(format!("{header}.{}.{signature}", URL_SAFE_NO_PAD.encode(forged)))
}

async fn end(mcp: &Mcp<'_>) -> Step<()> {
    let status = mcp.http.delete(mcp.url).headers(mcp.headers(&[])?).send().await?.status();
    ensure(status.is_success(), || format!("DELETE: {status}"))?;
    let said = format!("DELETE: {}", status.as_u16());
    Ok(Held { value: (), said })
}

/// A client of one MCP server.
struct Mcp<'a> {
    http: &'a Client,
    url: &'a str,
    token: Option<String>,
    session: Option<String>,
}

impl<'a> Mcp<'a> {
    fn new(http: &'a Client, url: &'a str, token: Option<String>) -> Self {
        Self { http, url, token, session: None }
    }

    async fn post(&self, method: &str, params: &Value, extra: &[(&str, &str)]) -> Result<Response, Broken> {
        let message = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        self.send(&message, extra).await
    }

    async fn send(&self, message: &Value, extra: &[(&str, &str)]) -> Result<Response, Broken> {
        let request = self.http.post(self.url).headers(self.headers(extra)?);
        Ok(request.body(message.to_string()).send().await?)
    }

    fn headers(&self, extra: &[(&str, &str)]) -> Result<HeaderMap, Broken> {
        let bearer = self.token.as_ref().map(|token| format!("Bearer {token}"));
        let mut fields =
            vec![(CONTENT_TYPE.as_str(), "application/json"), (ACCEPT.as_str(), "application/json, text/event-stream")];
        fields.extend(bearer.iter().map(|bearer| (AUTHORIZATION.as_str(), bearer.as_str())));
        if let Some(session) = &self.session {
            fields.extend([(SESSION, session.as_str()), ("mcp-protocol-version", PROTOCOL)]);
        }
        fields.extend(extra);
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            let wrong = |_| Broken(format!("{name} cannot be sent"));
            let name =
                reqwest::header::HeaderName::try_from(name).map_err(|_| Broken(format!("{name} is no field")))?;
            headers.append(name, value.try_into().map_err(wrong)?);
        }
        Ok(headers)
    }
}

fn hello() -> Value {
    json!({
        "protocolVersion": PROTOCOL,
        "capabilities": {},
        "clientInfo": { "name": "portcullis-demo", "version": env!("CARGO_PKG_VERSION") },
    })
}

/// The result in a JSON answer or in the last event of a stream.
async fn result_of(response: Response) -> Result<Value, Broken> {
    let status = response.status();
    let body = response.text().await?;
    ensure(status == StatusCode::OK, || format!("{status}: {}", body.trim()))?;
    let data =
        body.lines().rev().find_map(|line| line.strip_prefix("data:").map(str::trim).filter(|data| !data.is_empty()));
    let message: Value =
        serde_json::from_str(data.unwrap_or(&body)).map_err(|_| Broken(format!("not JSON: {body}")))?;
    let result = message.get("result").cloned();
    result.ok_or_else(|| Broken(format!("no result: {message}")))
}

/// What a tool said.
fn said_by(result: &Value) -> Result<String, Broken> {
    let failed = result.get("isError").and_then(Value::as_bool) == Some(true);
    ensure(!failed, || format!("the tool failed: {result}"))?;
    Ok(login::text(result, "/content/0/text")?.to_owned())
}
