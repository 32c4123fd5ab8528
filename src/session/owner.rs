//! Whose a session is. Pure.

use aws_lc_rs::digest::{Context, SHA256};
use http::Uri;

use crate::names::{ClientId, RouteName, TenantId};
use crate::token::{Caller, Kind};

/// 128 bits: nobody can look for a second owner with the digest of a given one.
pub(super) const OWNER_BYTES: usize = 16;

/// Whose a session is: a digest of route, upstream and principal (issuer, kind, subject, client, tenant).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Owner([u8; OWNER_BYTES]);

/// One session of one owner, as short as the owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionDigest([u8; OWNER_BYTES]);

impl Owner {
    /// The owner that a request of this caller on this route speaks for. What changes from token to token plays no part.
    pub fn new(route: &RouteName, upstream: &Uri, caller: &Caller) -> Self {
        let kind = match caller.kind() {
            Kind::User => "user",
            Kind::Service => "service",
        };
        Self::of(&[
            Some(route.as_str()),
            Some(&upstream.to_string()),
            Some(caller.issuer().as_str()),
            Some(kind),
            Some(caller.subject().as_str()),
            caller.client().map(ClientId::as_str),
            caller.tenant().map(TenantId::as_str),
        ])
    }

    /// The owner that these facts stand for, in this order; one that is absent is not an empty one.
    pub fn of(facts: &[Option<&str>]) -> Self {
        Self(digest(facts.iter().map(|fact| fact.map(str::as_bytes))))
    }

    /// One session of this owner, by its upstream's id: for remembering.
    pub fn session(&self, id: &str) -> SessionDigest {
        SessionDigest(digest([self.0.as_slice(), id.as_bytes()].map(Some).into_iter()))
    }

    pub(super) fn as_bytes(&self) -> &[u8; OWNER_BYTES] {
        &self.0
    }
}

/// SHA-256, cut.
fn digest<'a>(facts: impl Iterator<Item = Option<&'a [u8]>>) -> [u8; OWNER_BYTES] {
    let mut hash = Context::new(&SHA256);
    for fact in facts {
        // Presence and length stand in front of each fact, so that no two lists run together.
        hash.update(&[u8::from(fact.is_some())]);
        let fact = fact.unwrap_or_default();
        hash.update(&(fact.len() as u64).to_be_bytes());
        hash.update(fact);
    }
    let mut cut = [0; OWNER_BYTES];
    for (to, from) in cut.iter_mut().zip(hash.finish().as_ref()) {
        *to = *from;
    }
    cut
}
