//! The people of this server: whoever types a name, with the tenant after the `@`.

use crate::names::TenantId;

/// Characters of a user's or tenant's name.
const MAX_NAME_CHARS: usize = 64;

/// A person who typed a name.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct User {
    /// All that was typed: alice of one tenant is not alice of another.
    pub(super) subject: String,
    pub(super) tenant: Option<TenantId>,
}

impl User {
    /// `alice` or `alice@acme`. Names end up in header fields and logs, so they are plain.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (name, tenant) = match text.split_once('@') {
            Some((name, tenant)) => (name, Some(tenant)),
            None => (text, None),
        };
        if !is_plain(name) || !tenant.is_none_or(is_plain) {
            return None;
        }
        Some(Self { subject: text.to_owned(), tenant: tenant.and_then(|tenant| TenantId::parse(tenant).ok()) })
    }
}

fn is_plain(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    !name.is_empty() && name.len() <= MAX_NAME_CHARS && name.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tenant_follows_the_at_sign() {
        let user = User::parse(" alice@acme ").unwrap();
        assert_eq!(user.subject, "alice@acme");
        assert_eq!(user.tenant.unwrap().as_str(), "acme");
        assert_eq!(User::parse("alice").unwrap().tenant, None);
        for bad in ["", "@acme", "alice@", "a@b@c", "alice bob", "<b>", "a\r\nx-auth-tenant: b", "älice"] {
            assert_eq!(User::parse(bad), None, "{bad}");
        }
    }
}
