//! What identity providers are known for (docs/providers): recognized by their issuer, and said by name with the fix.

use url::Url;

use super::report::Section;
use crate::config::IssuerConfig;

/// A provider that is recognized. From its documentation, as everything on `docs/providers`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Provider {
    pub(super) name: &'static str,
    /// The profile for it, if there is one.
    profile: Option<&'static str>,
    /// Its issuers' hosts end with one of these, after a dot; empty: told by `path`.
    hosts: &'static [&'static str],
    /// A part of its issuers' paths, where hosts say nothing.
    path: Option<&'static str>,
    /// True when its issuers end with a slash.
    slash: bool,
    /// What nobody can see from outside, and what to do about it.
    known_for: &'static str,
    /// How to get JWTs from it.
    pub(super) jwt: Option<&'static str>,
}

const PLAIN: Provider =
    Provider { name: "", profile: None, hosts: &[], path: None, slash: false, known_for: "", jwt: None };

const PROVIDERS: &[Provider] = &[
    Provider {
        name: "Entra",
        profile: Some("entra"),
        hosts: &["login.microsoftonline.com", "sts.windows.net"],
        known_for: "refuses the `resource` that MCP clients send unless it is the API's Application ID URI (AADSTS9010010), registers no clients \
                    by itself, and its metadata omits PKCE methods, which makes some clients refuse it (docs/providers/entra.md)",
        ..PLAIN
    },
    Provider {
        name: "Okta",
        profile: Some("okta"),
        hosts: &["okta.com", "oktapreview.com", "okta-emea.com"],
        known_for: "puts one configured audience into every token, whatever `resource` says: write it into the route's audiences; an \
                    administrator registers clients (docs/providers/okta.md)",
        ..PLAIN
    },
    Provider {
        name: "Auth0",
        profile: Some("auth0"),
        hosts: &["auth0.com"],
        slash: true,
        known_for: "honours `resource` only with \"Resource Parameter Compatibility Profile\" on (docs/providers/auth0.md)",
        jwt: Some(
            "Auth0: without an audience its tokens are opaque or encrypted: send `audience`, or switch the compatibility profile for `resource` on",
        ),
        ..PLAIN
    },
    Provider {
        name: "Cognito",
        profile: Some("cognito"),
        hosts: &["amazonaws.com"],
        known_for: "puts no `aud` into access tokens unless the client asks with `resource` and the plan is Essentials or Plus \
                    (docs/providers/cognito.md)",
        ..PLAIN
    },
    Provider {
        name: "Zitadel",
        profile: Some("zitadel"),
        hosts: &["zitadel.cloud"],
        known_for: "puts the project's id into `aud`: write it into the route's audiences (docs/providers/zitadel.md)",
        jwt: Some("Zitadel: set the application's access token type to JWT"),
        ..PLAIN
    },
    Provider {
        name: "WorkOS",
        profile: Some("workos"),
        hosts: &["authkit.app"],
        known_for: "puts the resource into `aud` once it is listed in its dashboard (docs/providers/workos.md)",
        ..PLAIN
    },
    Provider {
        name: "Google",
        hosts: &["accounts.google.com"],
        known_for: "is no authorization server for other people's APIs",
        jwt: Some("Google: its access tokens are always opaque"),
        ..PLAIN
    },
    Provider {
        name: "Clerk",
        hosts: &["clerk.accounts.dev"],
        known_for: "often puts no `aud` into tokens",
        jwt: Some("Clerk: choose JWT access tokens in the OAuth application's settings"),
        ..PLAIN
    },
    Provider {
        name: "Supabase",
        hosts: &["supabase.co"],
        known_for: "puts `aud` = \"authenticated\" into every token: it cannot tell one resource from another",
        ..PLAIN
    },
    Provider {
        name: "Keycloak",
        profile: Some("keycloak"),
        path: Some("/realms/"),
        known_for: "needs an audience mapper in a client scope that adds the resource (docs/providers/keycloak.md)",
        ..PLAIN
    },
    Provider {
        name: "authentik",
        path: Some("/application/o/"),
        slash: true,
        known_for: "puts the client id into `aud`: write it into the route's audiences",
        ..PLAIN
    },
];

impl Provider {
    /// By the host or path that only this provider's issuers have.
    pub(super) fn of(issuer: &str) -> Option<&'static Self> {
        let url = Url::parse(issuer).ok()?;
        let (host, path) = (url.host_str()?, url.path());
        let is_host =
            |suffix: &&str| host.strip_suffix(*suffix).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
        let is_path = |part: &str| path.contains(part);
        PROVIDERS.iter().find(|provider| provider.hosts.iter().any(is_host) || provider.path.is_some_and(is_path))
    }

    /// What makes an issuer of this provider a wrong one, and the right one.
    fn mistake(&self, issuer: &str) -> Option<(String, String)> {
        let url = Url::parse(issuer).ok()?;
        let (host, path) = (url.host_str()?, url.path());
        let bare = issuer.trim_end_matches('/');
        let is_v2 = host == "login.microsoftonline.com";
        let (what, fix) = match self.name {
            "Entra" if ["/common", "/organizations", "/consumers"].iter().any(|all| path.starts_with(all)) => (
                "its tokens name the tenant they are of, never \"common\" or the like",
                "one [[issuers]] table per tenant: issuer = \"https://login.microsoftonline.com/{tenant id}/v2.0\""
                    .into(),
            ),
            "Entra" if is_v2 && !path.ends_with("/v2.0") => (
                "the issuer of its v2.0 tokens ends in /v2.0",
                format!("issuer = \"{bare}/v2.0\", or for v1.0 tokens \"https://sts.windows.net/{{tenant id}}/\""),
            ),
            "Okta" if !path.starts_with("/oauth2/") => (
                "this is its organization server, whose access tokens nobody but Okta may validate",
                format!("a custom authorization server, such as issuer = \"{bare}/oauth2/default\""),
            ),
            "Google" => (
                "its access tokens are opaque and bound to no resource",
                "an authorization server that signs its users in with Google".into(),
            ),
            _ if (self.slash || host == "sts.windows.net") && !issuer.ends_with('/') => {
                ("its issuer ends with a slash", format!("issuer = \"{issuer}/\""))
            }
            _ => return None,
        };
        Some((format!("{}: {what}", self.name), fix))
    }
}

/// What is known of an issuer before anything is asked.
pub(super) fn examine(section: &mut Section, issuer: &IssuerConfig) {
    let Some(provider) = Provider::of(issuer.issuer.as_str()) else { return };
    if let Some((what, fix)) = provider.mistake(issuer.issuer.as_str()) {
        section.problem("provider.issuer", what, fix);
    }
    let (name, profile) = (provider.name, issuer.profile);
    if let Some(wanted) = provider.profile.filter(|wanted| *wanted != profile) {
        let text = format!("this is {name}, and the profile is {profile}: its tokens look different");
        section.warning("provider.profile", text, format!("profile = \"{wanted}\""));
    }
    section.note("provider", format!("{name} {}", provider.known_for));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn providers_are_recognized_by_their_issuers_and_by_nothing_alike() {
        for (issuer, provider) in [
            ("https://login.microsoftonline.com/t/v2.0", Some("Entra")),
            ("https://sts.windows.net/t/", Some("Entra")),
            ("https://acme.okta.com/oauth2/default", Some("Okta")),
            ("https://acme.eu.auth0.com/", Some("Auth0")),
            ("https://cognito-idp.eu-west-1.amazonaws.com/p", Some("Cognito")),
            ("https://sso.example.com/realms/a", Some("Keycloak")),
            ("https://x.authkit.app", Some("WorkOS")),
            ("https://id.example.com/application/o/notes/", Some("authentik")),
            ("https://notokta.com/oauth2/default", None),
            ("https://auth0.com.evil.test/", None),
            ("https://login.example.com", None),
        ] {
            assert_eq!(Provider::of(issuer).map(|provider| provider.name), provider, "{issuer}");
        }
    }

    #[test]
    fn issuers_that_can_never_fit_are_said_with_the_right_one() {
        let fix = |issuer: &str| Provider::of(issuer).and_then(|provider| provider.mistake(issuer)).map(|(_, fix)| fix);
        for (issuer, part) in [
            ("https://login.microsoftonline.com/common/v2.0", "one [[issuers]] table per tenant"),
            ("https://login.microsoftonline.com/t", "\"https://login.microsoftonline.com/t/v2.0\""),
            ("https://sts.windows.net/t", "\"https://sts.windows.net/t/\""),
            ("https://acme.okta.com", "\"https://acme.okta.com/oauth2/default\""),
            ("https://acme.auth0.com", "\"https://acme.auth0.com/\""),
            ("https://accounts.google.com", "an authorization server"),
        ] {
            assert!(fix(issuer).is_some_and(|fix| fix.contains(part)), "{issuer}: {:?}", fix(issuer));
        }
        for fine in
            ["https://login.microsoftonline.com/t/v2.0", "https://acme.auth0.com/", "https://acme.okta.com/oauth2/x"]
        {
            assert_eq!(fix(fine), None, "{fine}");
        }
    }
}
