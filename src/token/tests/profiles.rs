//! Tokens in the shape that each provider mints, under the rules that its profile sets.

use serde_json::{Value, json};

use super::support::{Judge, NOW, RESOURCE, ec, generic, keys, path, paths, refused, rsa};
use crate::config::{ClaimRules, TenantRule};
use crate::names::{Issuer, Scope, TenantId};
use crate::token::Kind;
use crate::token::{Identity, TokenError};

const ENTRA_TENANT: &str = "0d5c5e1a-7a4d-4d6e-9f5e-0a8a4c1b2d3e";
const ENTRA_API: &str = "6f1a2b3c-4d5e-6f70-8192-a3b4c5d6e7f8";

fn judge(issuer: &str, claims: ClaimRules) -> Judge {
    let mut judge = Judge::new();
    judge.keys = keys(&[rsa()]);
    judge.expect.issuer = Issuer::parse(issuer).unwrap();
    judge.expect.rules.claims = claims;
    judge
}

/// The verdict on these claims, with times added, under a header of this type.
fn verdict(judge: &Judge, typ: Option<&str>, mut claims: Value) -> Result<Identity, TokenError> {
    claims["iss"] = judge.expect.issuer.as_str().into();
    claims["iat"] = (NOW - 5).into();
    claims["exp"] = (NOW + 3600).into();
    let mut header = json!({"alg": "RS256", "kid": rsa().jwk["kid"]});
    if let Some(typ) = typ {
        header["typ"] = typ.into();
    }
    judge.judge(&rsa().token(&header, &claims))
}

/// Subject, client, tenant, scopes.
fn names(identity: &Identity) -> (&str, Option<&str>, Option<&str>, Vec<&str>) {
    (
        identity.subject().as_str(),
        identity.client().map(crate::names::ClientId::as_str),
        identity.tenant().map(TenantId::as_str),
        identity.scopes().iter().map(Scope::as_str).collect(),
    )
}

fn entra() -> Judge {
    let rules = ClaimRules {
        client: paths(&["azp", "appid"]),
        scopes: paths(&["scp", "roles"]),
        scopes_may_be_array: true,
        ..generic()
    };
    let mut judge = judge(&format!("https://login.microsoftonline.com/{ENTRA_TENANT}/v2.0"), rules);
    judge.expect.audiences = vec![ENTRA_API.to_owned()];
    judge
}

#[test]
fn entra_user_token() {
    let token = json!({
        "aud": ENTRA_API, "azp": "client-guid", "azpacr": "0", "name": "Alice", "oid": "oid-1", "sub": "pairwise-sub",
        "preferred_username": "alice@example.com", "scp": "Notes.Read Notes.Write", "tid": ENTRA_TENANT, "nbf": NOW - 5,
        "uti": "u1", "ver": "2.0", "rh": "0.A",
    });
    let mut judge = entra();
    judge.expect.tenant = TenantRule::Allow(vec![TenantId::parse(ENTRA_TENANT).unwrap()]);
    let identity = verdict(&judge, Some("JWT"), token.clone()).unwrap();
    assert_eq!(
        names(&identity),
        ("pairwise-sub", Some("client-guid"), Some(ENTRA_TENANT), vec!["Notes.Read", "Notes.Write"])
    );
    judge.expect.audiences.clear();
    refused(verdict(&judge, Some("JWT"), token), TokenError::Audience, "the API's id is not listed");
}

#[test]
fn entra_app_token() {
    let token = json!({
        "aud": ENTRA_API, "azp": "daemon-guid", "azpacr": "1", "oid": "oid-2", "sub": "oid-2", "tid": ENTRA_TENANT,
        "roles": ["Notes.Read.All"], "idtyp": "app", "nbf": NOW - 5, "ver": "2.0",
    });
    let identity = verdict(&entra(), Some("JWT"), token).unwrap();
    assert_eq!(names(&identity), ("oid-2", Some("daemon-guid"), Some(ENTRA_TENANT), vec!["Notes.Read.All"]));
}

fn okta() -> Judge {
    let rules = ClaimRules {
        client: paths(&["cid"]),
        scopes: paths(&["scp"]),
        scopes_may_be_array: true,
        tenant: None,
        ..generic()
    };
    let mut judge = judge("https://example.okta.com/oauth2/default", rules);
    judge.expect.audiences = vec!["api://default".to_owned()];
    judge
}

#[test]
fn okta_tokens() {
    let user = json!({
        "ver": 1, "jti": "AT.1", "aud": "api://default", "cid": "0oa1", "uid": "00u1", "scp": ["openid", "notes"],
        "auth_time": NOW - 9, "sub": "alice@example.com",
    });
    let identity = verdict(&okta(), None, user).unwrap();
    assert_eq!(names(&identity), ("alice@example.com", Some("0oa1"), None, vec!["openid", "notes"]));
    let service =
        json!({"ver": 1, "jti": "AT.2", "aud": "api://default", "cid": "0oa1", "scp": ["notes"], "sub": "0oa1"});
    assert_eq!(verdict(&okta(), None, service).unwrap().kind(), Kind::Service);
}

fn auth0() -> Judge {
    let rules = ClaimRules { client: paths(&["azp", "client_id"]), tenant: Some(path("org_id")), ..generic() };
    judge("https://example.eu.auth0.com/", rules)
}

#[test]
fn auth0_tokens() {
    let token = json!({
        "aud": [RESOURCE, "https://example.eu.auth0.com/userinfo"], "sub": "auth0|1", "azp": "spa", "scope": "openid notes",
        "permissions": ["notes"], "org_id": "org_1",
    });
    let expected = ("auth0|1", Some("spa"), Some("org_1"), vec!["openid", "notes"]);
    assert_eq!(names(&verdict(&auth0(), Some("JWT"), token.clone()).unwrap()), expected);

    let mut rfc9068 = token;
    let azp = rfc9068.as_object_mut().unwrap().remove("azp").unwrap();
    rfc9068["client_id"] = azp;
    rfc9068["jti"] = "j1".into();
    assert_eq!(names(&verdict(&auth0(), Some("at+jwt"), rfc9068).unwrap()), expected);
}

fn cognito() -> Judge {
    let rules = ClaimRules {
        client: paths(&["client_id"]),
        tenant: None,
        require: vec![(path("token_use"), "access".to_owned())],
        audience_when_absent: Some(path("client_id")),
        ..generic()
    };
    let mut judge = judge("https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_abc", rules);
    judge.expect.audiences = vec!["7client".to_owned()];
    judge
}

#[test]
fn cognito_tokens() {
    let access = json!({
        "sub": "uuid-1", "cognito:groups": ["admins"], "token_use": "access", "scope": "notes/read notes/write",
        "auth_time": NOW - 9, "version": 2, "jti": "j", "client_id": "7client", "username": "alice",
    });
    let identity = verdict(&cognito(), None, access.clone()).unwrap();
    assert_eq!(names(&identity), ("uuid-1", Some("7client"), None, vec!["notes/read", "notes/write"]));
    let mut bound = access.clone();
    bound["aud"] = RESOURCE.into();
    verdict(&cognito(), None, bound).unwrap();

    let mut id = access.clone();
    id["token_use"] = "id".into();
    refused(verdict(&cognito(), None, id), TokenError::Required, "ID token");
    let mut other = access;
    other["client_id"] = "8client".into();
    refused(verdict(&cognito(), None, other), TokenError::Audience, "another app's client");
}

#[test]
fn keycloak_tokens() {
    let rules = ClaimRules { client: paths(&["azp", "client_id"]), tenant: None, ..generic() };
    let mut judge = judge("https://id.example.com/realms/acme", rules);
    judge.expect.claims = paths(&["realm_access.roles", "email_verified"]);
    let token = json!({
        "jti": "onrtac:1", "aud": [RESOURCE, "account"], "sub": "uuid", "typ": "Bearer", "azp": "editor", "sid": "s",
        "acr": "1", "allowed-origins": ["/*"], "realm_access": {"roles": ["offline_access", "user"]},
        "resource_access": {"account": {"roles": ["view-profile"]}}, "scope": "openid email mcp:tools", "email_verified": true,
    });
    let identity = verdict(&judge, Some("JWT"), token.clone()).unwrap();
    assert_eq!(names(&identity), ("uuid", Some("editor"), None, vec!["openid", "email", "mcp:tools"]));
    assert_eq!(identity.claim(&path("realm_access.roles")), Some("offline_access user"));
    assert_eq!(identity.claim(&path("email_verified")), Some("true"));
    let mut unmapped = token;
    unmapped["aud"] = "account".into();
    refused(verdict(&judge, Some("JWT"), unmapped), TokenError::Audience, "no audience mapper");
}

#[test]
fn zitadel_tokens() {
    let rules = ClaimRules { tenant: Some(path("urn:zitadel:iam:user:resourceowner:id")), ..generic() };
    let mut judge = judge("https://example.zitadel.cloud", rules);
    judge.expect.audiences = vec!["project-1".to_owned()];
    let token = json!({
        "aud": ["client@project", "project-1"], "client_id": "client@project", "jti": "V2_1", "sub": "2801",
        "urn:zitadel:iam:user:resourceowner:id": "org-1", "nbf": NOW - 5,
        "urn:zitadel:iam:org:project:roles": {"admin": {"org-1": "acme.example"}},
    });
    let identity = verdict(&judge, None, token).unwrap();
    assert_eq!(names(&identity), ("2801", Some("client@project"), Some("org-1"), vec![]));
}

#[test]
fn workos_tokens() {
    let rules = ClaimRules { tenant: Some(path("org_id")), ..generic() };
    let judge = judge("https://example.authkit.app", rules);
    let token = json!({
        "aud": RESOURCE, "sub": "user_1", "sid": "app_1", "org_id": "org_1", "client_id": "client_1", "jti": "1",
        "scope": "openid mcp:tools", "role": "member", "permissions": ["notes:read"],
    });
    let identity = verdict(&judge, None, token).unwrap();
    assert_eq!(names(&identity), ("user_1", Some("client_1"), Some("org_1"), vec!["openid", "mcp:tools"]));
}

#[test]
fn rfc_9068_token_under_the_strict_rules() {
    // RFC 9068 §3, its example, for our resource.
    let mut judge = Judge::strict();
    judge.keys = keys(&[rsa(), ec()]);
    let token = json!({
        "sub": "5ba552d67", "aud": RESOURCE, "client_id": "s6BhdRkqt3", "jti": "dbe39bf3a3ba4238a513f51d6e1691c4",
        "scope": "openid profile reademail", "auth_time": NOW - 9,
    });
    let identity = verdict(&judge, Some("at+jwt"), token.clone()).unwrap();
    assert_eq!(names(&identity), ("5ba552d67", Some("s6BhdRkqt3"), None, vec!["openid", "profile", "reademail"]));
    refused(verdict(&judge, Some("JWT"), token), TokenError::Type, "not at+jwt");
}
