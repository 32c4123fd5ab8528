//! The file that `[revocations]` names: which tokens are refused before their time. Pure.

use std::path::Path;

use jiff::Timestamp;
use toml::de::{DeTable, DeValue};

use super::read::Report;
use super::read::expand::Sources;
use super::read::item::Item;
use super::read::shape::{Key, Shape};
use super::read::table::Table;
use super::{ConfigError, IssuerConfig};
use crate::names::{ClientId, Issuer, Subject, TenantId};

pub(super) const KEYS: &[Key] = &[Key::of("revoked", Shape::Tables(ENTRY_KEYS))];
const ENTRY_KEYS: &[Key] = &[
    Key::of("issuer", Shape::Text).required(),
    Key::of("jti", Shape::Text),
    Key::of("subject", Shape::Text),
    Key::of("client", Shape::Text),
    Key::of("tenant", Shape::Text),
    Key::of("issued_before", Shape::Time),
    Key::of("until", Shape::Time),
    Key::of("note", Shape::Text),
];
/// The facts of which an entry must name at least one.
const FACTS: &[&str] = &["jti", "subject", "client", "tenant", "issued_before"];
/// More than that is a matter for the issuer: short tokens, or a key that is replaced.
const MAX_ENTRIES: usize = 100_000;

/// Tokens of one issuer for which all of these hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revoked {
    /// Whose tokens.
    pub issuer: Issuer,
    /// `jti`.
    pub jti: Option<String>,
    /// `sub`, or the claim that the issuer maps.
    pub subject: Option<Subject>,
    /// The OAuth client.
    pub client: Option<ClientId>,
    /// The tenant.
    pub tenant: Option<TenantId>,
    /// `iat` is before this, in seconds since 1970; a token without `iat` counts as before.
    pub issued_before: Option<u64>,
    /// From then on the entry is ignored, in seconds since 1970.
    pub until: Option<u64>,
}

/// Every entry, or every mistake.
pub(crate) fn parse(text: &str, file: &Path, issuers: &[IssuerConfig]) -> Result<Vec<Revoked>, Vec<ConfigError>> {
    // A list is data: nothing is filled in.
    let sources = Sources::none();
    let (document, syntax) = DeTable::parse_recoverable(text);
    let report = Report::new(file, text, &sources, &syntax);
    let entries = read(&Table::root(&report, document.get_ref(), KEYS), issuers);
    report.finish(entries)
}

fn read(root: &Table<'_>, issuers: &[IssuerConfig]) -> Option<Vec<Revoked>> {
    let Some(item) = root.get("revoked") else { return Some(Vec::new()) };
    let items = item.array()?;
    if items.len() > MAX_ENTRIES {
        return item.error(&format!("must hold at most {MAX_ENTRIES} entries"));
    }
    Some(items.iter().filter_map(|item| entry(item, issuers)).collect())
}

fn entry(item: &Item<'_>, issuers: &[IssuerConfig]) -> Option<Revoked> {
    let table = item.table(ENTRY_KEYS)?;
    if !FACTS.iter().any(|fact| table.get(fact).is_some()) {
        return item.error(&format!("must have at least one of {}", FACTS.join(", ")));
    }
    let issuer = table.need("issuer").and_then(Item::text).and_then(|text| {
        let named = |issuer: &&IssuerConfig| issuer.name == text.as_str() || issuer.issuer.as_str() == text.as_str();
        let found = issuers.iter().find(named).map(|issuer| issuer.issuer.clone());
        found.or_else(|| text.error("is no issuer of the configuration, neither by name nor by URL"))
    });
    let text = |key: &str| table.get(key).and_then(Item::text);
    let jti = text("jti").and_then(|text| {
        let jti = Some(text.as_str().to_owned()).filter(|jti| !jti.is_empty());
        jti.or_else(|| text.error("must not be empty"))
    });
    Some(Revoked {
        issuer: issuer?,
        jti,
        subject: text("subject").and_then(|text| text.parse(Subject::parse)),
        client: text("client").and_then(|text| text.parse(ClientId::parse)),
        tenant: text("tenant").and_then(|text| text.parse(TenantId::parse)),
        issued_before: table.get("issued_before").and_then(|item| time(&item)),
        until: table.get("until").and_then(|item| time(&item)),
    })
}

/// With or without quotes.
fn time(item: &Item<'_>) -> Option<u64> {
    let written = match item.value {
        DeValue::Datetime(time) => Some(time.to_string()),
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Array(_) | DeValue::Table(_) => None,
    };
    let time = written.and_then(|written| written.parse::<Timestamp>().ok());
    let seconds = time.and_then(|time| u64::try_from(time.as_second()).ok());
    seconds.or_else(|| item.error("must be a time such as 2026-11-23T18:00:00Z"))
}
