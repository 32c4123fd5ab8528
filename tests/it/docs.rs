//! The documents against the code: every reason in the log is explained, and what the provider pages show works.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis::config::Config;
use portcullis::policy::Policy;
use portcullis::token::verify::{Checked, Expectations, Unverified};

/// What the examples leave out.
const LISTEN: &str = "[listen]\naddress = \"[::1]:0\"\ninsecure_plaintext = true\n";
/// Seconds since 1970, while the tokens of the examples are good.
const NOW: u64 = 1_795_300_100;
/// Folders of the source that write no reasons: their dotted texts are keys of the configuration, claims and file names.
const SILENT: [&str; 6] = ["demo/", "cli/", "config/", "doctor/", "telemetry/span.rs", "telemetry/instruments.rs"];
/// Dotted texts elsewhere that are no reasons.
const NO_REASONS: [&str; 4] = ["listen.address", "admin.address", "page.css", "service.version"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|why| panic!("{}: {why}", path.display()))
}

/// Every Rust file of the product, with its path inside `src`, without comments and without the tests at its end.
fn sources() -> Vec<(String, String)> {
    let base = root().join("src");
    let (mut found, mut folders) = (Vec::new(), vec![base.clone()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(&base).unwrap().to_str().unwrap().to_owned();
            if path.is_dir() {
                folders.push(path);
            } else if !name.ends_with("tests.rs") && !name.contains("/tests/") && !name.contains("/test_") {
                let text = read(&path);
                let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
                let lines = code.lines().map(|line| line.split("//").next().unwrap());
                found.push((name, lines.collect::<Vec<_>>().join("\n")));
            }
        }
    }
    found
}

/// The texts in quotation marks of one line.
fn texts(line: &str) -> impl Iterator<Item = &str> {
    line.split('"').skip(1).step_by(2)
}

/// `upstream.timeout`: two words with a dot between them.
fn is_dotted(text: &str) -> bool {
    let is_word = |word: &str| {
        word.starts_with(|c: char| c.is_ascii_lowercase())
            && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    text.split_once('.').is_some_and(|(first, second)| is_word(first) && is_word(second))
}

/// Every reason and event that the code writes.
fn written() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (name, code) in sources() {
        if SILENT.iter().any(|silent| name.starts_with(silent)) {
            continue;
        }
        for line in code.lines() {
            let event = line.split_once("event = \"").and_then(|(_, rest)| rest.split('"').next());
            let dotted = texts(line).filter(|text| is_dotted(text) && !NO_REASONS.contains(text));
            found.extend(dotted.chain(event).chain(face(line).map(|(_, reason)| reason)).map(str::to_owned));
        }
    }
    found
}

/// Code and reason of a line with a `Face`.
fn face(line: &str) -> Option<(&str, &str)> {
    let (_, face) = line.split_once("Face(S::")?;
    let mut texts = texts(face);
    Some((texts.next()?, texts.next()?))
}

/// The rows of the tables in `docs/errors.md`, by the word that they explain.
fn explained() -> BTreeMap<String, String> {
    rows("errors.md")
}

fn rows(page: &str) -> BTreeMap<String, String> {
    let text = read(&root().join("docs").join(page));
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    rows.map(|(word, row)| (word.to_owned(), row.to_owned())).collect()
}

#[test]
fn every_reason_and_event_is_explained() {
    let (written, explained) = (written(), explained());
    assert!(written.len() > 100, "only {} were found: the test does not see them", written.len());
    let missing: Vec<_> = written.iter().filter(|word| !explained.contains_key(*word)).collect();
    assert!(missing.is_empty(), "docs/errors.md does not explain {missing:?}");
}

#[test]
fn nothing_is_explained_that_does_not_exist() {
    let sources = sources();
    let exists = |word: &String| sources.iter().any(|(_, code)| code.contains(&format!("\"{word}\"")));
    let invented: Vec<_> = explained().into_keys().filter(|word| !exists(word)).collect();
    assert!(invented.is_empty(), "docs/errors.md explains {invented:?}, which no code writes");
}

/// The codes of the doctor's findings: the first text where a finding is made.
fn findings() -> BTreeSet<String> {
    const MADE: [&str; 6] = [".ok(", ".note(", ".warning(", ".problem(", "wrong(", ".push(("];
    let mut found = BTreeSet::new();
    for (_, code) in sources().iter().filter(|(name, _)| name.starts_with("doctor/")) {
        for made in MADE {
            let first =
                code.split(made).skip(1).filter_map(|rest| rest.trim_start().strip_prefix('"')?.split('"').next());
            found.extend(first.map(str::to_owned));
        }
    }
    found
}

#[test]
fn every_finding_of_the_doctor_is_explained_and_no_other() {
    let (made, mut explained) = (findings(), rows("doctor.md"));
    assert!(made.len() > 40, "only {} were found: the test does not see them", made.len());
    let reasons = self::explained();
    let missing: Vec<_> =
        made.iter().filter(|code| explained.remove(*code).is_none() && !reasons.contains_key(*code)).collect();
    assert!(missing.is_empty(), "docs/doctor.md does not explain {missing:?}");
    assert!(explained.is_empty(), "docs/doctor.md explains {:?}, which no code says", explained.keys());
}

/// The cases that a test's name begins with: `o1_o2_a_bad_file`, `h2_21_illegal_names`, `x3b_other_spellings`.
fn cases(name: &str) -> Vec<String> {
    let (mut found, mut rest) = (Vec::new(), name);
    while let Some((first, tail)) = rest.split_once('_') {
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let of_http2 = tail.split_once('_').filter(|(number, _)| first == "h2" && is_number(number));
        let letter = first.strip_prefix(|c: char| c.is_ascii_lowercase()).is_some_and(is_number);
        let beyond =
            first.strip_prefix('x').and_then(|rest| rest.strip_suffix(['a', 'b', 'c', 'd'])).filter(|n| is_number(n));
        (found, rest) = match (of_http2, letter, beyond) {
            (Some((number, tail)), ..) => ([found, vec![number.to_owned()]].concat(), tail),
            (None, true, _) => ([found, vec![first.to_uppercase()]].concat(), tail),
            (None, false, Some(_)) => ([found, vec![first.replacen('x', "X", 1)]].concat(), tail),
            (None, false, None) => break,
        };
    }
    found
}

/// Every test: file and name.
fn tests() -> Vec<(String, String)> {
    let mut folders = ["src", "tests/it", "tests/siege"].map(|folder| root().join(folder)).to_vec();
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let file = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
            let (text, mut is_test) = (read(&path), false);
            for line in text.lines().map(str::trim) {
                let function = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ");
                if let Some((name, _)) = function.and_then(|rest| rest.split_once('(')).filter(|_| is_test) {
                    found.push((file.clone(), name.to_owned()));
                }
                is_test =
                    line == "#[test]" || line.starts_with("#[tokio::test") || (is_test && line.starts_with(['#', '/']));
            }
        }
    }
    found
}

/// Every test that carries a case: case, file and name.
fn tests_of_cases() -> BTreeSet<(String, String, String)> {
    let of_test = |(file, name): (String, String)| {
        cases(&name).into_iter().map(move |case| (case, file.clone(), name.clone())).collect::<Vec<_>>()
    };
    tests().into_iter().flat_map(of_test).collect()
}

/// The page of threats: its cases, and after them what breaks around the gateway.
fn threats() -> (String, String) {
    let page = read(&root().join("docs/threats.md"));
    let (cases, faults) = page.split_once("\n## Faults\n").unwrap();
    (cases.to_owned(), faults.to_owned())
}

/// The texts between backticks in the last cell of a table's row.
fn held_by(row: &str) -> Vec<&str> {
    row.split(" | ").last().unwrap().split('`').skip(1).step_by(2).collect()
}

#[test]
fn every_test_with_faults_is_on_the_page_of_threats_and_no_other() {
    let (_, faults) = threats();
    let rows = faults.lines().filter(|line| line.starts_with("| ")).skip(1);
    let listed: BTreeSet<_> = rows
        .flat_map(|row| held_by(row).chunks(2).map(|pair| (pair[0].to_owned(), pair[1].to_owned())).collect::<Vec<_>>())
        .collect();
    let written: BTreeSet<_> = tests().into_iter().filter(|(file, _)| file.starts_with("tests/it/faults/")).collect();
    assert!(written.len() > 40, "only {} were found: the test does not see them", written.len());
    assert_eq!(listed, written);
}

#[test]
fn every_threat_has_its_tests_on_the_page_and_every_test_its_threat() {
    let (page, _) = threats();
    let (mut listed, mut known) = (BTreeSet::new(), BTreeSet::new());
    for row in page.lines().filter(|line| line.starts_with("| ")).filter(|line| !line.starts_with("| id ")) {
        let cells: Vec<&str> = row.split(" | ").collect();
        let case = cells.first().unwrap().trim_start_matches("| ").to_owned();
        let texts = held_by(row);
        assert!(!texts.is_empty() && texts.len().is_multiple_of(2), "{case} is held by nothing");
        for pair in texts.chunks(2) {
            if pair[0].starts_with("tests/e2e/") {
                assert!(read(&root().join(pair[0])).contains(&format!("{}:", pair[1])), "{case}: {pair:?}");
            } else {
                listed.insert((case.clone(), pair[0].to_owned(), pair[1].to_owned()));
            }
        }
        known.insert(case);
    }
    assert!(known.len() > 150, "{}", known.len());
    let written: BTreeSet<_> = tests_of_cases().into_iter().filter(|(case, ..)| known.contains(case)).collect();
    let missing: Vec<_> = written.difference(&listed).collect();
    assert!(missing.is_empty(), "docs/threats.md does not name {missing:#?}");
    let gone: Vec<_> = listed.difference(&written).collect();
    assert!(gone.is_empty(), "docs/threats.md names tests that are not there: {gone:#?}");
}

#[test]
fn every_reason_stands_beside_its_error() {
    let explained = explained();
    let mut checked = 0;
    for (name, code) in sources() {
        for (error, reason) in code.lines().filter_map(face) {
            checked += 1;
            let row = explained.get(reason).map_or("", String::as_str);
            assert!(row.contains(&format!("`{error}`")), "{name}: {reason} is {error}, docs/errors.md says {row}");
        }
    }
    assert!(checked > 35, "only {checked} were found: the test does not see them");
}

/// The blocks of code of one kind in a document, without the indentation of a list that they stand in.
fn blocks(text: &str, kind: &str) -> Vec<String> {
    let block = |rest: &str| {
        let lines: Vec<&str> = rest.split("```").next().unwrap().lines().collect();
        let indent =
            lines.iter().filter(|line| !line.trim().is_empty()).map(|line| line.len() - line.trim_start().len());
        let indent = indent.min().unwrap_or(0);
        lines.iter().map(|line| line.get(indent..).unwrap_or("")).collect::<Vec<_>>().join("\n")
    };
    text.split(&format!("```{kind}\n")).skip(1).map(block).collect()
}

fn parse(text: &str) -> Config {
    Config::parse(text, Path::new("gateway.toml")).unwrap_or_else(|errors| panic!("{errors:#?}\n{text}"))
}

/// The names in the table of profiles.
fn profiles() -> Vec<String> {
    let code = read(&root().join("src/config/profile.rs"));
    let code = code.split("#[cfg(test)]").next().unwrap();
    let names = code.split("name: \"").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned());
    names.collect()
}

#[test]
fn every_profile_has_a_page_whose_token_its_configuration_lets_in() {
    let profiles = profiles();
    assert!(profiles.len() >= 8, "{profiles:?}");
    for profile in profiles {
        let text = read(&root().join(format!("docs/providers/{profile}.md")));
        let (configurations, tokens) = (blocks(&text, "toml"), blocks(&text, "json"));
        let ([configuration], [header, claims]) = (configurations.as_slice(), tokens.as_slice()) else {
            panic!("{profile}: one configuration, and a token's header and claims");
        };
        assert!(profile == "generic" || configuration.contains(&format!("profile = \"{profile}\"")), "{profile}");
        let config = parse(&format!("{LISTEN}{configuration}"));
        let route = &config.routes[0];
        let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let token = format!("{}.{}.{}", part(header), part(claims), part("no signature is looked at"));
        let checked = Unverified::read(&token)
            .and_then(|token| token.check(&Expectations::new(route, &config.issuers[0]), None, NOW));
        let caller = checked.and_then(Checked::claimed);
        let caller = caller.unwrap_or_else(|why| panic!("{profile}: {why}"));
        assert!(caller.client().is_some(), "{profile}");
        let lacks = Policy::new(route).lacks_of_route(&caller);
        assert!(lacks.is_empty(), "{profile}: lacks {lacks:?}");
    }
}

#[test]
fn the_rules_of_an_incident_are_accepted() {
    let gateway = blocks(&read(&root().join("docs/providers/generic.md")), "toml").remove(0);
    let rules = blocks(&read(&root().join("docs/operations.md")), "toml");
    assert!(!rules.is_empty());
    for rules in rules {
        let config = parse(&format!("{LISTEN}{gateway}\n{rules}"));
        assert!(!config.routes[0].policy.rules.is_empty(), "{rules}");
    }
}
