//! What is known of a token that is refused: by the marks in it, and by the provider it is of.

use super::providers::Provider;
use super::report::Section;
use crate::config::IssuerConfig;
use crate::token::TokenError;
use crate::token::verify::Unverified;

/// The audience of tokens for Microsoft Graph.
const GRAPH: &str = "00000003-0000-0000-c000-000000000000";

/// What a text that is no JWT probably is.
pub(super) fn opaque(section: &mut Section, token: &str, providers: &[&Provider]) {
    let known = providers.iter().filter_map(|provider| provider.jwt).fold(String::new(), |text, jwt| text + ". " + jwt);
    // RFC 7516 §3.1: a compact JWE has five parts.
    if token.split('.').count() == 5 {
        let fix = format!("let the issuer sign access tokens as JWT, unencrypted{known}");
        section.problem("token.encrypted", "an encrypted token: only whoever has its key can read it", fix);
    } else {
        let fix = format!("let the issuer hand out JWT access tokens for this resource (RFC 9068){known}");
        section.problem("token.opaque", "no JWT: an opaque token, which only its issuer can look up", fix);
    }
}

/// The likely cause of a refusal, and what to do.
pub(super) fn hint(token: &Unverified<'_>, issuer: &IssuerConfig, error: TokenError) -> Option<String> {
    let claim = |name: &str| token.claim(name).unwrap_or_default();
    if error == TokenError::Issuer {
        return of_issuer(claim("iss"), issuer);
    }
    if error == TokenError::Audience {
        return of_audience(claim("aud"), !token.has_claim("aud"), Provider::of(issuer.issuer.as_str()));
    }
    if error == TokenError::Required && claim("token_use") == "id" {
        return Some("Cognito: this is the ID token; use the access token".into());
    }
    if error == TokenError::Required && ["ID", "Refresh", "Offline"].contains(&claim("typ")) {
        return Some("Keycloak: this is not the access token but another of the three".into());
    }
    if error == TokenError::Type {
        let text = "RFC 9068 asks for at+jwt. If this issuer cannot, name its profile, or its type in token_types; never for an issuer whose \
                    ID tokens look the same";
        return Some(text.into());
    }
    None
}

fn of_issuer(iss: &str, issuer: &IssuerConfig) -> Option<String> {
    if iss.starts_with("https://sts.windows.net/") {
        return Some(format!(
            "Entra issues v1.0 tokens for this app: set requestedAccessTokenVersion to 2 in its manifest (older: accessTokenAcceptedVersion), \
             or add an issuer with issuer = {iss:?}"
        ));
    }
    let bare = |text: &str| text.trim_end_matches('/').to_owned();
    let alike = bare(iss) == bare(issuer.issuer.as_str());
    alike.then(|| format!("they differ in the slash at the end only: issuer = {iss:?}"))
}

fn of_audience(aud: &str, absent: bool, provider: Option<&Provider>) -> Option<String> {
    let name = provider.map(|provider| provider.name);
    Some(match (aud, name) {
        (GRAPH, _) => "this token is for Microsoft Graph: ask for a scope of your own API, api://{app id}/…".into(),
        ("authenticated", Some("Supabase")) => "Supabase says this to every resource: they cannot be told apart".into(),
        ("account", _) | (_, Some("Keycloak")) => {
            "Keycloak: add an Audience mapper with the resource to a client scope that the client gets".into()
        }
        (_, _) if absent => {
            "there is no aud: the client must ask for the resource (RFC 8707), and the issuer must honour it".into()
        }
        (_, Some(name)) => {
            format!("if {name} cannot put the resource into aud, write what it puts there into the route's audiences")
        }
        (_, None) => return None,
    })
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde_json::{Value, json};

    use super::*;
    use crate::keys::test_issuer;
    use crate::names::Issuer;

    fn hint_for(issuer: &str, claims: &Value, error: TokenError) -> Option<String> {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let token = format!("{}.{}.AAAA", part(&json!({"alg": "RS256"})), part(claims));
        let config = test_issuer::config(Issuer::parse(issuer).unwrap(), None);
        hint(&Unverified::read(&token).unwrap(), &config, error)
    }

    #[test]
    fn providers_habits_are_said_by_name_with_the_fix() {
        const ENTRA: &str = "https://login.microsoftonline.com/t/v2.0";
        const COGNITO: &str = "https://cognito-idp.eu-west-1.amazonaws.com/p";
        for (issuer, claims, error, said) in [
            (
                ENTRA,
                json!({"iss": "https://sts.windows.net/t/"}),
                TokenError::Issuer,
                "requestedAccessTokenVersion to 2",
            ),
            (
                ENTRA,
                json!({"iss": "https://sts.windows.net/t/"}),
                TokenError::Issuer,
                "issuer = \"https://sts.windows.net/t/\"",
            ),
            (ENTRA, json!({"aud": GRAPH}), TokenError::Audience, "Microsoft Graph"),
            (ENTRA, json!({"aud": "6e74172b"}), TokenError::Audience, "if Entra cannot put the resource into aud"),
            (
                "https://a.auth0.com/",
                json!({"iss": "https://a.auth0.com"}),
                TokenError::Issuer,
                "the slash at the end only",
            ),
            ("https://sso.test/realms/a", json!({"aud": "account"}), TokenError::Audience, "Audience mapper"),
            (
                "https://x.supabase.co/auth/v1",
                json!({"aud": "authenticated"}),
                TokenError::Audience,
                "cannot be told apart",
            ),
            (COGNITO, json!({}), TokenError::Audience, "there is no aud"),
            (COGNITO, json!({"token_use": "id"}), TokenError::Required, "this is the ID token"),
            ("https://sso.test/realms/a", json!({"typ": "ID"}), TokenError::Required, "not the access token"),
            ("https://idp.test", json!({}), TokenError::Type, "at+jwt"),
        ] {
            let hint = hint_for(issuer, &claims, error);
            assert!(hint.as_ref().is_some_and(|hint| hint.contains(said)), "{issuer} {claims}: {hint:?}");
        }
    }

    #[test]
    fn nothing_is_guessed() {
        for error in [TokenError::Issuer, TokenError::Audience, TokenError::Required, TokenError::Signature] {
            let claims = json!({"iss": "https://other.test", "aud": "https://other.test/mcp"});
            assert_eq!(hint_for("https://idp.test", &claims, error), None, "{error}");
        }
    }
}
