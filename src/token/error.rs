//! Why a credential is refused: one word for the log, fixed words for the client.

/// Why the request's credentials could not be read (RFC 6750 §2, §3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum BearerError {
    /// No `Authorization` at all.
    #[error("no credentials")]
    Missing,
    /// A scheme that is not offered, or `Bearer` without a token.
    #[error("an authentication scheme that is not offered")]
    Scheme,
    /// More than one `Authorization` field, or a comma-joined value.
    #[error("more than one credential")]
    Multiple,
    /// Bytes that RFC 6750 §2.1 does not allow in a token.
    #[error("malformed bearer credential")]
    Malformed,
    /// A token in the query; never taken as a credential.
    #[error("an access token in the query")]
    InQuery,
}

/// Why a token is refused. The variants are the log's reasons; clients see [`TokenError::description`] only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[error("{}", self.reason())]
pub enum TokenError {
    /// Longer than the bound.
    Size,
    /// Not three parts of the base64url alphabet.
    Shape,
    /// Base64url that is not canonical.
    Encoding,
    /// Header or payload is no JSON object.
    Json,
    /// A member stands twice.
    Duplicate,
    /// A header member of the wrong type, or an embedded key.
    Header,
    /// `crit` or `b64` present.
    Critical,
    /// `alg` is not on the issuer's list.
    Algorithm,
    /// `typ` is not on the issuer's list.
    Type,
    /// No key with this `kid` fits.
    KeyId,
    /// The signature does not verify.
    Signature,
    /// `iss` is no issuer of the route.
    Issuer,
    /// `aud` does not hold the resource.
    Audience,
    /// `exp` absent, malformed or past.
    Expired,
    /// `nbf` malformed or in the future.
    NotBefore,
    /// `iat` absent where required, malformed or in the future.
    IssuedAt,
    /// `sub` absent, empty or no string.
    Subject,
    /// The client claim absent where required, or malformed.
    Client,
    /// `jti` absent where required, or malformed.
    TokenId,
    /// The scope claim is malformed.
    Scope,
    /// A claim that must have a fixed value has another.
    Required,
    /// An ID token offered as an access token.
    IdToken,
    /// `cnf`: bound to a key in a way that is not checked here.
    Confirmation,
    /// A claim that would be injected holds bytes that no field may hold.
    ClaimBytes,
    /// A claim is longer than its bound.
    ClaimSize,
    /// The operator revoked it.
    Revoked,
    /// The token is good, but its tenant may not come in here: a plain 403.
    Tenant,
}

impl TokenError {
    /// The log's word (the reasons of the threat catalogue).
    pub fn reason(self) -> &'static str {
        match self {
            Self::Size => "token.size",
            Self::Shape => "token.shape",
            Self::Encoding => "token.encoding",
            Self::Json => "token.json",
            Self::Duplicate => "token.duplicate",
            Self::Header => "token.header",
            Self::Critical => "token.crit",
            Self::Algorithm => "token.alg",
            Self::Type => "token.typ",
            Self::KeyId => "token.kid",
            Self::Signature => "token.signature",
            Self::Issuer => "token.iss",
            Self::Audience => "token.aud",
            Self::Expired => "token.exp",
            Self::NotBefore => "token.nbf",
            Self::IssuedAt => "token.iat",
            Self::Subject => "token.sub",
            Self::Client => "token.client",
            Self::TokenId => "token.jti",
            Self::Scope => "token.scope",
            Self::Required => "token.required",
            Self::IdToken => "token.id_token",
            Self::Confirmation => "token.cnf",
            Self::ClaimBytes => "token.claim_bytes",
            Self::ClaimSize => "token.claim_size",
            Self::Revoked => "token.revoked",
            Self::Tenant => "authz.tenant",
        }
    }

    /// What the client is told: what to do next, nothing about why a key or signature failed.
    pub fn description(self) -> &'static str {
        match self {
            Self::Expired => "the access token expired",
            Self::NotBefore => "the access token is not valid yet",
            Self::Audience => "the access token is not meant for this resource",
            Self::Issuer => "the access token is from an authorization server that this resource does not use",
            Self::Tenant => "this tenant has no access to this resource",
            Self::Type | Self::IdToken => "an access token is needed, not a token of another kind",
            Self::Size
            | Self::Shape
            | Self::Encoding
            | Self::Json
            | Self::Duplicate
            | Self::Header
            | Self::Critical
            | Self::Algorithm
            | Self::KeyId
            | Self::Signature
            | Self::IssuedAt
            | Self::Subject
            | Self::Client
            | Self::TokenId
            | Self::Scope
            | Self::Required
            | Self::Confirmation
            | Self::Revoked
            | Self::ClaimBytes
            | Self::ClaimSize => "the access token is not valid",
        }
    }
}
