//! A token, read without being believed: what each route would say to each of its claims, and to its signature.

use std::time::{SystemTime, UNIX_EPOCH};

use super::Question;
use super::hints;
use super::providers::Provider;
use super::report::{Level, Section, quoted};
use crate::config::{Config, IssuerConfig, RouteConfig};
use crate::keys::jwks::KeySet;
use crate::names::{Scope, TenantId};
use crate::policy::Policy;
use crate::token::TokenError;
use crate::token::accepted::accepted;
use crate::token::examine::Examined;
use crate::token::verify::{Checked, Expectations, Unverified};

/// The key sets that were found, in the order of the issuers.
pub(super) type Found = [Option<KeySet>];

/// One section per route; a route that does not take the token is no problem while another does.
pub(super) fn examine(
    config: &Config,
    routes: &[&RouteConfig],
    found: &Found,
    question: &Question,
    token: &str,
) -> Vec<Section> {
    let unverified = match Unverified::read(token) {
        Ok(unverified) => unverified,
        Err(error) => return vec![unreadable(config, token, error)],
    };
    let mut sections: Vec<Section> =
        routes.iter().map(|route| on_route(config, route, found, question, &unverified)).collect();
    if sections.iter().any(|section| section.gravest() < Level::Problem) {
        for finding in sections
            .iter_mut()
            .filter(|section| section.gravest() == Level::Problem)
            .flat_map(|section| &mut section.findings)
        {
            finding.level = finding.level.min(Level::Note);
        }
    }
    sections
}

fn unreadable(config: &Config, token: &str, error: TokenError) -> Section {
    let mut section = Section::new("token");
    if token.split('.').count() == 3 {
        section.problem(error.reason(), "the token cannot be read as a JWT", "the whole token, as the issuer made it");
    } else {
        let providers: Vec<&Provider> =
            config.issuers.iter().filter_map(|issuer| Provider::of(issuer.issuer.as_str())).collect();
        hints::opaque(&mut section, token, &providers);
    }
    section
}

fn on_route(
    config: &Config,
    route: &RouteConfig,
    found: &Found,
    question: &Question,
    token: &Unverified<'_>,
) -> Section {
    let tenant = question.tenant.as_ref();
    let mut section = Section::new(format!("token on route {}", route.name));
    let issuers: Vec<(usize, &IssuerConfig)> =
        route.issuers.iter().filter_map(|at| Some((*at, config.issuers.get(*at)?))).collect();
    let Some((at, issuer)) = whose(&issuers, token.issuer().unwrap_or_default()) else {
        let all: Vec<&IssuerConfig> = issuers.iter().map(|(_, issuer)| *issuer).collect();
        let shown = quoted(token.issuer().unwrap_or_default());
        let wanted = accepted(TokenError::Issuer, route, &all, None, tenant).unwrap_or_default();
        let hint = all.iter().find_map(|issuer| hints::hint(token, issuer, TokenError::Issuer));
        section.problem("token.iss", format!("iss {shown}: no issuer of this route"), with_hint(Some(wanted), hint));
        return section;
    };
    let expect = Expectations::new(route, issuer);
    // Under a clock before 1970 every token is expired.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(u64::MAX, |time| time.as_secs());
    for one in token.examine(&expect, tenant, now) {
        let shown = one.found.as_deref().unwrap_or("absent").to_owned() + &moment(&one, now);
        match one.verdict {
            Ok(()) => section.ok("token.claim", format!("{} {shown}", one.name)),
            Err(error) => {
                let wanted = accepted(error, route, &[issuer], Some(issuer), tenant);
                let text = format!("{} {shown}: {}", one.name, error.description());
                section.problem(error.reason(), text, with_hint(wanted, hints::hint(token, issuer, error)));
            }
        }
    }
    signature(&mut section, token, &expect, found.get(at).and_then(Option::as_ref));
    scopes(&mut section, route, question, token, &expect, now);
    section
}

/// The issuer that the token names, or the only one it can mean.
fn whose<'c>(issuers: &[(usize, &'c IssuerConfig)], named: &str) -> Option<(usize, &'c IssuerConfig)> {
    let bare = |text: &str| text.trim_end_matches('/').to_owned();
    let exact = issuers.iter().find(|(_, issuer)| issuer.issuer.as_str() == named);
    exact.or_else(|| issuers.iter().find(|(_, issuer)| bare(issuer.issuer.as_str()) == bare(named))).copied()
}

/// What a claim's time is for people.
fn moment(one: &Examined, now: u64) -> String {
    let seconds = one.found.as_deref().filter(|_| ["exp", "nbf", "iat"].contains(&one.name.as_str()));
    let Some(seconds) = seconds.and_then(|text| text.parse::<i64>().ok()) else { return String::new() };
    let Ok(time) = jiff::Timestamp::from_second(seconds) else { return String::new() };
    let off = seconds.saturating_sub(i64::try_from(now).unwrap_or(i64::MAX));
    let way = if off <= 0 { "ago" } else { "from now" };
    format!(" ({time}, {} s {way})", off.unsigned_abs())
}

fn with_hint(wanted: Option<String>, hint: Option<String>) -> String {
    let wanted = wanted.map(|wanted| format!("accepted: {wanted}"));
    let parts: Vec<String> = [hint, wanted].into_iter().flatten().collect();
    if parts.is_empty() { "a new token".into() } else { parts.join(". ") }
}

fn signature(section: &mut Section, token: &Unverified<'_>, expect: &Expectations, keys: Option<&KeySet>) {
    let Some(keys) = keys else {
        return section.note("token.signature", "the signature was not checked: the issuer's keys could not be had");
    };
    match token.examine_signature(expect, keys) {
        Ok(()) => section.ok("token.signature", "a key of the issuer made the signature"),
        Err(TokenError::KeyId) => section.problem(
            "token.kid",
            "the key that it names is not in the issuer's set, or is for another algorithm",
            "the key was replaced: get a new token; or the token is of another server that calls itself the same",
        ),
        Err(error) if error == TokenError::Signature => section.problem(
            error.reason(),
            "no key of the issuer made this signature",
            "the token was changed on its way, or is of another server that calls itself the same",
        ),
        Err(_) => section.note("token.signature", "the signature was not checked: see the header"),
    }
}

/// What the route asks of every caller; rules are the matter of `explain`.
fn scopes(
    section: &mut Section,
    route: &RouteConfig,
    question: &Question,
    token: &Unverified<'_>,
    expect: &Expectations,
    now: u64,
) {
    if section.gravest() == Level::Problem {
        return;
    }
    let tenant: Option<&TenantId> = question.tenant.as_ref();
    let caller = token.clone().check(expect, tenant, now).and_then(Checked::claimed);
    let Ok(caller) = caller else { return };
    let lacking = Policy::new(route).lacks_of_route(&caller);
    let names = |scopes: &[Scope]| scopes.iter().map(Scope::as_str).collect::<Vec<_>>().join(" ");
    if lacking.is_empty() {
        section.ok("token.scopes", format!("has what the route needs: {}", names(&route.scopes)));
    } else {
        section.problem(
            "authz.scope",
            format!("lacks scopes of the route: {} (403 insufficient_scope)", names(&lacking)),
            "let the client ask for them, and the issuer grant them; or `implies`, where the issuer names them otherwise",
        );
    }
}
