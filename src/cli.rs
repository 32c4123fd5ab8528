//! The command line: its grammar, and what the commands that serve nothing do.

use std::fmt::{self, Write as _};
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;
use portcullis::config::{Config, ConfigError, RouteConfig, TenantRule};
use portcullis::server::StartError;

/// An authenticating gateway for Model Context Protocol servers.
#[derive(Debug, Parser)]
#[command(name = "portcullis", version)]
pub(crate) struct Arguments {
    /// The configuration file
    #[arg(long, global = true, value_name = "FILE", env = "PORTCULLIS_CONFIG", default_value = "gateway.toml")]
    pub(crate) config: PathBuf,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// What to do.
#[derive(Debug, Default, Subcommand)]
pub(crate) enum Command {
    /// Serve until SIGTERM or SIGINT (what happens without a command)
    #[default]
    Run,
    /// Check the configuration and the files it names; exit 2 and say every mistake when it is wrong
    Check,
    /// Ask a running gateway on this machine whether it is alive; exit 0 or 1
    Healthcheck,
    /// Start an authorization server, a sample MCP server and the gateway on loopback, and make one round trip through them
    #[cfg(feature = "demo")]
    Demo {
        /// Exit after the round trip; status 0 only if every step held
        #[arg(long)]
        once: bool,
    },
    /// Print a completion script
    Completions {
        /// The shell to complete for
        shell: Shell,
    },
}

/// Why a command did not do what it should.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Exit 2.
    Configuration(Vec<ConfigError>),
    /// Exit 1.
    Other(String),
}

impl Failure {
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Configuration(_) => ExitCode::from(2),
            Self::Other(_) => ExitCode::FAILURE,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Configuration(errors) => errors.iter().try_for_each(|error| writeln!(f, "{error}")),
            Self::Other(why) => writeln!(f, "portcullis: {why}"),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(why: io::Error) -> Self {
        Self::Other(why.to_string())
    }
}

impl From<StartError> for Failure {
    fn from(why: StartError) -> Self {
        Self::Other(why.to_string())
    }
}

/// What `check` says about a good configuration: what to register at the provider, and what is not protected.
pub(crate) fn summary(config: &Config, file: &Path) -> String {
    let mut text = format!("{} is good\n", file.display());
    let security = if config.listen.tls.is_some() { "TLS" } else { "plain text, TLS must be ended in front" };
    // Writing to a String cannot fail.
    _ = writeln!(text, "\nlisten {} ({security}), admin {}", config.listen.address, config.admin);
    for route in &config.routes {
        _ = write!(text, "\n{}", route_summary(config, route));
    }
    if config.session_keys.is_empty() {
        _ = write!(text, "\nnote: {}\n", portcullis::session::NO_KEY);
    }
    for warning in warnings(config) {
        _ = write!(text, "\nwarning: {warning}\n");
    }
    text
}

fn route_summary(config: &Config, route: &RouteConfig) -> String {
    let issuers = route.issuers.iter().filter_map(|index| config.issuers.get(*index));
    let issuers: Vec<String> = issuers.map(|i| format!("{} ({})", i.issuer, i.name)).collect();
    let scopes: Vec<&str> = route.scopes.iter().map(portcullis::names::Scope::as_str).collect();
    let tenant = match &route.tenant {
        TenantRule::Any => "any, also none".to_owned(),
        TenantRule::Allow(tenants) => tenants.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
        TenantRule::FromResource => "the one in the resource".to_owned(),
    };
    let resource = route.resource.to_string();
    let audiences: Vec<&str> = std::iter::once(&resource).chain(&route.audiences).map(String::as_str).collect();
    format!(
        "route {}\n  resource  {}   <- register exactly this at the issuer\n  audience  {}\n  metadata  {}\n  \
         upstream  {}\n  issuers   {}\n  scopes    {}\n  tenant    {tenant}\n",
        route.name,
        resource,
        audiences.join(" or "),
        route.resource.metadata_url(None),
        route.upstream.url,
        issuers.join(", "),
        if scopes.is_empty() { "none".to_owned() } else { scopes.join(" ") },
    )
}

/// What is allowed but worth a second look.
fn warnings(config: &Config) -> Vec<String> {
    let mut found = Vec::new();
    for route in &config.routes {
        let url = &route.upstream.url;
        if url.scheme_str() == Some("http") && !url.host().is_some_and(is_loopback) {
            found.push(format!(
                "route {}: the upstream is reached in plain text over a network: who sits there reads everything and can \
                 go around the gateway; put it on loopback or use https://",
                route.name
            ));
        }
    }
    for (index, issuer) in config.issuers.iter().enumerate() {
        if !config.routes.iter().any(|route| route.issuers.contains(&index)) {
            found.push(format!("issuer {} is used by no route", issuer.name));
        }
    }
    found
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    address.map_or(host == "localhost", |address| address.is_loopback())
}

/// The whole probe, connection included.
const PROBE: Duration = Duration::from_secs(2);

/// `GET /healthz` on the admin listener.
pub(crate) fn healthcheck(admin: SocketAddr) -> Result<String, Failure> {
    let unhealthy = |why: String| Failure::Other(format!("{admin} is not healthy: {why}"));
    let status = probe(reachable(admin)).map_err(|why| unhealthy(why.to_string()))?;
    if status == "200" { Ok(String::new()) } else { Err(unhealthy(format!("status {status}"))) }
}

/// A listener on every address is asked over loopback.
fn reachable(mut admin: SocketAddr) -> SocketAddr {
    match admin {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => admin.set_ip(Ipv4Addr::LOCALHOST.into()),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => admin.set_ip(Ipv6Addr::LOCALHOST.into()),
        SocketAddr::V4(_) | SocketAddr::V6(_) => {}
    }
    admin
}

fn probe(admin: SocketAddr) -> io::Result<String> {
    let end = Instant::now() + PROBE;
    let mut stream = TcpStream::connect_timeout(&admin, PROBE)?;
    stream.set_write_timeout(Some(PROBE))?;
    write!(stream, "GET /healthz HTTP/1.1\r\nhost: {admin}\r\nconnection: close\r\n\r\n")?;
    // `HTTP/1.1 200`: nothing behind it matters.
    let (mut head, mut filled) = ([0_u8; 12], 0);
    while let Some(rest) = head.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        let left = end.saturating_duration_since(Instant::now());
        // A timeout of zero is refused by the standard library: at least a millisecond.
        stream.set_read_timeout(Some(left.max(Duration::from_millis(1))))?;
        match stream.read(rest)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => filled += read,
        }
    }
    let head = String::from_utf8_lossy(&head);
    let status = head.strip_prefix("HTTP/1.1 ").ok_or(io::ErrorKind::InvalidData)?;
    Ok(status.to_owned())
}

/// A completion script.
pub(crate) fn completions(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "portcullis", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}
