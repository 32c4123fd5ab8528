//! OAuth clients: who they are, where they may be sent, what they may ask for; and where they are kept.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::redirect::RedirectUri;
use super::secret::Digest;
use super::store::{Expiring, Full};
use crate::names::TenantId;

/// Clients that registered themselves and are kept at the same time.
const MAX_REGISTERED: usize = 1000;
/// How long a registration lasts; afterwards the client registers anew.
pub(super) const REGISTRATION_LIFETIME: Duration = Duration::from_hours(24);

/// A way to a token that a client may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Grant {
    AuthorizationCode,
    RefreshToken,
    ClientCredentials,
}

impl Grant {
    pub(super) const ALL: [Self; 3] = [Self::AuthorizationCode, Self::RefreshToken, Self::ClientCredentials];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::AuthorizationCode => "authorization_code",
            Self::RefreshToken => "refresh_token",
            Self::ClientCredentials => "client_credentials",
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|grant| grant.as_str() == text)
    }
}

/// How a client proves who it is.
#[derive(Debug, Clone)]
pub(super) enum Proof {
    /// It cannot (RFC 6749 §2.1, public client); PKCE and its redirect URIs stand in.
    None,
    /// By a secret in the Authorization header or the form.
    Secret(Digest),
}

/// One client.
#[derive(Debug, Clone)]
pub(super) struct Client {
    pub(super) id: String,
    /// What the client calls itself. Unverified: the page shows it beside the redirect host.
    pub(super) name: Option<String>,
    pub(super) redirects: Vec<RedirectUri>,
    pub(super) grants: Vec<Grant>,
    pub(super) proof: Proof,
    /// The tenant that its own tokens (client credentials) speak for.
    pub(super) tenant: Option<TenantId>,
}

impl Client {
    pub(super) fn may(&self, grant: Grant) -> bool {
        self.grants.contains(&grant)
    }

    /// The asked redirect URI, if it is one of this client's.
    pub(super) fn redirect(&self, asked: &str) -> Option<RedirectUri> {
        let asked = RedirectUri::parse(asked).ok()?;
        let known = self.redirects.iter().any(|registered| registered.accepts(&asked));
        known.then_some(asked)
    }
}

/// A client that is there from the start, with a secret of its own.
#[derive(Debug, Clone)]
pub struct PreRegistered {
    /// `client_id`.
    pub id: String,
    /// `client_secret`; `None`: a public client.
    pub secret: Option<String>,
    /// Where it may be sent; empty for a client that only uses client credentials.
    pub redirect_uris: Vec<String>,
    /// The tenant that its own tokens (client credentials) speak for.
    pub tenant: Option<TenantId>,
}

impl PreRegistered {
    /// A confidential client may do everything, a public one all but client credentials (RFC 6749 §4.4).
    fn into_client(self) -> Result<Client, super::redirect::InvalidRedirect> {
        let redirects: Result<Vec<_>, _> = self.redirect_uris.iter().map(|uri| RedirectUri::parse(uri)).collect();
        let mut grants = vec![Grant::AuthorizationCode, Grant::RefreshToken];
        if self.secret.is_some() {
            grants.push(Grant::ClientCredentials);
        }
        Ok(Client {
            name: Some(self.id.clone()),
            id: self.id,
            redirects: redirects?,
            grants,
            proof: self.secret.map_or(Proof::None, |secret| Proof::Secret(Digest::of(&secret))),
            tenant: self.tenant,
        })
    }
}

/// The clients this server knows without asking anyone.
#[derive(Debug)]
pub(super) struct Clients {
    fixed: HashMap<String, Client>,
    registered: Mutex<Expiring<String, Client>>,
}

impl Clients {
    pub(super) fn new(fixed: Vec<PreRegistered>) -> Result<Self, super::redirect::InvalidRedirect> {
        let fixed: Result<Vec<_>, _> = fixed.into_iter().map(PreRegistered::into_client).collect();
        Ok(Self {
            fixed: fixed?.into_iter().map(|client| (client.id.clone(), client)).collect(),
            registered: Mutex::new(Expiring::new(MAX_REGISTERED)),
        })
    }

    pub(super) fn find(&self, id: &str, now: Instant) -> Option<Client> {
        if let Some(client) = self.fixed.get(id) {
            return Some(client.clone());
        }
        let registered = self.registered.lock().unwrap_or_else(PoisonError::into_inner);
        registered.get(&id.to_owned(), now).cloned()
    }

    pub(super) fn add(&self, client: Client, now: Instant) -> Result<(), Full> {
        let mut registered = self.registered.lock().unwrap_or_else(PoisonError::into_inner);
        registered.insert(client.id.clone(), client, now + REGISTRATION_LIFETIME, now)
    }

    /// RFC 9068 §5: a subject must never read like a client, or a person could pass for a service.
    pub(super) fn is_fixed(&self, id: &str) -> bool {
        self.fixed.contains_key(id)
    }
}
