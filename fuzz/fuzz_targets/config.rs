//! Configurations: refused with reasons, or safe.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use portcullis::config::{Config, TenantRule};

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match Config::parse(text, Path::new("gateway.toml")) {
        Err(errors) => {
            assert!(!errors.is_empty());
            assert!(errors.iter().all(|error| !error.message.is_empty() && !error.message.contains('\n')));
        }
        Ok(config) => {
            assert!(config.listen.tls.is_some() || text.contains("insecure_plaintext"));
            assert_ne!(config.listen.address.port(), if config.admin.port() == 0 { 1 } else { config.admin.port() });
            for issuer in &config.issuers {
                assert!(!issuer.rules.algorithms.is_empty() && !issuer.rules.token_types.is_empty());
                assert!(issuer.rules.leeway.as_secs() <= 300);
            }
            for route in &config.routes {
                assert!(!route.issuers.is_empty());
                assert_eq!(route.tenant == TenantRule::FromResource, route.resource.has_tenant());
            }
        }
    }
});
