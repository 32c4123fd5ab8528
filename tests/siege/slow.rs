//! Who takes his time: half-open handshakes, slow heads, slow bodies, slow readers.

use std::time::Duration;

use rustls::ClientConnection;
use rustls::pki_types::ServerName;

use crate::attacker::{PATHS, Target, all, call, count, post, source, until_closed, verdict, write};
use crate::frames::{self, DATA, END_STREAM, Frames, SETTINGS, WINDOW_UPDATE, frame};
use crate::rig::{Ceiling, Siege, openable, scaled};
use crate::upstream::{ASKS_FOR_MUCH, MUCH};

/// A byte of a slow head or body comes after so long.
const DRIP: Duration = Duration::from_millis(150);
/// Attackers of one address, under its cap of connections.
const PER_ADDRESS: usize = 200;

const HANDSHAKES: usize = 900;
/// A socket, a task with its timer, and TLS state with the keys of a half-done handshake.
const HANDSHAKES_CEILING: Ceiling = Ceiling { each_kib: 48, fixed_mib: 0 };

/// Silent connections, one byte of a hello, and whole hellos whose answer nobody takes.
pub(crate) async fn half_open(target: Target, n: usize) {
    let hello = client_hello();
    let ends = all(n, |n| {
        let (target, hello) = (target.clone(), hello.clone());
        async move {
            let Ok(mut stream) = target.tcp(source(n / PER_ADDRESS)).await else { return 0 };
            let part = [0, 1, hello.len()][n % 3];
            write(&mut stream, &hello[..part]).await;
            until_closed(&mut stream).await;
            1
        }
    });
    assert_eq!(ends.await.iter().sum::<usize>(), n, "each is let in, and closed after its time");
}

fn client_hello() -> Vec<u8> {
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(std::sync::Arc::clone(&crate::authority::authority().roots))
        .with_no_client_auth();
    let name = ServerName::try_from(crate::attacker::HOST).unwrap();
    let (mut bytes, mut client) = (Vec::new(), ClientConnection::new(std::sync::Arc::new(config), name).unwrap());
    while client.wants_write() {
        client.write_tls(&mut bytes).unwrap();
    }
    bytes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d3_half_open_handshakes_end_in_time_and_cost_little() {
    let mut siege = Siege::lay("half-open handshakes", "").await;
    siege.waves(openable(scaled(HANDSHAKES), 1), HANDSHAKES_CEILING, half_open).await;
}

const HEADS: usize = 150;
/// A TLS connection and the part of a head that has come.
const HEADS_CEILING: Ceiling = Ceiling { each_kib: 128, fixed_mib: 0 };

/// Heads that drip, of which some never say more than their first line.
pub(crate) async fn slow_heads(target: Target, n: usize) {
    let verdicts = all(n, |n| {
        let target = target.clone();
        async move {
            let Ok(stream) = target.http1(source(n / PER_ADDRESS)).await else { return 1 };
            let (mut read, mut send) = tokio::io::split(stream);
            let dripping = async move {
                write(&mut send, "POST /notes/mcp HTTP/1.1\r\nHost: mcp.example.com\r\n").await;
                while write(&mut send, "x").await {
                    tokio::time::sleep(DRIP).await;
                }
            };
            tokio::select! {
                verdict = verdict(&mut read) => verdict,
                () = dripping => 0,
            }
        }
    });
    let verdicts = verdicts.await;
    assert_eq!(count(&verdicts, &[408, 0]), n, "{verdicts:?}");
    assert!(count(&verdicts, &[408]) * 2 > n, "most are told why: {verdicts:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d1_slow_heads_get_408_and_honest_calls_go_on() {
    let mut siege = Siege::lay("slow heads", "").await;
    siege.waves(openable(scaled(HEADS), 1), HEADS_CEILING, slow_heads).await;
}

const BODIES: usize = 150;
/// A TLS connection, a request that was let in, and what came of its body.
const BODIES_CEILING: Ceiling = Ceiling { each_kib: 192, fixed_mib: 0 };

/// Bodies that drip after a good token; every second over HTTP/2.
pub(crate) async fn slow_bodies(target: Target, n: usize) {
    let verdicts = all(n, |n| {
        let target = target.clone();
        async move {
            let (from, token) =
                (source(n / PER_ADDRESS), target.mint(PATHS[0], &format!("slow-{}", n % 50)).to_string());
            if n.is_multiple_of(2) {
                let Ok(mut stream) = target.http1(from).await else { return 1 };
                let head = post(PATHS[0], token, "Content-Length: 100000\r\n");
                write(&mut stream, head + "{").await;
                let (mut read, mut send) = tokio::io::split(stream);
                let dripping = async move {
                    while write(&mut send, " ").await {
                        tokio::time::sleep(DRIP).await;
                    }
                };
                return tokio::select! {
                    verdict = verdict(&mut read) => verdict,
                    () = dripping => 0,
                };
            }
            let Ok(mut frames) = Frames::connect(&target, from).await else { return 1 };
            let mut bytes = frames::post(1, PATHS[0], Some(&token), false);
            bytes.extend(frame(DATA, 0, 1, b"{"));
            frames.send(&bytes).await;
            let is_refused = |said: &frames::Said| said.heads + said.resets > 0;
            let said = frames.said_until(is_refused).await;
            if is_refused(&said) { 408 } else { 1 }
        }
    });
    let verdicts = verdicts.await;
    assert_eq!(count(&verdicts, &[408, 0]), n, "{verdicts:?}");
    assert!(count(&verdicts, &[408]) * 2 > n, "most are told why: {verdicts:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d4_slow_bodies_get_408_and_honest_calls_go_on() {
    let mut siege = Siege::lay("slow bodies", "").await;
    siege.waves(openable(scaled(BODIES), 1), BODIES_CEILING, slow_bodies).await;
}

const READERS: usize = 60;
/// What stands between two sockets of which one is full: the buffer for reading from the upstream (64 KiB), what was taken out
/// of it and waits to be written (128 KiB and one reading), TLS records.
const READERS_CEILING: Ceiling = Ceiling { each_kib: 512, fixed_mib: 0 };

/// Ask for much over HTTP/1.1 and take nothing of it.
pub(crate) async fn slow_readers(target: Target, n: usize) {
    let taken = all(n, |n| {
        let target = target.clone();
        async move {
            let token = target.mint(PATHS[1], &format!("reader-{n}")).to_string();
            let Ok(mut stream) = target.narrow(source(n / PER_ADDRESS)).await else { return 0 };
            write(&mut stream, call(PATHS[1], token, &asks())).await;
            tokio::time::sleep(Duration::from_secs(3)).await;
            drained(&mut stream).await
        }
    });
    let taken = taken.await;
    assert!(taken.iter().all(|&bytes| bytes < MUCH), "each is cut off before it has all: {taken:?}");
}

fn asks() -> String {
    format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"{ASKS_FOR_MUCH}"}}}}"#)
}

/// How many bytes are left in the pipe.
async fn drained(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> usize {
    let (mut bytes, mut piece) = (0, vec![0; 64 * 1024]);
    let reading = async {
        while let Ok(n @ 1..) = tokio::io::AsyncReadExt::read(stream, &mut piece).await {
            bytes += n;
        }
    };
    crate::support::within("the end of what was not read", reading).await;
    bytes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_that_take_nothing_are_cut_off() {
    let mut siege = Siege::lay("slow readers, HTTP/1.1", "").await;
    siege.waves(openable(scaled(READERS), 2), READERS_CEILING, slow_readers).await;
}

/// Streams of one connection.
const STREAMS: usize = 100;
const WINDOWS: usize = 400;
/// The buffer for reading from the upstream, one reading that waits for the window, and part of `MAX_SEND_BUFFER`.
const WINDOWS_CEILING: Ceiling = Ceiling { each_kib: 160, fixed_mib: 0 };

/// The same over HTTP/2: a hundred streams on each connection, and no window is ever opened.
pub(crate) async fn closed_windows(target: Target, n: usize) {
    let heard = all(n.div_ceil(STREAMS), |n| {
        let target = target.clone();
        async move {
            let Ok(mut frames) = Frames::connect(&target, source(n)).await else { return 0 };
            ask_on_each_stream(&mut frames, &target, n).await;
            let said = frames.said_until(|said| said.resets >= STREAMS).await;
            assert!(said.data < 2 * 65_535, "no more than the windows let through: {said:?}");
            said.resets
        }
    });
    let resets: usize = heard.await.iter().sum();
    assert!(resets * 10 >= n * 9, "the streams are given up: {resets} of {n}");
}

async fn ask_on_each_stream(frames: &mut Frames, target: &Target, n: usize) {
    let (body, token) = (asks(), target.mint(PATHS[2], &format!("window-{n}")).to_string());
    for stream in 0..STREAMS {
        let id = u32::try_from(stream * 2 + 1).unwrap();
        let mut bytes = frames::post(id, PATHS[2], Some(&token), false);
        bytes.extend(frame(DATA, END_STREAM, id, body.as_bytes()));
        frames.send(&bytes).await;
    }
}

/// Each stream's window has room for one byte, so that the library has begun with each answer.
pub(crate) async fn crumbs(target: Target, n: usize) {
    let heard = all(n.div_ceil(STREAMS), |n| {
        let target = target.clone();
        async move {
            let Ok(mut frames) = Frames::connect(&target, source(n)).await else { return 0 };
            // SETTINGS_INITIAL_WINDOW_SIZE (RFC 9113 §6.5.2), and room on the connection.
            frames.send(&frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 1])).await;
            frames.send(&frame(WINDOW_UPDATE, 0, 0, &(64_u32 << 20).to_be_bytes())).await;
            ask_on_each_stream(&mut frames, &target, n).await;
            let said = frames.said_until(|said| said.resets >= STREAMS).await;
            assert!(said.data <= STREAMS, "one byte for each: {said:?}");
            said.resets
        }
    });
    let resets: usize = heard.await.iter().sum();
    assert!(resets * 10 >= n * 9, "the streams are given up: {resets} of {n}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn windows_of_one_byte_end_their_streams() {
    let mut siege = Siege::lay("slow readers, HTTP/2, one byte each", "").await;
    siege.waves(openable(scaled(WINDOWS), 2), WINDOWS_CEILING, crumbs).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn windows_that_stay_closed_end_their_streams() {
    let mut siege = Siege::lay("slow readers, HTTP/2", "").await;
    siege.waves(openable(scaled(WINDOWS), 2), WINDOWS_CEILING, closed_windows).await;
}
