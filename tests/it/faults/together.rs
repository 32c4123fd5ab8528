//! Everything breaks at once and comes back (threats D24, K16, O9): the gateway recovers by itself, and nothing is left behind.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::{AT_ONCE, served, traffic_to};
use crate::support::process::{PLAIN_RESOURCE, ask, metric, plain};
use crate::support::traffic::{Seen, Traffic};
use crate::support::upstream::ANSWER;
use crate::support::{Issuer, Process, Upstream, eventually, keys};

/// From everything's return until requests are served.
const BACK: Duration = Duration::from_secs(5);
const CLIENTS: usize = 6;
/// As many as the operations listener has places.
const SCRAPERS: usize = 64;
/// More than what the process holds is not left behind by a few thousand requests.
const MOST_BYTES: f64 = 48.0 * 1024.0 * 1024.0;

/// Reads the pipe to its end while it may.
fn read_on(path: &Path) -> Arc<AtomicBool> {
    let may = Arc::new(AtomicBool::new(true));
    let (asked, path) = (Arc::clone(&may), path.to_owned());
    std::thread::spawn(move || {
        let (mut file, mut piece) = (File::open(path).unwrap(), vec![0; 64 * 1024]);
        loop {
            while !asked.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(5));
            }
            if file.read(&mut piece).is_ok_and(|read| read == 0) {
                return;
            }
        }
    });
    may
}

fn config(issuer: &Issuer, upstream: &Upstream, pipe: &Path) -> String {
    let eager = "insecure_http = true\nkey_cool_down = \"100ms\"\nkey_timeout = \"300ms\"";
    let text = plain(issuer, upstream).replace("insecure_http = true", eager);
    let audit = format!("[audit]\nsink = \"file\"\nfile = \"{}\"\nqueue = 100\n\n[admin]", pipe.display());
    text.replace("[admin]", &audit) + "timeouts = { response = \"300ms\" }\n"
}

/// Served, or refused for what is broken, in time.
fn in_time(seen: &Seen) -> bool {
    let is_told = seen.is_refused(503, "temporarily_unavailable") || seen.is_refused(504, "gateway_timeout");
    seen.took < AT_ONCE && (is_told || seen.is_served())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d24_k16_o9_everything_breaks_at_once_and_comes_back_and_nothing_is_left_behind() {
    let folder = tempfile::tempdir().unwrap();
    let (pipe, file) = (folder.path().join("pipe"), folder.path().join("gateway.toml"));
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let (mut issuer, upstream) = (Issuer::start().await, Upstream::start().await);
    fs::write(&file, config(&issuer, &upstream, &pipe)).unwrap();
    let process = Process::start(&file);
    let (admin, is_read) = (process.addresses[1], read_on(&pipe));
    let mut honest: Vec<_> = (0..CLIENTS).map(|_| traffic_to(&process, &issuer, &upstream)).collect();
    for honest in &mut honest {
        honest.sees("keys", served).await;
        honest.sees_only(10, "before", served).await;
    }
    let [files, bytes] = ["process_open_fds", "process_resident_memory_bytes"].map(|name| metric(admin, name));

    issuer.kill().await;
    upstream.never_answers();
    is_read.store(false, Ordering::Relaxed);
    let scrapers: Vec<_> = (0..SCRAPERS)
        .map(|_| {
            let mut scraper = TcpStream::connect(admin).unwrap();
            scraper.write_all(b"GET /metrics HTTP/1.1\r\n").unwrap();
            scraper
        })
        .collect();
    let client = process.client(&upstream).bearer(issuer.mint_for(PLAIN_RESOURCE).key(keys::other_rsa()));
    let mut newer = Traffic::of("/mcp", move |_| client.clone());
    for honest in &mut honest {
        honest.sees("a fault", |seen| !seen.is_served()).await;
        honest.sees_only(4, "during", in_time).await;
    }
    honest[0].sees("no record is taken", |seen| seen.is_refused(503, "temporarily_unavailable")).await;
    newer.sees_only(4, "a new key", |seen| seen.code.is_some() && seen.took < AT_ONCE).await;

    issuer.publish([keys::rsa().jwk(), keys::other_rsa().jwk()]);
    issuer.restart();
    upstream.answers(200, ANSWER);
    is_read.store(true, Ordering::Relaxed);
    drop(scrapers);
    for honest in honest.iter_mut().chain([&mut newer]) {
        let (_, took) = honest.sees("everything again", served).await;
        assert!(took < BACK, "{took:?}");
        honest.sees_only(10, "after", served).await;
    }
    drop((honest, newer));
    assert!(ask(admin, "/readyz").starts_with("HTTP/1.1 200"));
    for name in ["requests_under_way", "connections", "buffered_bytes", "audit_waiting", "audit_failing"] {
        let name = format!("portcullis_{name}");
        eventually(&name, || (metric(admin, &name) < 0.5).then_some(())).await;
    }
    // Connections to the upstream are kept for a while, one for each client at most.
    let most = files + f64::from(u32::try_from(CLIENTS).unwrap());
    eventually("files are closed", || (metric(admin, "process_open_fds") <= most).then_some(())).await;
    let left = metric(admin, "process_resident_memory_bytes") - bytes;
    assert!(left < MOST_BYTES, "{left} bytes more than before");
    assert!(process.terminate().success());
}
