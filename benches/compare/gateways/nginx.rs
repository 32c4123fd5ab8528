//! nginx as a plain proxy that ends TLS and checks nothing, with its access log as Debian's configuration has it, or without.

use std::fs;
use std::path::Path;

use crate::process::Plan;
use crate::scene::Scene;

pub(super) fn version() -> Option<String> {
    super::said(Path::new("nginx"), "-v", "nginx/").map(|version| format!("nginx {version}"))
}

pub(super) fn plan(log: bool, port: u16, scene: &Scene) -> Plan {
    let log = if log { scene.path("nginx.log").display().to_string() } else { "off".to_owned() };
    // Nothing else goes through files: bodies stay in memory, as in the others.
    let config = format!(
        "daemon off; master_process off; worker_processes 1; pid {folder}/nginx-{port}.pid; error_log stderr crit;
events {{ worker_connections 25000; }}
http {{
  access_log {log}; keepalive_requests 100000000; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  client_max_body_size 8m; client_body_buffer_size 2m; proxy_max_temp_file_size 0;
  upstream mcp {{ server 127.0.0.1:{upstream}; keepalive 64; keepalive_requests 100000000; }}
  server {{
    listen 127.0.0.1:{port} ssl http2 backlog=4096; ssl_certificate {folder}/tls.crt; ssl_certificate_key {folder}/tls.key;
    ssl_protocols TLSv1.2 TLSv1.3;
    location / {{ proxy_pass http://mcp; proxy_http_version 1.1; proxy_set_header Connection \"\"; proxy_read_timeout 1h; }}
  }}
}}",
        folder = scene.folder(),
        upstream = scene.upstream,
    );
    let file = scene.path(&format!("nginx-{port}.conf"));
    fs::write(&file, config).expect("written");
    Plan { program: "nginx".into(), arguments: vec!["-c".to_owned(), file.display().to_string()], log: None }
}
