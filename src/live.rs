//! The configuration in force, as one value that is swapped whole: who looks it up once sees all of it or none.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use arc_swap::ArcSwap;

use crate::config::{AuditConfig, DetectionConfig, Listen, Log, TelemetryConfig};
use crate::keys::KeyStore;
use crate::names::RouteName;
use crate::request::Handler;
use crate::tls::ServerTls;

/// What one configuration became.
#[derive(Debug)]
pub(crate) struct Generation {
    /// 1 for the start's, one more for each that was taken later.
    pub(crate) number: u64,
    /// Wall time of its beginning.
    pub(crate) since: SystemTime,
    /// [`crate::config::Config::digest`].
    pub(crate) digest: String,
    /// The file with what is revoked.
    pub(crate) revocations: Option<PathBuf>,
    pub(crate) listen: Listen,
    /// As configured.
    pub(crate) admin: SocketAddr,
    /// `None` only for `insecure_plaintext`.
    pub(crate) tls: Option<Arc<ServerTls>>,
    pub(crate) handler: Arc<Handler>,
    /// Each issuer's name and keys.
    pub(crate) issuers: Vec<(String, Arc<KeyStore>)>,
    /// Each route's name, and whose tokens it takes, as indices into `issuers`.
    pub(crate) routes: Vec<(RouteName, Vec<usize>)>,
    pub(crate) log: Log,
    /// What the witnesses were made of.
    pub(crate) watching: (Option<AuditConfig>, Option<TelemetryConfig>, DetectionConfig),
}

/// The generation in force, and how the last attempt to replace it went.
#[derive(Debug)]
pub(crate) struct Live {
    current: ArcSwap<Generation>,
    reloads: Mutex<Reloads>,
}

/// How attempts to replace the configuration went.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reloads {
    /// Taken since the start.
    pub(crate) taken: u64,
    /// Refused since the start.
    pub(crate) refused: u64,
    /// When the last attempt was refused, and why, while nothing was taken since.
    pub(crate) last_refusal: Option<(SystemTime, Vec<String>)>,
}

/// Mistakes of a refused configuration that are kept to be shown.
const MAX_MISTAKES: usize = 20;

impl Live {
    /// Begins with this one.
    pub(crate) fn new(first: Generation) -> Self {
        Self { current: ArcSwap::from_pointee(first), reloads: Mutex::default() }
    }

    /// The generation in force.
    pub(crate) fn current(&self) -> Arc<Generation> {
        self.current.load_full()
    }

    /// Answers requests under the configuration in force.
    pub(crate) fn handler(&self) -> Arc<Handler> {
        Arc::clone(&self.current.load().handler)
    }

    /// How attempts to replace it went.
    pub(crate) fn reloads(&self) -> Reloads {
        self.reloads.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From now on this one is in force; gives the one that was.
    pub(crate) fn replace(&self, next: Generation) -> Arc<Generation> {
        let before = self.current.swap(Arc::new(next));
        let mut reloads = self.reloads.lock().unwrap_or_else(PoisonError::into_inner);
        reloads.taken += 1;
        reloads.last_refusal = None;
        before
    }

    /// Another one was refused.
    pub(crate) fn refused(&self, at: SystemTime, mistakes: &[String]) {
        let mut reloads = self.reloads.lock().unwrap_or_else(PoisonError::into_inner);
        reloads.refused += 1;
        reloads.last_refusal = Some((at, mistakes.iter().take(MAX_MISTAKES).cloned().collect()));
    }
}
