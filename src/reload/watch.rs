//! Watches files by their folders: a file that is replaced, also through a symbolic link as Kubernetes does it, is seen.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;

/// Editors and deployments write several files, one after the other.
const SETTLE: Duration = Duration::from_millis(200);
/// Looked at so often even when the system reports nothing: network file systems, folders that were replaced.
const POLL: Duration = Duration::from_secs(10);
/// Of each file; whatever is longer is no configuration.
const MAX_FILE_BYTES: u64 = 16 * 1024 * 1024;

/// Tells that something has happened in the folders of some files.
#[derive(Debug)]
pub(crate) struct Watch {
    watcher: Option<RecommendedWatcher>,
    happened: Arc<Notify>,
    told: bool,
}

impl Watch {
    /// Looks at nothing yet. Without help of the system it looks every few seconds.
    pub(crate) fn new() -> Self {
        let happened = Arc::new(Notify::new());
        let notify = Arc::clone(&happened);
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // Reading a file is an event too.
            if event.is_ok_and(|event| !event.kind.is_access()) {
                notify.notify_one();
            }
        });
        let watcher = watcher.inspect_err(|error| {
            tracing::warn!(event = "config.not_watched", %error, "changes of files are looked for every 10 s; SIGHUP works at once");
        });
        Self { watcher: watcher.ok(), happened, told: false }
    }

    /// Looks at the folders of these files, and of what they are links to. Again for the same ones: a folder may have been replaced.
    pub(crate) fn look_at<'a>(&mut self, files: impl Iterator<Item = &'a PathBuf>) {
        let folders: BTreeSet<PathBuf> = files.flat_map(|file| folders(file)).collect();
        for folder in folders {
            let Some(watcher) = &mut self.watcher else { return };
            let looked = watcher.watch(&folder, RecursiveMode::NonRecursive);
            if let Err(error) = looked
                && !std::mem::replace(&mut self.told, true)
            {
                tracing::warn!(event = "config.not_watched", folder = %folder.display(), %error, "it is looked at every 10 s; SIGHUP works at once");
            }
        }
    }

    /// Something may have changed; what, the files themselves tell.
    pub(crate) async fn changed(&self) {
        // Over time without an event it is worth a look all the same.
        if tokio::time::timeout(POLL, self.happened.notified()).await.is_ok() {
            tokio::time::sleep(SETTLE).await;
        }
    }
}

fn folders(file: &Path) -> impl Iterator<Item = PathBuf> {
    let folder = |path: &Path| match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    let real = std::fs::canonicalize(file).ok();
    std::iter::once(folder(file)).chain(real.map(|real| folder(&real)))
}

/// What some files hold, told apart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Contents([u8; 32]);

impl Contents {
    /// Of what they hold now; one that cannot be read is another than an empty one.
    pub(crate) fn of<'a>(files: impl IntoIterator<Item = &'a PathBuf>) -> Self {
        let mut hash = Context::new(&SHA256);
        for file in files {
            let mut bytes = Vec::new();
            let read = std::fs::File::open(file).and_then(|file| file.take(MAX_FILE_BYTES).read_to_end(&mut bytes));
            hash.update(&[u8::from(read.is_ok())]);
            hash.update(&(bytes.len() as u64).to_le_bytes());
            hash.update(&bytes);
        }
        Self(hash.finish().as_ref().try_into().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_behind_a_swapped_link_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for (version, text) in [("..1", "one"), ("..2", "two")] {
            std::fs::create_dir(path(version)).unwrap();
            std::fs::write(path(version).join("gateway.toml"), text).unwrap();
        }
        std::os::unix::fs::symlink("..1", path("..data")).unwrap();
        std::os::unix::fs::symlink("..data/gateway.toml", path("gateway.toml")).unwrap();
        let file = vec![path("gateway.toml")];
        let before = Contents::of(&file);
        let mut watch = Watch::new();
        watch.look_at(file.iter());

        std::os::unix::fs::symlink("..2", path("..next")).unwrap();
        std::fs::rename(path("..next"), path("..data")).unwrap();
        tokio::time::timeout(POLL / 2, watch.changed()).await.expect("seen without waiting for the poll");
        assert_ne!(Contents::of(&file), before);

        std::fs::remove_file(path("gateway.toml")).unwrap();
        std::fs::write(path("empty"), "").unwrap();
        assert_ne!(Contents::of(&file), Contents::of(&[path("empty")]), "absent is not empty");
    }
}
