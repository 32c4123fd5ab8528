//! Why logins fail: walks the way of a client, live, and says what it finds. Changes nothing, believes no token, and sends none.

pub mod clients;
mod hello;
mod hints;
mod issuer;
mod keys;
mod outside;
mod probe;
mod providers;
mod reach;
pub mod report;
mod token;
mod upstream;

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::config::{Config, IssuerConfig, RouteConfig};
use crate::keys::jwks::KeySet;
use crate::names::TenantId;
use report::Section;

/// A clock that differs by more makes people wonder, by more than the leeway it makes logins fail.
const NOTABLE_SECONDS: u64 = 5;

/// What is asked.
#[derive(Debug, Default)]
pub struct Question {
    /// Only this route; all of them without.
    pub route: Option<String>,
    /// For routes with `{tenant}`.
    pub tenant: Option<TenantId>,
    /// A client to stand in for.
    pub client: Option<&'static clients::Client>,
    /// A further trust anchor for the gateway's own certificate.
    pub ca: Option<PathBuf>,
    /// Where the gateway is, instead of where the names in `resource` lead.
    pub connect: Option<SocketAddr>,
}

/// Looks at everything in turn; each section is told as soon as it is done.
pub async fn examine(
    config: &Config,
    question: &Question,
    token: Option<&str>,
    tell: &mut (dyn FnMut(Section) + Send),
) {
    let asked = |route: &&RouteConfig| question.route.as_ref().is_none_or(|name| route.name.as_str() == name);
    let routes: Vec<&RouteConfig> = config.routes.iter().filter(asked).collect();
    let mut found: Vec<Option<KeySet>> = Vec::new();
    for (at, issuer) in config.issuers.iter().enumerate() {
        let users: Vec<&RouteConfig> = routes.iter().copied().filter(|route| route.issuers.contains(&at)).collect();
        if users.is_empty() {
            found.push(None);
            continue;
        }
        let mut section = Section::new(format!("issuer {}: {}", issuer.name, issuer.issuer));
        found.push(of_issuer(&mut section, issuer, &users, question).await);
        tell(section);
    }
    for route in &routes {
        let issuers: Vec<&IssuerConfig> = route.issuers.iter().filter_map(|at| config.issuers.get(*at)).collect();
        let mut section = Section::new(format!("route {}: {}", route.name, route.resource));
        if route.resource.has_tenant() && question.tenant.is_none() {
            section.note("outside", "not looked at from outside: its URL holds {tenant}; name one with --tenant");
        } else {
            let tenant = question.tenant.as_ref().filter(|_| route.resource.has_tenant());
            outside::Public { route, issuers: &issuers, tenant }.examine(&mut section, question).await;
        }
        tell(section);
        let mut section = Section::new(format!("upstream of {}: {}", route.name, route.upstream.url));
        upstream::examine(&mut section, &route.upstream).await;
        tell(section);
    }
    if let Some(token) = token {
        token::examine(config, &routes, &found, question, token).into_iter().for_each(tell);
    }
}

async fn of_issuer(
    section: &mut Section,
    issuer: &IssuerConfig,
    routes: &[&RouteConfig],
    question: &Question,
) -> Option<KeySet> {
    let client = match probe::Client::new(issuer.ca.as_deref(), None) {
        Ok(client) => client,
        Err(why) => {
            section.problem("tls", why.to_string(), "the file that the issuer's ca names");
            return None;
        }
    };
    let mut scopes: Vec<&str> =
        routes.iter().flat_map(|route| &route.scopes).map(crate::names::Scope::as_str).collect();
    scopes.sort_unstable();
    scopes.dedup();
    let wanted = issuer::Wanted { client: question.client, scopes };
    let (keys_at, ahead) = issuer::examine(section, issuer, &client, &wanted).await;
    if let Some(ahead) = ahead {
        clock(section, ahead, issuer.rules.leeway.as_secs());
    }
    keys::examine(section, issuer, &keys_at?, &client).await
}

fn clock(section: &mut Section, ahead: i64, leeway: u64) {
    let way = if ahead < 0 { "behind" } else { "ahead of" };
    let by = ahead.unsigned_abs();
    let text = format!("the issuer's clock is {by} s {way} this machine's");
    if by > leeway.max(NOTABLE_SECONDS) {
        section.problem(
            "clock",
            format!("{text}, and {leeway} s are forgiven"),
            "set both clocks by NTP; tokens seem expired, or not valid yet",
        );
    } else if by > NOTABLE_SECONDS {
        section.warning("clock", text, "set both clocks by NTP");
    } else {
        section.ok("clock", "the issuer's clock agrees with this machine's");
    }
}
