//! What is small on the wire and large inside: JSON bombs, header bombs, and many bodies just under the limit.

use crate::attacker::{PATHS, Target, all, call, count, post, source, verdict, write};
use crate::frames::{END_HEADERS, END_STREAM, Frames, HEADERS, Said, block, frame, post_block};
use crate::rig::{Ceiling, Siege, openable, scaled};

/// Just under `body_bytes`.
const ALMOST: usize = 1024 * 1024 - 1024;

const JSON: usize = 48;
/// `buffered_bytes` and what is read ahead of it on each connection; no tree is ever built.
const JSON_CEILING: Ceiling = Ceiling { each_kib: 256, fixed_mib: 32 };

/// Bodies that cost a parser memory or stack.
fn bombs() -> Vec<(&'static str, String)> {
    let message = |params: &str| format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}"#);
    let named = |arguments: &str| message(&format!(r#"{{"name":"read_note","arguments":{arguments}}}"#));
    let fill = |text: &str| text.repeat(ALMOST / text.len() - 200);
    let members: String = (0..40_000).map(|n| format!("\"member-{n}\":{n},")).collect();
    vec![
        ("arrays in arrays", named(&fill("["))),
        ("objects in objects", named(&fill("{\"a\":"))),
        ("a wide array", named(&format!("[{}0]", fill("0,")))),
        ("many members", named(&format!("{{{members}\"last\":0}}"))),
        ("one member again and again", message(&format!("{{{}\"name\":\"read_note\"}}", fill("\"name\":\"x\",")))),
        ("a long text of escapes", named(&format!("\"{}\"", fill("\\u0041")))),
        ("a long number", named(&fill("9"))),
        ("a long exponent", named(&format!("1e{}", fill("9")))),
        ("a long method", format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{}"}}"#, fill("m"))),
        ("a long id", format!(r#"{{"jsonrpc":"2.0","id":"{}","method":"ping"}}"#, fill("i"))),
        ("a batch", format!("[{}0]", fill(r#"{"jsonrpc":"2.0","id":1,"method":"ping"},"#))),
        ("nothing but blanks", fill(" ")),
    ]
}

/// Each bomb several times at once; what is no request is refused, what is one goes through.
pub(crate) async fn json_bombs(target: Target, n: usize) {
    let bombs = bombs();
    let verdicts = all(n, |n| {
        let target = target.clone();
        let (what, body) = bombs[n % bombs.len()].clone();
        async move {
            let token = target.mint(PATHS[0], &format!("bomber-{n}"));
            let Ok(mut stream) = target.http1(source(n)).await else { return (what, 1) };
            write(&mut stream, call(PATHS[0], token, &body)).await;
            (what, verdict(&mut stream).await)
        }
    });
    for (what, verdict) in verdicts.await {
        let harmless = ["a wide array", "many members", "a long text of escapes", "a long number", "a long exponent"];
        let fitting: &[u16] = if harmless.contains(&what) { &[200, 400, 503] } else { &[400, 413, 503, 0] };
        assert!(fitting.contains(&verdict), "{what}: {verdict}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m10_json_bombs_cost_no_more_than_their_bytes() {
    let mut siege = Siege::lay("JSON bombs", "").await;
    siege.waves(scaled(JSON), JSON_CEILING, json_bombs).await;
}

const HEADS: usize = 60;
/// A connection's reading buffer of 32 KiB in each of its layers.
const HEADS_CEILING: Ceiling = Ceiling { each_kib: 384, fixed_mib: 0 };

/// Heads over their bounds: bytes, fields, and field lines of HTTP/2 that name a large one again and again.
pub(crate) async fn header_bombs(target: Target, n: usize) {
    let verdicts = all(n, |n| {
        let target = target.clone();
        async move {
            let from = source(n);
            if n % 3 < 2 {
                let lines = match n % 3 {
                    0 => format!("X-Filler: {}\r\n", "x".repeat(4 * 1024 * 1024)),
                    _ => "X-Filler: x\r\n".repeat(20_000),
                };
                let Ok(stream) = target.http1(from).await else { return 1 };
                let (mut read, mut send) = tokio::io::split(stream);
                let sending = async move { write(&mut send, post(PATHS[0], "none", &lines)).await };
                let (_, verdict) = tokio::join!(sending, verdict(&mut read));
                return verdict;
            }
            let Ok(mut frames) = Frames::connect(&target, from).await else { return 1 };
            for stream in 0..50u32 {
                let mut bomb = post_block(PATHS[0], None);
                // RFC 7541 §2.3.3: 62 is what was put into the table last, one byte for four thousand.
                bomb.extend(block(0x40, &[("x-bomb", &"x".repeat(4000))]));
                bomb.extend(std::iter::repeat_n(0x80 | 0x3e, 10_000));
                if !frames.send(&frame(HEADERS, END_HEADERS | END_STREAM, stream * 2 + 1, &bomb)).await {
                    break;
                }
            }
            let is_refused = |said: &Said| said.heads + said.resets > 0 || said.closed || said.goaway.is_some();
            if is_refused(&frames.said_until(is_refused).await) { 431 } else { 1 }
        }
    });
    let verdicts = verdicts.await;
    assert_eq!(count(&verdicts, &[431, 0]), n, "{verdicts:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d10_header_bombs_are_refused_before_they_are_read() {
    let mut siege = Siege::lay("header bombs", "").await;
    siege.waves(scaled(HEADS), HEADS_CEILING, header_bombs).await;
}

const BODIES: usize = 64;
/// `buffered_bytes`, and half as much that the allocator has of the wave before; each connection's buffers beside it.
const BODIES_CEILING: Ceiling = Ceiling { each_kib: 384, fixed_mib: 48 };

/// Bodies that are almost whole, each of another caller; their long part is nothing that ends them before their time.
pub(crate) async fn hoarded_bodies(target: Target, n: usize) {
    let verdicts = all(n, |n| {
        let target = target.clone();
        async move {
            let token = target.mint(PATHS[0], &format!("hoarder-{n}"));
            let Ok(stream) = target.http1(source(n)).await else { return 1 };
            let head = post(PATHS[0], token, &format!("Content-Length: {ALMOST}\r\n"));
            let (mut read, mut send) = tokio::io::split(stream);
            let sending = async move {
                let start = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","arguments":""#;
                write(&mut send, head + start).await;
                for _ in 0..(ALMOST - 1024) / 1024 {
                    write(&mut send, [b'x'; 1024]).await;
                }
                std::future::pending::<()>().await;
            };
            tokio::select! {
                verdict = verdict(&mut read) => verdict,
                () = sending => 2,
            }
        }
    });
    let verdicts = verdicts.await;
    assert_eq!(count(&verdicts, &[408, 503, 0]), n, "{verdicts:?}");
    assert!(count(&verdicts, &[503]) > 0, "the budget is spent: {verdicts:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d23_bodies_that_hoard_memory_get_503_beyond_the_budget() {
    let mut siege = Siege::lay("parallel bodies", "").await;
    siege.three_waves(openable(scaled(BODIES), 1), BODIES_CEILING, hoarded_bodies).await;
}
