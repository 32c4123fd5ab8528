//! Envoy with `jwt_authn` (key set from the issuer, its cache of tokens switched on), claims into header fields, and a rate limit.

use std::fs;
use std::path::PathBuf;

use crate::process::Plan;
use crate::scene::Scene;

/// Names the program, or the folder that it is in.
const VARIABLE: &str = "ENVOY";

pub(super) fn version() -> Option<String> {
    let version = super::said(&program(), "--version", "version: ")?;
    Some(format!("Envoy {}", version.split('/').nth(1)?))
}

fn program() -> PathBuf {
    match std::env::var_os(VARIABLE).map(PathBuf::from) {
        Some(folder) if folder.is_dir() => folder.join("envoy"),
        Some(program) => program,
        None => "envoy".into(),
    }
}

pub(super) fn plan(port: u16, scene: &Scene) -> Plan {
    let config = CONFIG
        .replace("{port}", &port.to_string())
        .replace("{folder}", &scene.folder())
        .replace("{issuer}", &scene.issuer)
        .replace("{issuer_port}", &scene.issuer_port.to_string())
        .replace("{resource}", &Scene::resource())
        .replace("{upstream}", &scene.upstream.to_string());
    let file = scene.path("envoy.yaml");
    fs::write(&file, config).expect("written");
    let file = file.display().to_string();
    let arguments = ["-c", &file, "--concurrency", "1", "--disable-hot-restart", "--log-level", "off"];
    Plan { program: program(), arguments: arguments.map(str::to_owned).to_vec(), log: None }
}

const CONFIG: &str = r#"
static_resources:
  listeners:
  - name: mcp
    address: { socket_address: { address: 127.0.0.1, port_value: {port} } }
    filter_chains:
    - transport_socket:
        name: envoy.transport_sockets.tls
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
          common_tls_context:
            alpn_protocols: [h2, http/1.1]
            tls_params: { tls_minimum_protocol_version: TLSv1_2, tls_maximum_protocol_version: TLSv1_3 }
            tls_certificates:
            - { certificate_chain: { filename: "{folder}/tls.crt" }, private_key: { filename: "{folder}/tls.key" } }
      filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: mcp
          stream_idle_timeout: 0s
          access_log:
          - name: envoy.access_loggers.file
            typed_config: { "@type": type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog, path: "{folder}/envoy.log" }
          route_config:
            virtual_hosts:
            - name: mcp
              domains: ["*"]
              routes:
              - match: { prefix: "/" }
                route: { cluster: upstream, timeout: 0s }
          http_filters:
          - name: envoy.filters.http.jwt_authn
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication
              providers:
                bench:
                  issuer: "{issuer}"
                  audiences: ["{resource}"]
                  remote_jwks:
                    http_uri: { uri: "{issuer}/jwks", cluster: issuer, timeout: 5s }
                    cache_duration: 3600s
                    async_fetch: { fast_listener: false }
                  jwt_cache_config: { jwt_cache_size: 20000 }
                  claim_to_headers:
                  - { header_name: x-auth-subject, claim_name: sub }
                  - { header_name: x-auth-client, claim_name: client_id }
                  - { header_name: x-auth-tenant, claim_name: tenant }
                  - { header_name: x-auth-scopes, claim_name: scope }
              rules:
              - { match: { prefix: "/" }, requires: { provider_name: bench } }
          - name: envoy.filters.http.local_ratelimit
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit
              stat_prefix: limit
              token_bucket: { max_tokens: 1000000, tokens_per_fill: 1000000, fill_interval: 1s }
              filter_enabled: { default_value: { numerator: 100, denominator: HUNDRED } }
              filter_enforced: { default_value: { numerator: 100, denominator: HUNDRED } }
          - name: envoy.filters.http.router
            typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }
  clusters:
  - name: upstream
    connect_timeout: 5s
    circuit_breakers:
      thresholds: [{ max_connections: 100000, max_pending_requests: 100000, max_requests: 100000 }]
    load_assignment:
      cluster_name: upstream
      endpoints: [{ lb_endpoints: [{ endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: {upstream} } } } }] }]
  - name: issuer
    connect_timeout: 5s
    load_assignment:
      cluster_name: issuer
      endpoints: [{ lb_endpoints: [{ endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: {issuer_port} } } } }] }]
"#;
