//! What people approved, and the codes and tokens that stand for it: each used once, each traceable to its approval.

use std::time::{Duration, Instant};

use super::error::{Code as ErrorCode, OAuthError};
use super::secret::{self, Digest};
use super::store::Expiring;
use crate::names::TenantId;

/// RFC 6749 §4.1.2 allows ten minutes at most; a redirect takes seconds.
pub(super) const CODE_LIFETIME: Duration = Duration::from_mins(1);
/// How long a used code is remembered, so that its reuse is noticed.
const CODE_MEMORY: Duration = Duration::from_mins(10);
/// How long an approval lasts, and with it its refresh tokens.
const GRANT_LIFETIME: Duration = Duration::from_hours(24);
/// Approvals, codes and refresh tokens that exist at the same time, each.
const MAX_ENTRIES: usize = 10_000;

/// What one person allowed one client to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Approval {
    pub(super) client: String,
    pub(super) subject: String,
    pub(super) tenant: Option<TenantId>,
    /// The one resource (RFC 8707) that tokens are for.
    pub(super) resource: String,
    pub(super) scope: String,
}

/// What a code is bound to besides its approval.
#[derive(Debug, Clone)]
pub(super) struct Binding {
    pub(super) redirect_uri: String,
    /// PKCE: `BASE64URL(SHA256(verifier))` (RFC 7636 §4.2).
    pub(super) challenge: String,
}

/// What a client shows with a code.
pub(super) struct Redemption<'a> {
    pub(super) code: &'a str,
    pub(super) client: &'a str,
    pub(super) redirect_uri: &'a str,
    pub(super) verifier: &'a str,
    pub(super) resource: &'a str,
}

/// Names one approval. Never leaves the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct GrantId(u64);

#[derive(Debug)]
struct IssuedCode {
    approval: Approval,
    binding: Binding,
    expires: Instant,
    used: bool,
    grant: Option<GrantId>,
}

#[derive(Debug)]
struct Refresh {
    grant: GrantId,
    used: bool,
}

/// All approvals and what was issued for them.
#[derive(Debug)]
pub(super) struct Grants {
    last: u64,
    codes: Expiring<Digest, IssuedCode>,
    approvals: Expiring<GrantId, Approval>,
    refresh: Expiring<Digest, Refresh>,
    access: Expiring<Digest, GrantId>,
}

impl Grants {
    pub(super) fn new() -> Self {
        Self {
            last: 0,
            codes: Expiring::new(MAX_ENTRIES),
            approvals: Expiring::new(MAX_ENTRIES),
            refresh: Expiring::new(MAX_ENTRIES),
            access: Expiring::new(MAX_ENTRIES),
        }
    }

    /// A code for an approval that was just given.
    pub(super) fn issue_code(
        &mut self,
        approval: Approval,
        binding: Binding,
        now: Instant,
    ) -> Result<String, OAuthError> {
        let code = secret::generate()?;
        let issued = IssuedCode { approval, binding, expires: now + CODE_LIFETIME, used: false, grant: None };
        self.codes.insert(Digest::of(&code), issued, now + CODE_MEMORY, now)?;
        Ok(code)
    }

    /// Turns a code into a grant: once, and only with everything it is bound to.
    pub(super) fn redeem(&mut self, shown: &Redemption<'_>, now: Instant) -> Result<(GrantId, Approval), OAuthError> {
        let invalid = OAuthError::new(ErrorCode::InvalidGrant, "the code is not valid");
        let code = self.codes.get_mut(&Digest::of(shown.code), now).ok_or(invalid)?;
        if std::mem::replace(&mut code.used, true) {
            // RFC 6749 §4.1.2, OAuth 2.1 §4.1.3: somebody else has the code; revoke what came of it.
            let grant = code.grant;
            self.revoke(grant, now);
            return Err(invalid);
        }
        // The code is spent from here on, also when a check fails: nobody gets a second guess.
        code.check(shown, now)?;
        self.last += 1;
        let grant = GrantId(self.last);
        let approval = code.approval.clone();
        self.approvals.insert(grant, approval.clone(), now + GRANT_LIFETIME, now)?;
        code.grant = Some(grant);
        Ok((grant, approval))
    }

    /// A new refresh token of a grant.
    pub(super) fn issue_refresh(&mut self, grant: GrantId, now: Instant) -> Result<String, OAuthError> {
        let token = secret::generate()?;
        let entry = Refresh { grant, used: false };
        self.refresh.insert(Digest::of(&token), entry, now + GRANT_LIFETIME, now)?;
        Ok(token)
    }

    /// Uses a refresh token up, if `allow` lets the asked part of its approval through, and gives the grant behind it; its
    /// successor comes from [`Self::issue_refresh`].
    pub(super) fn use_refresh(
        &mut self,
        token: &str,
        client: &str,
        allow: impl FnOnce(Approval) -> Result<Approval, OAuthError>,
        now: Instant,
    ) -> Result<(GrantId, Approval), OAuthError> {
        let invalid = OAuthError::new(ErrorCode::InvalidGrant, "the refresh token is not valid");
        let refresh = self.refresh.get_mut(&Digest::of(token), now).ok_or(invalid)?;
        let grant = refresh.grant;
        let approval = self.approvals.get(&grant, now).ok_or(invalid)?.clone();
        // RFC 6749 §10.4: bound to the client it was issued to.
        if approval.client != client {
            return Err(invalid);
        }
        if refresh.used {
            // RFC 9700 §4.14.2: client and thief cannot be told apart, so the whole family ends.
            self.revoke(Some(grant), now);
            return Err(invalid);
        }
        let approval = allow(approval)?;
        refresh.used = true;
        Ok((grant, approval))
    }

    /// Remembers which grant an access token came from, for its revocation.
    pub(super) fn note_access(
        &mut self,
        token: &str,
        grant: GrantId,
        expires: Instant,
        now: Instant,
    ) -> Result<(), OAuthError> {
        Ok(self.access.insert(Digest::of(token), grant, expires, now)?)
    }

    /// RFC 7009 §2.1: ends the grant behind a token of this client; false when the token is another client's.
    pub(super) fn revoke_token(&mut self, token: &str, client: &str, now: Instant) -> bool {
        let key = Digest::of(token);
        let refresh = self.refresh.get(&key, now).map(|refresh| refresh.grant);
        let grant = refresh.or_else(|| self.access.get(&key, now).copied());
        let owner = grant.and_then(|grant| self.approvals.get(&grant, now));
        let own = owner.is_none_or(|approval| approval.client == client);
        if own {
            self.revoke(grant, now);
        }
        own
    }

    /// Without its grant a refresh token is worth nothing. Access tokens already out are self-contained (RFC 9068): they
    /// end by themselves within their short life.
    fn revoke(&mut self, grant: Option<GrantId>, now: Instant) {
        if let Some(grant) = grant {
            self.approvals.remove(&grant, now);
        }
    }
}

impl IssuedCode {
    fn check(&self, shown: &Redemption<'_>, now: Instant) -> Result<(), OAuthError> {
        let refuse = |why| Err(OAuthError::new(ErrorCode::InvalidGrant, why));
        if self.expires <= now {
            return refuse("the code has expired");
        }
        if self.approval.client != shown.client {
            return refuse("the code was issued to another client");
        }
        // RFC 6749 §4.1.3: identical values.
        if self.binding.redirect_uri != shown.redirect_uri {
            return refuse("redirect_uri is not the one of the authorization request");
        }
        // RFC 7636 §4.6.
        if Digest::of(shown.verifier).to_base64url() != self.binding.challenge {
            return refuse("code_verifier does not match code_challenge");
        }
        // RFC 8707 §2.2: a token only for what was approved.
        if self.approval.resource != shown.resource {
            return Err(OAuthError::new(ErrorCode::InvalidTarget, "resource is not the one that was approved"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

    fn issue(grants: &mut Grants, now: Instant) -> String {
        let approval = Approval {
            client: "c".into(),
            subject: "alice".into(),
            tenant: None,
            resource: "https://r.example/mcp".into(),
            scope: "mcp:tools".into(),
        };
        let binding = Binding {
            redirect_uri: "https://c.example/cb".into(),
            // RFC 7636 Appendix B.
            challenge: "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM".into(),
        };
        grants.issue_code(approval, binding, now).unwrap()
    }

    fn shown(code: &str) -> Redemption<'_> {
        Redemption {
            code,
            client: "c",
            redirect_uri: "https://c.example/cb",
            verifier: VERIFIER,
            resource: "https://r.example/mcp",
        }
    }

    #[test]
    fn a_code_lives_a_minute() {
        let (mut grants, now) = (Grants::new(), Instant::now());
        let code = issue(&mut grants, now);
        let error = grants.redeem(&shown(&code), now + CODE_LIFETIME).unwrap_err();
        assert_eq!(error.description, "the code has expired");
        let code = issue(&mut grants, now);
        assert!(grants.redeem(&shown(&code), now + CODE_LIFETIME * 59 / 60).is_ok());
    }

    #[test]
    fn a_code_is_bound_to_client_redirect_verifier_and_resource() {
        let (mut grants, now) = (Grants::new(), Instant::now());
        let mut refused = |change: fn(&mut Redemption<'_>)| {
            let code = issue(&mut grants, now);
            let mut wrong = shown(&code);
            change(&mut wrong);
            let error = grants.redeem(&wrong, now).unwrap_err().code;
            // One wrong guess spends the code.
            assert!(grants.redeem(&shown(&code), now).is_err());
            error
        };
        assert_eq!(refused(|r| r.client = "other"), ErrorCode::InvalidGrant);
        assert_eq!(refused(|r| r.redirect_uri = "https://c.example/cb/"), ErrorCode::InvalidGrant);
        assert_eq!(refused(|r| r.verifier = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"), ErrorCode::InvalidGrant);
        assert_eq!(refused(|r| r.resource = "https://r.example/other"), ErrorCode::InvalidTarget);
    }

    #[test]
    fn a_code_used_twice_takes_its_tokens_along() {
        let (mut grants, now) = (Grants::new(), Instant::now());
        let code = issue(&mut grants, now);
        let (grant, _) = grants.redeem(&shown(&code), now).unwrap();
        let refresh = grants.issue_refresh(grant, now).unwrap();
        // Noticed also after the code's own minute.
        assert!(grants.redeem(&shown(&code), now + CODE_LIFETIME * 2).is_err());
        assert!(grants.use_refresh(&refresh, "c", Ok, now).is_err());
    }

    #[test]
    fn a_refresh_token_used_twice_ends_its_family() {
        let (mut grants, now) = (Grants::new(), Instant::now());
        let code = issue(&mut grants, now);
        let (grant, _) = grants.redeem(&shown(&code), now).unwrap();
        let first = grants.issue_refresh(grant, now).unwrap();
        assert!(grants.use_refresh(&first, "other", Ok, now).is_err(), "another client's");
        assert!(grants.use_refresh(&first, "c", Ok, now).is_ok());
        let second = grants.issue_refresh(grant, now).unwrap();
        assert!(grants.use_refresh(&first, "c", Ok, now).is_err());
        assert!(grants.use_refresh(&second, "c", Ok, now).is_err());
    }

    #[test]
    fn a_revoked_token_ends_its_family_and_only_for_its_client() {
        let (mut grants, now) = (Grants::new(), Instant::now());
        let code = issue(&mut grants, now);
        let (grant, _) = grants.redeem(&shown(&code), now).unwrap();
        grants.note_access("jwt", grant, now + CODE_LIFETIME, now).unwrap();
        let refresh = grants.issue_refresh(grant, now).unwrap();
        assert!(!grants.revoke_token("jwt", "other", now));
        assert!(grants.revoke_token("unknown", "c", now));
        assert!(grants.revoke_token("jwt", "c", now));
        assert!(grants.use_refresh(&refresh, "c", Ok, now).is_err());
    }
}
