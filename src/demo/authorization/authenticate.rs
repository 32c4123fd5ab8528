//! Who calls the token endpoint: client authentication (RFC 6749 §2.3).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, header};
use percent_encoding::percent_decode_str;

use super::Shared;
use super::client::{Client, Proof};
use super::error::{Code, OAuthError};
use super::params::Params;

/// The client, once it has proven who it is as far as it can.
pub(super) async fn authenticate(shared: &Shared, headers: &HeaderMap, form: &Params) -> Result<Client, OAuthError> {
    let basic = basic(headers)?;
    let posted = form.one("client_secret")?;
    let named = form.one("client_id")?;
    let (id, secret) = match (basic, posted) {
        (Some(_), Some(_)) => {
            // RFC 6749 §2.3: at most one method per request.
            return Err(OAuthError::new(Code::InvalidRequest, "use one way of client authentication"));
        }
        (Some((id, secret)), None) => {
            if named.is_some_and(|named| named != id) {
                return Err(OAuthError::new(Code::InvalidRequest, "two different client identifiers"));
            }
            (id, Some(secret))
        }
        (None, posted) => {
            let id = named.ok_or(OAuthError::new(Code::InvalidClient, "client_id is required"))?;
            (id.to_owned(), posted.map(str::to_owned))
        }
    };
    let client = shared.client(&id).await?;
    match (&client.proof, &secret) {
        (Proof::None, None) => Ok(client),
        (Proof::Secret(digest), Some(secret)) if digest.matches(secret) => Ok(client),
        // A public client with a secret is confused about who it is; a confidential one without is not proven.
        (Proof::None | Proof::Secret(_), _) => {
            Err(OAuthError::new(Code::InvalidClient, "the client is not authenticated"))
        }
    }
}

/// RFC 6749 §2.3.1: both halves are form-encoded before they are joined.
fn basic(headers: &HeaderMap) -> Result<Option<(String, String)>, OAuthError> {
    let Some(value) = headers.get(header::AUTHORIZATION) else {
        return Ok(None);
    };
    let malformed =
        OAuthError::new(Code::InvalidClient, "the Authorization header must be Basic with identifier and secret");
    let text = value.to_str().map_err(|_| malformed)?;
    let (scheme, credentials) = text.split_once(' ').ok_or(malformed)?;
    if !scheme.eq_ignore_ascii_case("Basic") {
        return Err(malformed);
    }
    let bytes = STANDARD.decode(credentials.trim()).map_err(|_| malformed)?;
    let text = String::from_utf8(bytes).map_err(|_| malformed)?;
    let (id, secret) = text.split_once(':').ok_or(malformed)?;
    Ok(Some((form_decode(id), form_decode(secret))))
}

fn form_decode(text: &str) -> String {
    let spaced = text.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
}
