//! Policy tests, and what they share: a route with a `[routes.policy]`, callers made of claims, and operations.

mod decisions;
mod implied;
mod reference;
mod shown;
mod uris;

use std::path::Path;

use serde_json::{Value, json};

use super::*;
use crate::config::{Config, ConfigError};
use crate::mcp::message::naming_of;
use crate::token::bare::BareClaims;
use crate::token::verify::Expectations;

/// A route with these rules, and the callers that it knows.
struct World {
    config: Config,
    policy: Policy,
}

impl World {
    /// `policy` is what stands under `[routes.policy]`.
    fn new(policy: &str) -> Self {
        Self::read(policy).unwrap_or_else(|errors| panic!("{errors:#?}"))
    }

    /// The same, unless the configuration is refused.
    fn if_good(policy: &str) -> Option<Self> {
        Self::read(policy).ok()
    }

    fn read(policy: &str) -> Result<Self, Vec<ConfigError>> {
        let text = format!(
            "[listen]\naddress = \"[::1]:0\"\ninsecure_plaintext = true\n\
             [[issuers]]\nname = \"corp\"\nissuer = \"https://login.example.com\"\nstrict = false\n\
             [[routes]]\nname = \"notes\"\nresource = \"https://h/mcp\"\nupstream = \"http://127.0.0.1:1/\"\n\
             issuers = [\"corp\"]\nscopes = [\"mcp:tools\"]\ntenant = \"any\"\n[routes.policy]\n{policy}"
        );
        let config = Config::parse(&text, Path::new("gateway.toml"))?;
        Ok(Self { policy: Policy::new(&config.routes[0]), config })
    }

    /// A caller with these claims beside `sub` and `client_id`.
    fn caller(&self, more: &Value) -> Caller {
        let mut claims = json!({ "sub": "alice", "client_id": "editor" });
        claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let expect = Expectations::new(&self.config.routes[0], &self.config.issuers[0]);
        BareClaims::read(claims.to_string().as_bytes()).unwrap().caller(&expect, None).unwrap()
    }

    /// A caller with these scopes.
    fn scopes(&self, scopes: &str) -> Caller {
        self.caller(&json!({ "scope": scopes }))
    }

    fn decide(&self, caller: &Caller, method: &str, names: &[&str]) -> Decision {
        self.policy.decide(caller, &operation(method, names))
    }

    fn verdict(&self, caller: &Caller, method: &str, names: &[&str]) -> Verdict {
        self.decide(caller, method, names).verdict
    }
}

fn operation(method: &str, names: &[&str]) -> Operation {
    let kind = naming_of(method).map_or(TargetKind::Resource, |naming| naming.kind);
    let target = |name: &&str| Target { kind, name: Box::from(*name) };
    Operation { method: method.into(), targets: names.iter().map(target).collect() }
}

fn needs(scopes: &str) -> Verdict {
    Verdict::Scopes(scopes.into())
}

#[test]
fn selectors_know_the_methods_that_name_such_things() {
    use crate::config::policy::Selector;
    use crate::mcp::message::{LISTEN, NAMINGS};
    for (selector, kind, by_shape) in [
        (Selector::TOOLS, TargetKind::Tool, &[][..]),
        (Selector::PROMPTS, TargetKind::Prompt, &[COMPLETE]),
        (Selector::RESOURCES, TargetKind::Resource, &[COMPLETE, LISTEN]),
    ] {
        let named = NAMINGS.iter().filter(|naming| naming.kind == kind).map(|naming| naming.method);
        assert_eq!(named.chain(by_shape.iter().copied()).collect::<Vec<_>>(), selector.methods);
    }
}
