//! `gateway.toml`: its document (`read`), the step from it to validated types (`parse`), and what is wrong with it
//! ([`error`]). Nothing outside this folder sees the document; a [`Config`] holds only what has been checked.

mod algorithm;
pub mod error;
pub mod files;
mod parse;
pub mod policy;
pub mod profile;
mod read;
pub mod resource;
pub mod revocations;
pub mod schema;
#[cfg(test)]
mod tests;
pub mod watching;

use std::fmt;
use std::io::Read as _;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::{HeaderName, HeaderValue, Uri};
use ipnet::IpNet;

use crate::names::{Issuer, RouteName, Scope, TenantId};
pub use algorithm::Algorithm;
pub use error::ConfigError;
pub use parse::url::is_loopback;
pub use policy::{Effect, Pattern, PolicyConfig, Rule};
pub use profile::{ClaimPath, ClaimRules};
use read::expand::Sources;
pub use resource::{Authority, Resource};
pub use watching::{AuditConfig, DetectionConfig, Hours, TelemetryConfig};

/// Longest file: a hundred thousand revocations fit.
const MAX_FILE_BYTES: u64 = 16 * 1024 * 1024;

/// A whole, validated configuration. Immutable; shared as `Arc`.
#[derive(Debug)]
pub struct Config {
    /// The public listener.
    pub listen: Listen,
    /// Where `/healthz`, `/readyz` and `/metrics` are served; never the public listener.
    pub admin: SocketAddr,
    /// How the log looks.
    pub log: Log,
    /// The authorization servers whose tokens are believed; never empty.
    pub issuers: Vec<IssuerConfig>,
    /// The keys that seal legacy session ids: the first seals, all open. Empty: one is made at start.
    pub session_keys: Vec<SessionKey>,
    /// The protected MCP servers; never empty.
    pub routes: Vec<RouteConfig>,
    /// The audit stream; `None`: decisions are in the log only.
    pub audit: Option<AuditConfig>,
    /// Where traces and metrics are sent; `None`: nowhere.
    pub telemetry: Option<TelemetryConfig>,
    /// What counts as suspicious.
    pub detection: DetectionConfig,
    /// The file with what is revoked.
    pub revocations: Option<PathBuf>,
    /// The beginning of the SHA-256 of the file's text, in hexadecimal: tells configurations apart.
    pub digest: String,
    /// Files that texts were filled in from.
    pub(crate) references: Vec<PathBuf>,
}

/// A secret of 256 bits that seals session ids; replicas share it.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionKey(pub [u8; 32]);

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionKey(…)")
    }
}

impl Config {
    /// Reads and validates a file; every mistake at once.
    pub fn load(file: &Path) -> Result<Self, Vec<ConfigError>> {
        Self::parse(&read_text(file)?, file)
    }

    /// Validates a text; `file` is only for messages and for relative paths in it.
    pub fn parse(text: &str, file: &Path) -> Result<Self, Vec<ConfigError>> {
        let (config, references) = parse_noting(text, file);
        config.map(|config| Self { references, ..config })
    }

    /// Every other file that the text names, as far as it can be read.
    pub(crate) fn names_in(file: &Path) -> Vec<PathBuf> {
        let Ok(text) = read_text(file) else { return Vec::new() };
        match parse_noting(&text, file) {
            (Ok(config), references) => Self { references, ..config }.files(),
            (Err(_), references) => references,
        }
    }

    /// Every other file that it is made of.
    pub fn files(&self) -> Vec<PathBuf> {
        let tls = self.listen.tls.iter().flat_map(|tls| {
            let client = tls.client.as_ref().map(|client| &client.ca);
            [Some(&tls.certificate), Some(&tls.key), client].into_iter().flatten()
        });
        let issuers = self.issuers.iter().filter_map(|issuer| issuer.ca.as_ref());
        let upstreams = self.routes.iter().filter_map(|route| route.upstream.ca.as_ref());
        let collector = self.telemetry.iter().filter_map(|telemetry| telemetry.ca.as_ref());
        let revoked = self.revocations.iter();
        tls.chain(issuers).chain(upstreams).chain(collector).chain(revoked).chain(&self.references).cloned().collect()
    }
}

/// The list that `[revocations]` names; every mistake at once.
pub(crate) fn load_revocations(
    file: &Path,
    issuers: &[IssuerConfig],
) -> Result<Vec<revocations::Revoked>, Vec<ConfigError>> {
    revocations::parse(&read_text(file)?, file, issuers)
}

/// With the files that texts were filled in from, or should have been.
fn parse_noting(text: &str, file: &Path) -> (Result<Config, Vec<ConfigError>>, Vec<PathBuf>) {
    let read = std::cell::RefCell::new(Vec::new());
    let noting = |path: &Path| {
        read.borrow_mut().push(path.to_owned());
        read::expand::read_file(path)
    };
    let config = parse::parse(text, file, &Sources { file: &noting, ..Sources::process() });
    (config, read.into_inner())
}

fn read_text(file: &Path) -> Result<String, Vec<ConfigError>> {
    let read = std::fs::File::open(file).and_then(|file| {
        let mut text = String::new();
        file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text)?;
        let too_long = || std::io::Error::other("longer than 16MiB");
        if text.len() as u64 > MAX_FILE_BYTES { Err(too_long()) } else { Ok(text) }
    });
    read.map_err(|why| {
        vec![ConfigError {
            file: file.to_owned(),
            line: None,
            key: String::new(),
            message: format!("cannot be read: {why}"),
        }]
    })
}

/// The public listener.
#[derive(Debug, Clone)]
pub struct Listen {
    /// Address and port to bind; port 0 takes a free one.
    pub address: SocketAddr,
    /// `None` only when the file says `insecure_plaintext = true`.
    pub tls: Option<Tls>,
    /// Peers whose `Forwarded` / `X-Forwarded-*` are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// How long everything goes on as before after SIGTERM, but for `/readyz`: balancers need time to look elsewhere.
    pub shutdown_delay: Duration,
    /// How long running requests may go on after that.
    pub shutdown_grace: Duration,
    /// The bounds of connections and requests.
    pub limits: Limits,
}

/// Server-side TLS files, read and checked when the listener starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// PEM file: leaf first, then intermediates.
    pub certificate: PathBuf,
    /// PEM file: the leaf's private key.
    pub key: PathBuf,
    /// Client certificates, when asked for.
    pub client: Option<ClientCertificates>,
}

/// Which client certificates are accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificates {
    /// PEM file with the authorities that sign client certificates.
    pub ca: PathBuf,
    /// True: no handshake without one. False: asked for, and checked when given.
    pub required: bool,
}

/// Bounds of one listener. Every one has a default that is safe; none can be switched off.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Open connections in all.
    pub connections: usize,
    /// Open connections from one address (IPv6: one /64).
    pub connections_per_address: usize,
    /// From accept to the end of the TLS handshake.
    pub tls_timeout: Duration,
    /// Size of a request head (HTTP/2: of the header list).
    pub header_bytes: usize,
    /// From the first byte of a head to its last.
    pub header_timeout: Duration,
    /// A connection without any request is closed after this.
    pub idle_timeout: Duration,
    /// A client that takes no byte of the answer for this long is cut off.
    pub write_timeout: Duration,
    /// Size of a request body.
    pub body_bytes: u64,
    /// What all bodies together may hold while they are judged or wait for an upstream; one caller a quarter of it.
    pub buffered_bytes: u64,
    /// A request body without progress, or under 1 KiB/s, for this long.
    pub body_timeout: Duration,
    /// Concurrent HTTP/2 streams on one connection.
    pub streams_per_connection: u32,
    /// Failed authentications that one address (IPv6: one /64) may cause in one `failure_window`.
    pub failures_per_address: NonZeroU32,
    /// See `failures_per_address`.
    pub failure_window: Duration,
}

#[cfg(test)]
impl Limits {
    /// Of everything as little as can be, for tests that set what they are about.
    pub(crate) fn least() -> Self {
        let second = Duration::from_secs(1);
        Self {
            connections: 1,
            connections_per_address: 1,
            tls_timeout: second,
            header_bytes: 1,
            header_timeout: second,
            idle_timeout: second,
            write_timeout: second,
            body_bytes: 1,
            buffered_bytes: 1,
            body_timeout: second,
            streams_per_connection: 1,
            failures_per_address: NonZeroU32::MIN,
            failure_window: Duration::from_mins(1),
        }
    }
}

/// How the log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Log {
    /// One JSON object per line, or text for people.
    pub format: LogFormat,
    /// The least severe level that is written.
    pub level: tracing::Level,
    /// False: refusals that repeat are counted and written once a second.
    pub every_refusal: bool,
    /// False: requests that were served to their end are in the audit stream only.
    pub served: bool,
}

/// The two shapes of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object per line.
    Json,
    /// Text for people.
    Text,
}

/// One authorization server.
#[derive(Debug, Clone)]
pub struct IssuerConfig {
    /// The name that routes and logs use.
    pub name: String,
    /// `iss`, byte for byte.
    pub issuer: Issuer,
    /// Where the key set is; `None`: found by discovery (RFC 8414, OpenID Connect Discovery).
    pub jwks_uri: Option<url::Url>,
    /// PEM file with a further trust anchor for this issuer.
    pub ca: Option<PathBuf>,
    /// True lets `http://` through, for loopback addresses only.
    pub insecure_http: bool,
    /// The provider's profile that the rules come from.
    pub profile: &'static str,
    /// What a token of this issuer must look like.
    pub rules: TokenRules,
    /// When keys are fetched and how long they serve.
    pub keys: KeyRules,
}

/// What a token of one issuer must look like (RFC 9068, RFC 8725).
#[derive(Debug, Clone)]
pub struct TokenRules {
    /// Allowed `alg` values, exact case; never `none`, never HMAC.
    pub algorithms: Vec<Algorithm>,
    /// Allowed `typ` values, lower case, `application/` removed; the empty text stands for an absent `typ`.
    pub token_types: Vec<String>,
    /// Clock difference that is forgiven; at most 300 s.
    pub leeway: Duration,
    /// True: `iat`, `jti` and the client claim are required too (RFC 9068 §2.2); `at+jwt` tells access tokens from ID tokens.
    pub strict: bool,
    /// True: the client claim is required; always so when `strict`.
    pub client_required: bool,
    /// Which claims carry client, scopes and tenant, and which values others must have.
    pub claims: ClaimRules,
    /// The tenants that the issuer may name; empty: any.
    pub tenants: Vec<TenantId>,
}

/// When keys are fetched and how long they serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRules {
    /// At most one unplanned fetch in this time.
    pub cool_down: Duration,
    /// A planned refresh happens at the latest after this, whatever the cache headers say.
    pub max_age: Duration,
    /// Keys that could not be refreshed serve this long, then requests get 503.
    pub max_stale: Duration,
    /// One whole fetch.
    pub timeout: Duration,
}

/// One protected MCP server as the world sees it.
#[derive(Debug)]
pub struct RouteConfig {
    /// The name in logs and metrics.
    pub name: RouteName,
    /// The one public URL.
    pub resource: Resource,
    /// Further names under which the route may be addressed.
    pub authorities: Vec<Authority>,
    /// Further audiences that are accepted, exact.
    pub audiences: Vec<String>,
    /// The MCP server.
    pub upstream: Upstream,
    /// Indices into [`Config::issuers`]; never empty.
    pub issuers: Vec<usize>,
    /// Needed for any operation; the challenge's scope. May be empty.
    pub scopes: Vec<Scope>,
    /// Which tenants may come in.
    pub tenant: TenantRule,
    /// Browser origins let in, serialized as browsers send them; empty: none.
    pub origins: Vec<HeaderValue>,
    /// Header → what of the identity it carries.
    pub identity: Vec<(HeaderName, IdentityField)>,
    /// Rate and concurrency limits.
    pub limits: Vec<Limit>,
    /// What the metadata document says besides the fixed members.
    pub metadata: Metadata,
    /// True: clients of 2025-03-26 may send arrays of messages.
    pub batches: bool,
    /// What who may do, operation by operation.
    pub policy: PolicyConfig,
    /// When it is expected to be used; `None`: always.
    pub hours: Option<Hours>,
}

/// The MCP server behind a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// Where requests go; the whole target but the query.
    pub url: Uri,
    /// HTTP+SSE servers (2024-11-05): where their clients' messages go. Same origin as `url`.
    pub messages: Option<Uri>,
    /// PEM file with a further trust anchor.
    pub ca: Option<PathBuf>,
    /// Fixed header fields, for a credential of the gateway's own; values are marked sensitive.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The waits for this server.
    pub timeouts: Timeouts,
}

/// The waits for an upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeouts {
    /// To open a connection, TLS included.
    pub connect: Duration,
    /// From the whole request sent to the response's head; also without taking more of a request body that is there.
    pub response: Duration,
    /// Between two pieces of a response body.
    pub idle: Duration,
    /// A whole response that is no event stream.
    pub total: Duration,
}

/// Which tenants may come in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TenantRule {
    /// Any, also tokens without a tenant. Must be written down.
    Any,
    /// Only these; a token without a tenant is refused.
    Allow(Vec<TenantId>),
    /// The one that the resource names in `{tenant}`; a token without a tenant is refused.
    FromResource,
}

/// What an injected header carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdentityField {
    /// `sub` (or the claim the issuer maps).
    Subject,
    /// The OAuth client.
    Client,
    /// The tenant; no header when there is none.
    Tenant,
    /// The scopes, space-separated.
    Scopes,
    /// The issuer.
    Issuer,
    /// A claim of the token; no header when the token lacks it.
    Claim(ClaimPath),
}

/// One `[[routes.limits]]` table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// What shares one count; never empty.
    pub per: Vec<LimitKey>,
    /// What is counted.
    pub quota: Quota,
}

/// What a limit counts by: facts of the verified token, and the tool that was read from the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LimitKey {
    /// The tenant.
    Tenant,
    /// Issuer and client.
    Client,
    /// Issuer and subject.
    Subject,
    /// The tool that is called; charged once the body has been read, and only then.
    Tool,
    /// Everybody on the route together.
    Route,
}

/// What a limit counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Quota {
    /// Requests in a window, with a burst.
    Rate {
        /// Requests per window.
        requests: NonZeroU32,
        /// The window.
        window: Duration,
        /// Requests that may come at once.
        burst: NonZeroU32,
    },
    /// Requests and event streams open at the same time.
    Streams(NonZeroU32),
}

/// What a setting can fill of the protected-resource metadata (RFC 9728 §2).
#[derive(Debug, Clone, Default)]
pub struct Metadata {
    /// `resource_name`.
    pub resource_name: Option<String>,
    /// `resource_documentation`.
    pub resource_documentation: Option<url::Url>,
    /// `resource_policy_uri`.
    pub resource_policy_uri: Option<url::Url>,
    /// `resource_tos_uri`.
    pub resource_tos_uri: Option<url::Url>,
    /// `scopes_supported`; [`RouteConfig::first_scopes`] when `None`.
    pub scopes_supported: Option<Vec<Scope>>,
    /// How long clients may cache the document.
    pub max_age: Duration,
}
