//! The gateway under test: a configuration text, the files it names, and the running thing in this process.

use std::fmt::Display;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use portcullis::config::Config;
use portcullis::server::{self, Listeners};
use tempfile::TempDir;
use toml::{Table, Value};

use super::client::{Client, Connection, Handshake, Http2};
use super::issuer::RESOURCE;
use super::pki::{foreign, pki};
use super::{Issuer, PATH, Upstream, log, upstream, within};

/// A value that takes a key out of the configuration when [`Gateway::start_with`] merges it in.
pub(crate) const NOTHING: &str = "!nothing";

/// A running gateway; gone when dropped.
pub(crate) struct Gateway {
    running: server::Gateway,
    secure: bool,
    /// The configuration before any changes.
    base: String,
    /// The folder of the configuration; gone with the gateway.
    files: TempDir,
    upstream: Arc<upstream::Shared>,
}

/// One issuer `corp` and one route `notes` at [`RESOURCE`].
fn base(issuer: &Issuer, upstream: &Upstream) -> String {
    let (issuer, upstream) = (issuer.url(), upstream.url());
    format!(
        r#"
        [listen]
        address = "127.0.0.1:0"
        tls = {{ certificate = "tls.crt", key = "tls.key" }}

        [listen.limits]
        failures_per_address = 1000000

        [admin]
        address = "127.0.0.1:0"

        [log]
        every_refusal = true

        [[issuers]]
        name = "corp"
        issuer = "{issuer}"
        insecure_http = true
        claims = {{ tenant = "tenant" }}

        [[routes]]
        name = "notes"
        resource = "{RESOURCE}"
        upstream = "{upstream}"
        issuers = ["corp"]
        scopes = ["mcp:tools"]
        tenant = "any"

        [routes.identity]
        "x-auth-subject" = "subject"
        "x-auth-client" = "client"
        "x-auth-tenant" = "tenant"
        "x-auth-scopes" = "scopes"
        "x-auth-issuer" = "issuer"
        "x-auth-email" = "claims.email"
        "#
    )
}

/// Changes that add a further route for tokens of `corp`: its name, public URL, upstream and scopes.
pub(crate) fn route(name: &str, resource: &str, upstream: &Upstream, scopes: &[&str]) -> String {
    let upstream = upstream.url();
    format!(
        "[[routes]]\nname = \"{name}\"\nresource = \"{resource}\"\nupstream = \"{upstream}\"\n\
         issuers = [\"corp\"]\nscopes = {scopes:?}\ntenant = \"any\"\n"
    )
}

/// The one route, with the tenant in its path.
pub(crate) const TENANT_IN_PATH: &str = r#"
    [[routes]]
    name = "notes"
    resource = "https://mcp.example.com/{tenant}/mcp"
    tenant = { from = "resource" }
"#;

impl Gateway {
    /// One issuer, one route, and changes to it: TOML that is merged in. Tables are merged key by key, lists of tables with
    /// a `name` table by table, everything else is replaced. Returns once every issuer's keys are there.
    pub(crate) async fn start_with(issuer: &Issuer, upstream: &Upstream, changes: &str) -> Self {
        let gateway = Self::launch_with(issuer, upstream, changes).await;
        gateway.ready().await;
        gateway
    }

    /// The same without waiting for keys.
    pub(crate) async fn launch_with(issuer: &Issuer, upstream: &Upstream, changes: &str) -> Self {
        let base = base(issuer, upstream);
        let text = merged(&base, changes);
        Self { base, ..Self::start_from(&text, upstream).await }
    }

    async fn start_from(text: &str, upstream: &Upstream) -> Self {
        log::collect();
        let files = write_files();
        let config = match Config::parse(text, &files.path().join("gateway.toml")) {
            Ok(config) => config,
            Err(mistakes) => panic!("{mistakes:#?}\nin\n{text}"),
        };
        let secure = config.listen.tls.is_some();
        let listeners = Listeners::bind(&config).await.unwrap();
        let running = within("the start", server::Gateway::start(config, listeners)).await.unwrap();
        Self { running, secure, base: String::new(), files, upstream: upstream.shared() }
    }

    /// Replaces the configuration by the first one with these changes; true when it was taken.
    pub(crate) async fn reload(&self, changes: &str) -> bool {
        let loaded = Config::parse(&merged(&self.base, changes), &self.files.path().join("gateway.toml"));
        within("the reload", self.running.reload(loaded)).await
    }

    /// A file that the configuration may name.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.files.path().join(name)
    }

    /// Waits until `/readyz` says yes.
    pub(crate) async fn ready(&self) {
        let asking = async {
            while self.admin().get("/readyz").await.status() != 200 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        within("readiness", asking).await;
    }

    /// Asserts that this token is refused with 401 `invalid_token` for one of these reasons.
    pub(crate) async fn refuses(&self, what: &str, token: impl Display, reasons: &str) {
        println!("case: {what}");
        let reply = self.client().bearer(token).post(PATH).await;
        reply.assert_refused(401, "invalid_token", reasons).await;
    }

    /// Asserts that this token lets a request through.
    pub(crate) async fn accepts(&self, what: &str, token: impl Display) {
        println!("case: {what}");
        self.client().bearer(token).post(PATH).await.assert_served();
    }

    /// The public listener.
    pub(crate) fn address(&self) -> SocketAddr {
        self.running.address()
    }

    /// A client that addresses the authority of [`RESOURCE`].
    pub(crate) fn client(&self) -> Client {
        Client::new(self.address(), self.secure, self.upstream.clone())
    }

    /// An HTTP/1.1 connection for several requests or for exact bytes.
    pub(crate) async fn connect(&self) -> Connection {
        self.client().connect().await
    }

    /// An HTTP/2 connection for several requests.
    pub(crate) async fn connect_http2(&self) -> Http2 {
        self.client().connect_http2().await
    }

    /// A TLS handshake with these properties; what went wrong, when it did not succeed.
    pub(crate) async fn handshake(&self, handshake: Handshake) -> std::io::Result<Connection> {
        self.client().handshake(handshake).await
    }

    /// A client of the admin listener.
    pub(crate) fn admin(&self) -> Client {
        let address = self.running.admin_address();
        Client::new(address, false, self.upstream.clone()).host(&address.to_string())
    }

    /// Drains and stops; true when all had ended in time.
    pub(crate) async fn shut_down(self) -> bool {
        within("the drain", self.running.shut_down()).await
    }
}

fn merged(base: &str, changes: &str) -> String {
    let mut table: Table = base.parse().unwrap();
    merge(&mut table, changes.parse().unwrap());
    table.to_string()
}

fn write_files() -> TempDir {
    let files = TempDir::new().unwrap();
    let ours = pki();
    std::fs::write(files.path().join("revoked.toml"), "").unwrap();
    for (name, text) in
        [("tls.crt", &ours.certificate), ("tls.key", &ours.key), ("ca.pem", &ours.ca), ("foreign.pem", &foreign().ca)]
    {
        std::fs::write(files.path().join(name), text).unwrap();
    }
    files
}

fn merge(into: &mut Table, changes: Table) {
    for (key, change) in changes {
        match (into.get_mut(&key), change) {
            (_, Value::String(text)) if text == NOTHING => {
                into.remove(&key);
            }
            (Some(Value::Table(old)), Value::Table(new)) => merge(old, new),
            (Some(Value::Array(old)), Value::Array(new)) if is_named(&new) => {
                for item in new {
                    merge_named(old, item);
                }
            }
            (_, change) => {
                into.insert(key, change);
            }
        }
    }
}

fn is_named(list: &[Value]) -> bool {
    !list.is_empty() && list.iter().all(|item| name(item).is_some())
}

fn merge_named(list: &mut Vec<Value>, item: Value) {
    let same = list.iter_mut().find(|old| name(old) == name(&item));
    match (same, item) {
        (Some(Value::Table(old)), Value::Table(new)) => merge(old, new),
        (_, item) => list.push(item),
    }
}

fn name(item: &Value) -> Option<String> {
    Some(item.get("name")?.as_str()?.to_owned())
}
