//! Session ids from strangers: what these keys did not seal never opens, and what they sealed opens for its owner alone.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis::session::{NotOpened, Owner, Place, SessionKeys};

// The first line is an id of the upstream, the rest tampers with what is made of it. So the corpus can be read.
fuzz_target!(|data: &[u8]| {
    // A key per input: the fuzzer sees what is compared, and would hand in what an earlier input had sealed.
    let keys = SessionKeys::new(&[]).unwrap();
    let (owner, other) = (Owner::of(&[Some("notes"), Some("alice")]), Owner::of(&[Some("notes"), Some("bob")]));
    let place = if data.len().is_multiple_of(2) { Place::Header } else { Place::Endpoint };
    let elsewhere = if place == Place::Header { Place::Endpoint } else { Place::Header };

    let Ok(text) = std::str::from_utf8(data) else { return };
    assert_eq!(keys.open(&owner, place, text), Err(NotOpened::Unknown));

    let (id, tampering) = text.split_once('\n').unwrap_or((text, ""));
    let Ok(sealed) = keys.seal(&owner, place, id) else { return };
    assert!(sealed.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'));
    assert_eq!(keys.open(&owner, place, &sealed).as_deref(), Ok(id));
    assert_eq!(keys.open(&other, place, &sealed), Err(NotOpened::Foreign));
    assert_eq!(keys.open(&owner, elsewhere, &sealed), Err(NotOpened::Unknown));

    let tampered = tamper(&sealed, tampering);
    if tampered != sealed {
        assert_eq!(keys.open(&owner, place, &tampered), Err(NotOpened::Unknown), "{tampered}");
    }
});

/// Each pair of characters puts the second at the place that the first stands for, or takes away what stands there.
fn tamper(sealed: &str, tampering: &str) -> String {
    let mut text: Vec<char> = sealed.chars().collect();
    let mut tampering = tampering.chars();
    while let (Some(at), Some(put), false) = (tampering.next(), tampering.next(), text.is_empty()) {
        let at = at as usize % text.len();
        if put == '\n' {
            text.remove(at);
        } else {
            text[at] = put;
        }
    }
    text.into_iter().collect()
}
