//! What everything that waits to be read or sent may hold in memory, in all and for one caller (threat D23).

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;

use crate::config::Limits;
use crate::token::Caller;

use super::reject::Rejection;

/// The part of the whole that one caller may hold: three others are served beside it.
const CALLERS_PART: u64 = 4;
/// Callers are told apart by this many shares. Two may fall on one, and then have it together.
const SHARES: usize = 1024;

/// The memory for all callers.
#[derive(Debug)]
pub(crate) struct Budgets {
    /// Of all, and of one caller.
    made_of: (u64, u64),
    rooms: Arc<Rooms>,
    hasher: RandomState,
}

/// Bytes that are free, of all and of each share. Nobody waits for any: so they are counted, and nothing else.
#[derive(Debug)]
struct Rooms {
    whole: AtomicUsize,
    shares: Box<[AtomicUsize]>,
}

/// The memory for one caller.
#[derive(Debug, Clone)]
pub(crate) struct Budget {
    rooms: Arc<Rooms>,
    share: usize,
}

/// A part of it, free again when dropped.
#[derive(Debug, Default)]
pub(crate) struct Held(Option<(Budget, usize)>);

impl Budgets {
    /// `buffered_bytes` in all. One body must fit into a share.
    pub(crate) fn new(limits: &Limits) -> Self {
        let (all, share) = sizes(limits);
        Self { made_of: (all, share), rooms: Rooms::new(all, share, SHARES), hasher: RandomState::new() }
    }

    /// The same while the sizes are; else what is held under the old ones is not counted any more.
    pub(crate) fn like(before: &Arc<Self>, limits: &Limits) -> Arc<Self> {
        if before.made_of == sizes(limits) { Arc::clone(before) } else { Arc::new(Self::new(limits)) }
    }

    /// What is held at the moment, in all.
    pub(crate) fn in_use(&self) -> usize {
        bytes(self.made_of.0).saturating_sub(self.rooms.whole.load(Ordering::Relaxed))
    }

    /// This caller's, whatever the client: where clients register themselves, anybody has as many as he likes. The hash is keyed, so
    /// that nobody can choose whose share to spend.
    pub(crate) fn of(&self, caller: &Caller) -> Budget {
        let caller = self.hasher.hash_one((caller.issuer(), caller.kind(), caller.subject()));
        Budget { rooms: Arc::clone(&self.rooms), share: usize::try_from(caller % SHARES as u64).unwrap_or(0) }
    }
}

/// Of all, and of one caller.
fn sizes(limits: &Limits) -> (u64, u64) {
    (limits.buffered_bytes, (limits.buffered_bytes / CALLERS_PART).max(limits.body_bytes))
}

impl Rooms {
    fn new(whole: u64, share: u64, shares: usize) -> Arc<Self> {
        let shares = std::iter::repeat_with(|| AtomicUsize::new(bytes(share))).take(shares).collect();
        Arc::new(Self { whole: AtomicUsize::new(bytes(whole)), shares })
    }

    /// Of the share and of the whole, or nothing.
    fn take(&self, share: usize, bytes: usize) -> bool {
        // The order among threads does not matter: nothing is read because of what is free here.
        let take = |room: &AtomicUsize| {
            room.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |free| free.checked_sub(bytes)).is_ok()
        };
        let Some(share) = self.shares.get(share).filter(|share| take(share)) else { return false };
        let has_room = take(&self.whole);
        if !has_room {
            share.fetch_add(bytes, Ordering::Relaxed);
        }
        has_room
    }

    fn give_back(&self, share: usize, bytes: usize) {
        self.whole.fetch_add(bytes, Ordering::Relaxed);
        if let Some(share) = self.shares.get(share) {
            share.fetch_add(bytes, Ordering::Relaxed);
        }
    }
}

impl Budget {
    /// Adds to what is held.
    pub(crate) fn hold(&self, bytes: usize, held: &mut Held) -> Result<(), Rejection> {
        // What is held already says whose it is: it all goes back there.
        let (budget, sum) = held.0.get_or_insert_with(|| (self.clone(), 0));
        if !budget.rooms.take(budget.share, bytes) {
            return Err(Rejection::Memory);
        }
        *sum += bytes;
        Ok(())
    }

    /// So much, in all and for this caller.
    #[cfg(test)]
    pub(crate) fn new(most: u64) -> Self {
        Self { rooms: Rooms::new(most, most, 1), share: 0 }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some((Budget { rooms, share }, bytes)) = &self.0 {
            rooms.give_back(*share, *bytes);
        }
    }
}

fn bytes(most: u64) -> usize {
    usize::try_from(most).unwrap_or(usize::MAX)
}

/// Bytes that keep something until nobody has them, or a part of them, any more: whatever queue they wait in.
pub(crate) fn keeping<T: Send + 'static>(bytes: Bytes, kept: T) -> Bytes {
    struct Keeping<T>(Bytes, T);
    impl<T> AsRef<[u8]> for Keeping<T> {
        fn as_ref(&self) -> &[u8] {
            &self.0
        }
    }
    Bytes::from_owner(Keeping(bytes, kept))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(buffered_bytes: u64, body_bytes: u64) -> Limits {
        Limits { body_bytes, buffered_bytes, ..Limits::least() }
    }

    #[test]
    fn d23_one_caller_holds_a_quarter_of_all_or_one_body() {
        assert_eq!(sizes(&limits(4096, 100)), (4096, 1024));
        assert_eq!(sizes(&limits(4096, 2000)), (4096, 2000));
        let budgets = Budgets::new(&limits(4096, 100));
        let budget = Budget { rooms: Arc::clone(&budgets.rooms), share: 0 };
        let mut held = Held::default();
        budget.hold(1000, &mut held).unwrap();
        budget.hold(24, &mut held).unwrap();
        assert_eq!(budget.hold(1, &mut held), Err(Rejection::Memory));
        assert_eq!(budgets.in_use(), 1024);
        drop(held);
        assert_eq!(budgets.in_use(), 0);
    }

    #[test]
    fn d23_what_finds_no_room_takes_none() {
        let budgets = Budgets::new(&limits(4096, 100));
        let mut held: Vec<Held> = (0..5).map(|_| Held::default()).collect();
        for (share, (held, has_room)) in held.iter_mut().zip([true, true, true, true, false]).enumerate() {
            let budget = Budget { rooms: Arc::clone(&budgets.rooms), share };
            assert_eq!(budget.hold(1024, held).is_ok(), has_room, "{share}");
        }
        assert_eq!(budgets.in_use(), 4096);
        held.remove(0);
        let last = Budget { rooms: Arc::clone(&budgets.rooms), share: 4 };
        assert_eq!(last.hold(1024, &mut held[3]), Ok(()), "its share was given back when the whole had no room");
        drop(held);
        assert_eq!(budgets.in_use(), 0);
    }

    #[test]
    fn what_is_held_counts_on_until_the_sizes_are_others() {
        let before = Arc::new(Budgets::new(&limits(4096, 100)));
        let is_kept = |limits| Arc::ptr_eq(&before, &Budgets::like(&before, &limits));
        assert!(is_kept(limits(4096, 100)) && is_kept(limits(4096, 200)));
        assert!(!is_kept(limits(8192, 100)) && !is_kept(limits(4096, 2000)));
    }
}
