//! Counts what is open at the same time, by key, up to a cap. An entry lives only as long as something of its key is open, so
//! what bounds the open things bounds the map.

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};

/// A map whose keys are keyed hashes already: nobody can choose what collides, and they are not hashed again.
pub(crate) type ByHash<V> = HashMap<u64, V, AsItIs>;
/// Takes a number for its own hash.
pub(crate) type AsItIs = BuildHasherDefault<Itself>;

/// How many are open of each key.
type Open<K, S> = Arc<Mutex<HashMap<K, usize, S>>>;

/// See [`AsItIs`].
#[derive(Debug, Default)]
pub(crate) struct Itself(u64);

impl Hasher for Itself {
    fn write(&mut self, bytes: &[u8]) {
        // Numbers come below; whatever else would come shall still spread.
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Counted<K: Eq + Hash, S: BuildHasher = RandomState> {
    open: Open<K, S>,
}

/// One that is open; gives its place back when it is dropped.
#[derive(Debug)]
pub(crate) struct Place<K: Eq + Hash, S: BuildHasher = RandomState> {
    key: K,
    open: Open<K, S>,
}

impl<K: Eq + Hash + Copy, S: BuildHasher + Default> Counted<K, S> {
    /// None is open.
    pub(crate) fn new() -> Self {
        Self { open: Arc::default() }
    }

    /// A place for one more of this key, if there are fewer than `most`.
    pub(crate) fn take(&self, key: K, most: usize) -> Option<Place<K, S>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(key).or_insert(0);
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(Place { key, open: Arc::clone(&self.open) })
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }
}

impl<K: Eq + Hash, S: BuildHasher> Drop for Place<K, S> {
    fn drop(&mut self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.key);
            }
        }
    }
}
