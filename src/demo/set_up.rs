//! The set-up: three servers on loopback, a temporary folder with their files, and a client that trusts them.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;
use tokio::net::TcpListener;

use super::DemoError;
use super::authorization::{AuthorizationServer, Options};
use super::certificate::Certificates;
use super::report::{Broken, Held, Step};
use super::server::{self, NotesServer};
use crate::config::Config;
use crate::server::{Gateway, Listeners};

/// Ports that are taken when they are free, as in the documentation.
const GATEWAY_PORT: u16 = 8443;
const ADMIN_PORT: u16 = 9090;
const AUTHORIZATION_PORT: u16 = 9400;
const UPSTREAM_PORT: u16 = 3000;
/// Longer than the server's usual five minutes: people read before they paste.
pub(super) const TOKEN_LIFETIME: Duration = Duration::from_mins(30);
/// One whole request of the round trip.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the gateway may take to fetch its issuer's keys.
const READY_TIMEOUT: Duration = Duration::from_secs(10);
/// Between two looks at whether it has.
const READY_INTERVAL: Duration = Duration::from_millis(25);

/// Everything that runs. Nothing is written outside `folder`, which goes when this is dropped.
pub(super) struct SetUp {
    folder: TempDir,
    authorization: AuthorizationServer,
    notes: NotesServer,
    gateway: Gateway,
    resource: String,
    authority: PathBuf,
    http: reqwest::Client,
}

impl SetUp {
    /// Binds all listeners first, so that each part can be told where the others are.
    pub(super) async fn start() -> Result<Self, DemoError> {
        let public = bind(GATEWAY_PORT).await?;
        let admin = bind(ADMIN_PORT).await?;
        let authorization = bind(AUTHORIZATION_PORT).await?;
        let upstream = bind(UPSTREAM_PORT).await?;
        let resource = format!("https://{}{}", public.local_addr()?, server::PATH);

        let options =
            Options { access_token_lifetime: TOKEN_LIFETIME, resources: vec![resource.clone()], ..Options::default() };
        let authorization = AuthorizationServer::start(authorization, options)?;
        let notes = NotesServer::start(upstream)?;

        let folder = tempfile::Builder::new().prefix("portcullis-demo-").tempdir()?;
        let certificates = Certificates::generate(public.local_addr()?.ip())?;
        let authority = write_private(folder.path(), "ca.pem", &certificates.authority)?;
        write_private(folder.path(), "tls.crt", &certificates.certificate)?;
        write_private(folder.path(), "tls.key", &certificates.key)?;
        let addresses =
            Addresses { public: public.local_addr()?, admin: admin.local_addr()?, upstream: notes.address() };
        let text = config_text(&addresses, authorization.issuer(), &resource);
        let file = write_private(folder.path(), "gateway.toml", &text)?;
        let config = Config::parse(&text, &file).map_err(DemoError::Config)?;
        let gateway = Gateway::start(config, Listeners { public, admin }).await?;
        let http = client(&certificates.authority)?;
        Ok(Self { folder, authorization, notes, gateway, resource, authority, http })
    }

    /// Where everything is.
    pub(super) fn summary(&self) -> String {
        format!(
            "  gateway                {}\n  MCP server behind it   http://{}{} (knows nothing of OAuth)\n  \
             authorization server   {} (development only: asks for no password)\n  \
             health                 http://{}/readyz\n  files                  {}\n",
            self.resource,
            self.notes.address(),
            server::PATH,
            self.authorization.issuer(),
            self.gateway.admin_address(),
            self.folder.path().display(),
        )
    }

    /// Waits until the gateway has its issuer's keys.
    pub(super) async fn ready(&self) -> Step<()> {
        let url = format!("http://{}/readyz", self.gateway.admin_address());
        let ready = async {
            while !self.http.get(&url).send().await.is_ok_and(|response| response.status().is_success()) {
                tokio::time::sleep(READY_INTERVAL).await;
            }
        };
        let waited = tokio::time::timeout(READY_TIMEOUT, ready).await;
        waited.map_err(|_| Broken(format!("{url} is not 200 after {READY_TIMEOUT:?}")))?;
        let said = format!("{url}: 200");
        Ok(Held { value: (), said })
    }

    /// A client that trusts the demo's authority and nothing else.
    pub(super) fn http(&self) -> &reqwest::Client {
        &self.http
    }

    /// The URL for MCP clients.
    pub(super) fn resource(&self) -> &str {
        &self.resource
    }

    /// The certificate to trust.
    pub(super) fn authority(&self) -> &Path {
        &self.authority
    }

    /// Front to back, so that nothing is asked of a part that is gone.
    pub(super) async fn shut_down(self) {
        self.gateway.shut_down().await;
        self.notes.shut_down().await;
        self.authorization.shut_down().await;
    }
}

struct Addresses {
    public: SocketAddr,
    admin: SocketAddr,
    upstream: SocketAddr,
}

/// The gateway's file, as a person would write it: relative paths are relative to it.
fn config_text(addresses: &Addresses, issuer: &str, resource: &str) -> String {
    format!(
        r#"[listen]
address = "{public}"
tls = {{ certificate = "tls.crt", key = "tls.key" }}
shutdown_grace = "2s"

[admin]
address = "{admin}"

[[issuers]]
name = "demo"
issuer = "{issuer}"
insecure_http = true # loopback only

[[routes]]
name = "notes"
resource = "{resource}"
upstream = "http://{upstream}{path}"
issuers = ["demo"]
scopes = ["mcp:tools"]
tenant = "any"
"#,
        public = addresses.public,
        admin = addresses.admin,
        upstream = addresses.upstream,
        path = server::PATH,
    )
}

/// The preferred port, or any free one.
async fn bind(port: u16) -> std::io::Result<TcpListener> {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await {
        Ok(listener) => Ok(listener),
        Err(_) => TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await,
    }
}

/// A file only this user can read.
fn write_private(folder: &Path, name: &str, text: &str) -> std::io::Result<PathBuf> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;

    let path = folder.join(name);
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
    file.write_all(text.as_bytes())?;
    Ok(path)
}

fn client(authority: &str) -> Result<reqwest::Client, reqwest::Error> {
    reqwest::Client::builder()
        .tls_certs_only([reqwest::Certificate::from_pem(authority.as_bytes())?])
        .redirect(reqwest::redirect::Policy::none())
        .timeout(REQUEST_TIMEOUT)
        .no_proxy()
        .build()
}
