//! `gateway.toml`: every fixture is accepted, or refused with exactly the messages beside it.

#![expect(clippy::expect_used, clippy::panic, reason = "a failed step is a failed test")]

use std::fs;
use std::path::{Path, PathBuf};

use portcullis::config::{Algorithm, Config, Effect, IdentityField, LimitKey, Pattern, Quota, Rule, TenantRule};

/// The `.toml` files of one folder of fixtures.
fn fixtures(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/config").join(folder);
    let files = fs::read_dir(&folder).expect("the folder is there").map(|entry| entry.expect("readable").path());
    let mut found: Vec<PathBuf> = files.filter(|path| path.extension().is_some_and(|e| e == "toml")).collect();
    found.sort();
    found
}

fn read(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_else(|why| panic!("{}: {why}", file.display()))
}

fn accepted(name: &str) -> Config {
    let fixtures = fixtures("accept");
    let file = fixtures.iter().find(|file| file.ends_with(name)).expect("the fixture is there");
    Config::load(file).unwrap_or_else(|errors| panic!("{errors:#?}"))
}

#[test]
fn every_good_fixture_is_accepted() {
    let fixtures = fixtures("accept");
    assert!(fixtures.len() >= 3);
    for file in fixtures {
        Config::load(&file).unwrap_or_else(|errors| panic!("{}: {errors:#?}", file.display()));
    }
}

#[test]
fn every_bad_fixture_is_refused_with_its_messages() {
    let fixtures = fixtures("reject");
    assert!(fixtures.len() >= 30);
    for file in fixtures {
        let folder = file.parent().expect("a folder");
        let errors = Config::parse(&read(&file), &folder.join("gateway.toml")).expect_err("refused");
        let said: Vec<String> = errors.iter().map(ToString::to_string).collect();
        let said = format!("{}\n", said.join("\n")).replace(&format!("{}/", folder.display()), "");
        assert!(!errors.is_empty(), "{}", file.display());
        assert_eq!(said, read(&file.with_extension("txt")), "{}", file.display());
    }
}

#[test]
fn no_message_quotes_a_secret() {
    let expected = fixtures("reject").into_iter().map(|file| read(&file.with_extension("txt")));
    let (with, without): (Vec<_>, Vec<_>) = expected.partition(|text| text.contains("p4ss") || text.contains("s3cr3t"));
    assert!(with.is_empty(), "{with:#?}");
    assert!(!without.is_empty());
}

/// Nothing about who may come in has a default.
#[test]
fn o4_route_that_does_not_say_who_may_come_in_is_refused() {
    let fixtures = fixtures("accept");
    let file = fixtures.iter().find(|file| file.ends_with("smallest.toml")).expect("the fixture is there");
    let smallest = read(file);
    for (key, line) in
        [("issuers", "issuers = [\"corp\"]"), ("scopes", "scopes = [\"mcp:tools\"]"), ("tenant", "tenant = \"any\"")]
    {
        assert!(smallest.contains(line), "{line}");
        let errors = Config::parse(&smallest.replace(line, ""), file).expect_err("refused");
        let said: Vec<String> = errors.iter().map(ToString::to_string).collect();
        assert!(said.len() == 1 && said[0].ends_with(&format!(": routes[0].{key}: is required")), "{said:?}");
    }
    let errors = Config::parse(&smallest.replace("issuers = [\"corp\"]", "issuers = []"), file).expect_err("refused");
    assert!(errors[0].to_string().ends_with("must name at least one issuer"), "{errors:?}");
}

#[test]
fn the_smallest_file_has_safe_defaults() {
    let config = accepted("smallest.toml");
    let limits = &config.listen.limits;
    assert_eq!((limits.connections, limits.connections_per_address), (10_000, 1000));
    assert_eq!((limits.header_bytes, limits.body_bytes), (32 * 1024, 4 * 1024 * 1024));
    assert_eq!(config.admin.to_string(), "127.0.0.1:9090");
    assert!(config.listen.trusted_proxies.is_empty() && config.session_keys.is_empty());
    let issuer = &config.issuers[0];
    assert!(issuer.rules.strict && !issuer.insecure_http && issuer.jwks_uri.is_none());
    assert_eq!(issuer.rules.token_types, ["at+jwt"]);
    assert_eq!(issuer.rules.leeway.as_secs(), 30);
    let route = &config.routes[0];
    assert_eq!((route.issuers.as_slice(), &route.tenant), ([0].as_slice(), &TenantRule::Any));
    let names: Vec<&str> = route.identity.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["x-auth-subject", "x-auth-client", "x-auth-tenant", "x-auth-scopes", "x-auth-issuer"]);
    assert!(route.origins.is_empty() && route.limits.is_empty() && route.upstream.headers.is_empty());
    assert_eq!(route.metadata.max_age.as_secs(), 300);
}

#[test]
fn every_key_reaches_its_place() {
    let config = accepted("behind-a-proxy.toml");
    assert!(config.listen.tls.is_none());
    let proxies: Vec<String> = config.listen.trusted_proxies.iter().map(ToString::to_string).collect();
    assert_eq!(proxies, ["10.0.0.0/8", "192.0.2.7/32", "2001:db8::/32"]);
    // A lower cap on all connections lowers the default for one address.
    assert_eq!(config.listen.limits.connections_per_address, 50);
    assert_eq!((config.listen.limits.body_bytes, config.listen.limits.header_bytes), (65536, 16384));

    // Standard base64 from a file, and the URL-safe one without padding.
    let keys: Vec<(u8, u8)> = config.session_keys.iter().map(|key| (key.0[0], key.0[31])).collect();
    assert_eq!(keys, [(250, 250), (200, 231)]);

    let local = &config.issuers[1];
    assert_eq!(local.rules.algorithms, [Algorithm::EdDsa, Algorithm::Ed25519]);
    assert_eq!(local.rules.token_types, ["at+jwt", "jwt", ""]);
    assert_eq!(local.rules.claims.tenant.as_ref().expect("named").text, "https://example.com/tenant");
    assert!(local.rules.claims.scopes_may_be_array);

    let route = &config.routes[0];
    assert_eq!((route.authorities.len(), route.audiences.as_slice()), (2, ["api://mcp".to_owned()].as_slice()));
    assert_eq!(route.origins.len(), 2);
    let tenants = |rule: &TenantRule| matches!(rule, TenantRule::Allow(tenants) if tenants.len() == 2);
    assert!(tenants(&route.tenant));
    let mail = route.identity.iter().find(|(name, _)| name == "x-auth-mail").expect("there");
    assert!(matches!(&mail.1, IdentityField::Claim(path) if path.text == "email"));
    let quotas: Vec<String> = route.limits.iter().map(|limit| format!("{:?} {:?}", limit.per, limit.quota)).collect();
    assert_eq!(route.limits[0].per, [LimitKey::Tenant, LimitKey::Client]);
    assert!(matches!(&route.limits[0].quota, Quota::Rate { burst, .. } if burst.get() == 60), "{quotas:?}");
    assert!(matches!(&route.limits[2].quota, Quota::Streams(streams) if streams.get() == 20), "{quotas:?}");
    assert_eq!(route.upstream.messages.as_ref().expect("there").path(), "/message");
    assert_eq!(route.metadata.scopes_supported.as_ref().map(Vec::len), Some(2));
    assert!(config.routes[1].upstream.ca.as_ref().expect("there").ends_with("accept/ca.pem"));
}

#[test]
fn every_key_of_a_policy_reaches_its_place() {
    let config = accepted("policy.toml");
    let route = &config.routes[0];
    assert!(route.batches && !config.routes[1].batches);
    assert_eq!(route.limits[0].per, [LimitKey::Tool, LimitKey::Client]);
    let policy = &route.policy;
    assert_eq!((policy.default, policy.step_up, policy.rules.len()), (Effect::Deny, false, 4));
    let implies: Vec<_> = policy.implies.iter().map(|(scope, granted)| (scope.as_str(), granted.len())).collect();
    assert_eq!(implies, [("mcp:admin", 1), ("mcp:write", 2)]);

    let Rule { line, methods, tools, scopes, tenants, clients, subjects, claims, deny, cost, .. } = &policy.rules[1];
    assert_eq!((*line, *deny, cost.get()), (29, false, 20));
    assert_eq!(methods, &[Pattern("tools/call".into())]);
    assert_eq!(tools, &[Pattern("delete_*".into()), Pattern("drop table; *".into())]);
    assert_eq!((scopes[0].as_str(), tenants.len(), subjects[0].as_str()), ("mcp:admin", 2, "alice"));
    assert_eq!(clients[0].as_str(), "https://app.example.com/client.json");
    let claims: Vec<_> = claims.iter().map(|(path, texts)| (path.text.as_str(), texts.join(" "))).collect();
    assert_eq!(claims, [("level", "2".to_owned()), ("realm_access.roles", "ops notes:*".to_owned())]);
    let rule = &policy.rules[2];
    assert_eq!((rule.prompts.len(), rule.resources.len(), rule.deny, rule.cost.get()), (1, 1, false, 1));
    assert!(policy.rules[3].deny);

    let inline = &config.routes[1].policy;
    let lines: Vec<usize> = inline.rules.iter().map(|rule| rule.line).collect();
    assert_eq!((inline.default, inline.step_up, lines.as_slice()), (Effect::Allow, true, [56, 56].as_slice()));
    assert!(config.routes[2].policy.rules.is_empty());
    assert_eq!(accepted("smallest.toml").routes[0].policy.default, Effect::Allow);
}

#[test]
fn what_the_documentation_of_rules_shows_is_accepted() {
    const GATEWAY: &str = "[listen]\naddress = \"[::1]:0\"\ninsecure_plaintext = true\n\
        [[issuers]]\nname = \"corp\"\nissuer = \"https://login.example.com\"\n";
    let text = read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/policy.md"));
    let blocks: Vec<&str> =
        text.split("```toml\n").skip(1).map(|rest| rest.split("```").next().expect("code")).collect();
    let (route, _) = blocks[0].split_once("[routes.policy]").expect("a whole route");
    for block in &blocks {
        let before = match block.split(['\n', ' ']).next() {
            Some("[[routes]]") => String::new(),
            Some("default") => format!("{route}[routes.policy]\n"),
            _ => route.to_owned(),
        };
        let text = format!("{GATEWAY}{before}{block}");
        let config =
            Config::parse(&text, Path::new("gateway.toml")).unwrap_or_else(|errors| panic!("{errors:#?}\n{text}"));
        assert!(!config.routes[0].policy.rules.is_empty());
    }
    assert!(blocks.len() >= 4);
}

#[test]
fn references_fill_header_values_and_stay_out_of_debug() {
    let config = accepted("behind-a-proxy.toml");
    let value = |name: &str| {
        let found = config.routes[0].upstream.headers.iter().find(|(header, _)| header == name);
        found.map(|(_, value)| (value.to_str().expect("text").to_owned(), value.is_sensitive()))
    };
    assert_eq!(value("authorization"), Some(("Bearer s3cr3t-from-a-file".into(), true)));
    assert_eq!(value("x-api-key"), Some(("${not-expanded}".into(), true)));
    assert!(!format!("{config:?}").contains("s3cr3t"));
}

#[test]
fn an_unreadable_file_is_one_error() {
    let errors = Config::load(Path::new("no/such/gateway.toml")).expect_err("refused");
    assert_eq!(errors.len(), 1);
    assert!(errors[0].to_string().starts_with("no/such/gateway.toml: cannot be read: "), "{}", errors[0]);
}
