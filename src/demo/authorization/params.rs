//! Parameters of a query or form, read without ambiguity.

use axum::http::{HeaderMap, header};

use super::error::{Code, OAuthError};

/// Parameters in the order they came.
#[derive(Debug)]
pub(super) struct Params(Vec<(String, String)>);

impl Params {
    /// Reads `application/x-www-form-urlencoded` text, as in a query.
    pub(super) fn parse(text: &[u8]) -> Self {
        Self(url::form_urlencoded::parse(text).into_owned().collect())
    }

    /// Reads a form. RFC 6749 §3.2 and Appendix B: no other content type carries parameters.
    pub(super) fn form(headers: &HeaderMap, body: &[u8]) -> Result<Self, OAuthError> {
        if !is_of_type(headers, "application/x-www-form-urlencoded") {
            return Err(OAuthError::new(Code::InvalidRequest, "the body must be application/x-www-form-urlencoded"));
        }
        Ok(Self::parse(body))
    }

    /// RFC 6749 §3.1: an empty value is an omitted one, and no parameter may come twice.
    pub(super) fn one(&self, name: &str) -> Result<Option<&str>, OAuthError> {
        let mut values = self.all(name);
        let first = values.next();
        if values.next().is_some() {
            return Err(OAuthError::new(Code::InvalidRequest, "a parameter came more than once"));
        }
        Ok(first)
    }

    /// Like [`Self::one`], for parameters that must be there.
    pub(super) fn required(&self, name: &str, missing: &'static str) -> Result<&str, OAuthError> {
        self.one(name)?.ok_or(OAuthError::new(Code::InvalidRequest, missing))
    }

    /// Every value of a parameter that may come more than once.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(key, value)| key == name && !value.is_empty()).map(|(_, value)| value.as_str())
    }

    /// RFC 8707 §2: the one resource the token is for. Several would be one token for several audiences.
    pub(super) fn resource(&self) -> Result<&str, OAuthError> {
        let mut resources = self.all("resource");
        match (resources.next(), resources.next()) {
            (Some(resource), None) => Ok(resource),
            (None, _) => Err(OAuthError::new(Code::InvalidTarget, "resource is required")),
            (Some(_), Some(_)) => Err(OAuthError::new(Code::InvalidTarget, "only one resource per token")),
        }
    }
}

/// True when the body says it is of this media type, whatever its parameters.
pub(super) fn is_of_type(headers: &HeaderMap, wanted: &str) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default();
    essence.trim().eq_ignore_ascii_case(wanted)
}
