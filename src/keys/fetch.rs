//! Downloads an issuer's key set, found by discovery where the configuration does not say where it is.

use std::time::{Duration, SystemTime};

use http::header::{ACCEPT, HeaderValue};
use http::{HeaderMap, StatusCode};
use reqwest::redirect;
use url::Url;

use super::discovery::{self, DiscoveryError};
use super::jwks::{KeySet, KeySetError, Parsed};
use super::pace;
use crate::config::{IssuerConfig, KeyRules, is_loopback};
use crate::names::Issuer;
use crate::trust::{self, TrustError, client_tls_towards};

/// Far more than 100 keys with certificate chains need (threat K17).
const MAX_KEY_SET_BYTES: usize = 512 * 1024;
/// Real metadata documents have some 5 KiB.
const MAX_METADATA_BYTES: usize = 128 * 1024;

/// Where one issuer's keys come from.
#[derive(Debug)]
pub(super) struct Source {
    issuer: Issuer,
    jwks_uri: Option<Url>,
    discovery: Vec<Url>,
    insecure_http: bool,
    rules: KeyRules,
    client: reqwest::Client,
}

/// A key set as it came.
#[derive(Debug)]
pub(super) struct Fetched {
    pub(super) parsed: Parsed,
    /// Where it was: an unplanned fetch may go straight there.
    pub(super) found_at: Url,
    /// When to look again.
    pub(super) fresh_for: Duration,
}

/// Why there is no key set. For the log; clients only ever see a 503.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error("{}", trust::chain(.0))]
    Transport(#[from] reqwest::Error),
    #[error("no complete answer within {} ms", .0.as_millis())]
    Timeout(Duration),
    #[error("{url} answered {status}; needed is 200")]
    Status { url: String, status: StatusCode },
    #[error("{url} answered {status}; redirects are not followed, configure the final address")]
    Redirect { url: String, status: StatusCode },
    #[error("{url} sends more than {limit} bytes")]
    TooLarge { url: String, limit: usize },
    #[error("{url}: {error}")]
    Discovery { url: String, error: DiscoveryError },
    #[error("the issuer is no URL, so there is no discovery; configure jwks_uri")]
    NoDiscovery,
    #[error("{0}: keys come over https:// only (http:// for loopback addresses with insecure_http)")]
    Insecure(String),
    #[error("{url}: {error}")]
    KeySet { url: String, error: KeySetError },
}

impl FetchError {
    /// The log's word.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::Transport(_) | Self::Timeout(_) | Self::Status { .. } => "jwks.fetch_failed",
            Self::Redirect { .. } => "jwks.redirect",
            Self::TooLarge { .. } => "jwks.too_large",
            Self::Insecure(_) => "jwks.insecure_uri",
            Self::NoDiscovery => "issuer.metadata",
            Self::Discovery { error, .. } => error.reason(),
            Self::KeySet { error, .. } => error.reason(),
        }
    }
}

impl Source {
    pub(super) fn new(config: &IssuerConfig) -> Result<Self, TrustError> {
        Ok(Self {
            issuer: config.issuer.clone(),
            jwks_uri: config.jwks_uri.clone(),
            discovery: discovery::locations(&config.issuer),
            insecure_http: config.insecure_http,
            rules: config.keys.clone(),
            client: client(config)?,
        })
    }

    /// One whole fetch, discovery included, inside one time limit. `known` is where the set was found before.
    pub(super) async fn fetch(&self, known: Option<&Url>) -> Result<Fetched, FetchError> {
        tokio::time::timeout(self.rules.timeout, self.find_and_load(known))
            .await
            .unwrap_or(Err(FetchError::Timeout(self.rules.timeout)))
    }

    async fn find_and_load(&self, known: Option<&Url>) -> Result<Fetched, FetchError> {
        let found_at = match self.jwks_uri.as_ref().or(known) {
            Some(url) => url.clone(),
            None => self.discover().await?,
        };
        let (headers, body) = self.download(&found_at, MAX_KEY_SET_BYTES).await?;
        match KeySet::parse(&body) {
            Ok(parsed) => {
                Ok(Fetched { parsed, found_at, fresh_for: pace::fresh_for(&headers, &self.rules, SystemTime::now()) })
            }
            Err(error) => Err(FetchError::KeySet { url: found_at.into(), error }),
        }
    }

    /// `jwks_uri` from the first metadata document that is truly this issuer's.
    ///
    /// A form that the issuer does not serve is passed over; of several failures the first that is no plain 404 is told.
    async fn discover(&self) -> Result<Url, FetchError> {
        let mut failure = FetchError::NoDiscovery;
        for location in &self.discovery {
            match self.load_metadata(location).await {
                Ok(jwks_uri) => return Ok(jwks_uri),
                // All forms are on one host.
                Err(error @ FetchError::Transport(_)) => return Err(error),
                Err(error) if tells_less(&failure) => failure = error,
                Err(_) => {}
            }
        }
        Err(failure)
    }

    async fn load_metadata(&self, location: &Url) -> Result<Url, FetchError> {
        let (_, body) = self.download(location, MAX_METADATA_BYTES).await?;
        discovery::jwks_uri(&body, &self.issuer)
            .map_err(|error| FetchError::Discovery { url: location.to_string(), error })
    }

    /// Reads piece by piece and stops at the limit, whatever length the answer declares.
    async fn download(&self, url: &Url, limit: usize) -> Result<(HeaderMap, Vec<u8>), FetchError> {
        if !may_be_fetched(url, self.insecure_http) {
            return Err(FetchError::Insecure(url.to_string()));
        }
        let too_large = || FetchError::TooLarge { url: url.to_string(), limit };
        let mut response = self.client.get(url.clone()).send().await?;
        check_status(url, response.status())?;
        if response.content_length().is_some_and(|length| length > limit as u64) {
            return Err(too_large());
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            if chunk.len() > limit - body.len() {
                return Err(too_large());
            }
            body.extend_from_slice(&chunk);
        }
        Ok((std::mem::take(response.headers_mut()), body))
    }
}

/// Keys come over https; over http only from this machine, where the issuer's configuration says so.
pub(crate) fn may_be_fetched(url: &Url, insecure_http: bool) -> bool {
    match url.scheme() {
        "https" => true,
        "http" => insecure_http && is_loopback(url),
        _ => false,
    }
}

fn tells_less(failure: &FetchError) -> bool {
    matches!(failure, FetchError::NoDiscovery | FetchError::Status { status: StatusCode::NOT_FOUND, .. })
}

fn check_status(url: &Url, status: StatusCode) -> Result<(), FetchError> {
    let url = || url.to_string();
    match status {
        StatusCode::OK => Ok(()),
        status if status.is_redirection() => Err(FetchError::Redirect { url: url(), status }),
        status => Err(FetchError::Status { url: url(), status }),
    }
}

/// The one place that builds an HTTP client: no redirects (SSRF, threat K19), no proxy from the environment, no cookies,
/// every wait bounded.
fn client(config: &IssuerConfig) -> Result<reqwest::Client, TrustError> {
    let accept =
        HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("application/json, application/jwk-set+json"))]);
    // With an address for the key set nothing else is fetched.
    let tls = client_tls_towards(config.jwks_uri.as_ref().map(url::Url::scheme), config.ca.as_deref())?;
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .https_only(!config.insecure_http)
        .http1_only()
        .redirect(redirect::Policy::none())
        .no_proxy()
        .referer(false)
        .connect_timeout(config.keys.timeout / 2)
        .timeout(config.keys.timeout)
        .user_agent(concat!("portcullis/", env!("CARGO_PKG_VERSION")))
        .default_headers(accept)
        .build()?;
    Ok(client)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use std::sync::Arc;

    use rustls::ServerConfig;
    use rustls::pki_types::PrivateKeyDer;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use tokio::task::JoinSet;
    use tokio_rustls::TlsAcceptor;

    use crate::keys::test_issuer::{self, TestKey, set};

    /// Serves one key set over TLS, again and again; gives the address and the certificate as PEM.
    async fn serve(tasks: &mut JoinSet<()>) -> (String, String) {
        let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".into()]).unwrap();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}/jwks", listener.local_addr().unwrap());
        let answer = test_issuer::http(200, "", &set(&[&TestKey::new("a")]).to_string());
        tasks.spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let Ok(mut stream) = acceptor.accept(stream).await else {
                    continue;
                };
                stream.read_u8().await.unwrap();
                stream.write_all(answer.as_bytes()).await.unwrap();
                stream.shutdown().await.unwrap();
            }
        });
        (url, made.cert.pem())
    }

    #[tokio::test]
    async fn an_issuers_certificate_is_verified_and_its_own_anchor_counts() {
        let mut tasks = JoinSet::new();
        let (url, pem) = serve(&mut tasks).await;
        let mut config = test_issuer::config(Issuer::parse("https://idp.test").unwrap(), Some(&url));
        config.insecure_http = false;

        let refused = Source::new(&config).unwrap().fetch(None).await.unwrap_err();
        assert_eq!(refused.reason(), "jwks.fetch_failed");
        assert!(refused.to_string().contains("certificate"), "the log tells the cause: {refused}");

        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(pem.as_bytes()).unwrap();
        config.ca = Some(file.path().to_owned());
        let fetched = Source::new(&config).unwrap().fetch(None).await.unwrap();
        assert_eq!(fetched.parsed.keys.len(), 1);
    }
}
