//! The configuration in force, as one value that is swapped whole: who looks it up once sees all of it or none.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use arc_swap::ArcSwap;

use crate::keys::KeyStore;
use crate::names::RouteName;
use crate::request::Handler;

/// What one configuration became.
#[derive(Debug)]
pub(crate) struct Generation {
    /// 1 for the start's, one more for each that was taken later.
    pub(crate) number: u64,
    /// Wall time of its beginning.
    pub(crate) since: SystemTime,
    /// [`crate::config::Config::digest`].
    pub(crate) digest: String,
    pub(crate) handler: Arc<Handler>,
    /// Each issuer's name and keys.
    pub(crate) issuers: Vec<(String, Arc<KeyStore>)>,
    /// Each route's name, and whose tokens it takes, as indices into `issuers`.
    pub(crate) routes: Vec<(RouteName, Vec<usize>)>,
    /// When the first certificate of the public listener's chain ends, in seconds since 1970; `None` without TLS.
    pub(crate) certificate_expires: Option<i64>,
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
}
