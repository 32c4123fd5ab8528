//! Claims as typed values: who, through which client, for which tenant, with which scopes. Bounded, and without bytes that
//! no header field may hold.

use crate::config::{ClaimPath, ClaimRules, TokenRules};
use crate::names::{ClientId, MAX_PRINCIPAL_BYTES, Scope, Subject, TenantId};

use super::TokenError;
use super::caller::Kind;
use super::header;
use super::json::{Inside, Value};
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
    pub(super) fn read(payload: Inside<'_>, expect: &Expectations) -> Result<Self, TokenError> {
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
pub(super) fn further(payload: Inside<'_>, expect: &Expectations) -> Result<(Injected, Facts), TokenError> {
    let fact = |path: &ClaimPath| Ok((path.clone(), texts(payload, path)?));
    Ok((injected(payload, &expect.claims)?, expect.facts.iter().map(fact).collect::<Result<_, _>>()?))
}

/// What makes a well-formed token of the right issuer the wrong one.
pub(super) fn check_kind_of_token(
    header: Inside<'_>,
    payload: Inside<'_>,
    rules: &TokenRules,
) -> Result<(), TokenError> {
    // RFC 7800 §3.1: bound to a key that nobody here asks the client to prove. Taken as a bearer token it would be stolen goods.
    if payload.has("cnf") {
        return Err(TokenError::Confirmation);
    }
    // The type alone tells both kinds apart, where it is told: no ID token says so of itself.
    let is_told = rules.strict && header::is_access_token(header);
    if !is_told && ID_TOKEN_MARKS.iter().any(|mark| payload.has(mark)) {
        return Err(TokenError::IdToken);
    }
    let fixed = |(path, text): &(ClaimPath, String)| payload.find(path).and_then(Value::as_text) == Some(text);
    rules.claims.require.iter().all(fixed).then_some(()).ok_or(TokenError::Required)
}

/// The tenant that the token names. `Err` stands for a claim that is there and names none: no rule lets that in.
pub(super) fn tenant(payload: Inside<'_>, rules: &ClaimRules) -> Result<Option<TenantId>, TokenError> {
    let Some(value) = rules.tenant.as_ref().and_then(|path| payload.find(path)) else {
        return Ok(None);
    };
    let text = principal(value, TokenError::Tenant)?;
    TenantId::parse(text).map(Some).map_err(|_| TokenError::Tenant)
}

pub(super) fn subject(payload: Inside<'_>, rules: &ClaimRules) -> Result<Subject, TokenError> {
    let value = first(payload, &rules.subject).ok_or(TokenError::Subject)?;
    Subject::parse(principal(value, TokenError::Subject)?).map_err(|_| TokenError::Subject)
}

/// RFC 9068 §2.2 requires it, and some profiles; elsewhere an absent client is no client, but a malformed one is never overlooked.
pub(super) fn client(payload: Inside<'_>, rules: &TokenRules) -> Result<Option<ClientId>, TokenError> {
    let Some(value) = first(payload, &rules.claims.client) else {
        return if rules.client_required { Err(TokenError::Client) } else { Ok(None) };
    };
    let text = principal(value, TokenError::Client)?;
    ClientId::parse(text).map(Some).map_err(|_| TokenError::Client)
}

/// RFC 9068 §5: where the issuer's own `sub` is the client, there is no user. A mapped subject (a login name, say) is a
/// text that users may choose, so it does not decide while `sub` is there.
fn kind(payload: Inside<'_>, subject: &Subject, client: Option<&ClientId>) -> Kind {
    let sub = payload.get("sub").and_then(Value::as_text).unwrap_or(subject.as_str());
    match client {
        Some(client) if client.as_str() == sub => Kind::Service,
        _ => Kind::User,
    }
}

/// RFC 9068 §2.2.3: one string of scopes with single spaces between them; arrays only where the issuer's rules say so.
pub(super) fn scopes(payload: Inside<'_>, rules: &ClaimRules) -> Result<Vec<Scope>, TokenError> {
    let scope = |text: &str| Scope::parse(text).map_err(|_| TokenError::Scope);
    match first(payload, &rules.scopes) {
        None | Some(Value::Text("")) => Ok(Vec::new()),
        Some(Value::Text(text)) => bounded(text, MAX_CLAIM_BYTES)?.split(' ').map(scope).collect(),
        Some(Value::Array(items)) if rules.scopes_may_be_array => {
            bounded(&joined(items).ok_or(TokenError::Scope)?, MAX_CLAIM_BYTES)?;
            items.values().filter_map(Value::as_text).map(scope).collect()
        }
        Some(_) => Err(TokenError::Scope),
    }
}

pub(super) fn token_id(payload: Inside<'_>, rules: &TokenRules) -> Result<Option<Box<str>>, TokenError> {
    match payload.get("jti") {
        None if rules.strict => Err(TokenError::TokenId),
        None => Ok(None),
        Some(Value::Text(text)) if !text.is_empty() => Ok(Some(Box::from(bounded(text, MAX_CLAIM_BYTES)?))),
        Some(_) => Err(TokenError::TokenId),
    }
}

/// The further claims that the route injects; a claim that is no text, number, boolean or list of texts is left out.
fn injected(payload: Inside<'_>, paths: &[ClaimPath]) -> Result<Vec<(ClaimPath, String)>, TokenError> {
    let mut found = Vec::with_capacity(paths.len());
    for path in paths {
        if let Some(text) = payload.find(path).map(as_text).transpose()?.flatten() {
            bounded(&text, MAX_CLAIM_BYTES)?;
            found.push((path.clone(), text));
        }
    }
    Ok(found)
}

/// What a policy compares: the one text of a string, number or boolean, or each text of an array; of anything else nothing.
fn texts(payload: Inside<'_>, path: &ClaimPath) -> Result<Vec<String>, TokenError> {
    let texts: Vec<String> = match payload.find(path) {
        Some(Value::Array(items)) => items.values().filter_map(scalar).collect(),
        Some(value) => scalar(value).into_iter().collect(),
        None => Vec::new(),
    };
    if texts.iter().map(String::len).sum::<usize>() > MAX_FACT_BYTES {
        return Err(TokenError::ClaimSize);
    }
    Ok(texts)
}

fn as_text(value: Value<'_>) -> Result<Option<String>, TokenError> {
    let Value::Array(items) = value else { return Ok(scalar(value)) };
    // `["a b"]` and `["a", "b"]` would read the same once they are joined: refused, not guessed at.
    let is_ambiguous = |item: &str| item.is_empty() || item.contains(' ');
    if items.values().filter_map(Value::as_text).any(is_ambiguous) {
        return Err(TokenError::ClaimBytes);
    }
    Ok(joined(items))
}

/// A string as it is, a number or boolean as JSON.
fn scalar(value: Value<'_>) -> Option<String> {
    match value {
        Value::Text(text) => Some(text.to_owned()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(value) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// An array of strings with single spaces between them; `None` when it holds anything else.
fn joined(items: Inside<'_>) -> Option<String> {
    let texts: Option<Vec<&str>> = items.values().map(Value::as_text).collect();
    texts.map(|texts| texts.join(" "))
}

/// The first of these claims that is present, whatever its value: a `null` does not give way to the next.
fn first<'a>(payload: Inside<'a>, paths: &[ClaimPath]) -> Option<Value<'a>> {
    paths.iter().find_map(|path| payload.find(path))
}

/// A text that may name somebody: bounded, one line. `wrong` says what it should have been.
fn principal(value: Value<'_>, wrong: TokenError) -> Result<&str, TokenError> {
    let text = value.as_text().ok_or(wrong)?;
    bounded(text, MAX_PRINCIPAL_BYTES)
}

/// Threats C14, C15. Text beyond ASCII may pass: headers percent-encode it.
fn bounded(text: &str, most: usize) -> Result<&str, TokenError> {
    if text.len() > most {
        return Err(TokenError::ClaimSize);
    }
    if has_controls(text) {
        return Err(TokenError::ClaimBytes);
    }
    Ok(text)
}

/// Bytes below 0x20 and 0x7f, and those beyond ASCII that are written in two bytes (U+0080 to U+009F).
fn has_controls(text: &str) -> bool {
    // Without leaving early: so many bytes are judged at a time.
    let (ascii, control) = text
        .bytes()
        .fold((true, false), |(ascii, control), byte| (ascii & byte.is_ascii(), control | byte.is_ascii_control()));
    control || (!ascii && text.chars().any(char::is_control))
}
