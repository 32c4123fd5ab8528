//! The example file is a test too: it parses as shipped and with every key uncommented, and its defaults are the real ones.

mod schema;

use std::env::VarError;
use std::io;
use std::path::Path;

use proptest::prelude::*;

use super::read::expand::Sources;
use super::{Config, ConfigError, SessionKey, parse};

const EXAMPLE: &str = include_str!("../../../gateway.toml.example");

/// 32 bytes, each `k`.
const SESSION_KEY: &str = "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s=";

fn read(text: &str) -> Config {
    try_read(text).unwrap_or_else(|errors| panic!("{errors:#?}"))
}

fn try_read(text: &str) -> Result<Config, Vec<ConfigError>> {
    let sources = Sources {
        env: &|name| {
            let known = ["NOTES_API_KEY", "OTLP_TOKEN"].contains(&name);
            if known { Ok("k3y-value".into()) } else { Err(VarError::NotPresent) }
        },
        file: &|path| {
            let is_key = path.to_string_lossy().ends_with("-key");
            if is_key { Ok(format!("{SESSION_KEY}\n")) } else { Err(io::ErrorKind::NotFound.into()) }
        },
    };
    parse::parse(text, Path::new("gateway.toml"), &sources)
}

fn uncommented() -> String {
    let key = |line: &str| line.starts_with('#') && !line.starts_with("# ") && !line.starts_with("#:") && line != "#";
    let lines = EXAMPLE.lines().map(|line| if key(line) { line.replacen('#', "", 1) } else { line.to_owned() });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_example_parses_as_shipped_and_uncommented() {
    let (shipped, whole) = (read(EXAMPLE), read(&uncommented()));
    assert_eq!((shipped.routes.len(), whole.routes.len()), (1, 2));
    assert!(whole.listen.tls.unwrap().client.unwrap().required);
}

#[test]
fn the_example_names_the_real_defaults() {
    let (shipped, whole) = (read(EXAMPLE), read(&uncommented()));
    let same = |a: &dyn std::fmt::Debug, b: &dyn std::fmt::Debug| assert_eq!(format!("{a:#?}"), format!("{b:#?}"));
    same(&shipped.listen.limits, &whole.listen.limits);
    same(&shipped.listen.shutdown_grace, &whole.listen.shutdown_grace);
    same(&(shipped.admin, shipped.log), &(whole.admin, whole.log));
    let (default, written) = (&shipped.issuers[0], &whole.issuers[0]);
    same(&default.keys, &written.keys);
    same(&default.insecure_http, &written.insecure_http);
    // Naming the scope claims also allows arrays there; everything else is the generic profile's.
    let mut rules = written.rules.clone();
    assert!(rules.claims.scopes_may_be_array);
    rules.claims.scopes_may_be_array = false;
    assert_eq!(rules.tenants.drain(..).len(), 1, "absent by default");
    same(&default.rules, &rules);
    let (default, written) = (&shipped.routes[0], &whole.routes[0]);
    same(&default.upstream.timeouts, &written.upstream.timeouts);
    same(&default.metadata.max_age, &written.metadata.max_age);
    let written = written.identity.iter().filter(|(name, _)| name != "x-auth-email").cloned();
    let (mut written, mut default) = (written.collect::<Vec<_>>(), default.identity.clone());
    written.sort_by_key(|(name, _)| name.to_string());
    default.sort_by_key(|(name, _)| name.to_string());
    assert_eq!(default, written);
}

#[test]
fn no_secret_is_in_the_debug_output() {
    let config = read(&uncommented());
    let (name, value) = &config.routes[0].upstream.headers[0];
    assert_eq!((name.as_str(), value.to_str().unwrap()), ("authorization", "Bearer k3y-value"));
    assert!(value.is_sensitive());
    assert_eq!(config.session_keys, [SessionKey([b'k'; 32])]);
    let debug = format!("{config:?}");
    assert!(!debug.contains("k3y-value") && !debug.contains("107") && !debug.contains(SESSION_KEY), "{debug}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However a file is damaged: no panic, and never a refusal without a reason.
    #[test]
    fn a_damaged_file_is_accepted_or_explained(at in 0..EXAMPLE.len(), length in 0..40_usize, put in ".{0,4}") {
        let whole = uncommented();
        let (before, rest) = whole.split_at_checked(at).unwrap_or((&whole, ""));
        let damaged = format!("{before}{put}{}", rest.get(length..).unwrap_or(""));
        let sources = Sources { env: &|_| Err(VarError::NotPresent), file: &|_| Err(io::ErrorKind::NotFound.into()) };
        if let Err(errors) = parse::parse(&damaged, Path::new("gateway.toml"), &sources) {
            prop_assert!(!errors.is_empty());
            prop_assert!(errors.iter().all(|error| !error.message.contains('\n')));
        }
    }
}
