//! `HAProxy` with `jwt_verify`, the claims that it can check, a rate limit, and its log of requests or none. It reads keys from files,
//! and remembers no token.

use std::fs;
use std::path::Path;

use crate::process::Plan;
use crate::scene::Scene;

pub(super) fn version() -> Option<String> {
    super::said(Path::new("haproxy"), "-v", "version ").map(|version| format!("HAProxy {version}"))
}

pub(super) fn plan(log: bool, port: u16, scene: &Scene) -> Plan {
    let lines = if log { "log stdout len 4096 format raw local0\n  option httplog" } else { "no log" };
    // Without `maxconn`: as many as the process may open files for.
    let config = format!(
        "global
  nbthread 1
defaults
  mode http
  {lines}
  timeout connect 5s
  timeout client 1h
  timeout server 1h
frontend mcp
  bind 127.0.0.1:{port} ssl crt {folder}/both.pem alpn h2,http/1.1 backlog 4096
  stick-table type string len 128 size 100k expire 1m store http_req_rate(1s)
  http-request set-var(txn.token) http_auth_bearer
  http-request deny deny_status 401 unless {{ var(txn.token) -m found }}
  http-request set-var(txn.alg) var(txn.token),jwt_header_query('$.alg')
  http-request deny deny_status 401 unless {{ var(txn.alg) -m str RS256 ES256 }}
  http-request deny deny_status 401 unless {{ var(txn.token),jwt_payload_query('$.iss') -m str {issuer} }}
  http-request deny deny_status 401 unless {{ var(txn.token),jwt_payload_query('$.aud') -m str {resource} }}
  http-request deny deny_status 401 unless {{ var(txn.token),jwt_payload_query('$.tenant') -m str acme }}
  http-request deny deny_status 403 unless {{ var(txn.token),jwt_payload_query('$.scope') -m sub mcp:tools }}
  http-request set-var(txn.exp) var(txn.token),jwt_payload_query('$.exp','int')
  http-request set-var(txn.now) date()
  http-request deny deny_status 401 if {{ var(txn.exp),sub(txn.now) -m int lt 0 }}
  http-request deny deny_status 401 if {{ var(txn.alg) -m str RS256 }} !{{ var(txn.token),jwt_verify('RS256','{folder}/rsa.pem') -m int 1 }}
  http-request deny deny_status 401 if {{ var(txn.alg) -m str ES256 }} !{{ var(txn.token),jwt_verify('ES256','{folder}/ec.pem') -m int 1 }}
  http-request set-var(txn.subject) var(txn.token),jwt_payload_query('$.sub')
  http-request set-var(txn.client) var(txn.token),jwt_payload_query('$.client_id')
  http-request track-sc0 var(txn.client),concat(' ',txn.subject)
  http-request deny deny_status 429 if {{ sc0_http_req_rate gt 1000000 }}
  http-request set-header x-auth-subject %[var(txn.subject)]
  http-request set-header x-auth-client %[var(txn.client)]
  http-request del-header authorization
  default_backend mcp
backend mcp
  server mcp 127.0.0.1:{upstream}
",
        folder = scene.folder(),
        issuer = scene.issuer,
        resource = Scene::resource(),
        upstream = scene.upstream,
    );
    let file = scene.path(&format!("haproxy-{port}.cfg"));
    fs::write(&file, config).expect("written");
    let arguments = ["-db", "-f", &file.display().to_string()].map(str::to_owned).to_vec();
    Plan { program: "haproxy".into(), arguments, log: Some(scene.path(&format!("haproxy-{port}.log"))) }
}
