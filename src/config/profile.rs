//! What is different about each identity provider: a small table of facts per profile.

use super::Algorithm;

/// Where a claim stands in a token's payload: member names from the outside in.
///
/// Written in the configuration as `email` or, for nested objects, `realm_access.roles`; a name that itself contains dots
/// (`https://example.com/tenant`) is matched whole first.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ClaimPath {
    /// As written in the configuration.
    pub text: String,
}

/// Longer than any claim's name that a provider documents.
const MAX_CLAIM_BYTES: usize = 256;

/// Why a text names no claim. `Display` says what is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a claim's name, or names joined by dots, of 1 to 256 printable characters")]
pub struct InvalidClaim;

impl ClaimPath {
    /// The path, or why this text is none.
    pub fn parse(text: &str) -> Result<Self, InvalidClaim> {
        let printable = text.chars().all(|c| !c.is_control() && !c.is_whitespace());
        if text.is_empty() || text.len() > MAX_CLAIM_BYTES || !printable {
            return Err(InvalidClaim);
        }
        Ok(Self { text: text.to_owned() })
    }
}

/// Which claims carry what, and which values others must have.
#[derive(Debug, Clone)]
pub struct ClaimRules {
    /// The first of these that is present names the subject.
    pub subject: Vec<ClaimPath>,
    /// The first of these that is present names the client.
    pub client: Vec<ClaimPath>,
    /// The first of these that is present holds the scopes.
    pub scopes: Vec<ClaimPath>,
    /// True: the scope claims may be arrays of strings as well as one space-separated string.
    pub scopes_may_be_array: bool,
    /// The claim that names the tenant; `None`: tokens of this issuer name none.
    pub tenant: Option<ClaimPath>,
    /// Claims that must have exactly this text (Cognito's `token_use` = `access`).
    pub require: Vec<(ClaimPath, String)>,
    /// Providers without a usable `aud` (Cognito): the audience is read from this claim when `aud` is absent.
    pub audience_when_absent: Option<ClaimPath>,
}

/// What one provider's tokens look like when the configuration says nothing else.
pub(crate) struct Profile {
    pub(crate) name: &'static str,
    pub(crate) algorithms: &'static [Algorithm],
    /// Lower case, without `application/`; the empty text stands for an absent `typ`.
    pub(crate) token_types: &'static [&'static str],
    /// RFC 9068 §2.2: `iat`, `jti` and the client must be there too.
    pub(crate) strict: bool,
    client: &'static [&'static str],
    /// The provider's ID tokens have none, and little else tells them apart.
    pub(crate) client_required: bool,
    scopes: &'static [&'static str],
    scopes_may_be_array: bool,
    tenant: Option<&'static str>,
    require: &'static [(&'static str, &'static str)],
    audience_when_absent: Option<&'static str>,
}

/// The profile of an issuer that names none.
pub(crate) const GENERIC: Profile = Profile {
    name: "generic",
    algorithms: &[Algorithm::Rs256, Algorithm::Ps256, Algorithm::Es256, Algorithm::EdDsa, Algorithm::Ed25519],
    // RFC 9068 §4: a resource server refuses every other type.
    token_types: &["at+jwt"],
    strict: true,
    client: &["client_id", "azp"],
    client_required: false,
    scopes: &["scope"],
    scopes_may_be_array: false,
    tenant: Some("tenant"),
    require: &[],
    audience_when_absent: None,
};

/// What the providers without RFC 9068 share; each profile says where it differs.
const LOOSE: Profile = Profile {
    algorithms: &[Algorithm::Rs256],
    token_types: &["jwt", "at+jwt"],
    strict: false,
    tenant: None,
    ..GENERIC
};

/// Every profile, from the providers' documentation.
pub(crate) const PROFILES: &[Profile] = &[
    GENERIC,
    // learn.microsoft.com, "Access token claims reference": v2.0 has azp, v1.0 appid; users have scp, applications roles. "ID token
    // claims reference": neither; roles, and where client and API are one registration, the same typ, iss and aud.
    Profile {
        name: "entra",
        token_types: &["jwt"],
        client: &["azp", "appid"],
        client_required: true,
        scopes: &["scp", "roles"],
        scopes_may_be_array: true,
        tenant: Some("tid"),
        ..LOOSE
    },
    // developer.okta.com, "Access token payload" of a custom authorization server: no typ in the header, scp is an array.
    Profile {
        name: "okta",
        token_types: &["", "jwt", "at+jwt"],
        client: &["cid"],
        scopes: &["scp"],
        scopes_may_be_array: true,
        ..LOOSE
    },
    // auth0.com/docs, "Access Token Profiles": azp in the Auth0 profile, client_id and at+jwt in the RFC 9068 one;
    // permissions with role-based access control.
    Profile {
        name: "auth0",
        algorithms: &[Algorithm::Rs256, Algorithm::Ps256],
        client: &["azp", "client_id"],
        scopes: &["scope", "permissions"],
        scopes_may_be_array: true,
        tenant: Some("org_id"),
        ..LOOSE
    },
    // docs.aws.amazon.com/cognito, "Understanding the access token": no typ, no aud, ID tokens share the key.
    Profile {
        name: "cognito",
        token_types: &["", "jwt"],
        client: &["client_id"],
        require: &[("token_use", "access")],
        audience_when_absent: Some("client_id"),
        ..LOOSE
    },
    // keycloak.org, "Server Administration": the header says JWT for every token; the payload's own `typ` tells access
    // tokens (Bearer) from ID and refresh tokens. The algorithm is set per realm or client.
    Profile {
        name: "keycloak",
        algorithms: GENERIC.algorithms,
        client: &["azp", "client_id"],
        require: &[("typ", "Bearer")],
        ..LOOSE
    },
    // zitadel.com/docs, "Claims": the organization that owns the user is the tenant.
    Profile { name: "zitadel", tenant: Some("urn:zitadel:iam:user:resourceowner:id"), ..LOOSE },
    // workos.com/docs/authkit, "Access token": no typ; permissions and the organization in claims of their own.
    Profile {
        name: "workos",
        token_types: &["", "jwt", "at+jwt"],
        client: &["client_id"],
        scopes: &["scope", "permissions"],
        scopes_may_be_array: true,
        tenant: Some("org_id"),
        ..LOOSE
    },
];

impl Profile {
    /// The claims of this profile.
    pub(crate) fn claims(&self) -> ClaimRules {
        ClaimRules {
            subject: vec![claim("sub")],
            client: self.client.iter().map(|name| claim(name)).collect(),
            scopes: self.scopes.iter().map(|name| claim(name)).collect(),
            scopes_may_be_array: self.scopes_may_be_array,
            tenant: self.tenant.map(claim),
            require: self.require.iter().map(|(name, value)| (claim(name), (*value).to_owned())).collect(),
            audience_when_absent: self.audience_when_absent.map(claim),
        }
    }
}

fn claim(name: &str) -> ClaimPath {
    ClaimPath { text: name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fact_is_well_formed() {
        for profile in PROFILES {
            let claims = profile.claims();
            assert!(!claims.subject.is_empty() && !claims.client.is_empty() && !claims.scopes.is_empty());
            let named = claims.client.iter().chain(&claims.scopes).chain(&claims.tenant);
            assert!(named.into_iter().all(|path| ClaimPath::parse(&path.text).is_ok()), "{}", profile.name);
            assert!(!profile.algorithms.is_empty() && !profile.token_types.is_empty());
            assert!(profile.token_types.iter().all(|typ| *typ == typ.to_lowercase()));
        }
    }

    #[test]
    fn only_cognito_does_without_an_audience() {
        let without: Vec<&str> = PROFILES.iter().filter(|p| p.audience_when_absent.is_some()).map(|p| p.name).collect();
        assert_eq!(without, ["cognito"]);
    }
}
