//! Chunked bodies: what is taken out does not depend on the pieces in which they come, and is the same once it is written out again.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use portcullis::chunked::{Chunked, Malformed};

// Where the body is cut, and the body.
fuzz_target!(|input: (u16, &[u8])| {
    let (cut, body) = input;
    let whole = read(&[body]);
    let (first, second) = body.split_at(usize::from(cut).min(body.len()));
    assert_eq!(read(&[first, second]), whole);
    let Ok((data, rest, true)) = whole else { return };
    assert!(rest.len() + data.len() + "0\r\n\r\n".len() <= body.len() && body.ends_with(&rest));
    let chunk = if data.is_empty() {
        Vec::new()
    } else {
        [format!("{:X}\r\n", data.len()).as_bytes(), &data, b"\r\n"].concat()
    };
    let written = [chunk.as_slice(), b"0\r\n\r\n", &rest].concat();
    assert_eq!(read(&[&written]), Ok((data, rest, true)));
});

/// The data, what is left behind the end, and whether the end has come.
fn read(pieces: &[&[u8]]) -> Result<(Vec<u8>, Vec<u8>, bool), Malformed> {
    let (mut chunked, mut data, mut bytes) = (Chunked::default(), Vec::new(), Bytes::new());
    for piece in pieces {
        bytes = [&bytes, *piece].concat().into();
        while let Some(piece) = chunked.take(&mut bytes)? {
            assert!(!piece.is_empty());
            data.extend_from_slice(&piece);
        }
        assert!(bytes.is_empty() || chunked.is_ended());
    }
    Ok((data, bytes.to_vec(), chunked.is_ended()))
}
