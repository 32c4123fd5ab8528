//! What it costs to read a body, beside building its document tree: `cargo bench --bench inspect`.

#![expect(clippy::expect_used, reason = "a failed step is a failed measurement")]

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use portcullis::mcp::reader::{Body, Reader};
use serde_json::Value;

/// How bodies arrive from a fast connection.
const PIECE: usize = 16 * 1024;

fn main() {
    divan::main();
}

/// About 300 bytes: a modern call of a tool.
fn small() -> String {
    let meta = r#""io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"bench","version":"1"}"#;
    let arguments = r#"{"query":"gateways between clients and servers","limit":10,"exact":false}"#;
    format!(
        r#"{{"jsonrpc":"2.0","id":42,"method":"tools/call","params":{{"name":"search","arguments":{arguments},"_meta":{{{meta}}}}}}}"#
    )
}

/// 1 MiB, nearly all of it one text: a file in base64.
fn large() -> String {
    call(&format!(r#"{{"file":"{}"}}"#, "QUJDREVGR0hJSktMTU5P".repeat(1024 * 1024 / 20)))
}

/// 1 MiB of many small values.
fn dense() -> String {
    let row = r#"{"id":12345,"name":"a row","tags":["x","y"],"ratio":0.25,"on":true}"#;
    call(&format!(r#"{{"rows":[{}{row}]}}"#, format!("{row},").repeat(1024 * 1024 / (row.len() + 1) - 1)))
}

fn call(arguments: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":42,"method":"tools/call","params":{{"name":"store","arguments":{arguments}}}}}"#)
}

fn read(body: &[u8], piece: usize) -> Body {
    let mut reader = Reader::new(false);
    for piece in body.chunks(piece) {
        reader.feed(piece).expect("the body is good");
    }
    reader.finish().expect("the body is good")
}

const BODIES: [&str; 3] = ["300 B", "1 MiB text", "1 MiB values"];

fn body(name: &str) -> Vec<u8> {
    let body = match name {
        "300 B" => small(),
        "1 MiB text" => large(),
        _ => dense(),
    };
    body.into_bytes()
}

#[divan::bench(args = BODIES)]
fn reader(bencher: Bencher<'_, '_>, name: &str) {
    let body = body(name);
    bencher.counter(BytesCount::of_slice(&body)).bench(|| read(black_box(&body), usize::MAX));
}

#[divan::bench(args = BODIES)]
fn reader_in_pieces(bencher: Bencher<'_, '_>, name: &str) {
    let body = body(name);
    bencher.counter(BytesCount::of_slice(&body)).bench(|| read(black_box(&body), PIECE));
}

#[divan::bench(args = BODIES)]
fn document_tree(bencher: Bencher<'_, '_>, name: &str) {
    let body = body(name);
    let parse = || serde_json::from_slice::<Value>(black_box(&body)).expect("the body is good");
    bencher.counter(BytesCount::of_slice(&body)).bench(parse);
}
