//! What a route would have taken instead of a token that it refuses, in words: for `explain` and `doctor`.

use crate::config::{ClaimPath, IssuerConfig, RouteConfig, TenantRule};
use crate::names::TenantId;

use super::TokenError;

/// What the route would have taken instead. Nothing of the token is repeated.
pub fn accepted(
    error: TokenError,
    route: &RouteConfig,
    issuers: &[&IssuerConfig],
    issuer: Option<&IssuerConfig>,
    tenant: Option<&TenantId>,
) -> Option<String> {
    let rules = issuer.map(|issuer| &issuer.rules);
    let claims = |paths: &[ClaimPath]| paths.iter().map(|path| path.text.as_str()).collect::<Vec<_>>().join(" or ");
    match error {
        TokenError::Issuer => {
            let names: Vec<&str> = issuers.iter().map(|issuer| issuer.issuer.as_str()).collect();
            Some(format!("iss {}", names.join(" or ")))
        }
        TokenError::Audience => {
            let own = route.resource.for_tenant(tenant);
            let audiences: Vec<&str> = std::iter::once(&own).chain(&route.audiences).map(String::as_str).collect();
            Some(format!("aud {}", audiences.join(" or ")))
        }
        TokenError::Type => Some(format!("typ {:?}", rules?.token_types)),
        TokenError::Algorithm => {
            Some(format!("alg {}", rules?.algorithms.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ")))
        }
        TokenError::Subject => Some(format!("a subject in {}", claims(&rules?.claims.subject))),
        TokenError::Client => Some(format!("a client in {}", claims(&rules?.claims.client))),
        TokenError::Scope => Some(format!("scopes in {}, separated by single blanks", claims(&rules?.claims.scopes))),
        TokenError::Tenant => {
            let claim = rules?.claims.tenant.as_ref().map_or("no claim", |path| path.text.as_str());
            let accepted = match (&route.tenant, tenant) {
                (TenantRule::Allow(tenants), _) => {
                    tenants.iter().map(TenantId::as_str).collect::<Vec<_>>().join(" or ")
                }
                (TenantRule::FromResource, Some(tenant)) => tenant.to_string(),
                (TenantRule::FromResource | TenantRule::Any, _) => "any well-formed one".to_owned(),
            };
            Some(format!("tenant {accepted}, named by {claim}"))
        }
        TokenError::Shape | TokenError::Encoding | TokenError::Json => {
            Some("a JWT in compact form: three parts in base64url, with dots between".to_owned())
        }
        TokenError::IssuedAt => Some("an iat that is not in the future".to_owned()),
        TokenError::TokenId => Some("a text in jti".to_owned()),
        TokenError::Required => {
            let texts = rules?.claims.require.iter().map(|(path, text)| format!("{text:?} in {}", path.text));
            Some(texts.collect::<Vec<_>>().join(" and "))
        }
        TokenError::Confirmation => Some("a token without cnf: proof of possession is not checked here".to_owned()),
        TokenError::Size
        | TokenError::Duplicate
        | TokenError::Header
        | TokenError::Critical
        | TokenError::KeyId
        | TokenError::Signature
        | TokenError::Expired
        | TokenError::NotBefore
        | TokenError::IdToken
        | TokenError::Revoked
        | TokenError::ClaimBytes
        | TokenError::ClaimSize => None,
    }
}
