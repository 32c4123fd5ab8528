//! A small OAuth 2.1 authorization server for development: whoever types a name is that person, no password is asked.
//!
//! What it does not check is who people are. Everything else is as the standards say: PKCE (RFC 7636), resource
//! indicators (RFC 8707), the issuer in every answer (RFC 9207), JWT access tokens (RFC 9068), registration (RFC 7591) and
//! client id metadata documents, rotation and revocation (RFC 9700, RFC 7009). It listens on loopback only.
//!
//! A request meets the files in this order: `http` → `authorize` (`client`, `redirect`, `page`, `user`) → `token`
//! (`authenticate`, `grants`, `keys`).

mod authenticate;
mod authorize;
mod client;
mod client_document;
mod error;
mod grants;
mod http;
mod keys;
mod metadata;
mod page;
mod params;
mod redirect;
mod registration;
mod store;
mod token;
mod user;

#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ::http::HeaderValue;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use self::authorize::PendingStore;
use self::client::{Client, Clients};
use self::client_document::Documents;
use self::error::{Code, OAuthError};
use self::grants::Grants;
use self::keys::Keys;
use super::secret;
use super::serving::Serving;
use crate::names::{Scope, TenantId};

pub use self::client::PreRegistered;
pub use self::keys::{KeyFailure, OldKey, SigningAlgorithm};

/// How long an access token lives unless told otherwise.
const ACCESS_TOKEN_LIFETIME: Duration = Duration::from_mins(5);

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum AuthorizationServerError {
    /// It lets anybody in, so it must not be reachable from elsewhere.
    #[error("the development authorization server listens on loopback addresses only")]
    NotLoopback,
    /// The listener is of no use.
    #[error("the authorization server cannot listen: {0}")]
    Listen(#[from] std::io::Error),
    /// No signing key could be made.
    #[error(transparent)]
    Key(#[from] KeyFailure),
    /// A pre-registered client has a redirect URI that no client may have.
    #[error("a pre-registered client cannot be: {0}")]
    Client(String),
    /// Clients' metadata documents could not be fetched.
    #[error("no HTTP client for client metadata documents: {0}")]
    Http(#[from] reqwest::Error),
}

/// What differs between one use of the server and another.
#[derive(Debug, Clone)]
pub struct Options {
    /// How long an access token lives.
    pub access_token_lifetime: Duration,
    /// The tenant of people who typed none; `None`: their tokens carry no tenant.
    pub default_tenant: Option<TenantId>,
    /// Clients that need not register.
    pub clients: Vec<PreRegistered>,
    /// What tokens are signed with.
    pub algorithm: SigningAlgorithm,
    /// Scopes that can be asked for; a request that names none gets all of them.
    pub scopes: Vec<Scope>,
    /// Resources that tokens can be for; empty: any.
    pub resources: Vec<String>,
    /// Origins of browser clients that may read tokens; empty: none.
    pub browser_origins: Vec<HeaderValue>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            access_token_lifetime: ACCESS_TOKEN_LIFETIME,
            default_tenant: None,
            clients: Vec::new(),
            algorithm: SigningAlgorithm::default(),
            scopes: Scope::parse("mcp:tools").into_iter().collect(),
            resources: Vec::new(),
            browser_origins: Vec::new(),
        }
    }
}

/// A running server. Dropping it stops it.
pub struct AuthorizationServer {
    shared: Shared,
    serving: Serving,
}

impl AuthorizationServer {
    /// Serves on a bound loopback listener.
    pub fn start(listener: TcpListener, options: Options) -> Result<Self, AuthorizationServerError> {
        let address = listener.local_addr()?;
        if !address.ip().is_loopback() {
            return Err(AuthorizationServerError::NotLoopback);
        }
        let mut options = options;
        let clients = Clients::new(std::mem::take(&mut options.clients));
        let shared = Shared(Arc::new(State {
            issuer: format!("http://{address}"),
            keys: Mutex::new(Keys::generate(options.algorithm, options.access_token_lifetime)?),
            clients: clients.map_err(|error| AuthorizationServerError::Client(error.to_string()))?,
            documents: Documents::new()?,
            pending: Mutex::new(authorize::pending_store()),
            grants: Mutex::new(Grants::new()),
            options,
        }));
        let serving = Serving::start(listener, http::router(shared.clone()), CancellationToken::new())?;
        Ok(Self { shared, serving })
    }

    /// The issuer identifier, as in tokens: scheme, loopback address and port.
    pub fn issuer(&self) -> &str {
        &self.shared.issuer
    }

    /// Signs with a new key from now on.
    pub fn rotate_keys(&self, old: OldKey) -> Result<(), KeyFailure> {
        self.shared.keys().rotate(old, Instant::now())
    }

    /// Stops accepting and waits, for a short time, for open requests.
    pub async fn shut_down(self) {
        self.serving.shut_down().await;
    }
}

impl std::fmt::Debug for AuthorizationServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AuthorizationServer").field("issuer", &self.shared.issuer).finish_non_exhaustive()
    }
}

/// What all requests share. No lock is held across an `.await`.
struct State {
    issuer: String,
    options: Options,
    clients: Clients,
    documents: Documents,
    keys: Mutex<Keys>,
    pending: Mutex<PendingStore>,
    grants: Mutex<Grants>,
}

/// A handle on [`State`], as axum hands it to each request.
#[derive(Clone)]
struct Shared(Arc<State>);

impl std::ops::Deref for Shared {
    type Target = State;

    fn deref(&self) -> &State {
        &self.0
    }
}

impl State {
    fn keys(&self) -> MutexGuard<'_, Keys> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pending(&self) -> MutexGuard<'_, PendingStore> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn grants(&self) -> MutexGuard<'_, Grants> {
        self.grants.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The client of this identifier: pre-registered, registered, or described by the document the identifier names.
    async fn client(&self, id: &str) -> Result<Client, OAuthError> {
        let now = Instant::now();
        if let Some(client) = self.clients.find(id, now) {
            return Ok(client);
        }
        let unknown = OAuthError::new(Code::InvalidClient, "this client is not known");
        self.documents.find(id, now).await.ok_or(unknown)?
    }

    /// RFC 8707 §2: an absolute URI without a fragment, and one that tokens can be for.
    fn resource<'a>(&self, asked: &'a str) -> Result<&'a str, OAuthError> {
        let known = match self.options.resources.as_slice() {
            [] => url::Url::parse(asked).is_ok() && !asked.contains('#') && asked.len() <= MAX_RESOURCE_BYTES,
            resources => resources.iter().any(|resource| resource == asked),
        };
        let refused = OAuthError::new(Code::InvalidTarget, "no token can be had for this resource");
        known.then_some(asked).ok_or(refused)
    }

    /// RFC 6749 §3.3: the scopes asked for, or all.
    fn scope(&self, asked: Option<&str>) -> Result<String, OAuthError> {
        let all = || self.options.scopes.iter().map(Scope::as_str);
        let Some(asked) = asked else {
            return Ok(all().collect::<Vec<_>>().join(" "));
        };
        if !asked.split(' ').all(|scope| all().any(|known| known == scope)) {
            return Err(OAuthError::new(Code::InvalidScope, "a scope is not known"));
        }
        Ok(asked.to_owned())
    }
}

/// Longest resource that is put into tokens.
const MAX_RESOURCE_BYTES: usize = 2048;

fn seconds_since_epoch() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
