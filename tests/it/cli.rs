//! The binary: what it prints, its exit codes, and that no secret is in any output.

#![expect(clippy::expect_used, reason = "a failed step is a failed test")]

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::Path;

use assert_cmd::Command;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use tempfile::TempDir;

const SECRET: &str = "s3cr3t-from-the-environment";

/// A folder with a good configuration and the files that it names.
fn folder(edit: impl Fn(String) -> String) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".into()]).expect("a certificate");
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("written");
    write("tls.crt", &cert.pem());
    write("tls.key", &signing_key.serialize_pem());
    write("gateway.toml", &edit(GOOD.to_owned()));
    folder
}

const GOOD: &str = r#"
[listen]
address = "127.0.0.1:0"
tls = { certificate = "tls.crt", key = "tls.key" }

[[issuers]]
name = "corp"
issuer = "https://login.example.com"
ca = "tls.crt"

[[routes]]
name = "notes"
resource = "https://mcp.example.com/mcp"
upstream = "http://127.0.0.1:3000/mcp"
upstream_headers = { authorization = "Bearer ${env:PORTCULLIS_TEST_SECRET}" }
issuers = ["corp"]
scopes = ["mcp:tools"]
tenant = "any"
"#;

struct Outcome {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

/// Runs the binary in a folder and returns what it said.
fn portcullis(folder: &Path, arguments: &[&str]) -> Outcome {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command.current_dir(folder).env_remove("PORTCULLIS_CONFIG").env("PORTCULLIS_TEST_SECRET", SECRET);
    let output = command.args(arguments).output().expect("it runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    let (stdout, stderr) = (text(output.stdout), text(output.stderr));
    assert!(!stdout.contains(SECRET) && !stderr.contains(SECRET), "{stdout}{stderr}");
    Outcome { code: output.status.code(), stdout, stderr }
}

#[test]
fn check_of_a_good_file_says_what_to_register() {
    let folder = folder(|text| text);
    let outcome = portcullis(folder.path(), &["check"]);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
    for line in [
        "resource  https://mcp.example.com/mcp ",
        "metadata  https://mcp.example.com/.well-known/oauth-protected-resource/mcp\n",
        "upstream  http://127.0.0.1:3000/mcp\n",
        "issuers   https://login.example.com (corp)\n",
    ] {
        assert!(outcome.stdout.contains(line), "{line:?} in {}", outcome.stdout);
    }
    assert!(!outcome.stdout.contains("warning"), "{}", outcome.stdout);
}

#[test]
fn check_notes_that_no_session_key_is_set() {
    let without = folder(|text| text);
    let outcome = portcullis(without.path(), &["check"]);
    assert!(outcome.stdout.contains("\nnote: sessions.keys is not set"), "{}", outcome.stdout);
    let key = format!("{}=", "A".repeat(43));
    let with = folder(|text| format!("[sessions]\nkeys = [\"{key}\"]\n{text}"));
    let outcome = portcullis(with.path(), &["check"]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    assert!(!outcome.stdout.contains("note:") && !outcome.stdout.contains(&key), "{}", outcome.stdout);
}

#[test]
fn check_warns_of_plain_text_over_a_network() {
    let folder = folder(|text| text.replace("http://127.0.0.1:3000", "http://10.0.0.1:3000"));
    let outcome = portcullis(folder.path(), &["check"]);
    assert_eq!(outcome.code, Some(0));
    assert!(
        outcome.stdout.contains("warning: route notes: the upstream is reached in plain text"),
        "{}",
        outcome.stdout
    );
}

#[test]
fn check_warns_of_served_requests_that_are_recorded_nowhere() {
    for (tables, warns) in [
        ("", false),
        ("[log]\nserved = false\n", true),
        ("[log]\nserved = false\n[audit]\nsink = \"stdout\"\nsubjects = \"clear\"\n", false),
    ] {
        let outcome = portcullis(folder(|text| format!("{text}{tables}")).path(), &["check"]);
        assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
        assert_eq!(outcome.stdout.contains("warning: log.served = false without [audit]"), warns, "{}", outcome.stdout);
    }
}

#[test]
fn check_warns_of_issuers_that_may_name_each_others_tenants() {
    let check = |tenant: &str, own: &str| {
        let more = format!("[[issuers]]\nname = \"other\"\nissuer = \"https://other.example.com\"\n{own}\n[[routes]]");
        let folder = folder(|text| {
            let text = text.replace("[[routes]]", &more).replace("tenant = \"any\"", tenant);
            text.replace("issuers = [\"corp\"]", "issuers = [\"corp\", \"other\"]")
        });
        let outcome = portcullis(folder.path(), &["check"]);
        assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
        outcome.stdout
    };
    let allow = "tenant = { allow = [\"acme\"] }";
    assert!(!check("tenant = \"any\"", "").contains("warning"));
    assert!(check(allow, "").contains("warning: route notes: corp, other may say of anybody that he is of any tenant"));
    assert!(check(allow, "tenants = [\"acme\"]").contains("warning: route notes: corp may say"));
}

#[test]
fn check_counts_rules_and_warns_of_those_that_nobody_means() {
    let check = |rules: &str| {
        let folder = folder(|text| format!("{text}[routes.policy]\ndefault = \"deny\"\nrules = [{rules}]\n"));
        let outcome = portcullis(folder.path(), &["check"]);
        assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
        outcome.stdout
    };
    let closed = check("{ tools = [\"*\"] }");
    assert!(closed.contains("  rules     1; what none matches is denied\n"), "{closed}");
    assert!(closed.contains("warning: route notes: no rule allows anybody initialize or server/discover"), "{closed}");
    let odd = check("{ methods = [\"tool/*\"] }, {}, { tools = [\"a\"] }");
    assert!(odd.contains("warning: route notes: \"tool/*\" in the rule on line 21 fits no method of MCP"), "{odd}");
    assert!(
        odd.contains("the rule on line 21 is never asked: the one on line 21 decides on all that it is about"),
        "{odd}"
    );
    let open = check("{ methods = [\"server/*\"], scopes = [\"x\"] }, { tools = [\"*\"] }");
    assert!(open.contains("  rules     2; ") && !open.contains("warning"), "{open}");
}

#[test]
fn schema_prints_what_editors_want_without_a_configuration() {
    let folder = tempfile::tempdir().expect("a folder");
    for (arguments, committed) in [
        (["schema"].as_slice(), include_str!("../../docs/gateway.schema.json")),
        (&["schema", "revocations"], include_str!("../../docs/revocations.schema.json")),
    ] {
        let outcome = portcullis(folder.path(), arguments);
        assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
        assert_eq!(outcome.stdout, committed);
    }
}

#[test]
fn doctor_says_what_is_wrong_and_exits_1_and_wrong_questions_exit_2() {
    // Nobody listens on these; the upstream's credential is in no output.
    let folder = folder(|text| {
        let text = text.replace("http://127.0.0.1:3000", "http://127.0.0.1:9");
        let text = text.replace("https://mcp.example.com/mcp", "https://127.0.0.1:9/mcp");
        text.replace("https://login.example.com\"", "http://127.0.0.1:9\"\ninsecure_http = true")
    });
    let outcome = portcullis(folder.path(), &["doctor"]);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(1), ""), "{}", outcome.stdout);
    assert_eq!(outcome.stdout.matches("[connect]").count(), 3, "{}", outcome.stdout);
    assert!(outcome.stdout.ends_with("3 problems, 0 warnings (docs/doctor.md explains the words in brackets)\n"));
    for (arguments, said) in [
        (["doctor", "--route", "other"], "no route is called \"other\"; the configuration has notes"),
        (["doctor", "--as", "nobody"], "claude, vscode, cursor, chatgpt, inspector"),
        (["doctor", "--tenant", "a/b"], "--tenant: must be 1 to 63 of"),
        (["doctor", "--connect", "here"], "--connect"),
    ] {
        let outcome = portcullis(folder.path(), &arguments);
        assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(2), ""), "{arguments:?}");
        assert!(outcome.stderr.contains(said), "{}", outcome.stderr);
    }
}

#[test]
fn o3_misspelt_keys_and_every_other_mistake_are_said_and_nothing_starts() {
    let folder =
        folder(|text| text.replace("[listen]", "[listen]\nadress = 1").replace("tenant = \"any\"", "tenant = 1"));
    for arguments in [["check"].as_slice(), &["run"], &[], &["healthcheck"], &["doctor"]] {
        let outcome = portcullis(folder.path(), arguments);
        assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(2), ""));
        assert_eq!(
            outcome.stderr,
            "gateway.toml:3: listen.adress: unknown key, did you mean address?\n\
             gateway.toml:19: routes[0].tenant: must be \"any\", { allow = [\"...\"] } or { from = \"resource\" }\n"
        );
    }
}

#[test]
fn a_secret_in_the_wrong_place_is_not_printed() {
    let folder = folder(|text| {
        text.replace("\"https://login.example.com\"", "\"${env:PORTCULLIS_TEST_SECRET}\"")
            .replace("[\"mcp:tools\"]", "[\"a ${env:PORTCULLIS_TEST_SECRET}\"]")
    });
    let outcome = portcullis(folder.path(), &["check"]);
    assert_eq!((outcome.code, outcome.stderr.lines().count()), (Some(2), 2));
    assert!(outcome.stderr.contains("(checked with the value of ${env:PORTCULLIS_TEST_SECRET})"), "{}", outcome.stderr);
}

#[test]
fn check_loads_the_files_named() {
    let folder = folder(|text| text.replace("ca = \"tls.crt\"", "ca = \"tls.key\""));
    let other = generate_simple_self_signed(["localhost".into()]).expect("a certificate");
    fs::write(folder.path().join("tls.key"), other.signing_key.serialize_pem()).expect("written");
    let outcome = portcullis(folder.path(), &["check"]);
    assert_eq!(outcome.code, Some(2));
    assert_eq!(
        outcome.stderr,
        "gateway.toml:4: listen.tls.key: tls.key is not the key of tls.crt\n\
         gateway.toml:9: issuers[0].ca: tls.key holds no certificate in PEM form\n"
    );
    for name in ["tls.crt", "tls.key"] {
        fs::remove_file(folder.path().join(name)).expect("removed");
    }
    let outcome = portcullis(folder.path(), &["check"]);
    assert_eq!((outcome.code, outcome.stderr.lines().count()), (Some(2), 3), "{}", outcome.stderr);
    assert!(
        outcome.stderr.contains("listen.tls.certificate: tls.crt cannot be read: No such file"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn the_file_is_named_by_flag_or_environment() {
    let folder = folder(|text| text);
    let elsewhere = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("gateway.toml");
    let file = file.to_str().expect("UTF-8");
    assert_eq!(portcullis(elsewhere.path(), &["check"]).code, Some(2));
    assert_eq!(portcullis(elsewhere.path(), &["check", "--config", file]).code, Some(0));
    assert_eq!(portcullis(elsewhere.path(), &["--config", file, "check"]).code, Some(0));
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command.env("PORTCULLIS_CONFIG", file).env("PORTCULLIS_TEST_SECRET", SECRET).arg("check").assert().success();
}

#[test]
fn version_help_and_completions_are_printed() {
    let folder = tempfile::tempdir().expect("a folder");
    let version = portcullis(folder.path(), &["--version"]);
    assert_eq!(version.stdout, concat!("portcullis ", env!("CARGO_PKG_VERSION"), "\n"));
    let help = portcullis(folder.path(), &["--help"]);
    for word in ["run", "check", "explain", "healthcheck", "completions", "--config", "PORTCULLIS_CONFIG"] {
        assert!(help.stdout.contains(word), "{word} in {}", help.stdout);
    }
    for shell in ["bash", "zsh", "fish"] {
        let script = portcullis(folder.path(), &["completions", shell]);
        assert_eq!(script.code, Some(0));
        assert!(script.stdout.contains("healthcheck"), "{shell}");
    }
}

/// Answers one connection with this status line, and returns what was asked.
fn admin(listener: TcpListener, status: &'static str) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        let mut lines = BufReader::new(&stream).lines().map_while(Result::ok);
        let asked = lines.next().expect("a request line");
        // The whole head: closing with unread bytes resets the connection and loses the answer.
        assert!(lines.any(|line| line.is_empty()));
        // In one piece: the probe leaves as soon as it has read the status.
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
        stream.write_all(answer.as_bytes()).expect("answered");
        asked
    })
}

#[test]
fn healthcheck_asks_the_admin_listener_over_loopback() {
    for (status, code) in [("200 OK", 0), ("503 Service Unavailable", 1)] {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let folder = folder(|text| format!("{text}\n[admin]\naddress = \"0.0.0.0:{port}\"\n"));
        let asked = admin(listener, status);
        assert_eq!(portcullis(folder.path(), &["healthcheck"]).code, Some(code), "{status}");
        assert_eq!(asked.join().expect("answered"), "GET /healthz HTTP/1.1");
    }
}

#[test]
fn healthcheck_fails_when_nobody_listens() {
    let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port").port();
    let folder = folder(|text| format!("{text}\n[admin]\naddress = \"127.0.0.1:{port}\"\n"));
    let outcome = portcullis(folder.path(), &["healthcheck"]);
    assert_eq!(outcome.code, Some(1));
    assert!(outcome.stderr.contains("is not healthy"), "{}", outcome.stderr);
}
