//! Counters that were found before, by what few facts select them: so that no request hashes all the texts of its labels.

use std::sync::OnceLock;

use prometheus_client::metrics::counter::Counter;

/// Far more than one route sees of its kinds in a day; those over it are looked up by their labels each time.
const PLACES: usize = 64;

/// See the module. What is in it never goes: the sets that keys are from are fixed.
#[derive(Debug)]
pub(super) struct Known<K> {
    places: [OnceLock<(K, Counter)>; PLACES],
}

impl<K: PartialEq> Known<K> {
    pub(super) fn new() -> Self {
        Self { places: std::array::from_fn(|_| OnceLock::new()) }
    }

    /// One more of this key. `start` is where the search begins, the same for the same key; `find` finds its counter by its labels.
    pub(super) fn count(&self, key: K, start: usize, find: impl FnOnce() -> Counter) {
        let (before, from) = self.places.split_at(start % PLACES);
        for place in from.iter().chain(before) {
            match place.get() {
                Some((known, counter)) if *known == key => {
                    counter.inc();
                    return;
                }
                Some(_) => {}
                None => {
                    let counter = find();
                    counter.inc();
                    // An error says that somebody was faster: this one is found again next time.
                    place.set((key, counter)).unwrap_or_default();
                    return;
                }
            }
        }
        find().inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_has_its_own_counter_wherever_the_search_begins_and_however_many_there_are() {
        let counters: Vec<Counter> = (0..2 * PLACES).map(|_| Counter::default()).collect();
        let known = Known::new();
        for round in 1..=3 {
            for (key, counter) in counters.iter().enumerate() {
                known.count(key, key % 3 * 63, || counter.clone());
                assert_eq!(counter.get(), round, "{key}");
            }
        }
    }
}
