//! Revoked tokens, found by what a token says. Pure.

use std::collections::HashMap;

use crate::config::revocations::Revoked;
use crate::names::{ClientId, Issuer, Subject, TenantId};
use crate::token::Identity;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct List {
    entries: usize,
    issuers: HashMap<Issuer, OfIssuer>,
}

/// Each entry stands once, under the first of its facts in this order.
#[derive(Debug, Default)]
struct OfIssuer {
    jtis: HashMap<String, Vec<Revoked>>,
    subjects: HashMap<Subject, Vec<Revoked>>,
    clients: HashMap<ClientId, Vec<Revoked>>,
    tenants: HashMap<TenantId, Vec<Revoked>>,
    /// Entries about all tokens before some time; of those that never end the latest is enough.
    times: Vec<Revoked>,
}

impl List {
    pub(super) fn new(entries: Vec<Revoked>) -> Self {
        let mut list = Self { entries: entries.len(), issuers: HashMap::new() };
        for entry in entries {
            list.issuers.entry(entry.issuer.clone()).or_default().add(entry);
        }
        list
    }

    /// How many entries it was made of.
    pub(super) fn len(&self) -> usize {
        self.entries
    }

    /// True when some entry is about this token; `now` is seconds since 1970.
    pub(super) fn holds(&self, identity: &Identity, now: u64) -> bool {
        self.issuers.get(identity.issuer()).is_some_and(|issuer| issuer.holds(identity, now))
    }
}

impl OfIssuer {
    fn add(&mut self, entry: Revoked) {
        let place = match &entry {
            Revoked { jti: Some(jti), .. } => self.jtis.entry(jti.clone()).or_default(),
            Revoked { subject: Some(subject), .. } => self.subjects.entry(subject.clone()).or_default(),
            Revoked { client: Some(client), .. } => self.clients.entry(client.clone()).or_default(),
            Revoked { tenant: Some(tenant), .. } => self.tenants.entry(tenant.clone()).or_default(),
            Revoked { .. } => {
                if entry.until.is_none() {
                    self.times.retain(|other| other.until.is_some() || other.issued_before > entry.issued_before);
                }
                &mut self.times
            }
        };
        place.push(entry);
    }

    fn holds(&self, identity: &Identity, now: u64) -> bool {
        let lists = [
            identity.token_id().and_then(|jti| self.jtis.get(jti)),
            self.subjects.get(identity.subject()),
            identity.client().and_then(|client| self.clients.get(client)),
            identity.tenant().and_then(|tenant| self.tenants.get(tenant)),
            Some(&self.times),
        ];
        lists.into_iter().flatten().flatten().any(|entry| fits(entry, identity, now))
    }
}

fn fits(entry: &Revoked, identity: &Identity, now: u64) -> bool {
    let same = |wanted: Option<&str>, found: Option<&str>| wanted.is_none_or(|wanted| found == Some(wanted));
    entry.until.is_none_or(|until| now < until)
        && same(entry.jti.as_deref(), identity.token_id())
        && same(entry.subject.as_ref().map(Subject::as_str), Some(identity.subject().as_str()))
        && same(entry.client.as_ref().map(ClientId::as_str), identity.client().map(ClientId::as_str))
        && same(entry.tenant.as_ref().map(TenantId::as_str), identity.tenant().map(TenantId::as_str))
        && entry.issued_before.is_none_or(|before| identity.issued_at().is_none_or(|issued| issued < before))
}
