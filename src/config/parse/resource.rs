//! A route's public names: `resource`, `authorities`, `audiences`; and that no two routes can be meant by one request.

use ::url::Url;

use super::super::read::item::{Item, Seen, Text};
use super::super::read::table::Table;
use super::super::{Authority, Resource, RouteConfig};
use super::url::is_loopback;

/// The placeholder for the tenant.
const TENANT: &str = "{tenant}";

pub(super) fn resource(table: &Table<'_>, plaintext: bool) -> Option<Resource> {
    let text = table.need("resource")?.text()?;
    let resource = text.parse(Resource::parse)?;
    // RFC 9728 §1.2: https. Behind a proxy that ends TLS the public URL is https all the same.
    let local = || Url::parse(&text.as_str().replace(TENANT, "t")).is_ok_and(|url| is_loopback(&url));
    let allowed = resource.is_secure() || (plaintext && local());
    if !allowed {
        return text.error(
            "must start with https:// (http:// only for a loopback host, with listen.insecure_plaintext = true)",
        );
    }
    Some(resource)
}

pub(super) fn authorities(table: &Table<'_>, resource: Option<&Resource>) -> Vec<Authority> {
    let texts = table.get("authorities").and_then(|item| item.texts()).unwrap_or_default();
    let Some(resource) = resource else {
        return Vec::new();
    };
    let mut known = vec![resource.authority().clone()];
    for text in &texts {
        known.extend(authority(text, resource, &known));
    }
    known.split_off(1)
}

fn authority(text: &Text<'_>, resource: &Resource, known: &[Authority]) -> Option<Authority> {
    let authority = text.parse(|written| Authority::parse(written, resource.is_secure()))?;
    let tenant_in_host = resource.has_tenant() && !resource.has_tenant_in_path();
    if text.as_str().contains(TENANT) != tenant_in_host {
        return text.error(if tenant_in_host {
            "must hold {tenant}, as the resource's host does"
        } else {
            "must not hold {tenant}: the resource's host has none"
        });
    }
    if known.iter().any(|other| other.overlaps(&authority)) {
        return text.error("is already a name of this route");
    }
    Some(authority)
}

pub(super) fn audiences(table: &Table<'_>) -> Vec<String> {
    let texts = table.get("audiences").and_then(|item| item.texts()).unwrap_or_default();
    let mut seen = Seen::default();
    let audience = |text: &Text<'_>| -> Option<String> {
        if text.as_str().is_empty() || text.as_str().chars().any(char::is_control) {
            return text.error("must be an audience as it stands in tokens, not empty");
        }
        if text.as_str().contains(TENANT) {
            return text.error("must be one audience: {tenant} is not filled in here");
        }
        text.is_new(&mut seen).then(|| text.as_str().to_owned())
    };
    texts.iter().filter_map(audience).collect()
}

/// Reports every pair of routes that one request could mean.
pub(super) fn refuse_overlaps(routes: &[(Item<'_>, Option<RouteConfig>)]) {
    for (index, (item, route)) in routes.iter().enumerate() {
        let Some(route) = route else { continue };
        for (other_item, other) in routes.iter().take(index) {
            if other.as_ref().is_some_and(|other| overlap(route, other)) {
                item.error::<()>(&format!("overlaps {}: a request could mean either", other_item.path));
            }
        }
    }
}

fn overlap(a: &RouteConfig, b: &RouteConfig) -> bool {
    let shared = names(a).any(|x| names(b).any(|y| x.overlaps(y)));
    shared && a.resource.path_overlaps(&b.resource)
}

fn names(route: &RouteConfig) -> impl Iterator<Item = &Authority> {
    std::iter::once(route.resource.authority()).chain(&route.authorities)
}
