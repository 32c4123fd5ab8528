//! The names that mean something: issuer, scope, tenant, client, subject, route. Parsed once, then only compared.
//!
//! All comparison is exact (byte for byte): no case folding, no prefixes, no decoding.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

/// Longest subject, client or tenant that a token may carry (threat C15). Longer ones are refused.
pub const MAX_PRINCIPAL_BYTES: usize = 256;

/// Why a text is not the name it was offered as. `Display` says what is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidName(&'static str);

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $check:path) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name, or why this text is not one.
            pub fn parse(text: &str) -> Result<Self, InvalidName> {
                $check(text).map_or_else(|| Ok(Self(Arc::from(text))), |why| Err(InvalidName(why)))
            }

            /// The text as it was given.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }
    };
}

name! {
    /// An authorization server's issuer identifier, exactly as it stands in its tokens (RFC 8414 §2).
    Issuer, check_issuer
}
name! {
    /// One OAuth scope (RFC 6749 §3.3): `1*( %x21 / %x23-5B / %x5D-7E )`.
    Scope, check_scope
}
name! {
    /// The tenant that a token speaks for.
    TenantId, check_principal
}
name! {
    /// The OAuth client a token was issued to. May be an HTTPS URL (client id metadata document): opaque text.
    ClientId, check_principal
}
name! {
    /// The token's subject (RFC 7519 §4.1.2).
    Subject, check_principal
}
name! {
    /// A route's name in the configuration, in logs and in metrics.
    RouteName, check_label
}

fn check_issuer(text: &str) -> Option<&'static str> {
    let printable = text.bytes().all(|b| (0x21..=0x7e).contains(&b) && b != b'"' && b != b'\\');
    (text.is_empty() || text.len() > 2048 || !printable)
        .then_some("must be a URL of 1 to 2048 printable ASCII characters without blanks, quotes or backslashes")
}

fn check_scope(text: &str) -> Option<&'static str> {
    let fine = text.bytes().all(|b| b == 0x21 || (0x23..=0x5b).contains(&b) || (0x5d..=0x7e).contains(&b));
    (text.is_empty() || text.len() > 256 || !fine)
        .then_some("must be 1 to 256 printable ASCII characters without blanks, quotes or backslashes (RFC 6749 §3.3)")
}

fn check_principal(text: &str) -> Option<&'static str> {
    (text.is_empty() || text.len() > MAX_PRINCIPAL_BYTES).then_some("must be 1 to 256 bytes")
}

fn check_label(text: &str) -> Option<&'static str> {
    let fine = text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_');
    (text.is_empty() || text.len() > 64 || !fine).then_some("must be 1 to 64 of a-z, 0-9, - and _")
}

impl TenantId {
    /// True when this tenant can stand in a URL: `{tenant}` in a resource matches nothing else.
    pub fn is_url_safe(text: &str) -> bool {
        !text.is_empty()
            && text.len() <= 63
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_' || b == b'.')
            && text.bytes().any(|b| b != b'.')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scope_refuses_what_would_break_a_challenge() {
        for bad in ["", "a b", "a\"b", "a\\b", "é", "a\n"] {
            assert!(Scope::parse(bad).is_err(), "{bad:?}");
        }
        assert_eq!(Scope::parse("mcp:tools").unwrap().as_str(), "mcp:tools");
    }

    #[test]
    fn names_print_as_their_text() {
        let name = RouteName::parse("notes").unwrap();
        assert_eq!((format!("{name}"), format!("{name:?}")), ("notes".into(), "\"notes\"".into()));
    }

    #[test]
    fn dots_alone_are_no_tenant_in_a_url() {
        assert!(!TenantId::is_url_safe(".."));
        assert!(!TenantId::is_url_safe("a/b"));
        assert!(TenantId::is_url_safe("acme-1.eu"));
    }
}
