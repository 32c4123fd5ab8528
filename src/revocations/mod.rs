//! What is revoked before its time: tokens by `jti`, subject, client, tenant or time of issue (docs/revocations.md).

mod list;

use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use tokio::sync::watch;

use crate::config::{self, ConfigError, IssuerConfig};
use crate::token::Identity;

use list::List;

/// The list in force. It outlives configurations: open streams look at it again when it changes.
#[derive(Debug)]
pub(crate) struct Revocations {
    list: ArcSwap<List>,
    changed: watch::Sender<()>,
}

/// A list that was read and is not in force yet.
#[derive(Debug)]
pub(crate) struct Loaded(List);

/// Reads the file; without one nothing is revoked.
pub(crate) fn load(file: Option<&Path>, issuers: &[IssuerConfig]) -> Result<Loaded, Vec<ConfigError>> {
    let entries = file.map_or_else(|| Ok(Vec::new()), |file| config::load_revocations(file, issuers))?;
    Ok(Loaded(List::new(entries)))
}

impl Revocations {
    /// Nothing is revoked.
    pub(crate) fn new() -> Self {
        Self { list: ArcSwap::from_pointee(List::default()), changed: watch::Sender::new(()) }
    }

    /// From now on this one is in force, for open streams too.
    pub(crate) fn replace(&self, Loaded(list): Loaded) {
        let (before, now) = (self.len(), list.len());
        self.list.store(Arc::new(list));
        self.changed.send_replace(());
        if (before, now) != (0, 0) {
            tracing::info!(event = "revocations.loaded", entries = now);
        }
    }

    /// True when the token must not be accepted any more.
    pub(crate) fn revokes(&self, identity: &Identity) -> bool {
        let list = self.list.load();
        // Under a clock before 1970 no entry has ended.
        let now = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
        list.len() > 0 && list.holds(identity, now())
    }

    /// Ready when this identity is revoked.
    pub(crate) async fn revoked(self: Arc<Self>, identity: Arc<Identity>) {
        let mut changed = self.changed.subscribe();
        while !self.revokes(&identity) {
            if changed.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Entries in force.
    pub(crate) fn len(&self) -> usize {
        self.list.load().len()
    }
}
