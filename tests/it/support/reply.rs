//! One answer, and what must be true of it.

use std::sync::Arc;

use serde_json::Value;

use super::log::{self, Line};
use super::upstream;
use super::wire::{Fields, Head};

/// The metadata document of the resource that tests use unless told otherwise.
pub(crate) const METADATA_URL: &str = "https://mcp.example.com/.well-known/oauth-protected-resource/notes/mcp";

/// A whole answer.
pub(crate) struct Reply {
    pub(crate) head: Head,
    pub(crate) body: Vec<u8>,
    /// The body came to its proper end.
    pub(crate) complete: bool,
    /// Statuses of interim answers before this one.
    pub(crate) informational: Vec<u16>,
    upstream: Arc<upstream::Shared>,
    before: usize,
    metadata_url: String,
    scope: String,
}

impl Reply {
    /// An answer to a request before which the upstream had received `before` requests.
    pub(crate) fn new(head: Head, body: Vec<u8>, upstream: Arc<upstream::Shared>, before: usize) -> Self {
        Self {
            head,
            body,
            complete: true,
            informational: Vec::new(),
            upstream,
            before,
            metadata_url: METADATA_URL.into(),
            scope: "mcp:tools".into(),
        }
    }

    /// The challenge is expected to point to another metadata document and to ask for other scopes.
    pub(crate) fn of_resource(mut self, metadata_url: &str, scope: &str) -> Self {
        (self.metadata_url, self.scope) = (metadata_url.into(), scope.into());
        self
    }

    pub(crate) fn status(&self) -> u16 {
        self.head.status()
    }

    pub(crate) fn fields(&self) -> &Fields {
        &self.head.fields
    }

    /// The only value of this field.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.fields.get(name)
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {:?} in {:?}", self.text(), self.head))
    }

    /// The one challenge.
    pub(crate) fn challenge(&self) -> Challenge {
        let value = self.header("www-authenticate");
        Challenge::parse(value.unwrap_or_else(|| panic!("no challenge: {:?} {}", self.head, self.text())))
    }

    /// The request's log line.
    pub(crate) async fn log(&self) -> Line {
        let id = self.header("x-request-id");
        log::of_request(id.unwrap_or_else(|| panic!("no request id: {:?}", self.head))).await
    }

    /// Asserts a whole refusal: status, challenge, body, cache rule, log line, and that nothing went upstream. `reasons` are
    /// the log's words that are right, with ` | ` between.
    #[track_caller]
    pub(crate) fn assert_refused(&self, status: u16, code: &str, reasons: &str) -> impl Future<Output = Line> {
        self.refused_as(status, code, reasons)
    }

    #[track_caller]
    fn refused_as(&self, status: u16, code: &str, reasons: &str) -> impl Future<Output = Line> + use<'_> {
        assert_eq!(self.status(), status, "{:?}\n{}", self.head, self.text());
        self.assert_refusal_body(code);
        self.assert_challenge(code);
        assert_eq!(self.upstream.received().len(), self.before, "it went upstream");
        self.logged(status, reasons.to_owned())
    }

    /// Asserts a refusal after the upstream was asked.
    #[track_caller]
    pub(crate) fn assert_failed(&self, status: u16, code: &str, reasons: &str) -> impl Future<Output = Line> {
        assert_eq!(self.status(), status, "{:?}\n{}", self.head, self.text());
        self.assert_refusal_body(code);
        self.logged(status, reasons.to_owned())
    }

    /// Asserts that no token could be read out of the credential: RFC 6750 §3.1 asks for 400 where its syntax is broken,
    /// 401 where it fits the syntax and is no JWT.
    #[track_caller]
    pub(crate) fn assert_unreadable(&self) -> impl Future<Output = Line> {
        if self.status() == 400 {
            return self.refused_as(400, "invalid_request", "auth.malformed | auth.multiple");
        }
        self.refused_as(401, "invalid_token", "token.shape | token.encoding")
    }

    async fn logged(&self, status: u16, reasons: String) -> Line {
        let line = self.log().await;
        assert!(reasons.split(" | ").any(|reason| line.text("reason") == reason), "wanted {reasons}: {line:?}");
        assert_eq!(line.text("status"), status.to_string(), "{line:?}");
        assert_eq!(line.text("event"), "refused", "{line:?}");
        line
    }

    /// What a refusal says, in the shape of OAuth or, once the body is looked at, of JSON-RPC (decision 0004).
    #[track_caller]
    pub(crate) fn refusal(&self) -> Value {
        let body = self.json();
        if body.get("jsonrpc").is_none() {
            // Such an answer makes clients of both eras fall back to the older one (MCP 2026-07-28).
            assert!(![400, 404, 405].contains(&self.status()), "{body}");
            return body;
        }
        let before_the_body = [401, 414, 421, 431];
        assert!(!before_the_body.contains(&self.status()), "{body}");
        let error = &body["error"];
        assert_eq!(body["jsonrpc"], "2.0");
        assert!(error["code"].is_i64() && error["message"] == error["data"]["error_description"], "{body}");
        error["data"].clone()
    }

    #[track_caller]
    fn assert_refusal_body(&self, code: &str) {
        assert!(self.complete, "the refusal broke off: {:?}", self.head);
        let body = self.refusal();
        assert_eq!(body["error"], code, "{body}");
        assert_eq!(body["request_id"].as_str(), self.header("x-request-id"));
        assert!(body["error_description"].is_string(), "{body}");
        assert_eq!(body.as_object().unwrap().len(), 3, "{body}");
        assert_eq!(self.header("content-type"), Some("application/json"));
        assert_eq!(self.header("cache-control"), Some("no-store"));
    }

    /// The challenge that belongs to this code, compared whole; none for all others.
    #[track_caller]
    fn assert_challenge(&self, code: &str) {
        let error = match (self.status(), code) {
            (401, "invalid_token") | (400, "invalid_request") | (403, "insufficient_scope") => Some(code),
            (401, _) => None,
            _ => {
                assert_eq!(self.header("www-authenticate"), None);
                return;
            }
        };
        let description = self.refusal()["error_description"].as_str().unwrap().to_owned();
        let mut wanted = vec![("resource_metadata", self.metadata_url.as_str())];
        wanted.extend(error.map(|error| ("error", error)));
        if self.status() != 400 && !self.scope.is_empty() {
            wanted.push(("scope", &self.scope));
        }
        let mut found = self.challenge().0;
        if error.is_some_and(|error| error == "invalid_request") {
            // RFC 6750 §3: a description may stand here, and may be missing.
            found.retain(|(name, _)| name != "error_description");
        } else {
            wanted.extend(error.map(|_| ("error_description", description.as_str())));
        }
        wanted.sort_unstable();
        found.sort_unstable();
        let found: Vec<_> = found.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        assert_eq!(found, wanted);
    }

    /// Asserts that the upstream's answer came and that it was asked exactly once.
    #[track_caller]
    pub(crate) fn assert_served(&self) {
        assert_eq!(self.status(), 200, "{:?}\n{}", self.head, self.text());
        assert!(self.complete);
        assert_eq!(self.text(), upstream::ANSWER);
        assert_eq!(self.upstream.received().len(), self.before + 1);
    }
}

/// The parameters of a `Bearer` challenge, in order.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Challenge(pub(crate) Vec<(String, String)>);

impl Challenge {
    /// Reads strictly: one scheme, every value quoted without escapes, no parameter twice.
    #[track_caller]
    fn parse(value: &str) -> Self {
        let mut rest = value.strip_prefix("Bearer ").unwrap_or_else(|| panic!("no bearer challenge: {value}"));
        let mut parameters: Vec<(String, String)> = Vec::new();
        while !rest.is_empty() {
            let (name, after) = rest.split_once("=\"").unwrap_or_else(|| panic!("not quoted: {value}"));
            let (content, after) = after.split_once('"').unwrap_or_else(|| panic!("not closed: {value}"));
            assert!(parameters.iter().all(|(other, _)| other != name), "{name} twice: {value}");
            assert!(content.bytes().all(|b| matches!(b, 0x20..=0x7e) && b != b'\\'), "{value}");
            parameters.push((name.into(), content.into()));
            rest = match after.strip_prefix(", ") {
                Some(more) if !more.is_empty() => more,
                _ => {
                    assert!(after.is_empty(), "stray text: {value}");
                    after
                }
            };
        }
        Self(parameters)
    }

    /// A parameter's value.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn error(&self) -> Option<&str> {
        self.get("error")
    }
}
