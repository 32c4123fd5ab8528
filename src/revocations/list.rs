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
    by_jti: HashMap<String, Vec<Revoked>>,
    by_subject: HashMap<Subject, Vec<Revoked>>,
    by_client: HashMap<ClientId, Vec<Revoked>>,
    by_tenant: HashMap<TenantId, Vec<Revoked>>,
    /// Entries about all tokens before some time; of those that never end the latest is enough.
    by_time: Vec<Revoked>,
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
            Revoked { jti: Some(jti), .. } => self.by_jti.entry(jti.clone()).or_default(),
            Revoked { subject: Some(subject), .. } => self.by_subject.entry(subject.clone()).or_default(),
            Revoked { client: Some(client), .. } => self.by_client.entry(client.clone()).or_default(),
            Revoked { tenant: Some(tenant), .. } => self.by_tenant.entry(tenant.clone()).or_default(),
            Revoked { .. } => {
                if entry.until.is_none() {
                    self.by_time.retain(|other| other.until.is_some() || other.issued_before > entry.issued_before);
                }
                &mut self.by_time
            }
        };
        place.push(entry);
    }

    fn holds(&self, identity: &Identity, now: u64) -> bool {
        let lists = [
            identity.token_id().and_then(|jti| self.by_jti.get(jti)),
            self.by_subject.get(identity.subject()),
            identity.client().and_then(|client| self.by_client.get(client)),
            identity.tenant().and_then(|tenant| self.by_tenant.get(tenant)),
            Some(&self.by_time),
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
