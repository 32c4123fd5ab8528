//! What `check` says of a configuration that is good but worth a second look.

use portcullis::config::{Config, Pattern, RouteConfig, TenantRule, is_loopback};
use portcullis::policy::Policy;

/// The methods that each era's clients begin with.
const FIRST: [&str; 2] = ["initialize", "server/discover"];

/// What clients may ask for or tell, in all revisions of MCP and its tasks extension. Only a misspelt rule is measured by it.
const METHODS: [&str; 27] = [
    "initialize",
    "ping",
    "server/discover",
    "tools/list",
    "tools/call",
    "prompts/list",
    "prompts/get",
    "resources/list",
    "resources/templates/list",
    "resources/read",
    "resources/directory/read",
    "resources/subscribe",
    "resources/unsubscribe",
    "subscriptions/listen",
    "completion/complete",
    "logging/setLevel",
    "skills/list",
    "skills/get",
    "tasks/get",
    "tasks/list",
    "tasks/result",
    "tasks/update",
    "tasks/cancel",
    "notifications/initialized",
    "notifications/cancelled",
    "notifications/progress",
    "notifications/roots/list_changed",
];

pub(super) fn warnings(config: &Config) -> Vec<String> {
    let mut found = Vec::new();
    for route in &config.routes {
        let about_route = rules(route).into_iter().chain(plain_text(route)).chain(tenants(config, route));
        found.extend(about_route.map(|warning| format!("route {}: {warning}", route.name)));
    }
    for (index, issuer) in config.issuers.iter().enumerate() {
        if !config.routes.iter().any(|route| route.issuers.contains(&index)) {
            found.push(format!("issuer {} is used by no route", issuer.name));
        }
    }
    if !config.log.served && config.audit.is_none() {
        let why = "log.served = false without [audit]: a request that was served leaves no trace of who asked for what";
        found.push(why.to_owned());
    }
    found
}

fn rules(route: &RouteConfig) -> Vec<String> {
    let policy = Policy::new(route);
    let mut found = Vec::new();
    if !FIRST.iter().any(|method| policy.can_allow(method)) {
        found.push(
            "no rule allows anybody initialize or server/discover, with which clients begin; let them through with methods = \
             [\"initialize\", \"ping\", \"server/discover\", \"notifications/*\", \"*/list\"]"
                .to_owned(),
        );
    }
    let rules = &route.policy.rules;
    for (index, rule) in rules.iter().enumerate() {
        if let Some(earlier) = policy.hidden_by(index).and_then(|earlier| rules.get(earlier)) {
            found.push(format!(
                "the rule on line {} is never asked: the one on line {} decides on all that it is about",
                rule.line, earlier.line
            ));
        }
    }
    for rule in rules {
        let fits_nothing = |pattern: &&Pattern| !METHODS.iter().any(|method| pattern.fits(method));
        for pattern in rule.methods.iter().filter(fits_nothing) {
            found.push(format!("{:?} in the rule on line {} fits no method of MCP", pattern.0, rule.line));
        }
    }
    found
}

/// What one issuer says of tenants is as good as what another does.
fn tenants(config: &Config, route: &RouteConfig) -> Option<String> {
    let issuers = route.issuers.iter().filter_map(|index| config.issuers.get(*index));
    let free: Vec<&str> =
        issuers.filter(|issuer| issuer.rules.tenants.is_empty()).map(|issuer| issuer.name.as_str()).collect();
    let names_tenants = route.tenant != TenantRule::Any;
    (names_tenants && route.issuers.len() > 1 && !free.is_empty()).then(|| {
        format!(
            "{} may say of anybody that he is of any tenant, the other issuers' among them; say which ones with tenants = [\"…\"] in \
             [[issuers]]",
            free.join(", ")
        )
    })
}

fn plain_text(route: &RouteConfig) -> Option<String> {
    let url = url::Url::parse(&route.upstream.url.to_string()).ok()?;
    let over_network = url.scheme() == "http" && !is_loopback(&url);
    over_network.then(|| {
        "the upstream is reached in plain text over a network: who sits there reads everything and can go around the gateway; \
         put it on loopback or use https://"
            .to_owned()
    })
}
