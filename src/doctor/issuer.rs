//! An authorization server as clients and the gateway find it: its metadata in every form, and what clients need of it.

use http::StatusCode;
use serde_json::{Map, Value};
use url::Url;

use super::clients::Client as Who;
use super::probe::{Answer, Client};
use super::providers;
use super::reach::Way;
use super::report::{Level, Section, quoted};
use crate::config::{IssuerConfig, is_loopback};
use crate::keys;

/// What is needed beside the issuer itself.
pub(super) struct Wanted<'a> {
    pub(super) client: Option<&'static Who>,
    /// Scopes of the routes that use it.
    pub(super) scopes: Vec<&'a str>,
}

type Document = Map<String, Value>;

/// Writes what it finds; gives the address of the key set, and how far the server's clock is ahead.
pub(super) async fn examine(
    section: &mut Section,
    issuer: &IssuerConfig,
    client: &Client,
    wanted: &Wanted<'_>,
) -> (Option<Url>, Option<i64>) {
    providers::examine(section, issuer);
    let configured = issuer.jwks_uri.clone();
    let Ok(url) = Url::parse(issuer.issuer.as_str()) else { return (configured, None) };
    let way = Way { url: &url, ca: issuer.ca.as_deref(), ca_key: "ca of the issuer", connect: None };
    if way.walk(section).await.is_none() {
        return (configured, None);
    }
    let (mut good, mut bad, mut ahead) = (Vec::new(), Vec::new(), None);
    for form in keys::metadata_locations(&issuer.issuer) {
        match client.get(&form, "application/json").await {
            Ok(answer) => {
                ahead = ahead.or(answer.ahead);
                match read(&answer, issuer) {
                    Ok(document) => good.push((form, document)),
                    Err(Unfit::Absent(status)) => {
                        section.note("metadata.form", format!("{form} answers {status}: this form is not served"));
                    }
                    Err(Unfit::Wrong { code, text, fix }) => bad.push((code, format!("{form} {text}"), fix)),
                }
            }
            Err(why) => bad.push(("metadata.form", format!("{form}: {why}"), "the server's log says more".into())),
        }
    }
    // A client that finds a good form first never sees the others.
    let level = if good.is_empty() { Level::Problem } else { Level::Warning };
    let told = !bad.is_empty();
    for (code, text, fix) in bad {
        section.add(level, code, &text, Some(&fix));
    }
    for (form, _) in &good {
        section.ok("metadata", format!("{form} is a document of this issuer"));
    }
    let Some((_, document)) = good.first() else {
        if !told {
            let fix = "is `issuer` right, byte for byte? Clients find the login only by these documents; for the gateway alone jwks_uri would do";
            section.problem(
                "metadata.none",
                "the issuer serves no metadata in any form (RFC 8414, OpenID Connect Discovery)",
                fix,
            );
        }
        return (configured, ahead);
    };
    compare(section, &good);
    for_clients(section, document, wanted);
    let found = text(document, "jwks_uri").and_then(|uri| Url::parse(uri).ok());
    if configured.is_none() && found.is_none() {
        section.problem("metadata.jwks_uri", "the metadata names no jwks_uri", "set jwks_uri, if there is a key set");
    }
    (configured.or(found), ahead)
}

enum Unfit {
    Absent(StatusCode),
    Wrong { code: &'static str, text: String, fix: String },
}

fn read(answer: &Answer, issuer: &IssuerConfig) -> Result<Document, Unfit> {
    let wrong = |code, text: String, fix: &str| Err(Unfit::Wrong { code, text, fix: fix.into() });
    match answer.status {
        StatusCode::OK => {}
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => return Err(Unfit::Absent(answer.status)),
        status if status.is_redirection() => {
            let to = quoted(answer.field("location").unwrap_or_default());
            let fix = "no redirects are followed here: serve it there, or make the final address the issuer";
            return wrong("metadata.redirect", format!("answers {status} to {to}"), fix);
        }
        status => {
            return wrong("metadata.status", format!("answers {status}"), "the issuer, or what stands in front of it");
        }
    }
    let Some(document) = answer.object() else {
        let text = format!("is no JSON object, but {}", quoted(answer.media_type()));
        return wrong("metadata.malformed", text, "a login page or a proxy answers instead: let this path through");
    };
    match text(&document, "issuer") {
        Some(found) if found == issuer.issuer.as_str() => Ok(document),
        Some(found) => {
            let text =
                format!("is of issuer {}, the configuration says {}", quoted(found), quoted(issuer.issuer.as_str()));
            let slash = found.trim_end_matches('/') == issuer.issuer.as_str().trim_end_matches('/');
            let why = if slash { "they differ in the slash at the end; " } else { "" };
            wrong(
                "metadata.issuer",
                text,
                &format!("{why}if that is what its tokens say: issuer = {} (RFC 8414 §3.3: identical)", quoted(found)),
            )
        }
        None => wrong("metadata.malformed", "names no issuer".into(), "this is no authorization server's metadata"),
    }
}

fn text<'d>(document: &'d Document, name: &str) -> Option<&'d str> {
    document.get(name).and_then(Value::as_str)
}

/// `None`: the document does not say.
fn lists(document: &Document, name: &str, wanted: &str) -> Option<bool> {
    Some(document.get(name)?.as_array()?.iter().any(|one| one == wanted))
}

/// Clients look for the forms in different orders.
fn compare(section: &mut Section, good: &[(Url, Document)]) {
    let Some(((first_url, first), others)) = good.split_first() else { return };
    for (url, other) in others {
        for name in ["authorization_endpoint", "token_endpoint", "jwks_uri", "registration_endpoint"] {
            if first.get(name) != other.get(name) {
                let fix = "make them the same: clients take the first form that they know";
                section.warning("metadata.differ", format!("{first_url} and {url} differ in {name}"), fix);
            }
        }
    }
}

fn for_clients(section: &mut Section, document: &Document, wanted: &Wanted<'_>) {
    for name in ["authorization_endpoint", "token_endpoint"] {
        match text(document, name).map(Url::parse) {
            Some(Ok(url)) if url.scheme() == "https" || is_loopback(&url) => {}
            Some(Ok(_)) => {
                section.problem("client.endpoint", format!("{name} is no https:// URL"), "clients refuse it");
            }
            Some(Err(_)) | None => {
                section.problem(
                    "client.endpoint",
                    format!("the metadata names no {name}"),
                    "clients cannot log in without it",
                );
            }
        }
    }
    match lists(document, "code_challenge_methods_supported", "S256") {
        Some(true) => section.ok("client.pkce", "PKCE with S256"),
        Some(false) => section.problem("client.pkce", "code_challenge_methods_supported lists no S256", "switch S256 on: MCP clients must refuse to go on"),
        None => section.problem(
            "client.pkce",
            "the metadata lists no code_challenge_methods_supported: MCP clients must refuse to go on (MCP authorization, PKCE)",
            "let the server list S256; where it cannot (Entra), only clients that overlook it work",
        ),
    }
    if lists(document, "response_types_supported", "code") == Some(false) {
        section.problem(
            "client.code",
            "response_types_supported lists no \"code\"",
            "switch the authorization code flow on",
        );
    }
    if lists(document, "grant_types_supported", "authorization_code") == Some(false) {
        section.problem(
            "client.code",
            "grant_types_supported lists no authorization_code",
            "switch the authorization code flow on",
        );
    }
    registration(section, document, wanted.client);
    if let Some(listed) = document.get("scopes_supported").and_then(Value::as_array) {
        let missing: Vec<&str> =
            wanted.scopes.iter().copied().filter(|scope| !listed.iter().any(|one| one == scope)).collect();
        if !missing.is_empty() {
            let text = format!("scopes_supported lacks what routes need: {}", missing.join(" "));
            section.warning(
                "client.scopes",
                text,
                "add the scopes at the server, or it may refuse the login with invalid_scope",
            );
        }
    }
}

fn registration(section: &mut Section, document: &Document, client: Option<&Who>) {
    let dynamic = text(document, "registration_endpoint").is_some();
    let by_document = document.get("client_id_metadata_document_supported") == Some(&Value::Bool(true));
    let ways: Vec<&str> = [(dynamic, "dynamic registration"), (by_document, "client id metadata documents")]
        .into_iter()
        .filter_map(|(has, way)| has.then_some(way))
        .collect();
    let usable = dynamic || (by_document && client.is_none_or(|client| client.metadata_document));
    if usable {
        section.ok("client.registration", format!("clients register by {}", ways.join(", or ")));
        return;
    }
    let by_hand = match client {
        Some(client) => format!(
            "register {} by hand with the redirect URI {}, and give users the client id (docs/clients)",
            client.title, client.redirect_uris
        ),
        None => "register each client by hand and give users its id (docs/clients); --as NAME says the redirect URI"
            .to_owned(),
    };
    let what = if by_document {
        "offers only client id metadata documents, which this client does not know"
    } else {
        "lets no client register itself"
    };
    section.warning("client.registration", format!("the server {what}"), by_hand);
}
