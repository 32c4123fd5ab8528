//! Names of upstreams → addresses: a few lookups at once, and requests share them.
//!
//! The system's resolver blocks a thread until its name servers answer, whoever still waits for it. One lookup per request would let
//! one name that nobody tells take every such thread, and with them other names, keys and reloads (threat D24).

use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::Shared;
use hyper_util::client::legacy::connect::dns::Name;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tower_service::Service;

/// Lookups under way for one upstream; each holds a thread.
const MAX_LOOKUPS: usize = 4;
/// Over it an answer may be lost, and the next request asks anew.
const SHARED_FOR: Duration = Duration::from_secs(1);

type Found = Result<Vec<SocketAddr>, Arc<io::Error>>;
type Finding = Pin<Box<dyn Future<Output = Found> + Send>>;

/// The lookups of one upstream.
#[derive(Debug, Clone)]
pub(super) struct Lookups {
    places: Arc<Semaphore>,
    newest: Arc<Mutex<Option<Lookup>>>,
}

#[derive(Debug, Clone)]
struct Lookup {
    name: Name,
    begun: Instant,
    found: Shared<Finding>,
}

impl Lookups {
    pub(super) fn new() -> Self {
        Self { places: Arc::new(Semaphore::new(MAX_LOOKUPS)), newest: Arc::default() }
    }

    /// Joins the lookup that is under way, or begins one where there is none, or none that is young, and a place for it.
    fn find(&self, name: Name) -> Shared<Finding> {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        let under_way = newest.as_ref().filter(|lookup| lookup.name == name && lookup.found.peek().is_none());
        if let Some(young) = under_way.filter(|lookup| lookup.begun.elapsed() < SHARED_FOR) {
            return young.found.clone();
        }
        match (Arc::clone(&self.places).try_acquire_owned(), under_way) {
            (Ok(place), _) => {
                let found = look_up(name.clone(), place).shared();
                *newest = Some(Lookup { name, begun: Instant::now(), found: found.clone() });
                found
            }
            (Err(_), Some(old)) => old.found.clone(),
            // Only where a connector goes to more than one name, which none does.
            (Err(_), None) => failed(io::Error::other("too many names are looked up")).shared(),
        }
    }
}

impl Service<Name> for Lookups {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        Box::pin(self.find(name).map(|found| match found {
            Ok(addresses) => Ok(addresses.into_iter()),
            Err(error) => Err(io::Error::new(error.kind(), error)),
        }))
    }
}

/// On a thread of its own, which keeps the place until the system's resolver gives up.
fn look_up(name: Name, place: OwnedSemaphorePermit) -> Finding {
    let looking = tokio::task::spawn_blocking(move || {
        let found = (name.as_str(), 0).to_socket_addrs();
        drop(place);
        found.map(Iterator::collect).map_err(Arc::new)
    });
    Box::pin(looking.map(|ended| ended.unwrap_or_else(|ended| Err(Arc::new(io::Error::other(ended))))))
}

fn failed(error: io::Error) -> Finding {
    Box::pin(std::future::ready(Err(Arc::new(error))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    /// A lookup that began so long ago and never ends.
    fn stuck(lookups: &Lookups, ago: Duration) -> OwnedSemaphorePermit {
        let found: Finding = Box::pin(std::future::pending());
        let begun = Instant::now() - ago;
        *lookups.newest.lock().unwrap() = Some(Lookup { name: name("a.test"), begun, found: found.shared() });
        Arc::clone(&lookups.places).try_acquire_owned().unwrap()
    }

    #[tokio::test]
    async fn requests_share_a_young_lookup_and_ask_anew_beside_an_old_one() {
        let lookups = Lookups::new();
        let _young = stuck(&lookups, Duration::ZERO);
        let first = lookups.find(name("a.test"));
        assert!(first.ptr_eq(&lookups.find(name("a.test"))));
        let _old = stuck(&lookups, SHARED_FOR);
        let anew = lookups.find(name("a.test"));
        assert!(!anew.ptr_eq(&first));
        assert!(anew.ptr_eq(&lookups.find(name("a.test"))));
    }

    #[tokio::test]
    async fn d24_lookups_under_way_are_few_however_long_they_take() {
        let lookups = Lookups::new();
        let stuck: Vec<_> = (0..MAX_LOOKUPS).map(|_| stuck(&lookups, SHARED_FOR)).collect();
        let newest = lookups.newest.lock().unwrap().clone().unwrap().found;
        assert!(lookups.find(name("a.test")).ptr_eq(&newest), "all join the newest");
        drop(stuck);
        assert!(!lookups.find(name("a.test")).ptr_eq(&newest), "a place is free again");
    }

    #[tokio::test]
    async fn name_is_looked_up_anew_once_an_answer_was_given() {
        let mut lookups = Lookups::new();
        let addresses = lookups.call(name("localhost")).await.unwrap();
        assert!(addresses.len() > 0 && addresses.into_iter().all(|address| address.ip().is_loopback()));
        let done = lookups.newest.lock().unwrap().clone().unwrap().found;
        assert!(!lookups.find(name("localhost")).ptr_eq(&done));
    }
}
