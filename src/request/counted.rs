//! Counts what is open at the same time, by key, up to a cap. An entry lives only as long as something of its key is open, so
//! what bounds the open things bounds the map.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

/// How many are open of each key.
type Open<K> = Arc<Mutex<HashMap<K, usize>>>;

/// See the module.
#[derive(Debug)]
pub(crate) struct Counted<K: Eq + Hash> {
    open: Open<K>,
}

/// One that is open; gives its place back when it is dropped.
#[derive(Debug)]
pub(crate) struct Place<K: Eq + Hash> {
    key: K,
    open: Open<K>,
}

impl<K: Eq + Hash + Copy> Counted<K> {
    /// None is open.
    pub(crate) fn new() -> Self {
        Self { open: Arc::default() }
    }

    /// A place for one more of this key, if there are fewer than `most`.
    pub(crate) fn take(&self, key: K, most: usize) -> Option<Place<K>> {
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

impl<K: Eq + Hash> Drop for Place<K> {
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
