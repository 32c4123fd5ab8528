//! `[[routes]]`: the protected MCP servers: who may come in, and with what.

use ::url::Url;
use http::HeaderValue;

use super::super::read::item::{Item, Seen, Text};
use super::super::read::shape::{Key, Shape, words};
use super::super::read::table::Table;
use super::super::{Metadata, PolicyConfig, RouteConfig, TenantRule};
use super::issuer::Known;
use super::{bounds, identity, limit, policy, resource, upstream, url, watching};
use crate::names::{RouteName, Scope, TenantId};

pub(super) const KEYS: &[Key] = &[
    Key::of("name", Shape::Text).required(),
    Key::of("resource", Shape::Text).required(),
    Key::of("authorities", Shape::Texts),
    Key::of("audiences", Shape::Texts),
    Key::of("upstream", Shape::Text).required(),
    Key::of("upstream_messages", Shape::Text),
    Key::of("upstream_ca", Shape::Text),
    Key::of("upstream_headers", Shape::Free(&Shape::Text)),
    Key::of("issuers", Shape::Texts).required(),
    Key::of("scopes", Shape::Texts).required(),
    Key::of("tenant", Shape::Either(&Shape::Word(|| vec![ANY]), &Shape::Table(TENANT_KEYS))).required(),
    Key::of("origins", Shape::Texts),
    Key::of("identity", Shape::Free(&Shape::Text)),
    Key::of("limits", Shape::Tables(limit::KEYS)),
    Key::of("timeouts", Shape::Table(upstream::TIMEOUTS_KEYS)),
    Key::of("metadata", Shape::Table(METADATA_KEYS)),
    Key::of("batches", Shape::Flag),
    Key::of("policy", Shape::Table(policy::KEYS)),
    Key::of("hours", Shape::Table(watching::HOURS_KEYS)),
];
const TENANT_KEYS: &[Key] = &[Key::of("allow", Shape::Texts), Key::of("from", Shape::Word(|| words(FROM)))];
const METADATA_KEYS: &[Key] = &[
    Key::of("resource_name", Shape::Text),
    Key::of("resource_documentation", Shape::Text),
    Key::of("resource_policy_uri", Shape::Text),
    Key::of("resource_tos_uri", Shape::Text),
    Key::of("scopes_supported", Shape::Texts),
    Key::of("max_age", Shape::Wait(&bounds::METADATA_MAX_AGE)),
];
/// The tenant rule that lets everybody in.
const ANY: &str = "any";
/// Where else the one tenant can stand.
const FROM: &[(&str, ())] = &[("resource", ())];

pub(super) fn read_all(root: &Table<'_>, issuers: &[Known], plaintext: bool) -> Option<Vec<RouteConfig>> {
    let item = root.need("routes")?;
    let items = item.array()?;
    if items.is_empty() {
        return item.error("must hold at least one route");
    }
    let mut names = Seen::default();
    let mut routes = Vec::new();
    for item in items {
        let route = item.table(KEYS).and_then(|table| read(&table, issuers, plaintext, &mut names));
        routes.push((item, route));
    }
    resource::refuse_overlaps(&routes);
    routes.into_iter().map(|(_, route)| route).collect()
}

fn read(table: &Table<'_>, issuers: &[Known], plaintext: bool, names: &mut Seen) -> Option<RouteConfig> {
    let name = table.need("name").and_then(Item::text).filter(|name| name.is_new(names));
    let name = name.and_then(|name| name.parse(RouteName::parse));
    let resource = resource::resource(table, plaintext);
    let authorities = resource::authorities(table, resource.as_ref());
    let audiences = resource::audiences(table);
    let upstream = upstream::read(table);
    let issuer_indices = issuer_indices(table, issuers);
    let scopes = table.need("scopes").and_then(|item| scopes(&item));
    let tenant = table.need("tenant").and_then(tenant);
    let identity = identity::read(table);
    let limits = limit::read_all(table);
    let metadata = metadata(table);
    let origins = origins(table);
    let batches = table.flag("batches");
    let policy = policy::read(table, &limits);
    let hours = watching::hours(table);
    let (resource, issuers_used, tenant) = (resource?, issuer_indices?, tenant?);
    check_tenant(table, &tenant, resource.has_tenant(), issuers_used.iter().filter_map(|index| issuers.get(*index)));
    check_rules(table, &policy, issuers_used.iter().filter_map(|index| issuers.get(*index)));
    Some(RouteConfig {
        name: name?,
        resource,
        authorities,
        audiences,
        upstream: upstream?,
        issuers: issuers_used,
        scopes: scopes?,
        tenant,
        origins,
        identity,
        limits,
        metadata,
        batches,
        policy,
        hours,
    })
}

fn issuer_indices(table: &Table<'_>, issuers: &[Known]) -> Option<Vec<usize>> {
    let item = table.need("issuers")?;
    let texts = item.texts()?;
    if texts.is_empty() {
        return item.error("must name at least one issuer");
    }
    let mut seen = Seen::default();
    let index = |text: &Text<'_>| -> Option<usize> {
        let index = issuers.iter().position(|known| known.name.as_deref() == Some(text.as_str()));
        // A name that could not be read was reported where it stands.
        if index.is_none() && issuers.iter().all(|known| known.name.is_some()) {
            return text.error("is no issuer's name; add it under [[issuers]]");
        }
        index.filter(|_| text.is_new(&mut seen))
    };
    Some(texts.iter().filter_map(index).collect())
}

pub(super) fn scopes(item: &Item<'_>) -> Option<Vec<Scope>> {
    let mut seen = Seen::default();
    let scope = |text: &Text<'_>| -> Option<Scope> {
        // MCP: what a client asks for to get a refresh token; it says nothing about this resource.
        if text.as_str() == "offline_access" {
            return text.error("must not be offline_access, which is between the client and the issuer");
        }
        text.parse(Scope::parse).filter(|_| text.is_new(&mut seen))
    };
    Some(item.texts()?.iter().filter_map(scope).collect())
}

fn tenant(item: Item<'_>) -> Option<TenantRule> {
    const ACCEPTED: &str = "must be \"any\", { allow = [\"...\"] } or { from = \"resource\" }";
    if item.value.is_str() {
        let text = item.text()?;
        return if text.as_str() == ANY { Some(TenantRule::Any) } else { text.error(ACCEPTED) };
    }
    if !item.value.is_table() {
        return item.error(ACCEPTED);
    }
    let table = item.table(TENANT_KEYS)?;
    match (table.get("allow"), table.get("from")) {
        (Some(allow), None) => {
            let texts = allow.texts()?;
            if texts.is_empty() {
                return allow.error("must name at least one tenant");
            }
            let mut seen = Seen::default();
            let tenant = |text: &Text<'_>| text.parse(TenantId::parse).filter(|_| text.is_new(&mut seen));
            Some(TenantRule::Allow(texts.iter().filter_map(tenant).collect()))
        }
        (None, Some(from)) => from.text()?.choose(FROM).map(|()| TenantRule::FromResource),
        _ => item.error(ACCEPTED),
    }
}

/// The rule, the resource and the issuers must agree, or no request could ever pass (or every one would).
fn check_tenant<'k>(table: &Table<'_>, rule: &TenantRule, in_resource: bool, used: impl Iterator<Item = &'k Known>) {
    match (rule, in_resource) {
        (TenantRule::FromResource, false) => table.error("tenant", "from = \"resource\" needs {tenant} in resource"),
        (TenantRule::Any | TenantRule::Allow(_), true) => {
            table.error("tenant", "must be { from = \"resource\" }, because resource holds {tenant}");
        }
        _ => {}
    }
    if *rule == TenantRule::Any {
        return;
    }
    for issuer in used.filter_map(|known| known.config.as_ref()) {
        if issuer.rules.claims.tenant.is_none() {
            let name = &issuer.name;
            table.error(
                "tenant",
                &format!("needs a tenant claim, and the profile of issuer {name} names none: set its claims.tenant"),
            );
        }
    }
}

/// A rule about tenants would silently fit nobody where no token names one.
fn check_rules<'k>(table: &Table<'_>, policy: &PolicyConfig, mut used: impl Iterator<Item = &'k Known>) {
    let asks = policy.rules.iter().any(|rule| !rule.tenants.is_empty());
    if asks && used.all(|known| known.config.as_ref().is_some_and(|issuer| issuer.rules.claims.tenant.is_none())) {
        table.error(
            "policy",
            "has rules for tenants, and no issuer of the route has a tenant claim: set its claims.tenant",
        );
    }
}

fn origins(table: &Table<'_>) -> Vec<HeaderValue> {
    let texts = table.get("origins").and_then(|item| item.texts()).unwrap_or_default();
    let mut seen = Seen::default();
    let mut origin = |text: &Text<'_>| -> Option<HeaderValue> {
        let written = text.as_str();
        let serialized = Url::parse(written).ok().filter(|url| matches!(url.scheme(), "https" | "http"));
        // The URL standard lets `*` stand in a host; to a browser it is no wildcard.
        if written.contains('*') || serialized.is_none_or(|url| url.origin().ascii_serialization() != written) {
            return text.error(
                "must be an origin as browsers send it: https://host or https://host:port, lower case, without path, \
                 trailing slash or default port; null and * cannot be let in",
            );
        }
        HeaderValue::from_str(written).ok().filter(|_| text.is_new(&mut seen))
    };
    texts.iter().filter_map(&mut origin).collect()
}

fn metadata(table: &Table<'_>) -> Metadata {
    let Some(table) = table.get("metadata").and_then(|item| item.table(METADATA_KEYS)) else {
        return Metadata { max_age: bounds::METADATA_MAX_AGE.default, ..Metadata::default() };
    };
    let page = |key| url::web(&table.get(key)?.text()?);
    let name = table.get("resource_name").and_then(Item::text).and_then(|text| {
        let fine = !text.as_str().trim().is_empty() && !text.as_str().chars().any(char::is_control);
        if fine { Some(text.as_str().to_owned()) } else { text.error("must be a name for people, not empty") }
    });
    Metadata {
        resource_name: name,
        resource_documentation: page("resource_documentation"),
        resource_policy_uri: page("resource_policy_uri"),
        resource_tos_uri: page("resource_tos_uri"),
        scopes_supported: table.get("scopes_supported").and_then(|item| scopes(&item)),
        max_age: table.duration("max_age", &bounds::METADATA_MAX_AGE),
    }
}
