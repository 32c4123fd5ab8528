//! `Authorization` header → token text, or why not (RFC 6750 §2.1).

use http::{HeaderMap, Uri};

use super::BearerError;

/// The one bearer token of a request.
pub fn bearer<'a>(_headers: &'a HeaderMap, _uri: &Uri) -> Result<&'a str, BearerError> {
    Err(BearerError::Missing) // STUB: the token helper replaces this
}
