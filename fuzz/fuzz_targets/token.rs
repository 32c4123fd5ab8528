//! Tokens of strangers: no bytes become a caller, and what is said of a token is what is done with it.
#![no_main]

use std::path::Path;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use libfuzzer_sys::fuzz_target;
use portcullis::config::Config;
use portcullis::keys::jwks::KeySet;
use portcullis::token::verify::{Expectations, Unverified};

const CONFIG: &str = r#"
[listen]
address = "127.0.0.1:0"
insecure_plaintext = true
[[issuers]]
name = "i"
issuer = "https://i"
algorithms = ["RS256", "ES256", "EdDSA"]
token_types = ["at+jwt", "jwt", ""]
strict = false
claims = { tenant = "t" }
[[routes]]
name = "r"
resource = "https://r"
upstream = "http://127.0.0.1:1"
issuers = ["i"]
scopes = []
tenant = { allow = ["a"] }
identity = { x-auth-x = "claims.x" }
"#;

/// Whose private keys nobody has.
const KEYS: &str = r#"{"keys": [
    {"kty": "OKP", "crv": "Ed25519", "kid": "k", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
    {"kty": "EC", "crv": "P-256", "kid": "e", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
     "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#;

static EXPECT: LazyLock<Expectations> = LazyLock::new(|| {
    portcullis::install_crypto();
    let config = Config::parse(CONFIG, Path::new("gateway.toml")).unwrap();
    Expectations::new(&config.routes[0], &config.issuers[0])
});
static SET: LazyLock<KeySet> = LazyLock::new(|| KeySet::parse(KEYS.as_bytes()).unwrap().keys);

const NOW: u64 = 1_800_000_000;

// A token as it stands, or header, claims and signature in three lines.
fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let token = match text.split('\n').collect::<Vec<_>>().as_slice() {
        [header, claims, signature] => [header, claims, signature].map(|part| URL_SAFE_NO_PAD.encode(part)).join("."),
        _ => text.to_owned(),
    };
    let Ok(unverified) = Unverified::read(&token) else { return };
    let examined = unverified.examine(&EXPECT, None, NOW);
    let faults: Vec<_> = examined.iter().filter_map(|one| one.verdict.err()).collect();
    assert!(unverified.examine_signature(&EXPECT, &SET).is_err(), "a signature without its key");
    match unverified.check(&EXPECT, None, NOW) {
        Ok(checked) => {
            let keys = SET.candidates(checked.key_id(), checked.algorithm());
            assert!(checked.verify(&keys).is_err(), "a caller out of nothing");
        }
        // An empty signature is a matter of the signature.
        Err(fault) => assert!(faults.contains(&fault) || token.ends_with('.'), "{fault}, but {faults:?}"),
    }
});
