//! A new configuration while everything runs: built whole, then swapped, or refused and the old one stays.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::signal::unix::Signal;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::config::{Config, ConfigError};
use crate::reload::watch::{Contents, Watch};
use crate::revocations;

use super::build::{build, load};
use super::{Gateway, Running};

/// How often the log is reminded of a certificate that ends soon.
const REMINDER: Duration = Duration::from_hours(24);

impl Gateway {
    /// Replaces the configuration, or says in the log, in `/metrics` and in `/status` why not. True when it was replaced.
    pub async fn reload(&self, loaded: Result<Config, Vec<ConfigError>>) -> bool {
        self.0.reload(loaded).await
    }

    /// Reloads on SIGHUP (`hangup`), and when the file or one that it names changes; until the gateway stops.
    pub fn follow(&self, files: Followed, hangup: Signal) {
        let (running, stop) = (Arc::clone(&self.0), self.0.fronts.stop.clone());
        self.0.lasting.tasks.spawn(async move {
            stop.run_until_cancelled(running.follow(files, hangup)).await.unwrap_or_default();
        });
    }
}

/// The files of a configuration, as they were before it was read: whatever changes afterwards is seen.
#[derive(Debug, Clone)]
pub struct Followed {
    file: PathBuf,
    named: Vec<PathBuf>,
    contents: Contents,
}

impl Followed {
    /// Reads the configuration with every file that it names, for what would fail later is better said now.
    pub fn load(file: &Path) -> (Result<Config, Vec<ConfigError>>, Self) {
        let mut files = Self { file: file.to_owned(), named: Vec::new(), contents: Contents::default() };
        (files.load_again(), files)
    }

    fn load_again(&mut self) -> Result<Config, Vec<ConfigError>> {
        self.contents = self.read();
        let config = Config::check(&self.file);
        // Also of a configuration that is refused for a file that is not there yet.
        let named = config.as_ref().map_or_else(|_| Config::names_in(&self.file), Config::files);
        if named == self.named {
            return config;
        }
        self.named = named;
        self.contents = self.read();
        Config::check(&self.file)
    }

    fn all(&self) -> impl Iterator<Item = &PathBuf> {
        std::iter::once(&self.file).chain(&self.named)
    }

    fn read(&self) -> Contents {
        Contents::of(self.all())
    }
}

impl Running {
    async fn follow(&self, mut files: Followed, mut hangup: Signal) {
        let mut watch = Watch::new();
        let mut reminder = interval_at(Instant::now() + REMINDER, REMINDER);
        reminder.set_missed_tick_behavior(MissedTickBehavior::Delay);
        watch.look_at(files.all());
        // What has changed before the folders were watched.
        files = self.look(files, false).await;
        loop {
            watch.look_at(files.all());
            let asked = tokio::select! {
                _ = hangup.recv() => true,
                () = watch.changed() => false,
                _ = reminder.tick() => {
                    self.remind();
                    continue;
                }
            };
            files = self.look(files, asked).await;
        }
    }

    async fn look(&self, files: Followed, asked: bool) -> Followed {
        if asked && let Some(audit) = &self.live.current().handler.witnesses.audit {
            audit.reopen();
        }
        let mut again = files.clone();
        let looked = tokio::task::spawn_blocking(move || {
            let is_new = asked || again.read() != again.contents;
            let loaded = is_new.then(|| again.load_again());
            (loaded, again)
        });
        let Ok((loaded, again)) = looked.await else { return files };
        if let Some(loaded) = loaded {
            self.reload(loaded).await;
        }
        again
    }

    async fn reload(&self, loaded: Result<Config, Vec<ConfigError>>) -> bool {
        let _turn = self.reloading.lock().await;
        let replaced = match loaded {
            Ok(config) => self.replace(config).await.map_err(|why| vec![why]),
            Err(mistakes) => Err(mistakes.iter().map(ToString::to_string).collect()),
        };
        let Err(mistakes) = replaced else { return true };
        for mistake in &mistakes {
            tracing::error!(event = "config.rejected", detail = mistake, "the old configuration stays in force");
        }
        self.live.refused(SystemTime::now(), &mistakes);
        self.revoke().await;
        false
    }

    async fn replace(&self, config: Config) -> Result<(), String> {
        let (before, lasting) = (self.live.current(), self.lasting.clone());
        let old = Arc::clone(&before);
        let asked = [config.listen.address, config.admin];
        let sockets = self.fronts.bind(asked).map_err(|why| why.to_string())?;
        let built = tokio::task::spawn_blocking(move || {
            let revoked = load(&config)?;
            build(config, Some(&old), &lasting).map(|next| (next, revoked))
        });
        let built = built.await;
        let (next, revoked) = built.map_err(|why| why.to_string())?.map_err(|why| why.to_string())?;
        let (number, digest) = (next.number, next.digest.clone());
        let same_tls = match (&before.tls, &next.tls) {
            (Some(old), Some(new)) => Arc::ptr_eq(old, new),
            (old, new) => old.is_none() && new.is_none(),
        };
        // Nothing can be refused from here on.
        self.live.replace(next);
        self.lasting.revocations.replace(revoked);
        self.begin(&self.live.current(), Some(&before));
        self.fronts.open(sockets, asked);
        self.lasting.log.follow(self.live.current().log);
        if let Some(audit) = &self.live.current().handler.witnesses.audit {
            audit.take_over();
        }
        let log = (self.live.current().log.format, self.live.current().log.level);
        if log != (before.log.format, before.log.level) {
            tracing::warn!(event = "config.restart_needed", "log.format and log.level are taken at the next start");
        }
        if !same_tls {
            tracing::info!(event = "tls.reloaded", "new handshakes use the new certificate");
        }
        tracing::info!(event = "config.reloaded", config = digest, generation = number);
        Ok(())
    }

    /// What is revoked counts at once, whatever else is wrong.
    async fn revoke(&self) {
        let current = self.live.current();
        let loaded = tokio::task::spawn_blocking(move || {
            revocations::load(current.revocations.as_deref(), current.handler.routes.issuers())
        });
        // Its mistakes are among those of the configuration.
        if let Ok(Ok(list)) = loaded.await {
            self.lasting.revocations.replace(list);
        }
    }

    fn remind(&self) {
        if let Some(tls) = &self.live.current().tls {
            tls.warn_of_end(SystemTime::now());
        }
    }
}
