//! The binary's audit stream and log: verified, and stalled (threat O9).

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::Instant;

use crate::support::process::{PLAIN, ask};
use crate::support::{PATIENCE, Process};

const KEY: &str = "0123456789abcdef0123456789abcdef";
const EVERY: &str = "[log]\nevery_refusal = true\n";

/// The running binary whose log nobody reads; ended, by its id, when dropped.
struct Unread(Child);

impl Drop for Unread {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command.current_dir(folder).env_remove("PORTCULLIS_CONFIG");
    command
}

fn audit(folder: &Path, arguments: &[&str]) -> Output {
    command(folder).args(["audit", "verify"]).args(arguments).output().unwrap()
}

/// Starts it; what it said first, which is read no further, and where it listens.
fn start(folder: &Path, config: &str) -> (Unread, BufReader<ChildStdout>, [SocketAddr; 2]) {
    fs::write(folder.join("gateway.toml"), config).unwrap();
    let mut child = command(folder).stdout(Stdio::piped()).spawn().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let process = Unread(child);
    let mut line = String::new();
    loop {
        line.clear();
        assert!(output.read_line(&mut line).unwrap() > 0, "it ended before it started");
        let said: serde_json::Value = serde_json::from_str(&line).unwrap();
        if said["event"] == "started" {
            let address = |name: &str| said[name].as_str().unwrap().parse().unwrap();
            return (process, output, [address("address"), address("admin")]);
        }
    }
}

#[test]
fn o9_a_log_that_nobody_reads_stops_no_request() {
    let folder = tempfile::tempdir().unwrap();
    let (_process, _unread, [address, admin]) = start(folder.path(), &format!("{PLAIN}{EVERY}"));
    let mut lost = false;
    // A pipe holds 64 KiB, and thousands of lines may wait.
    for round in 0..40 {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let request = format!("GET /mcp HTTP/1.1\r\nhost: mcp.example.com\r\nx-round: {round}\r\n\r\n");
        for _ in 0..500 {
            stream.write_all(request.as_bytes()).unwrap();
            let mut answer = BufReader::new(&stream);
            let (mut line, mut length) = (String::new(), 0);
            while answer.read_line(&mut line).unwrap() > 2 {
                if let Some(text) = line.strip_prefix("content-length: ") {
                    length = text.trim().parse().unwrap();
                }
                assert!(!line.starts_with("HTTP/1.1") || line.starts_with("HTTP/1.1 401"), "{line}");
                line.clear();
            }
            answer.read_exact(&mut vec![0; length]).unwrap();
        }
        let metrics = ask(admin, "/metrics");
        lost = metrics.lines().any(|line| line.starts_with("portcullis_log_lost_total") && !line.ends_with(" 0"));
        if lost {
            break;
        }
    }
    assert!(lost, "no line was lost, so nothing was shown");
}

fn running(folder: &Path, config: &str) -> Process {
    let file = folder.join("gateway.toml");
    fs::write(&file, config).unwrap();
    Process::start(&file)
}

#[test]
fn hang_up_opens_a_rotated_file_anew_and_no_record_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let audit = format!("\n[audit]\nsink = \"file\"\nfile = {:?}\nchain = true\n", path("audit.jsonl"));
    let process = running(folder.path(), &format!("{PLAIN}{EVERY}{audit}"));
    assert!(ask(process.addresses[0], "/mcp").starts_with("HTTP/1.1 401"));
    fs::rename(path("audit.jsonl"), path("audit.jsonl.1")).unwrap();
    process.hang_up();
    process.says("config.reloaded");
    let start = Instant::now();
    while !path("audit.jsonl").exists() {
        assert!(start.elapsed() < PATIENCE, "the file was not opened anew");
        std::thread::yield_now();
    }
    assert!(ask(process.addresses[0], "/mcp").starts_with("HTTP/1.1 401"));
    assert!(process.terminate().success());
    let lines = |name: &str| fs::read_to_string(path(name)).unwrap().lines().count();
    // The first two are the stream's beginning and the first request, wherever the reload's own record went.
    assert!(
        lines("audit.jsonl.1") >= 2 && lines("audit.jsonl") >= 1,
        "{} {}",
        lines("audit.jsonl.1"),
        lines("audit.jsonl")
    );
    let requests = |name: &str| fs::read_to_string(path(name)).unwrap().matches("auth.missing").count();
    assert_eq!((requests("audit.jsonl.1"), requests("audit.jsonl")), (1, 1));
    for name in ["audit.jsonl.1", "audit.jsonl"] {
        assert!(self::audit(folder.path(), &[name]).status.success(), "{name}");
    }
}

#[test]
fn audit_verify_says_what_was_done_to_the_stream() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let config = format!(
        "{PLAIN}{EVERY}\n[audit]\nsink = \"file\"\nfile = \"audit.jsonl\"\nchain = true\nchain_key = \"{KEY}\"\n"
    );
    let process = running(path, &config);
    for _ in 0..5 {
        assert!(ask(process.addresses[0], "/mcp").starts_with("HTTP/1.1 401"));
    }
    assert!(process.terminate().success());

    let file = path.join("audit.jsonl");
    let text = fs::read_to_string(&file).unwrap();
    assert_eq!(text.lines().count(), 6, "the end waits for the last record: {text}");
    let good = audit(path, &["audit.jsonl"]);
    let said = String::from_utf8(good.stdout).unwrap();
    assert!(good.status.success() && said.starts_with("lines 1 to 6 are whole\nlast digest "), "{said}");
    let digest = said.trim_end().rsplit(' ').next().unwrap();
    fs::write(path.join("key"), format!("{KEY}\n")).unwrap();
    assert!(audit(path, &["audit.jsonl", "--key-file", "key", "--last", digest]).status.success());

    let cut = text.lines().take(5).collect::<Vec<_>>().join("\n") + "\n";
    for (changed, arguments, why) in [
        (text.replacen("401", "200", 1), &["audit.jsonl"][..], "audit.jsonl:2: does not have the digest"),
        (text.replace(text.lines().nth(2).unwrap(), ""), &["audit.jsonl"], "audit.jsonl:4: is no line"),
        (cut, &["audit.jsonl", "--last", digest], "lines are missing at the end"),
        (text.clone(), &["audit.jsonl", "--no-key"], "audit.jsonl:1: does not have the digest"),
        (String::new(), &["audit.jsonl"], "there is no line"),
    ] {
        fs::write(&file, changed).unwrap();
        let output = audit(path, arguments);
        let said = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(why), "{said}");
    }
    assert_eq!(audit(path, &["nowhere.jsonl"]).status.code(), Some(2));
}
