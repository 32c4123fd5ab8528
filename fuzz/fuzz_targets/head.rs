//! HTTP/1 heads: what is taken for one has one reading, and reads the same once it is written out again.
#![no_main]

use http::header::HOST;
use http::{Version, header};
use libfuzzer_sys::fuzz_target;
use portcullis::head::Head;
use portcullis::head::judge::{Framing, judge};

// A head, as it came.
fuzz_target!(|data: &[u8]| {
    let Ok((head, framing)) = judge(data.into()) else { return };
    assert!(data.ends_with(b"\r\n\r\n") && head.fields.once(&HOST).is_ok_and(|host| host.is_some()));
    for (name, value) in head.fields.iter() {
        assert!(!name.is_empty() && name.iter().all(|b| b.is_ascii_graphic() && !b.is_ascii_uppercase() && *b != b':'));
        assert!(value.iter().all(|b| *b == b'\t' || (*b >= b' ' && *b != 0x7f)) && value.trim_ascii() == value);
    }
    let (length, coding) = (head.fields.once(&header::CONTENT_LENGTH), head.fields.once(&header::TRANSFER_ENCODING));
    match framing {
        Framing::Chunked => assert!(length == Ok(None) && coding.is_ok_and(|coding| coding.is_some())),
        Framing::Length(bytes) => {
            assert_eq!(coding, Ok(None));
            let said = length.unwrap().map_or(0, |said| std::str::from_utf8(said).unwrap().parse().unwrap());
            assert_eq!(said, bytes);
        }
    }
    let (again, same) = judge(written(&head).as_slice().into()).expect("what was read can be written");
    assert_eq!((same, &again.method, &again.uri, again.version), (framing, &head.method, &head.uri, head.version));
    assert!(again.fields.iter().eq(head.fields.iter()));
});

fn written(head: &Head) -> Vec<u8> {
    let version = if head.version == Version::HTTP_10 { "HTTP/1.0" } else { "HTTP/1.1" };
    let mut text = format!("{} {} {version}\r\n", head.method, head.uri).into_bytes();
    for (name, value) in head.fields.iter() {
        text.extend([name, b":\t", value, b" \r\n"].concat());
    }
    text.extend(b"\r\n");
    text
}
