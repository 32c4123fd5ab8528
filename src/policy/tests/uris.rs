//! URIs with one reading, and with several.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use proptest::prelude::*;
use url::Url;

use super::World;
use crate::policy::Verdict;
use crate::policy::uri::{is_ambiguous, is_ambiguous_template, without_expressions};

#[test]
fn a_plain_uri_has_one_reading() {
    for uri in [
        "file:///a b",
        "file:///etc/passwd",
        "file:///C:/Users/x",
        "file:///a/...b/.c/d.",
        "file://server/share",
        "note://ä/x",
        "note://Ab/X",
        "note://",
        "note:///",
        "note://a/",
        "notes",
        "https://h/a?x=1",
        "https://h",
        "https://h:8443/A/B?q=//..//C#d",
        "https://192.0.2.7/x",
        "https://h/%C3%A4%20%3F%25",
        "urn:example:a:B",
        "ssh://git@github.com/x",
        "ui://widget/{a}",
        "",
    ] {
        assert!(!is_ambiguous(uri), "{uri}");
    }
}

#[test]
fn a_uri_with_another_reading_is_ambiguous() {
    for uri in ODD {
        assert!(is_ambiguous(uri), "{uri}");
    }
}

/// Each with a plain spelling that some server takes it for.
const ODD: &[&str] = &[
    " file:///a",
    "file:///a ",
    "file:///a\u{a0}",
    "file:///a\tb",
    "file:///a\n",
    "file:///a\u{7f}",
    "file:///a\u{85}b",
    "file:\\\\\\a",
    "file:///a\\b",
    "FILE:///a",
    "File:///a",
    "https://H/a",
    "file:///a/../b",
    "file:///a/..",
    "file:///./a",
    "file:///..;x/a",
    "note:../a",
    "../a",
    "file:///%2e%2e/a",
    "file:///a/.%2E/b",
    "file:////a",
    "file:///a//b",
    "note://a//",
    "//h/x",
    "file:///%61",
    "file:///%7E",
    "file:///a%2fb",
    "file:///a%2Fb",
    "file:///a%5cb",
    "file:///a%00b",
    "file:///a%252fb",
    "file:///%c0%ae%c0%ae/b",
    "file:///%ff",
    "file:///%",
    "file:///%4",
    "file:///%zz",
    "file:///%+1",
    "file:///%é",
    "https://h/a?x=%41",
    "file:/etc/passwd",
    "file:etc/passwd",
    "file://localhost/etc/passwd",
    "file://c:/x",
    "file:///c|/x",
    "https:/h/a",
    "https:h/a",
    "https:///h/a",
    "https://h:443/a",
    "http://h:80/a",
    "https://h:/a",
    "https://h:08443/a",
    "https://h./a",
    "https://@h/a",
    "https://ä.example/a",
    "http://127.1/a",
    "http://0x7f.0.0.1/a",
    "http://127.0.0.01/a",
    "http://[::1]/a",
    "note://a:/x",
    "note://@a/x",
];

#[test]
fn an_expression_of_a_template_is_plain() {
    for fine in
        ["{scheme}://a", "repo://{Owner}/{repo}{/path*}{?Q}", "https://{Host}/a", "note://{a", "file:///{+path}"]
    {
        assert!(!is_ambiguous_template(fine), "{fine}");
    }
    for odd in ["repo://{owner}/../{x}", "FILE:///{x}", "file:/{x}", "note://{a}//{b}", "file:///%2e{x}"] {
        assert!(is_ambiguous_template(odd), "{odd}");
    }
    assert_eq!(without_expressions("a{b}c{d}"), "axcx");
    assert!(matches!(without_expressions("abc"), Cow::Borrowed("abc")));
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8().unwrap().into_owned()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// The parser of many servers (WHATWG) changes nothing of a URI that passes, but how characters are escaped.
    #[test]
    fn what_passes_is_left_alone_by_url_parsers(
        scheme in "(https?|ftp|file|note|[A-Za-z])", slashes in ":(|/|//|///|////)",
        rest in "([a-cC|@:;.?#ä \\\\\t]|\\./|%2[eEf]|%41|%C3%A4|/|\\.\\.|0x|1|443|80|localhost){0,9}",
    ) {
        let uri = format!("{scheme}{slashes}{rest}");
        if let (false, Ok(url)) = (is_ambiguous(&uri), Url::parse(&uri)) {
            // An absent path of a special URL is `/`.
            let with_path = |uri: &str| {
                let end = uri.find(['?', '#']).unwrap_or(uri.len());
                let (before, after) = uri.split_at(end);
                format!("{before}/{after}")
            };
            let read = decoded(url.as_str());
            prop_assert!(read == decoded(&uri) || read == decoded(&with_path(&uri)), "{} became {}", uri, url);
        }
    }

    #[test]
    fn any_text_is_judged(text in any::<String>()) {
        is_ambiguous(&text);
        is_ambiguous_template(&text);
    }
}

#[test]
fn escapes_and_case_make_no_difference_between_two_rules() {
    let world = World::new(
        r#"
        default = "allow"
        rules = [
          { resources = ["file:///(x)/*", "note://Alice/*", "file:///ä/*", "doc://a b/*", "doc://%28y%29"], deny = true },
          { resources = ["doc://open/*"] },
        ]
        "#,
    );
    let caller = world.scopes("mcp:tools");
    let verdict = |uri: &str| world.verdict(&caller, "resources/read", &[uri]);
    for uri in [
        "file:///%28x%29/a",
        "file:///(X)/a",
        "note://alice/1",
        "file:///%C3%A4/a",
        "file:///Ä/a",
        "doc://a%20b/c",
        "doc://(y)",
    ] {
        assert_eq!(verdict(uri), Verdict::Ambiguous, "{uri}");
    }
    for uri in ["file:///(x)/a", "note://Alice/1", "doc://%28y%29"] {
        assert_eq!(verdict(uri), Verdict::Denied, "{uri}");
    }
    for uri in ["file:///(z)/a", "note://Bob/1", "note://bob/1", "doc://a%20c/c", "doc://open/%28A%29", "doc://Readme"]
    {
        assert_eq!(verdict(uri), Verdict::Allowed, "{uri}");
    }
}

/// To many servers `https://h?x` is `https://h/?x`.
#[test]
fn x3d_an_absent_path_makes_no_difference_between_two_rules() {
    let world = World::new(
        r#"
        default = "allow"
        rules = [
          { resources = ["https://internal.example/*", "file:///*", "ws://plain", "https://q.example?a*", "note://h/*"], deny = true },
          { resources = ["https://open.example", "https://o*"] },
        ]
        "#,
    );
    let caller = world.scopes("mcp:tools");
    let verdict = |uri: &str| world.verdict(&caller, "resources/read", &[uri]);
    for uri in [
        "https://internal.example",
        "https://internal.example?cmd=x",
        "https://internal.example#x",
        "file://",
        "ws://plain/",
        "https://q.example/?ab",
    ] {
        assert_eq!(verdict(uri), Verdict::Ambiguous, "{uri}");
    }
    for uri in [
        "https://internal.example/",
        "https://internal.example/?cmd=x",
        "file:///a",
        "ws://plain",
        "https://q.example?ab",
    ] {
        assert_eq!(verdict(uri), Verdict::Denied, "{uri}");
    }
    for uri in [
        "https://open.example",
        "https://open.example/",
        "https://other.example?x",
        "https://h",
        "https://h?x",
        "note://internal.example",
        "note://h?x",
    ] {
        assert_eq!(verdict(uri), Verdict::Allowed, "{uri}");
    }
}
