//! Very many connections: of one address over its cap, and such that come and go.

use std::fs;
use std::process::Command;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;

use crate::attacker::{Target, all, source};
use crate::rig::{Ceiling, Siege, openable, scaled};
use crate::support::Process;
use crate::support::process::{PLAIN, ask};

/// What the configuration of this siege allows one address.
const CAP: usize = 100;
const ADDRESSES: usize = 5;
const CROWD: usize = 900;
/// A socket and a task that waits for a hello; those that are refused leave nothing.
const CROWD_CEILING: Ceiling = Ceiling { each_kib: 24, fixed_mib: 0 };

/// Connections of a few addresses, far over their cap.
pub(crate) async fn crowd(target: Target, n: usize) {
    let opened = std::time::Instant::now();
    let lived = all(n, |n| {
        let target = target.clone();
        async move {
            let Ok(mut stream) = target.tcp(source(n % ADDRESSES)).await else { return Duration::ZERO };
            let mut byte = [0];
            crate::support::within("the connection's end", stream.read(&mut byte)).await.unwrap_or(0);
            opened.elapsed()
        }
    });
    // Who is let in waits for `tls_timeout`; who is not, for nothing.
    let mut lived = lived.await;
    lived.sort();
    let at_once = lived.iter().filter(|lived| **lived < Duration::from_millis(900)).count();
    assert!(n <= CAP * ADDRESSES || at_once > 0, "somebody is refused at once: {:?}", lived.first());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d6_crowds_of_one_address_are_refused_beyond_its_cap() {
    let limits = format!("connections = {}\nconnections_per_address = {CAP}", ADDRESSES * CAP + 50);
    let mut siege = Siege::lay("connections over the cap of their address", &limits).await;
    let count = openable(scaled(CROWD), 1);
    let process = siege.process.id();
    siege
        .waves(count, CROWD_CEILING, async |target, count| {
            let watching = async {
                let mut most = 0;
                loop {
                    most = most.max(crate::reading::Reading::of(process).files);
                    assert!(most < ADDRESSES * CAP + 300, "{most} files: the cap is not kept");
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            };
            tokio::select! { () = crowd(target, count) => {}, () = watching => {} }
        })
        .await;
}

/// Connections that come at once, under `connections_per_address`.
const BURST: usize = 800;

/// A gateway that is busy for a moment accepts afterwards who came meanwhile; the system keeps them for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d6_a_burst_of_connections_waits_to_be_accepted() {
    let most: usize = fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap().trim().parse().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gateway.toml");
    fs::write(&file, PLAIN).unwrap();
    let process = Process::start(&file);
    let [address, _] = process.addresses;
    signal(&process, "STOP");
    let connected = all(openable(BURST, 1).min(most), |_| async move {
        let connecting = tokio::net::TcpStream::connect(address);
        tokio::time::timeout(Duration::from_secs(5), connecting).await.is_ok_and(|connected| connected.is_ok())
    });
    let connected = connected.await;
    signal(&process, "CONT");
    let kept_out = connected.iter().filter(|connected| !**connected).count();
    assert_eq!(kept_out, 0, "of {}", connected.len());
    assert!(ask(address, "/mcp").starts_with("HTTP/1.1 401"));
}

fn signal(process: &Process, name: &str) {
    let script = format!("kill -{name} {}", process.id());
    assert!(Command::new("sh").args(["-c", &script]).status().unwrap().success());
}

const COMERS: usize = 2000;
/// Nobody stays: only what is under way at one time.
const COMERS_CEILING: Ceiling = Ceiling { each_kib: 4, fixed_mib: 16 };

/// Connect and leave, some with a byte, some with a reset.
pub(crate) async fn come_and_go(target: Target, n: usize) {
    let at_once = 50.min(n);
    let going = all(at_once, |lane| {
        let target = target.clone();
        async move {
            for turn in 0..n / at_once {
                let Ok(mut stream) = target.tcp(source(lane)).await else { continue };
                match turn % 3 {
                    0 => {}
                    1 => drop(crate::attacker::write(&mut stream, [22]).await),
                    _ => stream.set_zero_linger().unwrap(),
                }
            }
        }
    });
    going.await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d6_connections_that_come_and_go_leave_nothing() {
    let mut siege = Siege::lay("connections that come and go", "").await;
    siege.waves(scaled(COMERS), COMERS_CEILING, come_and_go).await;
}
