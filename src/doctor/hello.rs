//! The first request of an MCP client, of either era.

use http::header::{self, HeaderMap, HeaderValue};
use serde_json::{Value, json};

/// The newest revision that begins with `initialize`.
const LEGACY: &str = "2025-11-25";
/// The first that asks with `server/discover`.
const MODERN: &str = "2026-07-28";

fn client() -> Value {
    json!({ "name": "portcullis-doctor", "version": env!("CARGO_PKG_VERSION") })
}

fn headers() -> HeaderMap {
    HeaderMap::from_iter([
        (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (header::ACCEPT, HeaderValue::from_static("application/json, text/event-stream")),
    ])
}

/// `initialize` (MCP 2025-11-25, Lifecycle).
pub(super) fn initialize() -> (HeaderMap, String) {
    let params = json!({ "protocolVersion": LEGACY, "capabilities": {}, "clientInfo": client() });
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params });
    (headers(), body.to_string())
}

/// `server/discover` (MCP 2026-07-28), with what every modern request says of itself.
pub(super) fn discover() -> (HeaderMap, String) {
    let mut headers = headers();
    headers.insert("mcp-protocol-version", HeaderValue::from_static(MODERN));
    headers.insert("mcp-method", HeaderValue::from_static("server/discover"));
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientInfo": client(),
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "server/discover", "params": { "_meta": meta } });
    (headers, body.to_string())
}
