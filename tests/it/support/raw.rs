//! HTTP/1.1 requests as exact bytes.

use std::fmt::Display;

use super::{Gateway, Issuer, PATH};

/// The head of a POST with a good token and these lines; what follows the empty line is up to the caller.
pub(crate) fn post_head(issuer: &Issuer, lines: &str) -> String {
    post_head_with(issuer.mint(), lines)
}

/// The same with this token.
pub(crate) fn post_head_with(token: impl Display, lines: &str) -> String {
    format!(
        "POST {PATH} HTTP/1.1\r\nHost: mcp.example.com\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\n{lines}\r\n"
    )
}

/// Asserts that these bytes get this refusal, that the connection ends, and that nothing went upstream.
pub(crate) async fn refused(gateway: &Gateway, bytes: impl AsRef<[u8]>, status: u16, reason: &str) {
    println!("case: {:?}", String::from_utf8_lossy(bytes.as_ref()));
    let code = match status {
        400 => "bad_request",
        414 => "uri_too_long",
        431 => "request_header_fields_too_large",
        501 => "not_implemented",
        505 => "http_version_not_supported",
        other => panic!("no such refusal: {other}"),
    };
    let mut connection = gateway.connect().await;
    let reply = connection.exchange(bytes).await;
    reply.assert_refused(status, code, reason).await;
    assert_eq!(reply.header("connection"), Some("close"));
    connection.assert_closed().await;
}
