//! Whom a question is about: a token whose signature nobody checks, or claims that somebody wrote down.

use std::fs::File;
use std::time::{SystemTime, UNIX_EPOCH};

use portcullis::config::{Config, IssuerConfig, RouteConfig};
use portcullis::names::{Scope, TenantId};
use portcullis::policy::Policy;
use portcullis::token::accepted::accepted;
use portcullis::token::bare::BareClaims;
use portcullis::token::verify::{Expectations, Unverified};
use portcullis::token::{Caller, TokenError};

use super::super::credential::read;
use super::{Failure, Question, Text};

/// What became of the credentials.
pub(super) enum Known {
    Caller(Box<KnownCaller>),
    Refused(Refusal),
}

pub(super) struct KnownCaller {
    pub(super) caller: Caller,
    issuer_name: String,
    implied: Vec<Scope>,
    /// What was checked, and what was not.
    proven: String,
}

pub(super) struct Refusal {
    error: TokenError,
    hint: Option<String>,
}

pub(super) fn identify(
    config: &Config,
    route: &RouteConfig,
    question: &Question,
    tenant: Option<&TenantId>,
) -> Result<Known, Failure> {
    let issuers: Vec<&IssuerConfig> = route.issuers.iter().filter_map(|at| config.issuers.get(*at)).collect();
    let judged = match (&question.token, &question.claims) {
        (Some(token), _) => Ok(by_token(route, &issuers, &token.read()?, tenant)),
        (None, Some(path)) => {
            let unread = |why: &dyn std::fmt::Display| Failure::Usage(format!("--claims: {}: {why}", path.display()));
            let text = File::open(path).and_then(read).map_err(|why| unread(&why))?;
            let claims = BareClaims::read(text.as_bytes())
                .map_err(|_| unread(&"must be a JSON object in which no member stands twice"))?;
            by_claims(route, &issuers, &claims, tenant)
        }
        (None, None) => Err(Failure::Usage("needs --token or --claims".into())),
    };
    Ok(match judged? {
        Ok((caller, issuer, proven)) => Known::Caller(Box::new(KnownCaller {
            implied: Policy::new(route).implied(&caller),
            caller,
            issuer_name: issuer.name.clone(),
            proven,
        })),
        Err((error, issuer)) => {
            Known::Refused(Refusal { hint: accepted(error, route, &issuers, issuer, tenant), error })
        }
    })
}

/// The caller, the issuer, and what was checked; or what is wrong, and whose rules say so.
type Judged<'c> = Result<(Caller, &'c IssuerConfig, String), (TokenError, Option<&'c IssuerConfig>)>;

fn by_token<'c>(
    route: &RouteConfig,
    issuers: &[&'c IssuerConfig],
    text: &str,
    tenant: Option<&TenantId>,
) -> Judged<'c> {
    let unverified = Unverified::read(text).map_err(|error| (error, None))?;
    let issuer = by_name(issuers, unverified.issuer()).ok_or((TokenError::Issuer, None))?;
    // Under a clock before 1970 every token is expired.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(u64::MAX, |time| time.as_secs());
    let checked = unverified.check(&Expectations::new(route, issuer), tenant, now);
    let caller =
        checked.and_then(portcullis::token::verify::Checked::claimed).map_err(|error| (error, Some(issuer)))?;
    let proven =
        "the signature was NOT checked; header, issuer, times, audience, claims and tenant are as the route wants them";
    Ok((caller, issuer, proven.to_owned()))
}

fn by_claims<'c>(
    route: &RouteConfig,
    issuers: &[&'c IssuerConfig],
    claims: &BareClaims,
    tenant: Option<&TenantId>,
) -> Result<Judged<'c>, Failure> {
    let (issuer, assumed) = match (claims.issuer(), issuers) {
        (None, [only]) => (Some(*only), format!("; issuer {} was assumed, the route's only one", only.name)),
        (None, several) => {
            let names: Vec<&str> = several.iter().map(|issuer| issuer.issuer.as_str()).collect();
            return Err(Failure::Usage(format!("--claims: needs iss: the route has {}", names.join(" and "))));
        }
        (named, issuers) => (by_name(issuers, named), String::new()),
    };
    let Some(issuer) = issuer else { return Ok(Err((TokenError::Issuer, None))) };
    let mut expect = Expectations::new(route, issuer);
    // Whoever writes claims down need not invent an id for them.
    (expect.rules.strict, expect.rules.client_required) = (false, false);
    let caller = claims.caller(&expect, tenant).map_err(|error| (error, Some(issuer)));
    let proven = format!(
        "claims as they were written down; a token with them, its times and its audience were assumed{assumed}"
    );
    Ok(caller.map(|caller| (caller, issuer, proven)))
}

fn by_name<'c>(issuers: &[&'c IssuerConfig], name: Option<&str>) -> Option<&'c IssuerConfig> {
    issuers.iter().find(|issuer| name == Some(issuer.issuer.as_str())).copied()
}

pub(super) fn describe(text: &mut Text, known: &KnownCaller) {
    let KnownCaller { caller, issuer_name, implied, proven } = known;
    let named = |name: Option<&str>| name.unwrap_or("none").to_owned();
    let client = named(caller.client().map(portcullis::names::ClientId::as_str));
    let tenant = named(caller.tenant().map(TenantId::as_str));
    text.line("caller", &format!("subject {}, client {client}, tenant {tenant}", caller.subject()));
    text.line("issuer", &format!("{} ({issuer_name})", caller.issuer()));
    let implied = if implied.is_empty() { String::new() } else { format!("; by implication {}", scopes(implied)) };
    text.line("scopes", &format!("{}{implied}", scopes(caller.scopes())));
    text.line("unproven", proven);
}

pub(super) fn scopes(scopes: &[Scope]) -> String {
    if scopes.is_empty() { "none".into() } else { scopes.iter().map(Scope::as_str).collect::<Vec<_>>().join(" ") }
}

pub(super) fn refuse(text: &mut Text, Refusal { error, hint }: &Refusal) {
    let answer = if *error == TokenError::Tenant { "403 forbidden" } else { "401 invalid_token" };
    text.line("decision", &format!("refused before any rule is asked ({answer})"));
    text.line("because", &format!("{error}: {}", error.description()));
    if let Some(hint) = hint {
        text.line("accepted", hint);
    }
}
