//! The binary at its limits: no file left to open, certificates that end, bounds that change under load (threats O8, O10, O11, O14).

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use rcgen::{CertificateParams, KeyPair, date_time_ymd};

use crate::support::process::{PLAIN, ask};
use crate::support::{PATIENCE, Process};

#[test]
fn o10_without_free_files_accepting_pauses_and_goes_on() {
    const FILES: u32 = 64;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gateway.toml");
    fs::write(&file, PLAIN).unwrap();
    let process = Process::start_with_files(&file, FILES);
    let [address, _] = process.addresses;
    // The kernel takes them; the gateway cannot.
    let held: Vec<TcpStream> = (0..FILES).map(|_| TcpStream::connect(address).unwrap()).collect();
    process.says("accept.failed");
    let asked = Instant::now();
    while asked.elapsed() < Duration::from_secs(1) {
        std::thread::yield_now();
    }
    let tries = process.said("accept.failed");
    assert!(tries < 100, "{tries} tries in a second are a busy loop");
    drop(held);
    assert!(ask(address, "/mcp").starts_with("HTTP/1.1 401"), "it accepts again");
    assert!(process.terminate().success());
}

#[test]
fn lowered_and_raised_connection_limits_count_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gateway.toml");
    let limited = |most: u32| PLAIN.replace("[admin]", &format!("[listen.limits]\nconnections = {most}\n[admin]"));
    fs::write(&file, limited(100)).unwrap();
    let process = Process::start(&file);
    let [address, _] = process.addresses;
    let held: Vec<TcpStream> = (0..3).map(|_| TcpStream::connect(address).unwrap()).collect();
    assert!(ask(address, "/mcp").starts_with("HTTP/1.1 401"));
    fs::write(&file, limited(3)).unwrap();
    process.says("config.reloaded");
    let mut refused = TcpStream::connect(address).unwrap();
    refused.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(refused.read(&mut [0; 1]).unwrap_or(0), 0, "closed at once");
    fs::write(&file, limited(4)).unwrap();
    process.says("config.reloaded");
    assert!(ask(address, "/mcp").starts_with("HTTP/1.1 401"));
    drop(held);
}

#[test]
fn certificate_that_ends_soon_or_has_ended_is_said() {
    for (event, end) in [("tls.expired", (2020, 1, 2)), ("tls.expires", soon())] {
        let folder = tempfile::tempdir().unwrap();
        let mut parameters = CertificateParams::new(vec!["mcp.example.com".to_owned()]).unwrap();
        let (year, month, day) = end;
        (parameters.not_before, parameters.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(year, month, day));
        let key = KeyPair::generate().unwrap();
        let file = folder.path().join("gateway.toml");
        fs::write(folder.path().join("tls.crt"), parameters.self_signed(&key).unwrap().pem()).unwrap();
        fs::write(folder.path().join("tls.key"), key.serialize_pem()).unwrap();
        let tls = "tls = { certificate = \"tls.crt\", key = \"tls.key\" }";
        fs::write(&file, PLAIN.replace("insecure_plaintext = true", tls)).unwrap();
        let process = Process::start(&file);
        let metrics = ask(process.addresses[1], "/metrics");
        assert!(metrics.contains("\nportcullis_certificate_expires_timestamp_seconds "), "{metrics}");
        let line = process.before.iter().find(|line| line["event"] == event).unwrap();
        assert!(line["file"].as_str().unwrap().ends_with("tls.crt"), "{line}");
        assert!(event == "tls.expired" || (12..14).contains(&line["days"].as_i64().unwrap()), "{line}");
    }
}

/// The beginning of the day in thirteen and a half days.
fn soon() -> (i32, u8, u8) {
    let day =
        (jiff::Timestamp::now() + jiff::SignedDuration::from_hours(13 * 24 + 12)).to_zoned(jiff::tz::TimeZone::UTC);
    (day.year().into(), day.month().unsigned_abs(), day.day().unsigned_abs())
}

/// Everything else goes by a clock that nobody can set.
#[test]
fn o11_the_time_of_day_is_read_only_where_tokens_certificates_and_records_need_it() {
    const READERS: [&str; 19] = [
        "audit/line.rs",
        "cli/explain/who.rs",
        "connection/http1/date.rs",
        "demo/",
        "detection/mod.rs",
        "doctor/",
        "keys/fetch.rs",
        "keys/test_issuer.rs",
        "metrics/process.rs",
        "ops/status/mod.rs",
        "request/audit.rs",
        "request/authenticate/mod.rs",
        "request/returning.rs",
        "request/witnesses.rs",
        "revocations/mod.rs",
        "server/build.rs",
        "server/mod.rs",
        "server/reload.rs",
        "telemetry/json.rs",
    ];
    let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut folders, mut readers) = (vec![base.clone()], 0);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(&base).unwrap().to_str().unwrap().to_owned();
            let text = fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
            let reads = ["SystemTime::now", "Timestamp::now", "Utc::now"].iter().any(|clock| code.contains(clock));
            if reads && !name.contains("tests") {
                readers += 1;
                assert!(READERS.iter().any(|known| name.starts_with(known)), "{name} reads the time of day");
            }
        }
    }
    assert!(readers >= 15, "only {readers} were found: the test does not see them");
}

#[test]
fn o14_libraries_are_newer_than_their_known_holes() {
    let lock = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.lock")).unwrap();
    let mut versions: BTreeMap<&str, Vec<Vec<u64>>> = BTreeMap::new();
    for package in lock.split("[[package]]") {
        let field =
            |name: &str| package.lines().find_map(|line| line.strip_prefix(&format!("{name} = \""))?.strip_suffix('"'));
        if let (Some(name), Some(version)) = (field("name"), field("version")) {
            let numbers = version.split(['.', '-', '+']).take(3).map_while(|part| part.parse().ok()).collect();
            versions.entry(name).or_default().push(numbers);
        }
    }
    for (name, least) in
        [("h2", [0, 4, 20]), ("hyper", [1, 12, 0]), ("jsonwebtoken", [10, 3, 0]), ("rustls-webpki", [0, 103, 12])]
    {
        let found = &versions[name];
        assert!(found.iter().all(|version| version.as_slice() >= least.as_slice()), "{name}: {found:?}");
    }
}
