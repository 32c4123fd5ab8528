//! Authority and path → [`Route`], or a document the gateway serves itself.

use std::borrow::Cow;
use std::sync::Arc;

use http::header;
use http::{Method, StatusCode};

use crate::config::resource::{WELL_KNOWN, split_authority};
use crate::config::{Authority, IssuerConfig, RouteConfig};
use crate::head::{Fault, Head, as_text};
use crate::headers::Stated;
use crate::metrics::{Metrics, RouteSeries};
use crate::names::{RouteName, TenantId};
use crate::oauth::challenge::Challenges;
use crate::oauth::metadata;
use crate::policy::{Decision, Policy};
use crate::trust::TrustError;

use super::admit::RouteLimits;
use super::body::ReplyBody;
use super::cors;
use super::outgoing::stated;
use super::provenance::Peer;
use super::reject::Rejection;
use super::reply::Reply;
use super::upstream::UpstreamClient;

/// The methods of a metadata document.
const DOCUMENT_METHODS: &str = "GET, HEAD, OPTIONS";

/// One protected MCP server, with everything that no request changes.
#[derive(Debug)]
pub(crate) struct Route {
    /// Index into the configuration's routes.
    pub(crate) index: usize,
    pub(crate) config: RouteConfig,
    pub(crate) challenges: Challenges,
    pub(crate) policy: Policy,
    pub(crate) limits: RouteLimits,
    pub(crate) series: Arc<RouteSeries>,
    pub(crate) upstream: Arc<UpstreamClient>,
    /// What its upstream is told by the gateway alone.
    pub(crate) stated: Stated,
    /// The resource's own authority and the further ones.
    authorities: Vec<Authority>,
    /// The metadata document, where it is the same for everybody.
    document: Option<bytes::Bytes>,
}

/// All routes, and the issuers that their documents name.
#[derive(Debug)]
pub(crate) struct Routes {
    routes: Vec<Arc<Route>>,
    issuers: Vec<IssuerConfig>,
}

/// What a request is addressed to.
#[derive(Debug)]
pub(crate) enum Found {
    /// A route, and the tenant that its URL names.
    Route(Arc<Route>, Option<TenantId>),
    /// A document that the gateway serves itself.
    Document(Reply),
}

/// A route whose authority fits, and the tenant in a host label.
type Addressed<'a> = (&'a Arc<Route>, Option<TenantId>);

impl Routes {
    /// Compiles the routes; reads the trust anchors of their upstreams. What a route of the same name in `before` has counted
    /// and keeps open goes on where its settings are the same.
    pub(crate) fn new(
        config: Vec<RouteConfig>,
        issuers: Vec<IssuerConfig>,
        metrics: &Metrics,
        before: Option<&Self>,
    ) -> Result<Self, TrustError> {
        let old =
            |name: &RouteName| before.and_then(|before| before.routes.iter().find(|route| route.config.name == *name));
        let route = |(index, config): (usize, RouteConfig)| {
            let before = old(&config.name).map(Arc::as_ref);
            Route::new(index, config, &issuers, metrics, before).map(Arc::new)
        };
        let routes = config.into_iter().enumerate().map(route);
        Ok(Self { routes: routes.collect::<Result<_, _>>()?, issuers })
    }

    /// Whose tokens they take.
    pub(crate) fn issuers(&self) -> &[IssuerConfig] {
        &self.issuers
    }

    /// All of them.
    pub(crate) fn all(&self) -> &[Arc<Route>] {
        &self.routes
    }

    /// By authority, then by path. Nothing is decoded, nothing folded but the host's case.
    pub(crate) fn find(&self, peer: &Peer, request: &Head) -> Result<Found, Rejection> {
        if request.method == Method::CONNECT {
            return Err(Rejection::Method { allow: super::reject::ALLOW }); // never a forward proxy (threats P7, 27)
        }
        // RFC 9112 §3.2.2, RFC 9113 §8.3.1: a target may name its scheme; over TLS there is but one.
        let scheme_fits = |scheme: &str| scheme == "https" || (scheme == "http" && !peer.secure);
        // RFC 9112 §3.2.3: an authority alone is the target of CONNECT only.
        let is_authority_form = request.uri.scheme().is_none() && request.uri.authority().is_some();
        if is_authority_form || !request.uri.scheme_str().is_none_or(scheme_fits) {
            return Err(Rejection::NoRoute { reason: "route.form" });
        }
        let (host, port) = asked_host(request)?;
        let mut addressed = self.addressed(peer, &host, port).peekable();
        if addressed.peek().is_none() {
            return Err(Rejection::UnknownAuthority);
        }
        let path = request.uri.path();
        if let Some(inserted) = path.strip_prefix(WELL_KNOWN) {
            return self.document(&addressed.collect::<Vec<_>>(), inserted, request);
        }
        for (route, host_tenant) in addressed {
            if let Some(found) = route.config.resource.matches_path(path) {
                return Ok(Found::Route(Arc::clone(route), found.tenant.or(host_tenant)));
            }
        }
        Err(Rejection::NoRoute { reason: why_no_route(path) })
    }

    /// The routes that the authority, and the TLS server name with it, select. None: 421.
    fn addressed<'a>(
        &'a self,
        peer: &'a Peer,
        host: &'a str,
        port: Option<u16>,
    ) -> impl Iterator<Item = Addressed<'a>> {
        // RFC 9110 §7.4: TLS server name and authority must select the same routes.
        let served_here = |route: &&Arc<Route>| {
            peer.server_name.as_ref().is_none_or(|name| route.authorities.iter().any(|a| a.matches_server_name(name)))
        };
        self.routes.iter().filter(served_here).filter_map(move |route| {
            let default = if route.config.resource.is_secure() { 443 } else { 80 };
            let found = route.authorities.iter().find_map(|a| a.matches(host, port.unwrap_or(default)))?;
            Some((route, found.tenant))
        })
    }

    /// RFC 9728 §3: the document of the route whose path stands behind the well-known part; at the root when only one is there.
    fn document(&self, addressed: &[Addressed<'_>], path: &str, request: &Head) -> Result<Found, Rejection> {
        let exact = addressed.iter().find_map(|(route, host_tenant)| {
            let found = route.config.resource.matches_path(path)?;
            Some((*route, found.tenant.or_else(|| host_tenant.clone())))
        });
        let only = || match addressed {
            [(route, tenant)] if path.is_empty() && !route.config.resource.has_tenant_in_path() => {
                Some((*route, tenant.clone()))
            }
            _ => None,
        };
        let (route, tenant) = exact.or_else(only).ok_or(Rejection::NoRoute { reason: "route.none" })?;
        match request.method {
            Method::GET | Method::HEAD => Ok(Found::Document(route.document_response(&self.issuers, tenant.as_ref()))),
            Method::OPTIONS => Ok(Found::Document(cors::public_preflight(&request.fields))),
            _ => Err(Rejection::Method { allow: DOCUMENT_METHODS }),
        }
    }
}

impl Route {
    fn new(
        index: usize,
        config: RouteConfig,
        issuers: &[IssuerConfig],
        metrics: &Metrics,
        before: Option<&Self>,
    ) -> Result<Self, TrustError> {
        let shared = !config.resource.has_tenant();
        let document = shared.then(|| bytes::Bytes::from(metadata::document(&config, issuers, None)));
        let mut authorities = vec![config.resource.authority().clone()];
        authorities.extend(config.authorities.iter().cloned());
        Ok(Self {
            index,
            challenges: Challenges::new(config.resource.clone(), &config.first_scopes()),
            policy: Policy::new(&config),
            limits: RouteLimits::new(&config.limits, before.map(|before| &before.limits)),
            series: metrics.route(Some(&config.name)),
            upstream: UpstreamClient::like(before.map(|before| &before.upstream), &config.upstream)?,
            stated: stated(&config),
            authorities,
            document,
            config,
        })
    }

    fn document_response(&self, issuers: &[IssuerConfig], tenant: Option<&TenantId>) -> Reply {
        let bytes = self.document.clone().unwrap_or_else(|| metadata::document(&self.config, issuers, tenant).into());
        let mut reply = Reply::new(StatusCode::OK, ReplyBody::fixed(bytes));
        let age = self.config.metadata.max_age.as_secs().to_string();
        reply.lines.push_text(&header::CONTENT_TYPE, &["application/json"]);
        reply.lines.push_text(&header::CACHE_CONTROL, &["public, max-age=", &age]);
        reply.lines.push_text(&header::ACCESS_CONTROL_ALLOW_ORIGIN, &["*"]);
        reply
    }

    /// The rule that decided, by its line in the configuration.
    pub(crate) fn rule_line(&self, decision: &Decision) -> Option<usize> {
        self.config.policy.rules.get(decision.rule?).map(|rule| rule.line)
    }
}

/// Host, in lower case, and port of a request.
fn asked_host(request: &Head) -> Result<(Cow<'_, str>, Option<u16>), Rejection> {
    let (host, port) = split_authority(authority(request)?).ok_or(Rejection::Http(Fault::Host))?;
    let is_lower = !host.bytes().any(|byte| byte.is_ascii_uppercase());
    Ok((if is_lower { Cow::Borrowed(host) } else { Cow::Owned(host.to_ascii_lowercase()) }, port))
}

/// The one authority of a request: the target's, or `Host`. HTTP/2 may carry both, then they must agree (RFC 9113 §8.3.1).
fn authority(request: &Head) -> Result<&str, Rejection> {
    let not_one = Rejection::Http(Fault::Host);
    let host = request.fields.once(&header::HOST).map_err(|_| not_one.clone())?;
    let host = host.map(|host| as_text(host).ok_or(not_one.clone())).transpose()?;
    let is_h2 = request.version == http::Version::HTTP_2;
    match (request.uri.authority(), host) {
        (Some(target), Some(host)) if is_h2 && !target.as_str().eq_ignore_ascii_case(host) => Err(not_one),
        (Some(target), _) => Ok(target.as_str()), // RFC 9112 §3.2.2: the absolute form beats Host
        (None, Some(host)) => Ok(host),
        (None, None) => Err(not_one),
    }
}

/// The log tells attempts to be clever about the path from mere mistakes.
fn why_no_route(path: &str) -> &'static str {
    let odd = path.contains(['%', '\\', ';'])
        || path.contains("//")
        || path.split('/').any(|part| part == "." || part == "..");
    match path {
        "*" | "" => "route.form",
        _ if odd => "route.path",
        _ => "route.none",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_tells_cleverness_about_the_path_from_mistakes() {
        for path in ["*", ""] {
            assert_eq!(why_no_route(path), "route.form", "{path}");
        }
        for path in ["/a%20b", "/a\\b", "/a;b", "//a", "/a//", "/a/./b", "/.", "/a/..", "/../a"] {
            assert_eq!(why_no_route(path), "route.path", "{path}");
        }
        for path in ["/", "/a", "/a.b", "/..a", "/a../...", "/a/*"] {
            assert_eq!(why_no_route(path), "route.none", "{path}");
        }
    }
}
