//! What takes the audit stream or the log breaks (threat O9): refused with 503 or gone on and counted, as configured, until it
//! takes records again.

use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use super::{AT_ONCE, served, traffic, traffic_to};
use crate::support::process::{metric, plain};
use crate::support::traffic::{Seen, Traffic};
use crate::support::{Gateway, Issuer, Process, Upstream, eventually, eventually_value, start_with};

/// From the sink's return until it is written to: the next try, and what waits.
const BACK: Duration = Duration::from_secs(3);

fn refused(seen: &Seen) -> bool {
    seen.is_refused(503, "temporarily_unavailable") && seen.took < AT_ONCE
}

/// A folder with a pipe in it that nobody reads yet.
fn pipe() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    (folder, path)
}

fn audit(sink: &str, path: &Path, more: &str) -> String {
    let key = if sink == "file" { "file" } else { "socket" };
    format!("[audit]\nsink = \"{sink}\"\n{key} = \"{}\"\nqueue = 100\n{more}\n", path.display())
}

/// Reads the pipe to its end, in pieces of this many bytes with such pauses between.
fn read_on(path: &Path, bytes: usize, pause: Duration) {
    let path = path.to_owned();
    std::thread::spawn(move || {
        let mut file = File::open(path).unwrap();
        let mut piece = vec![0; bytes];
        while file.read(&mut piece).is_ok_and(|read| read > 0) {
            std::thread::sleep(pause);
        }
    });
}

/// Some clients at once, so that sinks fill sooner.
fn crowd(gateway: &Gateway, issuer: &Issuer) -> Vec<Traffic> {
    (0..4).map(|_| traffic(gateway, issuer)).collect()
}

#[tokio::test]
async fn o9_pipe_that_nobody_reads_refuses_requests_until_somebody_does() {
    let (_folder, path) = pipe();
    let (issuer, upstream, gateway) = start_with(&audit("file", &path, "")).await;
    let mut honest = crowd(&gateway, &issuer);
    honest[0].sees_only(4, "before", served).await;
    honest[0].sees("the pipe is full", refused).await;
    let asked = upstream.received().len();
    honest[1].sees_only(6, "during", refused).await;
    assert!(upstream.received().len() <= asked + honest.len(), "nothing goes upstream unrecorded");
    assert_eq!(gateway.admin().get("/healthz").await.status(), 200);

    read_on(&path, 64 * 1024, Duration::ZERO);
    let (_, took) = honest[0].sees("records are taken again", served).await;
    assert!(took < BACK, "{took:?}");
    honest[1].sees_only(8, "after", served).await;
    assert_eq!(gateway.metric("portcullis_audit_failing", &[]).await, Some(0.0));
}

#[tokio::test]
async fn o9_pipe_that_nobody_reads_costs_counted_records_where_that_is_the_rule() {
    let (_folder, path) = pipe();
    let (issuer, _upstream, gateway) = start_with(&audit("file", &path, "on_failure = \"drop\"")).await;
    let mut honest = crowd(&gateway, &issuer);
    eventually_value("records are lost", async || {
        (gateway.metric("portcullis_audit_lost_total", &[]).await > Some(0.0)).then_some(())
    })
    .await;
    honest[0].sees_only(4, "during", served).await;

    read_on(&path, 64 * 1024, Duration::ZERO);
    eventually_value("what waited is written", async || {
        (gateway.metric("portcullis_audit_waiting", &[]).await < Some(20.0)).then_some(())
    })
    .await;
    let lost = gateway.metric("portcullis_audit_lost_total", &[]).await;
    honest[0].sees_only(10, "after", served).await;
    assert_eq!(gateway.metric("portcullis_audit_lost_total", &[]).await, lost, "no more are lost");
    for honest in honest {
        honest.was_always_served(AT_ONCE);
    }
}

#[tokio::test]
async fn o9_pipe_that_is_read_slowly_holds_up_nobody() {
    let (_folder, path) = pipe();
    let (issuer, _upstream, gateway) = start_with(&audit("file", &path, "")).await;
    read_on(&path, 2048, Duration::from_millis(10));
    let mut honest = traffic(&gateway, &issuer);
    honest.sees_only(150, "all the time", served).await;
    honest.was_always_served(AT_ONCE);
}

#[tokio::test]
async fn o9_syslog_that_goes_refuses_requests_until_it_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let daemon = UnixDatagram::bind(&path).unwrap();
    let (issuer, _upstream, gateway) = start_with(&audit("syslog", &path, "")).await;
    let mut honest = traffic(&gateway, &issuer);
    // A daemon whose queue is full takes nothing; one that is gone less.
    honest.sees("the daemon stalls", refused).await;
    drop(daemon);
    fs::remove_file(&path).unwrap();
    honest.sees_only(4, "during", refused).await;

    let daemon = UnixDatagram::bind(&path).unwrap();
    std::thread::spawn(move || while daemon.recv(&mut [0; 16 * 1024]).is_ok() {});
    let (_, took) = honest.sees("the daemon again", served).await;
    assert!(took < BACK, "{took:?}");
    honest.sees_only(8, "after", served).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn o9_disk_that_is_full_refuses_requests_until_there_is_room_and_the_chain_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let (issuer, upstream) = (Issuer::start().await, Upstream::start().await);
    let (disk, file) = (folder.path().join("disk"), folder.path().join("gateway.toml"));
    fs::create_dir(&disk).unwrap();
    fs::write(&file, plain(&issuer, &upstream) + &audit("file", &disk.join("audit.jsonl"), "chain = true")).unwrap();
    let mount = format!("mount -t tmpfs -o size=1m none '{}'", disk.display());
    let Some(process) = Process::start_after_mounting(&file, &mount) else { return };
    let mut honest = traffic_to(&process, &issuer, &upstream);
    honest.sees("keys", served).await;
    honest.sees_only(4, "before", served).await;

    let ballast = process.sees(&disk.join("ballast"));
    fs::write(&ballast, vec![0; 2 << 20]).unwrap_err();
    honest.sees("the disk is full", refused).await;
    honest.sees_only(4, "during", refused).await;
    assert!(metric(process.addresses[1], "portcullis_audit_failing") > 0.0);

    fs::remove_file(&ballast).unwrap();
    let (_, took) = honest.sees("there is room", served).await;
    assert!(took < BACK, "{took:?}");
    honest.sees_only(8, "after", served).await;
    drop(honest);
    let written = process.sees(&disk.join("audit.jsonl"));
    eventually("all is written", || {
        let waiting = metric(process.addresses[1], "portcullis_audit_waiting");
        (waiting < 1.0).then_some(())
    })
    .await;
    let mut verifier = portcullis::audit::Verifier::new(None);
    fs::read_to_string(written).unwrap().lines().for_each(|line| verifier.line(line).unwrap());
}

/// Requests go on, and each line of the log that nobody has is counted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn o9_log_whose_reader_is_gone_stops_no_request_and_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let (issuer, upstream) = (Issuer::start().await, Upstream::start().await);
    let file = folder.path().join("gateway.toml");
    fs::write(&file, plain(&issuer, &upstream)).unwrap();
    let mut process = Process::start(&file);
    let mut honest = traffic_to(&process, &issuer, &upstream);
    honest.sees("keys", served).await;
    honest.sees_only(4, "before", served).await;
    let admin = process.addresses[1];
    assert!(metric(admin, "portcullis_log_lost_total") < 1.0);
    process.listens_no_more();
    honest.sees_only(20, "during", served).await;
    eventually("lost lines are counted", || (metric(admin, "portcullis_log_lost_total") > 10.0).then_some(())).await;
    assert!(process.terminate().success());
}
