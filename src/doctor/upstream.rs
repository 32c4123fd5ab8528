//! The MCP server behind a route: whether it answers, in which era, and whether it lets in whoever comes.

use http::{HeaderMap, Method, StatusCode};
use serde_json::Value;
use url::Url;

use super::hello;
use super::probe::{Answer, Client};
use super::reach::Way;
use super::report::{Section, quoted};
use crate::config::{Upstream, is_loopback};

pub(super) async fn examine(section: &mut Section, upstream: &Upstream) {
    let Ok(url) = Url::parse(&upstream.url.to_string()) else { return };
    let way = Way { url: &url, ca: upstream.ca.as_deref(), ca_key: "upstream_ca", connect: None };
    if way.walk(section).await.is_none() {
        return;
    }
    let client = match Client::new(upstream.ca.as_deref(), None) {
        Ok(client) => client,
        Err(why) => return section.problem("tls", why.to_string(), "the file that upstream_ca names"),
    };
    let server = Server { section, client, url, upstream };
    server.examine().await;
}

struct Server<'a> {
    section: &'a mut Section,
    client: Client,
    url: Url,
    upstream: &'a Upstream,
}

/// What a first request came to.
enum Said {
    Hello(String),
    Refused(Answer),
    Nothing(String),
}

impl Server<'_> {
    async fn examine(mut self) {
        let own = !self.upstream.headers.is_empty();
        let initialized = self.ask(hello::initialize(), own).await;
        let discovered = self.ask(hello::discover(), own).await;
        match (&initialized, &discovered) {
            (Said::Hello(old), Said::Hello(new)) => {
                self.section.ok("upstream", format!("answers both eras: {old}; {new}"));
            }
            (Said::Hello(text), _) => self.section.ok("upstream", format!("answers initialize: {text}")),
            (_, Said::Hello(text)) => self.section.ok("upstream", format!("answers server/discover: {text}")),
            (Said::Refused(answer), _) => self.refused(answer).await,
            (Said::Nothing(why), _) => {
                self.section.problem(
                    "upstream.answer",
                    format!("no answer to initialize: {why}"),
                    "the server's own log",
                );
            }
        }
        if matches!(initialized, Said::Hello(_)) || matches!(discovered, Said::Hello(_)) {
            self.is_open(own).await;
        }
    }

    /// With `own`, with the gateway's credentials.
    async fn ask(&self, (mut headers, body): (HeaderMap, String), own: bool) -> Said {
        if own {
            headers.extend(self.upstream.headers.iter().cloned());
        }
        match self.client.send(Method::POST, &self.url, headers, body).await {
            Err(why) => Said::Nothing(why),
            Ok(answer) => {
                self.leave(&answer, own).await;
                match answer.message().and_then(|message| hello_of(message.get("result")?)) {
                    Some(text) if answer.status == StatusCode::OK => Said::Hello(text),
                    _ => Said::Refused(answer),
                }
            }
        }
    }

    /// Ends the session that `initialize` opened.
    async fn leave(&self, answer: &Answer, own: bool) {
        let Some(session) = answer.headers.get("mcp-session-id") else { return };
        let mut headers = HeaderMap::from_iter([(http::HeaderName::from_static("mcp-session-id"), session.clone())]);
        if own {
            headers.extend(self.upstream.headers.iter().cloned());
        }
        _ = self.client.send(Method::DELETE, &self.url, headers, String::new()).await; // it ends by itself too
    }

    async fn refused(&mut self, answer: &Answer) {
        let url = &self.url;
        let status = answer.status;
        let code_text = format!("{url} answers {status} to initialize");
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN if self.upstream.headers.is_empty() => self.section.problem(
                "upstream.credentials",
                format!("{code_text}: it asks for credentials of its own"),
                "switch its own authentication off, or give it a credential in upstream_headers; it never sees the caller's token",
            ),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => self.section.problem(
                "upstream.credentials",
                format!("{code_text}: it does not take what upstream_headers gives"),
                "the credential in upstream_headers; or a check of Host or Origin at the server",
            ),
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED if self.speaks_sse().await => self.section.problem(
                "upstream.sse",
                format!("{} opens an event stream: a server of the HTTP+SSE transport (2024-11-05)", self.url),
                "set upstream_messages to where its clients' messages go",
            ),
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => self.section.problem(
                "upstream.path",
                code_text,
                "the path in upstream: most servers are at /mcp",
            ),
            StatusCode::MISDIRECTED_REQUEST => self.section.problem(
                "upstream.host",
                code_text,
                "the server refuses its own host name: let it accept the host in upstream (DNS-rebinding protection)",
            ),
            _ => {
                let error = answer.message().and_then(|message| message.get("error")?.get("message")?.as_str().map(quoted));
                let text = match error {
                    Some(error) => format!("{code_text}: {error}"),
                    None => format!("{code_text}, and says nothing of MCP: {}", quoted(answer.media_type())),
                };
                self.section.problem("upstream.answer", text, "is this an MCP server over Streamable HTTP? Its log says more");
            }
        }
    }

    async fn speaks_sse(&self) -> bool {
        self.client
            .get(&self.url, "text/event-stream")
            .await
            .is_ok_and(|answer| answer.is_stream() && String::from_utf8_lossy(&answer.body).contains("event: endpoint"))
    }

    /// Whoever reaches the server directly needs no token.
    async fn is_open(&mut self, own: bool) {
        let open = !own || matches!(self.ask(hello::initialize(), false).await, Said::Hello(_));
        if open && !is_loopback(&self.url) {
            self.section.warning(
                "upstream.open",
                "it answers whoever reaches it, without a credential, and it is not on loopback",
                "a network policy, or a credential in upstream_headers that the server asks for",
            );
        } else if open {
            self.section.note(
                "upstream.open",
                "it answers without a credential; it is on loopback, so only this machine gets there",
            );
        } else {
            self.section.ok("upstream.open", "it answers only with the gateway's credential");
        }
    }
}

/// The server's name and revision in the result of `initialize` or `server/discover`.
fn hello_of(result: &Value) -> Option<String> {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(quoted);
    let info = result.get("serverInfo").or_else(|| result.pointer("/_meta/io.modelcontextprotocol~1serverInfo"));
    let name = text(info.and_then(|info| info.get("name"))).unwrap_or_else(|| "a server".to_owned());
    let versions = result.get("supportedVersions").and_then(Value::as_array);
    let version = match (text(result.get("protocolVersion")), versions) {
        (Some(version), _) => version,
        (None, Some(versions)) => versions.iter().filter_map(Value::as_str).map(quoted).collect::<Vec<_>>().join(", "),
        (None, None) => return None,
    };
    Some(format!("{name}, {version}"))
}
