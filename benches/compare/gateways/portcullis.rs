//! Portcullis, with everything that a production file switches on, and twenty rules.

use std::fs;

use crate::process::{Plan, free_port};
use crate::scene::Scene;

pub(super) fn plan(port: u16, scene: &Scene) -> Plan {
    let rule = |number| format!("[[routes.policy.rules]]\ntools = [\"admin_{number}_*\"]\nscopes = [\"mcp:admin\"]\n");
    let rules = (0..19).map(rule).collect::<Vec<_>>().concat();
    let config = format!(
        r#"
[listen]
address = "127.0.0.1:{port}"
tls = {{ certificate = "tls.crt", key = "tls.key" }}
[listen.limits]
failures_per_address = 1000000
connections = 20000
connections_per_address = 20000
[admin]
address = "127.0.0.1:{admin}"
[log]
served = false
[audit]
sink = "file"
file = "audit-{port}.jsonl"
chain = true
[[issuers]]
name = "bench"
issuer = "{issuer}"
jwks_uri = "{issuer}/jwks"
insecure_http = true
[[routes]]
name = "bench"
resource = "{resource}"
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
[[routes.limits]]
per = ["client", "subject"]
streams = 20000
[routes.policy]
default = "deny"
{rules}[[routes.policy.rules]]
methods = ["initialize", "ping", "tools/*"]
"#,
        admin = free_port(),
        issuer = scene.issuer,
        resource = Scene::resource(),
        host = Scene::host(),
        upstream = scene.upstream,
    );
    let file = scene.path(&format!("gateway-{port}.toml"));
    fs::write(&file, config).expect("written");
    Plan {
        program: env!("CARGO_BIN_EXE_portcullis").into(),
        arguments: vec!["--config".to_owned(), file.display().to_string()],
        log: Some(scene.path("portcullis.log")),
    }
}
