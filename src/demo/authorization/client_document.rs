//! Client id metadata documents: a client whose identifier is the URL of its own description.
//!
//! This server fetches a URL that a stranger names, which in production calls for refusing private addresses (SSRF).
//! It is a development server on loopback whose clients are on loopback too, so it refuses none; what it does bound is
//! time, size, redirects and the number of documents kept.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;
use url::Url;

use super::client::{Client, Proof};
use super::error::{Code, OAuthError};
use super::redirect::RedirectUri;
use super::registration::Description;
use super::store::Expiring;

/// The draft (§6.6) recommends at most 5 KiB.
const MAX_DOCUMENT_BYTES: usize = 5 * 1024;
/// A client id is repeated in every token.
const MAX_URL_BYTES: usize = 256;
/// One whole fetch.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);
/// Documents kept at the same time.
const MAX_DOCUMENTS: usize = 100;
/// How long a document is believed without looking again.
const DOCUMENT_LIFETIME: Duration = Duration::from_mins(5);

/// Fetches and keeps clients' documents.
#[derive(Debug)]
pub(super) struct Documents {
    http: reqwest::Client,
    kept: Mutex<Expiring<String, Client>>,
}

impl Documents {
    pub(super) fn new() -> Result<Self, reqwest::Error> {
        let http = reqwest::Client::builder()
            // A redirect would let one URL speak for another.
            .redirect(reqwest::redirect::Policy::none())
            .timeout(FETCH_TIMEOUT)
            .no_proxy()
            .build()?;
        Ok(Self { http, kept: Mutex::new(Expiring::new(MAX_DOCUMENTS)) })
    }

    /// The client that the document at `id` describes; `None` when `id` is not such a URL.
    pub(super) async fn find(&self, id: &str, now: Instant) -> Option<Result<Client, OAuthError>> {
        let url = document_url(id)?;
        let kept = self.lock().get(&id.to_owned(), now).cloned();
        if let Some(client) = kept {
            return Some(Ok(client));
        }
        let client = self.fetch(url).await.and_then(|bytes| parse(id, &bytes));
        if let Ok(client) = &client
            && let Err(full) = self.lock().insert(id.to_owned(), client.clone(), now + DOCUMENT_LIFETIME, now)
        {
            tracing::debug!(%full, "a client metadata document is fetched again next time");
        }
        Some(client)
    }

    async fn fetch(&self, url: Url) -> Result<Vec<u8>, OAuthError> {
        let failed = |_| OAuthError::new(Code::InvalidClient, "the client's metadata document could not be fetched");
        let request = self.http.get(url).header("accept", "application/json");
        let mut response = request.send().await.map_err(failed)?;
        if response.status() != reqwest::StatusCode::OK {
            return Err(OAuthError::new(Code::InvalidClient, "the client's metadata document was not served with 200"));
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if bytes.len() + chunk.len() > MAX_DOCUMENT_BYTES {
                return Err(OAuthError::new(
                    Code::InvalidClient,
                    "the client's metadata document is larger than 5 KiB",
                ));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Expiring<String, Client>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Draft §3: an https URL with a path, without fragment, user information or dot segments. Loopback http: for development.
fn document_url(id: &str) -> Option<Url> {
    let url = Url::parse(id).ok()?;
    // The text a client sends is the text that is compared, so it must be the only spelling of this URL.
    let plain = url.as_str() == id && id.len() <= MAX_URL_BYTES && url.path() != "/";
    // The rules for scheme, host, fragment and user information are those of a redirect URI that is http or https.
    let allowed = matches!(url.scheme(), "https" | "http") && RedirectUri::parse(id).is_ok();
    (plain && allowed).then_some(url)
}

fn parse(id: &str, bytes: &[u8]) -> Result<Client, OAuthError> {
    let wrong = |why| OAuthError::new(Code::InvalidClient, why);
    let document: Value =
        serde_json::from_slice(bytes).map_err(|_| wrong("the client's metadata document is not JSON"))?;
    // Draft §4.1: simple string comparison with the URL it came from.
    if document.get("client_id").and_then(Value::as_str) != Some(id) {
        return Err(wrong("client_id in the metadata document is not the document's URL"));
    }
    // Draft §4.1: everybody can read the document, so it can hold no secret.
    if document.get("client_secret").is_some() {
        return Err(wrong("a metadata document must not hold a secret"));
    }
    let description: Description = serde_json::from_value(document)
        .map_err(|_| wrong("the client's metadata document has members of wrong types"))?;
    if description.token_endpoint_auth_method.as_deref().is_some_and(|method| method != "none") {
        return Err(wrong("token_endpoint_auth_method in a metadata document must be none"));
    }
    description.into_client(id.to_owned(), Proof::None)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "https://client.example/oauth/client.json";

    #[test]
    fn only_plain_urls_with_a_path_name_a_document() {
        assert!(document_url(ID).is_some());
        assert!(document_url("http://127.0.0.1:8000/client.json").is_some());
        for other in [
            "https://client.example",
            "https://client.example/",
            "https://client.example/a/../b",
            "https://client.example/a#b",
            "https://user@client.example/a",
            "http://client.example/a",
            "com.example.app:/a",
            "client-1",
        ] {
            assert!(document_url(other).is_none(), "{other}");
        }
    }

    #[test]
    fn a_document_speaks_for_its_own_url_only() {
        let document = |change: &[(&str, Value)]| {
            let mut document = serde_json::json!({ "client_id": ID, "redirect_uris": ["https://client.example/cb"] });
            for (member, value) in change {
                document[*member] = value.clone();
            }
            parse(ID, document.to_string().as_bytes())
        };
        assert_eq!(document(&[]).unwrap().id, ID);
        for change in [
            ("client_id", "https://client.example/oauth/other.json".into()),
            ("client_secret", "x".into()),
            ("token_endpoint_auth_method", "client_secret_basic".into()),
            ("redirect_uris", Vec::<String>::new().into()),
            ("redirect_uris", vec!["javascript:alert(1)"].into()),
        ] {
            assert!(document(std::slice::from_ref(&change)).is_err(), "{change:?}");
        }
    }
}
