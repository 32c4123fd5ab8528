//! What everything that waits to be read or sent may hold in memory, in all and for one caller (threat D23).

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

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
    bytes: usize,
    whole: Arc<Semaphore>,
    shares: Vec<Arc<Semaphore>>,
    hasher: RandomState,
}

/// The memory for one caller.
#[derive(Debug, Clone)]
pub(crate) struct Budget {
    whole: Arc<Semaphore>,
    share: Arc<Semaphore>,
}

/// A part of it, free again when dropped.
#[derive(Debug, Default)]
pub(crate) struct Held(Option<[OwnedSemaphorePermit; 2]>);

impl Budgets {
    /// `buffered_bytes` in all. One body must fit into a share.
    pub(crate) fn new(limits: &Limits) -> Self {
        let (all, share) = sizes(limits);
        let whole = bytes(all);
        Self {
            made_of: (all, share),
            bytes: whole.available_permits(),
            whole,
            shares: std::iter::repeat_with(|| bytes(share)).take(SHARES).collect(),
            hasher: RandomState::new(),
        }
    }

    /// The same while the sizes are; else what is held under the old ones is not counted any more.
    pub(crate) fn like(before: &Arc<Self>, limits: &Limits) -> Arc<Self> {
        if before.made_of == sizes(limits) { Arc::clone(before) } else { Arc::new(Self::new(limits)) }
    }

    /// What is held at the moment, in all.
    pub(crate) fn in_use(&self) -> usize {
        self.bytes.saturating_sub(self.whole.available_permits())
    }

    /// This caller's, whatever the client: where clients register themselves, anybody has as many as he likes. The hash is keyed, so
    /// that nobody can choose whose share to spend.
    pub(crate) fn of(&self, caller: &Caller) -> Budget {
        let caller = self.hasher.hash_one((caller.issuer(), caller.kind(), caller.subject()));
        let at = usize::try_from(caller % SHARES as u64).unwrap_or(0);
        Budget { whole: Arc::clone(&self.whole), share: Arc::clone(self.shares.get(at).unwrap_or(&self.whole)) }
    }
}

/// Of all, and of one caller.
fn sizes(limits: &Limits) -> (u64, u64) {
    (limits.buffered_bytes, (limits.buffered_bytes / CALLERS_PART).max(limits.body_bytes))
}

impl Budget {
    /// Adds to what is held.
    pub(crate) fn hold(&self, bytes: usize, held: &mut Held) -> Result<(), Rejection> {
        let take = |from: &Arc<Semaphore>| {
            let permits = u32::try_from(bytes).unwrap_or(u32::MAX);
            Arc::clone(from).try_acquire_many_owned(permits).map_err(|_| Rejection::Memory)
        };
        let more = [take(&self.share)?, take(&self.whole)?];
        match &mut held.0 {
            Some(permits) => permits.iter_mut().zip(more).for_each(|(permit, more)| permit.merge(more)),
            none => *none = Some(more),
        }
        Ok(())
    }

    /// So much, in all and for this caller.
    #[cfg(test)]
    pub(crate) fn new(most: u64) -> Self {
        Self { whole: bytes(most), share: bytes(most) }
    }
}

fn bytes(most: u64) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(usize::try_from(most).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS)))
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
        let budget = Budget { whole: Arc::clone(&budgets.whole), share: Arc::clone(&budgets.shares[0]) };
        let mut held = Held::default();
        budget.hold(1000, &mut held).unwrap();
        budget.hold(24, &mut held).unwrap();
        assert_eq!(budget.hold(1, &mut held), Err(Rejection::Memory));
        assert_eq!(budgets.in_use(), 1024);
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
