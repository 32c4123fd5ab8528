//! The stream as a whole: what is written, what shows when it is tampered with, and what happens when nothing can be written.

use std::fs;
use std::path::Path;
use std::time::SystemTime;

use proptest::prelude::*;

use super::*;
use crate::config::watching::{AuditSink, Chain, Secret, Subjects as SubjectRule};

const PATIENCE: Duration = Duration::from_secs(10);

fn config(sink: AuditSink, chain: Chain) -> AuditConfig {
    AuditConfig { sink, subjects: SubjectRule::Clear, chain, on_failure: OnFailure::Deny, queue: 100 }
}

fn event(count: u32) -> Event<'static> {
    let at = SystemTime::UNIX_EPOCH;
    Event { at, word: "suspicious", reason: None, address: None, caller: None, route: None, count: Some(count) }
}

/// Opens the stream, writes so many events, and waits until they are there.
fn write(file: &Path, chain: &Chain, events: u32) {
    let log = AuditLog::open(&config(AuditSink::File(file.to_owned()), chain.clone())).unwrap();
    (0..events).for_each(|count| log.event(&event(count)));
    assert!(log.flush(PATIENCE));
}

fn verify(text: &str, key: Option<&str>) -> Result<Option<Chained>, (usize, Break)> {
    let mut verifier = Verifier::new(key);
    for (index, line) in text.lines().enumerate() {
        verifier.line(line).map_err(|why| (index + 1, why))?;
    }
    verifier.finish().map_err(|why| (text.lines().count(), why))
}

fn keyed() -> Chain {
    Chain::Keyed(Secret("k".repeat(32)))
}

#[test]
fn chain_goes_on_over_restarts_rotation_and_torn_lines() {
    let folder = tempfile::tempdir().unwrap();
    let (file, old) = (folder.path().join("audit.jsonl"), folder.path().join("audit.1"));
    write(&file, &keyed(), 3);
    write(&file, &keyed(), 2);
    let mut text = fs::read_to_string(&file).unwrap();
    assert_eq!(text.lines().count(), 7, "each start says so");
    text.push_str("{\"v\":1,\"time\":\"20");
    fs::write(&file, &text).unwrap();

    let log = AuditLog::open(&config(AuditSink::File(file.clone()), keyed())).unwrap();
    log.event(&event(1));
    assert!(log.flush(PATIENCE));
    fs::rename(&file, &old).unwrap();
    log.reopen();
    // The writer looks at what it is asked between two entries.
    assert!(log.flush(PATIENCE) && log.flush(PATIENCE));
    log.event(&event(2));
    log.event(&event(3));
    assert!(log.flush(PATIENCE));

    let (old, new) = (fs::read_to_string(&old).unwrap(), fs::read_to_string(&file).unwrap());
    assert_eq!(new.lines().count(), 3, "{new}");
    let key = "k".repeat(32);
    let whole = verify(&(old.clone() + &new), Some(&key)).unwrap().unwrap();
    assert_eq!((whole.first, whole.last, whole.torn), (1, 12, 1));
    let alone = verify(&new, Some(&key)).unwrap().unwrap();
    assert_eq!((alone.first, alone.last), (10, 12));
    assert_eq!(alone.digest, whole.digest);
    assert_eq!(verify(&old, Some(&"x".repeat(32))).unwrap_err(), (1, Break::Digest), "another key");
    assert_eq!(verify(&old, None).unwrap_err(), (1, Break::Digest), "no key");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// One byte changed, one line removed, repeated or moved: found, wherever it is.
    #[test]
    fn whatever_is_done_to_a_chained_stream_is_found(at in 0_usize..4000, line in 0_usize..6, other in 0_usize..6, put in any::<u8>()) {
        let link = chain::Link::keyed("0123456789abcdef");
        let (mut lines, mut before) = (Vec::new(), chain::Digest::NOTHING);
        for seq in 1..=7 {
            let (object, mut line) = (format!("{{\"v\":1,\"n\":\"{{{seq}\"}}"), Vec::new());
            before = chain::chained(&link, object.as_bytes(), seq, &before, &mut line);
            lines.push(String::from_utf8(line).unwrap());
        }
        let text = |lines: &[String]| lines.join("\n") + "\n";
        let key = Some("0123456789abcdef");
        prop_assert_eq!(verify(&text(&lines), key).unwrap().unwrap().last, 7);

        let mut bytes = text(&lines).into_bytes();
        let at = at % bytes.len();
        if bytes[at] != put && bytes[at] != b'\n' && put != b'\n' && put != b'\r' {
            bytes[at] = put;
            prop_assert!(verify(&String::from_utf8_lossy(&bytes), key).is_err());
        }
        let mut removed = lines.clone();
        removed.remove(line.max(1));
        prop_assert!(verify(&text(&removed), key).is_err());
        let mut repeated = lines.clone();
        repeated.insert(other, lines[line].clone());
        prop_assert!(verify(&text(&repeated), key).is_err());
        if line != other {
            let mut moved = lines.clone();
            moved.swap(line, other);
            prop_assert!(verify(&text(&moved), key).is_err());
        }
    }
}

#[test]
fn o9_a_full_disk_refuses_requests_and_is_said_until_there_is_room() {
    let log = AuditLog::open(&config(AuditSink::File("/dev/full".into()), Chain::None)).unwrap();
    let start = std::time::Instant::now();
    while !log.refuses() {
        assert!(start.elapsed() < PATIENCE);
        std::thread::yield_now();
    }
    for count in 0..200 {
        log.event(&event(count));
    }
    let status = log.status();
    assert!(status.failing && status.written == 0 && status.lost + status.waiting as u64 == 200, "{status:?}");
    assert!(!log.flush(Duration::ZERO), "nobody waits for it");
}

#[cfg(target_os = "linux")]
#[test]
fn o9_refusals_leave_room_for_the_ends_of_what_went_upstream() {
    let full = AuditSink::File("/dev/full".into());
    let waiting = |on_failure| {
        let log = AuditLog::open(&AuditConfig { on_failure, ..config(full.clone(), Chain::None) }).unwrap();
        let write = |went_upstream| {
            for _ in 0..200 {
                log.write(b"{\"v\":1}", log.room(went_upstream));
            }
        };
        write(false);
        let refusals = log.status().waiting;
        write(true);
        (refusals, log.status().waiting)
    };
    assert_eq!(waiting(OnFailure::Deny), (75, 100));
    assert_eq!(waiting(OnFailure::Drop), (100, 100));
}

#[test]
fn o9_what_is_lost_is_counted_in_the_next_line_and_requests_go_on_where_that_is_the_rule() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    // Nobody reads at first: a pipe takes 64 KiB, and then blocks.
    let reader = fs::OpenOptions::new().read(true).write(true).open(&pipe).unwrap();
    let settings = AuditConfig { on_failure: OnFailure::Drop, ..config(AuditSink::File(pipe), Chain::None) };
    let log = AuditLog::open(&settings).unwrap();
    let start = std::time::Instant::now();
    while log.status().lost == 0 {
        assert!(start.elapsed() < PATIENCE);
        log.event(&event(0));
    }
    // In the queue, and in the hands of the writer.
    assert!(!log.refuses() && log.status().waiting <= 100);
    let (told, lines) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        use std::io::BufRead as _;
        std::io::BufReader::new(reader).lines().map_while(Result::ok).try_for_each(|line| told.send(line)).ok();
    });
    let mut lost = 0;
    while lost < log.status().lost {
        let line = lines.recv_timeout(PATIENCE).unwrap();
        lost += serde_json::from_str::<serde_json::Value>(&line).unwrap()["lost"].as_u64().unwrap_or(0);
        log.event(&event(1));
    }
}

#[test]
fn o9_syslog_that_was_away_is_found_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let first = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    let log = AuditLog::open(&config(AuditSink::Syslog(path.clone()), Chain::None)).unwrap();
    let mut buffer = vec![0; 4096];
    first.set_read_timeout(Some(PATIENCE)).unwrap();
    let length = first.recv(&mut buffer).unwrap();
    let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
    assert!(text.starts_with("<110>portcullis: {\"v\":1,") && text.ends_with('}'), "{text}");
    drop(first);
    fs::remove_file(&path).unwrap();
    // Again and again: a process that another test is about to start may still hold the socket for a moment.
    let start = std::time::Instant::now();
    while !log.refuses() {
        assert!(start.elapsed() < PATIENCE);
        log.event(&event(7));
        log.flush(Duration::from_millis(10));
    }
    let second = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    second.set_read_timeout(Some(PATIENCE)).unwrap();
    let length = second.recv(&mut buffer).unwrap();
    assert!(String::from_utf8_lossy(&buffer[..length]).contains("\"count\":7"), "nothing was lost");
    assert!(log.flush(PATIENCE) && !log.refuses());
}

#[test]
fn a_file_is_for_the_gateway_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("audit.jsonl");
    write(&file, &Chain::None, 1);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let nowhere = folder.path().join("nowhere/audit.jsonl");
    let error = AuditLog::open(&config(AuditSink::File(nowhere.clone()), Chain::None)).unwrap_err();
    assert!(error.to_string().starts_with(&format!("audit: {}: ", nowhere.display())), "{error}");
}

#[test]
fn o9_a_sink_that_fails_is_given_up_when_nobody_uses_it_any_more() {
    let log = AuditLog::open(&config(AuditSink::File("/dev/full".into()), Chain::None)).unwrap();
    log.event(&event(1));
    let (queue, state) = (Arc::clone(&log.queue.0), Arc::clone(&log.state));
    let start = std::time::Instant::now();
    while !log.refuses() {
        assert!(start.elapsed() < PATIENCE);
        std::thread::yield_now();
    }
    drop(log);
    // The thread holds both until it ends.
    while Arc::strong_count(&queue) > 1 || Arc::strong_count(&state) > 1 {
        assert!(start.elapsed() < PATIENCE, "the writer goes on for ever");
        std::thread::yield_now();
    }
}
