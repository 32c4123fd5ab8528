//! Claims as typed values: who, through which client, for which tenant, with which scopes. Bounded, and without bytes that
//! no header field may hold.

use serde_json::{Map, Value};

use crate::config::{ClaimPath, ClaimRules, TokenRules};
use crate::names::{ClientId, MAX_PRINCIPAL_BYTES, Scope, Subject, TenantId};

use super::TokenError;
use super::caller::Kind;
use super::verify::Expectations;

/// Longest scope list, `jti` or injected claim (threat C15).
const MAX_CLAIM_BYTES: usize = 4 * 1024;
/// Longest claim that a policy asks about: some providers list 200 groups by their UUIDs.
const MAX_FACT_BYTES: usize = 8 * 1024;
/// Marks of an ID token (OpenID Connect Core §2, §3.1.3.6): the issuer signs both kinds with one key.
const ID_TOKEN_MARKS: [&str; 3] = ["nonce", "at_hash", "c_hash"];

/// What an [`Identity`](super::Identity) will say, should the signature verify.
#[derive(Debug)]
pub(super) struct Claims {
    pub(super) subject: Subject,
    pub(super) client: Option<ClientId>,
    pub(super) kind: Kind,
    pub(super) scopes: Vec<Scope>,
    pub(super) token_id: Option<Box<str>>,
    /// Seconds since 1970.
    pub(super) issued_at: Option<u64>,
    pub(super) injected: Vec<(ClaimPath, String)>,
    pub(super) facts: Vec<(ClaimPath, Vec<String>)>,
}

impl Claims {
    /// Reads what the issuer's rules map, what the route injects, and what its policy asks about.
    pub(super) fn read(payload: &Map<String, Value>, expect: &Expectations) -> Result<Self, TokenError> {
        let rules = &expect.rules;
        let subject = subject(payload, &rules.claims)?;
        let client = client(payload, rules)?;
        let (scopes, token_id) = (scopes(payload, &rules.claims)?, token_id(payload, rules)?);
        let further = further(payload, expect)?;
        Ok(Self {
            kind: kind(payload, &subject, client.as_ref()),
            subject,
            client,
            scopes,
            token_id,
            issued_at: super::times::issued_at(payload),
            injected: further.0,
            facts: further.1,
        })
    }
}

type Injected = Vec<(ClaimPath, String)>;
type Facts = Vec<(ClaimPath, Vec<String>)>;

/// What the route injects, and what its policy asks about.
pub(super) fn further(payload: &Map<String, Value>, expect: &Expectations) -> Result<(Injected, Facts), TokenError> {
    let fact = |path: &ClaimPath| Ok((path.clone(), texts(payload, path)?));
    Ok((injected(payload, &expect.claims)?, expect.facts.iter().map(fact).collect::<Result<_, _>>()?))
}

/// What makes a well-formed token of the right issuer the wrong one.
pub(super) fn check_kind_of_token(payload: &Map<String, Value>, rules: &TokenRules) -> Result<(), TokenError> {
    // RFC 7800 §3.1: bound to a key that nobody here asks the client to prove. Taken as a bearer token it would be stolen goods.
    if payload.contains_key("cnf") {
        return Err(TokenError::Confirmation);
    }
    if !rules.strict && ID_TOKEN_MARKS.iter().any(|mark| payload.contains_key(*mark)) {
        return Err(TokenError::IdToken);
    }
    let fixed = |(path, text): &(ClaimPath, String)| path.find(payload).is_some_and(|value| value == text.as_str());
    rules.claims.require.iter().all(fixed).then_some(()).ok_or(TokenError::Required)
}

/// The tenant that the token names. `Err` stands for a claim that is there and names none: no rule lets that in.
pub(super) fn tenant(payload: &Map<String, Value>, rules: &ClaimRules) -> Result<Option<TenantId>, TokenError> {
    let Some(value) = rules.tenant.as_ref().and_then(|path| path.find(payload)) else {
        return Ok(None);
    };
    let text = principal(value, TokenError::Tenant)?;
    TenantId::parse(text).map(Some).map_err(|_| TokenError::Tenant)
}

pub(super) fn subject(payload: &Map<String, Value>, rules: &ClaimRules) -> Result<Subject, TokenError> {
    let value = first(payload, &rules.subject).ok_or(TokenError::Subject)?;
    Subject::parse(principal(value, TokenError::Subject)?).map_err(|_| TokenError::Subject)
}

/// RFC 9068 §2.2 requires it; elsewhere an absent client is no client, but a malformed one is never overlooked.
pub(super) fn client(payload: &Map<String, Value>, rules: &TokenRules) -> Result<Option<ClientId>, TokenError> {
    let Some(value) = first(payload, &rules.claims.client) else {
        return if rules.strict { Err(TokenError::Client) } else { Ok(None) };
    };
    let text = principal(value, TokenError::Client)?;
    ClientId::parse(text).map(Some).map_err(|_| TokenError::Client)
}

/// RFC 9068 §5: where the issuer's own `sub` is the client, there is no user. A mapped subject (a login name, say) is a
/// text that users may choose, so it does not decide while `sub` is there.
fn kind(payload: &Map<String, Value>, subject: &Subject, client: Option<&ClientId>) -> Kind {
    let sub = payload.get("sub").and_then(Value::as_str).unwrap_or(subject.as_str());
    match client {
        Some(client) if client.as_str() == sub => Kind::Service,
        _ => Kind::User,
    }
}

/// RFC 9068 §2.2.3: one string of scopes with single spaces between them; arrays only where the issuer's rules say so.
pub(super) fn scopes(payload: &Map<String, Value>, rules: &ClaimRules) -> Result<Vec<Scope>, TokenError> {
    let scope = |text: &str| Scope::parse(text).map_err(|_| TokenError::Scope);
    match first(payload, &rules.scopes) {
        None => Ok(Vec::new()),
        Some(Value::String(text)) if text.is_empty() => Ok(Vec::new()),
        Some(Value::String(text)) => bounded(text, MAX_CLAIM_BYTES)?.split(' ').map(scope).collect(),
        Some(Value::Array(items)) if rules.scopes_may_be_array => {
            bounded(&joined(items).ok_or(TokenError::Scope)?, MAX_CLAIM_BYTES)?;
            items.iter().filter_map(Value::as_str).map(scope).collect()
        }
        Some(_) => Err(TokenError::Scope),
    }
}

pub(super) fn token_id(payload: &Map<String, Value>, rules: &TokenRules) -> Result<Option<Box<str>>, TokenError> {
    match payload.get("jti") {
        None if rules.strict => Err(TokenError::TokenId),
        None => Ok(None),
        Some(Value::String(text)) if !text.is_empty() => Ok(Some(Box::from(bounded(text, MAX_CLAIM_BYTES)?))),
        Some(_) => Err(TokenError::TokenId),
    }
}

/// The further claims that the route injects; a claim that is no text, number, boolean or list of texts is left out.
fn injected(payload: &Map<String, Value>, paths: &[ClaimPath]) -> Result<Vec<(ClaimPath, String)>, TokenError> {
    let mut found = Vec::with_capacity(paths.len());
    for path in paths {
        if let Some(text) = path.find(payload).map(as_text).transpose()?.flatten() {
            bounded(&text, MAX_CLAIM_BYTES)?;
            found.push((path.clone(), text));
        }
    }
    Ok(found)
}

/// What a policy compares: the one text of a string, number or boolean, or each text of an array; of anything else nothing.
fn texts(payload: &Map<String, Value>, path: &ClaimPath) -> Result<Vec<String>, TokenError> {
    let scalar = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    };
    let texts: Vec<String> = match path.find(payload) {
        Some(Value::Array(items)) => items.iter().filter_map(scalar).collect(),
        Some(value) => scalar(value).into_iter().collect(),
        None => Vec::new(),
    };
    if texts.iter().map(String::len).sum::<usize>() > MAX_FACT_BYTES {
        return Err(TokenError::ClaimSize);
    }
    Ok(texts)
}

fn as_text(value: &Value) -> Result<Option<String>, TokenError> {
    match value {
        Value::String(text) => Ok(Some(text.clone())),
        Value::Number(_) | Value::Bool(_) => Ok(Some(value.to_string())),
        Value::Array(items) => {
            // `["a b"]` and `["a", "b"]` would read the same once they are joined: refused, not guessed at.
            let is_ambiguous = |item: &str| item.is_empty() || item.contains(' ');
            if items.iter().filter_map(Value::as_str).any(is_ambiguous) {
                return Err(TokenError::ClaimBytes);
            }
            Ok(joined(items))
        }
        Value::Null | Value::Object(_) => Ok(None),
    }
}

/// An array of strings with single spaces between them; `None` when it holds anything else.
fn joined(items: &[Value]) -> Option<String> {
    let texts: Option<Vec<&str>> = items.iter().map(Value::as_str).collect();
    texts.map(|texts| texts.join(" "))
}

/// The first of these claims that is present, whatever its value: a `null` does not give way to the next.
fn first<'a>(payload: &'a Map<String, Value>, paths: &[ClaimPath]) -> Option<&'a Value> {
    paths.iter().find_map(|path| path.find(payload))
}

/// A text that may name somebody: bounded, one line. `wrong` says what it should have been.
fn principal(value: &Value, wrong: TokenError) -> Result<&str, TokenError> {
    let text = value.as_str().ok_or(wrong)?;
    bounded(text, MAX_PRINCIPAL_BYTES)
}

/// Threats C14, C15. Text beyond ASCII may pass: headers percent-encode it.
fn bounded(text: &str, most: usize) -> Result<&str, TokenError> {
    if text.len() > most {
        return Err(TokenError::ClaimSize);
    }
    if text.chars().any(char::is_control) {
        return Err(TokenError::ClaimBytes);
    }
    Ok(text)
}
