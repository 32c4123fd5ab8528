//! Strict JSON all through the body, also where nothing decides.

use super::*;

/// A value in a part of the body that nobody reads.
fn with(value: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":1,"method":"m","params":{{"arguments":{{"x":{value}}}}}}}"#)
}

#[test]
fn m1_what_is_no_json_is_refused() {
    let bodies = [
        "",
        " ",
        "\n",
        "{",
        "}",
        "]",
        "nul",
        "nope",
        "{]",
        "{\"jsonrpc\"",
        "{\"jsonrpc\":",
        "{,}",
        "{1:2}",
        "'x'",
        "-",
        ":",
    ];
    for body in bodies {
        assert_eq!(fault(body), Fault::Syntax, "{body:?}");
    }
    let good = with("1");
    for end in 0..good.len() {
        assert_eq!(fault(&good.as_bytes()[..end]), Fault::Syntax, "cut at {end}");
    }
}

#[test]
fn m1_text_after_the_message_is_refused() {
    for tail in ["x", "{}", ",", "]", "}", "\0", "\u{b}", "//", "\u{a0}"] {
        let refused = read(with("1") + tail).unwrap_err();
        assert_eq!(refused.fault, Fault::Syntax, "{tail:?}");
        assert_eq!(refused.id.unwrap().as_json(), "1");
    }
    assert!(is_request(&message(format!(" \t\r\n{} \t\r\n", with("1")))));
}

#[test]
fn values_by_the_grammar_are_accepted() {
    let values = [
        "0",
        "-0",
        "1",
        "-12",
        "1.5",
        "0.0",
        "1e5",
        "1E+5",
        "1e-05",
        "-0.1e1",
        "1e999",
        "true",
        "false",
        "null",
        "[]",
        "{}",
        "[ ]",
        "{ }",
        "[1,2]",
        "[[],{}]",
        r#""""#,
        r#""\"\\\/\b\f\n\r\t""#,
        r#""\u0000""#,
        r#""\uD83D\uDE00""#,
        r#""\ud83d\ude00x""#,
        r#"{"":1,"":2}"#,
        "\"\u{7f}\u{e9}\u{20ac}\u{1f600}\"",
        r#" [ 1 , { "a" : null } ] "#,
    ];
    for value in values {
        assert!(is_request(&message(with(value))), "{value}");
    }
}

#[test]
fn m1_values_off_the_grammar_are_refused() {
    let values = [
        "",
        "01",
        "-",
        "+1",
        ".5",
        "1.",
        "1.e1",
        "1e",
        "1e+",
        "-a",
        "0x1",
        "1_0",
        "NaN",
        "Infinity",
        "-Infinity",
        "True",
        "truex",
        "tru",
        "nulll",
        "[1,]",
        "[,1]",
        "[1 2]",
        "{\"a\":1,}",
        "{\"a\" 1}",
        "{\"a\"}",
        "{a:1}",
        "{\"a\":}",
        "1 2",
        "\"\t\"",
        "\"\n\"",
        "\"\0\"",
        "\"\u{1f}\"",
        r#""\x""#,
        r#""\u12""#,
        r#""\u12g4""#,
        r#""\U0041""#,
        r#""\uD83D""#,
        r#""\uDE00""#,
        r#""\uD83Dx""#,
        r#""\uD83D\n""#,
        r#""\uD83D\u0041""#,
        r#""\uD83D\uD83D""#,
        r#""\uDE00\uD83D""#,
        "/**/1",
        "undefined",
        "'x'",
    ];
    for value in values {
        assert_eq!(fault(with(value)), Fault::Syntax, "{value}");
    }
}

#[test]
fn strings_end_where_they_end_at_any_length() {
    for length in 0..100 {
        for (tail, is_good) in [("\"", true), ("\\\"\"", true), ("\u{1}\"", false), ("\\\"", false), ("é\"", true)] {
            let body = with(&format!("\"{}{tail}", "a".repeat(length)));
            assert_eq!(read(&body).is_ok(), is_good, "{length} {tail:?}");
        }
    }
}

#[test]
fn m2_byte_order_marks_and_other_encodings_are_refused() {
    let body = with("\"é\"");
    let utf16 = |swap: bool| -> Vec<u8> {
        let bytes = |unit: u16| if swap { unit.to_be_bytes() } else { unit.to_le_bytes() };
        body.encode_utf16().flat_map(bytes).collect()
    };
    let utf32 = |swap: bool| -> Vec<u8> {
        let bytes = |c: char| if swap { u32::from(c).to_be_bytes() } else { u32::from(c).to_le_bytes() };
        body.chars().flat_map(bytes).collect()
    };
    let marked = |mark: &[u8], rest: Vec<u8>| [mark, &rest].concat();
    let bodies = [
        marked(b"\xEF\xBB\xBF", body.clone().into_bytes()),
        marked(b"\xFF\xFE", utf16(false)),
        marked(b"\xFE\xFF", utf16(true)),
        utf16(false),
        utf16(true),
        marked(b"\xFF\xFE\0\0", utf32(false)),
        utf32(false),
        utf32(true),
        b"\xEF\xBB\xBF".to_vec(),
        b"\xEF\xBB".to_vec(),
    ];
    for body in bodies {
        assert_eq!(fault(&body), Fault::Encoding, "{}", body.escape_ascii());
    }
}

#[test]
fn m2_bytes_that_are_no_utf8_are_refused_anywhere() {
    let [before, after] = ["{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"m\",\"x\":\"", "\"}"].map(str::as_bytes);
    let wrong: [&[u8]; 9] = [
        b"\x80",
        b"\xC3",
        b"\xC0\xAF",
        b"\xE2\x82",
        b"\xED\xA0\x80",
        b"\xF0\x9F\x98",
        b"\xF4\x90\x80\x80",
        b"\xF8",
        b"\xC3\x28",
    ];
    for bytes in wrong {
        assert_eq!(fault([before, bytes, after].concat()), Fault::Encoding, "{}", bytes.escape_ascii());
    }
    assert_eq!(fault([before, b"\xF0\x9F"].concat()), Fault::Encoding);
    // What comes first decides.
    assert_eq!(fault(b"x\xFF"), Fault::Syntax);
    assert_eq!(fault(b"{\xFF"), Fault::Encoding);
}

#[test]
fn m10_nesting_ends_at_its_limit() {
    let nested = |open: &str, close: &str, levels: u32| {
        let levels = levels as usize;
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"m","x":{}1{}}}"#, open.repeat(levels), close.repeat(levels))
    };
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        assert!(is_request(&message(nested(open, close, MAX_DEPTH - 1))));
        assert_eq!(fault(nested(open, close, MAX_DEPTH)), Fault::Bounds);
    }
    let mixed = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"m","x":{}1{}}}"#, "[{\"a\":".repeat(31), "}]".repeat(31));
    assert!(is_request(&message(mixed)));
}

#[test]
fn m10_a_million_brackets_take_no_stack() {
    for (open, expected) in [("[", Fault::Batch), ("{\"params\":", Fault::Bounds), ("{\"x\":[", Fault::Bounds)] {
        let body = open.repeat(1_000_000);
        assert_eq!(in_pieces(body.as_bytes(), usize::MAX, true).unwrap_err().fault, expected);
    }
    let flat = with(&format!("[{}1]", "[],{},".repeat(100_000)));
    assert!(in_pieces(flat.as_bytes(), 4096, false).is_ok());
}

#[test]
fn a_refused_body_stays_refused() {
    let mut reader = Reader::new(false);
    let refused = reader.feed(b"x").unwrap_err();
    assert_eq!(reader.feed(with("1").as_bytes()), Err(refused.clone()));
    assert_eq!(reader.finish(), Err(refused));
}
