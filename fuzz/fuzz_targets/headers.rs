//! Header hygiene: nothing of a hop, of an identity or of a nomination passes, and nothing is made up.
#![no_main]

use http::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;
use portcullis::head::{Fields, Lines};
use portcullis::headers::{Bytes, Passing, Stated, for_client, for_upstream};

const NEVER: &[&str] =
    &["connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "authorization"];

// One field per line: `name: value`.
fuzz_target!(|data: &[u8]| {
    let mut headers = HeaderMap::new();
    for line in data.split(|byte| *byte == b'\n').take(64) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(&line[..colon]), HeaderValue::from_bytes(&line[colon + 1..]))
        else {
            continue;
        };
        headers.append(name, value);
    }
    let nominated: Vec<String> = headers
        .get_all("connection")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .collect();
    let fields = Fields::from(&headers);
    let (mut up, mut down) = (Lines::default(), Lines::default());
    let stated = [HeaderName::from_static("x-stated")];
    for_upstream(&fields, &Stated::new(stated.iter()), Passing { mirrors: true, codings: true }, &mut up);
    for_client(&fields, Bytes::Same, &mut down);
    for (passed, upstream) in [(up.into_map(), true), (down.into_map(), false)] {
        for (name, value) in &passed {
            let had = |had: &HeaderValue| had.as_bytes().trim_ascii() == value.as_bytes();
            assert!(headers.get_all(name).iter().any(had), "{name} is made up");
            assert!(!nominated.contains(&name.as_str().to_owned()), "{name} was nominated");
            let alike = name.as_str().replace('_', "-");
            let hop = NEVER.contains(&alike.as_str()) && (upstream || alike != "authorization");
            assert!(!hop, "{name} passes");
            assert!(!(upstream && (alike.starts_with("x-auth-") || alike == "x-stated")), "{name} passes");
            assert!(!(upstream && (alike == "forwarded" || alike.starts_with("x-forwarded-"))), "{name} passes");
        }
    }
});
