//! The gateways, each with one worker and a configuration that does the same as far as it can.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::load::{Sends, Work};
use crate::scene::{Scene, free_port, own, pinned, wait_for};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Floor,
    Portcullis,
    Nginx,
    HaProxy,
}

impl Kind {
    pub(crate) const ALL: [Self; 4] = [Self::Floor, Self::Portcullis, Self::Nginx, Self::HaProxy];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Floor => "floor: bare hyper",
            Self::Portcullis => "Portcullis",
            Self::Nginx => "nginx, no check",
            Self::HaProxy => "HAProxy, jwt_verify",
        }
    }

    /// The status that it must answer with.
    pub(crate) fn answers(self, work: &Work) -> u16 {
        let checks = matches!(self, Self::Portcullis | Self::HaProxy);
        if checks && !matches!(work.sends, Sends::One | Sends::Each) { 401 } else { 200 }
    }

    pub(crate) fn takes_part(self) -> bool {
        match self {
            Self::Portcullis | Self::Floor => true,
            Self::Nginx => installed("nginx"),
            Self::HaProxy => installed("haproxy"),
        }
    }
}

fn installed(program: &str) -> bool {
    Command::new(program).arg("-v").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

pub(crate) struct Gateway {
    pub(crate) kind: Kind,
    pub(crate) port: u16,
    process: Child,
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.process.kill().unwrap_or_default();
        self.process.wait().map(drop).unwrap_or_default();
    }
}

impl Gateway {
    pub(crate) fn start(kind: Kind, scene: &Scene) -> Self {
        let port = free_port();
        let process = match kind {
            Kind::Floor => floor(port, scene),
            Kind::Portcullis => portcullis(port, scene),
            Kind::Nginx => nginx(port, scene),
            Kind::HaProxy => haproxy(port, scene),
        };
        wait_for(port);
        Self { kind, port, process }
    }

    /// User and system time so far.
    pub(crate) fn cpu(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process.id())).expect("it runs");
        let after_name = stat.rsplit_once(')').expect("a name").1;
        let field = |at: usize| after_name.split_whitespace().nth(at).and_then(|text| text.parse::<u64>().ok());
        let ticks = field(11).expect("user time") + field(12).expect("system time");
        // A hundredth of a second on Linux (USER_HZ).
        Duration::from_millis(ticks * 10)
    }

    pub(crate) fn resident_mib(&self) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line");
        line.trim().trim_end_matches(" kB").parse::<f64>().expect("a number") / 1024.0
    }
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

fn floor(port: u16, scene: &Scene) -> Child {
    let upstream = format!("127.0.0.1:{}", scene.upstream);
    own(&["floor", &port.to_string(), &upstream, &text(&scene.path("tls.crt")), &text(&scene.path("tls.key"))])
}

/// Everything that a production file switches on, and twenty rules.
fn portcullis(port: u16, scene: &Scene) -> Child {
    let rule = |number| format!("[[routes.policy.rules]]\ntools = [\"admin_{number}_*\"]\nscopes = [\"mcp:admin\"]\n");
    let rules = (0..19).map(rule).collect::<Vec<_>>().concat();
    let config = format!(
        r#"
[listen]
address = "127.0.0.1:{port}"
tls = {{ certificate = "tls.crt", key = "tls.key" }}
[listen.limits]
failures_per_address = 1000000
connections_per_address = 10000
[admin]
address = "127.0.0.1:{admin}"
[audit]
sink = "file"
file = "audit.jsonl"
chain = true
[[issuers]]
name = "bench"
issuer = "{issuer}"
jwks_uri = "{issuer}/jwks"
insecure_http = true
[[routes]]
name = "bench"
resource = "https://{host}/mcp"
authorities = ["{host}:{port}"]
upstream = "http://127.0.0.1:{upstream}/mcp"
issuers = ["bench"]
scopes = ["mcp:tools"]
tenant = {{ allow = ["acme"] }}
[[routes.limits]]
per = ["client", "subject"]
requests = 1000000
window = "1s"
burst = 1000000
[routes.policy]
default = "deny"
{rules}[[routes.policy.rules]]
methods = ["initialize", "ping", "tools/*"]
"#,
        admin = free_port(),
        issuer = scene.issuer,
        host = Scene::host(),
        upstream = scene.upstream,
    );
    let file = scene.path("gateway.toml");
    fs::write(&file, config).expect("written");
    let log = fs::File::create(scene.path("portcullis.log")).expect("a file");
    let mut command = pinned(PathBuf::from(env!("CARGO_BIN_EXE_portcullis")));
    command.arg("--config").arg(file).env("TOKIO_WORKER_THREADS", "1").stdout(log);
    command.spawn().expect("it starts")
}

fn nginx(port: u16, scene: &Scene) -> Child {
    let config = format!(
        "daemon off; master_process off; worker_processes 1; pid {folder}/nginx.pid; error_log stderr crit;
events {{ worker_connections 20000; }}
http {{
  access_log off; keepalive_requests 100000000; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  upstream mcp {{ server 127.0.0.1:{upstream}; keepalive 64; keepalive_requests 100000000; }}
  server {{
    listen 127.0.0.1:{port} ssl http2; ssl_certificate {folder}/tls.crt; ssl_certificate_key {folder}/tls.key; http2_max_requests 100000000;
    location / {{ proxy_pass http://mcp; proxy_http_version 1.1; proxy_set_header Connection \"\"; }}
  }}
}}",
        folder = text(&scene.path("")).trim_end_matches('/'),
        upstream = scene.upstream,
    );
    let file = scene.path("nginx.conf");
    fs::write(&file, config.replace(" http2_max_requests 100000000;", "")).expect("written");
    pinned("nginx".into()).arg("-c").arg(file).spawn().expect("it starts")
}

fn haproxy(port: u16, scene: &Scene) -> Child {
    let config = format!(
        "global
  nbthread 1
  maxconn 5000
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
frontend mcp
  bind 127.0.0.1:{port} ssl crt {folder}/both.pem alpn h2,http/1.1
  http-request set-var(txn.token) http_auth_bearer
  http-request deny deny_status 401 unless {{ var(txn.token) -m found }}
  http-request deny deny_status 401 unless {{ var(txn.token),jwt_header_query('$.alg') -m str RS256 }}
  http-request deny deny_status 401 unless {{ var(txn.token),jwt_payload_query('$.iss') -m str {issuer} }}
  http-request deny deny_status 401 unless {{ var(txn.token),jwt_payload_query('$.aud') -m str https://{host}/mcp }}
  http-request set-var(txn.exp) var(txn.token),jwt_payload_query('$.exp','int')
  http-request set-var(txn.now) date()
  http-request deny deny_status 401 if {{ var(txn.exp),sub(txn.now) -m int lt 0 }}
  http-request deny deny_status 401 unless {{ var(txn.token),jwt_verify('RS256','{folder}/issuer.pem') -m int 1 }}
  http-request set-header x-auth-subject %[var(txn.token),jwt_payload_query('$.sub')]
  http-request del-header authorization
  default_backend mcp
backend mcp
  server mcp 127.0.0.1:{upstream}
",
        folder = text(&scene.path("")).trim_end_matches('/'),
        issuer = scene.issuer,
        host = Scene::host(),
        upstream = scene.upstream,
    );
    let file = scene.path("haproxy.cfg");
    fs::write(&file, config).expect("written");
    pinned("haproxy".into()).arg("-db").arg("-f").arg(file).spawn().expect("it starts")
}
