//! What `check` says about a good configuration.

use std::fmt::Write as _;
use std::path::Path;

use portcullis::config::{Config, Effect, RouteConfig, TenantRule};
use portcullis::policy::Policy;

/// What `check` says about a good configuration: what to register at the provider, and what is not protected.
pub(crate) fn summary(config: &Config, file: &Path) -> String {
    let mut text = format!("{} is good\n", file.display());
    let security = if config.listen.tls.is_some() { "TLS" } else { "plain text, TLS must be ended in front" };
    // Writing to a String cannot fail.
    _ = writeln!(text, "\nlisten {} ({security}), admin {}", config.listen.address, config.admin);
    for route in &config.routes {
        _ = write!(text, "\n{}", route_summary(config, route));
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

/// The methods that each era's clients begin with.
const FIRST: [&str; 2] = ["initialize", "server/discover"];

/// What is allowed but worth a second look.
fn warnings(config: &Config) -> Vec<String> {
    let mut found = Vec::new();
    for route in &config.routes {
        let policy = Policy::new(route);
        if !FIRST.iter().any(|method| policy.can_allow(method)) {
            found.push(format!(
                "route {}: no rule allows anybody initialize or server/discover, with which clients begin; let them through \
                 with methods = [\"initialize\", \"ping\", \"server/discover\", \"notifications/*\", \"*/list\"]",
                route.name
            ));
        }
        let url = &route.upstream.url;
        if url.scheme_str() == Some("http") && !url.host().is_some_and(is_loopback) {
            found.push(format!(
                "route {}: the upstream is reached in plain text over a network: who sits there reads everything and can \
                 go around the gateway; put it on loopback or use https://",
                route.name
            ));
        }
    }
    for (index, issuer) in config.issuers.iter().enumerate() {
        if !config.routes.iter().any(|route| route.issuers.contains(&index)) {
            found.push(format!("issuer {} is used by no route", issuer.name));
        }
    }
    found
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    address.map_or(host == "localhost", |address| address.is_loopback())
}
