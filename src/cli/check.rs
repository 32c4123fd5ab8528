//! What `check` says about a good configuration.

use std::fmt::Write as _;
use std::path::Path;

use portcullis::config::{Config, Effect, RouteConfig, TenantRule};

use super::warnings::warnings;

/// What `check` says about a good configuration: what to register at the provider, and what is not protected.
pub(crate) fn summary(config: &Config, file: &Path) -> String {
    let mut text = format!("{} is good\n", file.display());
    let security = if config.listen.tls.is_some() { "TLS" } else { "plain text, TLS must be ended in front" };
    // Writing to a String cannot fail.
    _ = writeln!(text, "\nlisten {} ({security}), admin {}", config.listen.address, config.admin);
    for route in &config.routes {
        _ = write!(text, "\n{}", route_summary(config, route));
    }
    if config.session_keys.is_empty() {
        _ = write!(text, "\nnote: {}\n", portcullis::session::NO_KEY);
    }
    for warning in warnings(config) {
        _ = write!(text, "\nwarning: {warning}\n");
    }
    text
}

fn route_summary(config: &Config, route: &RouteConfig) -> String {
    let issuers = route.issuers.iter().filter_map(|index| config.issuers.get(*index));
    let issuers: Vec<String> = issuers.map(|i| format!("{} ({})", i.issuer, i.name)).collect();
    let scopes: Vec<&str> = route.scopes.iter().map(portcullis::names::Scope::as_str).collect();
    let tenant = match &route.tenant {
        TenantRule::Any => "any, also none".to_owned(),
        TenantRule::Allow(tenants) => tenants.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
        TenantRule::FromResource => "the one in the resource".to_owned(),
    };
    let resource = route.resource.to_string();
    let audiences: Vec<&str> = std::iter::once(&resource).chain(&route.audiences).map(String::as_str).collect();
    format!(
        "route {}\n  resource  {}   <- register exactly this at the issuer\n  audience  {}\n  metadata  {}\n  \
         upstream  {}\n  issuers   {}\n  scopes    {}\n  tenant    {tenant}\n{}",
        route.name,
        resource,
        audiences.join(" or "),
        route.resource.metadata_url(None),
        route.upstream.url,
        issuers.join(", "),
        if scopes.is_empty() { "none".to_owned() } else { scopes.join(" ") },
        rules(route),
    )
}

/// Routes without rules have nothing to say of them.
fn rules(route: &RouteConfig) -> String {
    let default = match route.policy.default {
        Effect::Allow => "allowed",
        Effect::Deny => "denied",
    };
    match (route.policy.rules.len(), route.policy.default) {
        (0, Effect::Allow) => String::new(),
        (count, _) => format!("  rules     {count}; what none matches is {default}\n"),
    }
}
