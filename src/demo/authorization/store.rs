//! A map that can neither grow past its bound nor keep anything past its time.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Instant;

/// The store holds as many live entries as it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the store is full")]
pub(super) struct Full;

/// Entries by key, each with the moment from which it no longer exists.
#[derive(Debug)]
pub(super) struct Expiring<K, V> {
    entries: HashMap<K, (Instant, V)>,
    capacity: usize,
}

impl<K: Hash + Eq, V> Expiring<K, V> {
    pub(super) fn new(capacity: usize) -> Self {
        Self { entries: HashMap::new(), capacity }
    }

    /// Keeps `value` until `expires`. Refuses when full: pushing out the oldest would let a flood undo what others hold.
    pub(super) fn insert(&mut self, key: K, value: V, expires: Instant, now: Instant) -> Result<(), Full> {
        if self.entries.len() >= self.capacity {
            self.entries.retain(|_, (expires, _)| *expires > now);
        }
        if self.entries.len() >= self.capacity {
            return Err(Full);
        }
        self.entries.insert(key, (expires, value));
        Ok(())
    }

    pub(super) fn get(&self, key: &K, now: Instant) -> Option<&V> {
        let (expires, value) = self.entries.get(key)?;
        (*expires > now).then_some(value)
    }

    pub(super) fn get_mut(&mut self, key: &K, now: Instant) -> Option<&mut V> {
        let (expires, value) = self.entries.get_mut(key)?;
        (*expires > now).then_some(value)
    }

    pub(super) fn remove(&mut self, key: &K, now: Instant) -> Option<V> {
        let (expires, value) = self.entries.remove(key)?;
        (expires > now).then_some(value)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn entries_are_bounded_and_expire() {
        let now = Instant::now();
        let second = Duration::from_secs(1);
        let mut store = Expiring::new(1);
        store.insert("a", 1, now + second, now).unwrap();
        assert_eq!(store.insert("b", 2, now + second, now), Err(Full));
        assert_eq!(store.get(&"a", now), Some(&1));
        assert_eq!(store.get(&"a", now + second), None);
        store.insert("b", 2, now + second * 2, now + second).unwrap();
        assert_eq!(store.remove(&"b", now + second), Some(2));
        assert_eq!(store.get_mut(&"b", now + second), None);
    }
}
