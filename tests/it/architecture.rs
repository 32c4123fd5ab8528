//! The architecture as a test: imports point one way, pure files stay pure, files stay short.

use std::fs;
use std::path::{Path, PathBuf};

/// The modules of the crate from the outside in. A module may import those that stand in a later row, and nothing of its own
/// row but what [`ALLOWED`] names.
const ROWS: &[&[&str]] = &[
    &["main"],
    &["cli"],
    &["bench_internals", "demo", "doctor"],
    &["server"],
    &["connection", "ops", "reload"],
    &["live"],
    &["request", "tls"],
    &["policy", "session", "audit", "detection", "revocations", "telemetry"],
    &["metrics"],
    &["record"],
    &["trace"],
    &["mcp", "token", "keys", "oauth", "headers", "chunked"],
    &["head"],
    &["trust"],
    &["config"],
    &["names", "deadline", "network", "spool", "text"],
];

/// Arrows inside one row: who imports, what.
const ALLOWED: &[(&str, &str)] = &[("token", "keys"), ("oauth", "headers")];

/// Files and folders that are pure whatever they say of themselves. Others are when their first line says "Pure.".
const PURE: &[&str] = &[
    "names.rs",
    "head/",
    "headers/",
    "mcp/",
    "policy/",
    "session/",
    "token/",
    "oauth/",
    "keys/jwks/",
    "config/parse/",
    "config/resource.rs",
];

/// What a pure file may not name.
const IMPURE: &[&str] =
    &["tokio", "hyper", "reqwest", "std::env", "std::fs", "std::net::Tcp", "Instant::now", "SystemTime::now", "async "];

/// Longest file, tests included.
const MOST_LINES: usize = 500;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// Every Rust file under a folder, with its path inside it.
fn files(folder: &str) -> Vec<(String, String)> {
    let base = root().join(folder);
    let (mut found, mut folders) = (Vec::new(), vec![base.clone()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(&base).unwrap().to_str().unwrap().to_owned();
                found.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

/// True for files that hold only tests or what tests need.
fn is_test(name: &str) -> bool {
    name.contains("/tests/") || name.ends_with("/tests.rs") || name.rsplit('/').next().unwrap().starts_with("test_")
}

/// The code of a file: without comments and without the tests at its end.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let lines = text.lines().map(|line| line.split("//").next().unwrap());
    lines.collect::<Vec<_>>().join("\n")
}

/// The top module that a file belongs to.
fn module(name: &str) -> &str {
    name.split('/').next().unwrap().trim_end_matches(".rs")
}

/// The top modules that a code names: after `crate::`, or after `portcullis::` in the binary.
fn imports(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for start in ["crate::", "portcullis::"] {
        for rest in code.split(start).skip(1) {
            let names = match rest.strip_prefix('{') {
                Some(list) => list.split('}').next().unwrap().split(',').collect(),
                None => vec![rest],
            };
            let word = |text: &str| {
                text.trim().chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect::<String>()
            };
            found.extend(names.into_iter().map(word));
        }
    }
    // What is no module stands in lib.rs itself.
    found.retain(|name| row(name).is_some());
    found
}

fn row(module: &str) -> Option<usize> {
    ROWS.iter().position(|row| row.contains(&module))
}

/// What is wrong with one arrow, if anything.
fn wrong(from: &str, to: &str) -> Option<String> {
    if from == to || ALLOWED.contains(&(from, to)) {
        return None;
    }
    (row(from) >= row(to)).then(|| format!("{from} must not import {to}"))
}

#[test]
fn imports_point_one_way() {
    let mut faults = Vec::new();
    let mut arrows = 0;
    for (name, text) in files("src") {
        if is_test(&name) || name == "lib.rs" {
            continue;
        }
        for import in imports(&code(&text)) {
            arrows += 1;
            faults.extend(wrong(module(&name), &import).map(|fault| format!("src/{name}: {fault}")));
        }
    }
    assert!(arrows > 50, "only {arrows} arrows were found: the test does not see them");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_module_has_its_row() {
    for (name, _) in files("src") {
        assert!(name == "lib.rs" || row(module(&name)).is_some(), "src/{name} is in no row");
    }
}

#[test]
fn pure_files_stay_pure() {
    let mut checked = 0;
    let mut faults = Vec::new();
    for (name, text) in files("src") {
        let says_so = text.lines().take_while(|line| line.starts_with("//!")).any(|line| line.contains("Pure."));
        let is_pure = says_so || PURE.iter().any(|pure| name.starts_with(pure));
        if !is_pure || is_test(&name) {
            continue;
        }
        checked += 1;
        let code = code(&text);
        let impure = IMPURE.iter().filter(|impure| code.contains(*impure));
        faults.extend(impure.map(|impure| format!("src/{name} is pure and names {impure}")));
    }
    assert!(checked > 15, "only {checked} pure files were found: the test does not see them");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn files_stay_short() {
    for folder in ["src", "tests"] {
        for (name, text) in files(folder) {
            let lines = text.lines().count();
            assert!(lines <= MOST_LINES, "{folder}/{name} has {lines} lines: split it by what it knows");
        }
    }
}

#[test]
fn every_file_says_what_it_is() {
    for folder in ["src", "tests"] {
        for (name, text) in files(folder) {
            assert!(text.starts_with("//! "), "{folder}/{name} does not begin with a sentence about itself");
        }
    }
}

/// The proof types and the only files that may make them.
const PROOFS: [(&str, &str); 4] = [
    ("Identity", "token/verify.rs"),
    ("Entitled", "request/authorize.rs"),
    ("Admission", "request/admit.rs"),
    ("Permit", "request/authorize.rs"),
];

#[test]
fn proof_types_are_made_in_one_place() {
    for (proof, place) in PROOFS {
        let mut makers = Vec::new();
        for (name, text) in files("src") {
            if !is_test(&name) && code(&text).lines().any(|line| makes(line, proof)) {
                makers.push(name);
            }
        }
        assert_eq!(makers, [place], "who makes a {proof}");
    }
}

/// True for a line with a struct literal, or with the struct itself.
fn makes(line: &str, proof: &str) -> bool {
    let named = line.split(&format!("{proof} {{")).next().filter(|before| before.len() < line.len());
    named.is_some_and(|before| {
        let stands_alone = !before.ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
        stands_alone && !line.contains("impl ") && !before.trim_end().ends_with("->")
    })
}

#[test]
fn proof_types_cannot_be_copied() {
    for (proof, place) in PROOFS {
        let text = fs::read_to_string(root().join("src").join(place)).unwrap();
        let before = text.split(&format!("struct {proof} ")).next().unwrap();
        let derives = before.rsplit("#[derive(").next().unwrap().split(")]").next().unwrap();
        for bad in ["Clone", "Default", "Deserialize"] {
            assert!(!derives.contains(bad), "{proof} derives {bad}");
        }
    }
}
