//! The header fields that repeat what a body says (SEP-2243): the era they stand for, and whether body and head agree.
//!
//! A modern server may act on these fields, so in a modern request they are checked to be the body's. In the legacy era they
//! decide nothing: neither here nor upstream (threat M18).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::HeaderName;

use crate::head::Fields;

use super::message::{Content, Era, Message, Operation, naming_of};

/// The revision that a request is written in.
pub const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
/// Repeats `method`.
pub const METHOD: HeaderName = HeaderName::from_static("mcp-method");
/// Repeats what the params name.
pub const NAME: HeaderName = HeaderName::from_static("mcp-name");

/// The first revision without handshake and sessions.
const FIRST_MODERN: &str = "2026-07-28";

/// The legacy handshake.
const INITIALIZE: &str = "initialize";

/// Header fields and body do not say the same (−32020).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the header fields do not repeat what the body says")]
pub struct Mismatch;

/// The era that the head alone stands for: what may be asked before the body is read.
pub fn era_of_head(fields: &Fields) -> Result<Era, Mismatch> {
    let version = the_one(fields, &PROTOCOL_VERSION)?;
    Ok(if version.is_some_and(is_modern) { Era::Modern } else { Era::Legacy })
}

/// The era of a message whose head is this, once both agree.
pub fn check(fields: &Fields, message: &Message) -> Result<Era, Mismatch> {
    let version = the_one(fields, &PROTOCOL_VERSION)?;
    let claim = message.claim.as_deref();
    if let (Some(version), Some(claim)) = (version, claim) {
        agree(is_literally(version, claim))?;
    }
    // What no legacy revision is called is taken for a modern one: a server that knows it would.
    let claims_modern = claim.is_some_and(|claim| !is_date(claim.as_bytes()) || is_modern(claim.as_bytes()));
    if !claims_modern && !version.is_some_and(is_modern) {
        return Ok(Era::Legacy);
    }
    match &message.content {
        Content::Request(operation) => {
            agree(version.is_some())?;
            check_operation(fields, operation, claims_modern, Presence::Required)?;
        }
        // MCP 2026-07-28 asks for no fields on notifications; those that are there must be true.
        Content::Notification(operation) => check_operation(fields, operation, claims_modern, Presence::Optional)?,
        // Modern clients are not asked anything, so they answer nothing.
        Content::Response => return Err(Mismatch),
    }
    Ok(Era::Modern)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Presence {
    Required,
    Optional,
}

fn check_operation(
    fields: &Fields,
    operation: &Operation,
    claims_modern: bool,
    presence: Presence,
) -> Result<(), Mismatch> {
    // A modern server knows no such method; a server of both eras would begin a session.
    agree(claims_modern || *operation.method != *INITIALIZE)?;
    match the_one(fields, &METHOD)? {
        Some(method) => agree(is_literally(method, &operation.method))?,
        None => agree(presence == Presence::Optional)?,
    }
    if !naming_of(&operation.method).is_some_and(|naming| naming.mirrored) {
        return Ok(());
    }
    let target = operation.targets.first().ok_or(Mismatch)?;
    match the_one(fields, &NAME)? {
        Some(name) => agree(is_encoded(name, &target.name)),
        None => agree(presence == Presence::Optional),
    }
}

fn agree(does: bool) -> Result<(), Mismatch> {
    does.then_some(()).ok_or(Mismatch)
}

/// The value of a field that may stand once.
fn the_one<'a>(fields: &'a Fields, name: &HeaderName) -> Result<Option<&'a [u8]>, Mismatch> {
    fields.once(name).map_err(|_| Mismatch)
}

/// True when a value is a text as it stands. Bytes that are not ASCII have no agreed meaning in a field (RFC 9110 §5.5).
fn is_literally(value: &[u8], text: &str) -> bool {
    value.is_ascii() && value == text.as_bytes()
}

/// True when a value is a text as it stands, or in the form for texts that no field can hold: `=?base64?…?=`.
fn is_encoded(value: &[u8], text: &str) -> bool {
    let Some(marked) = value.strip_prefix(b"=?base64?").filter(|_| value.ends_with(b"?=")) else {
        return is_literally(value, text);
    };
    let decoded = marked.strip_suffix(b"?=").and_then(|encoded| STANDARD.decode(encoded).ok());
    decoded.is_some_and(|decoded| decoded == text.as_bytes())
}

/// Dates of this form compare like their texts.
fn is_modern(version: &[u8]) -> bool {
    is_date(version) && version >= FIRST_MODERN.as_bytes()
}

/// `YYYY-MM-DD`: how revisions are called. Whether there is such a day does not matter.
fn is_date(text: &[u8]) -> bool {
    let is_well_placed =
        |(at, byte): (usize, &u8)| if matches!(at, 4 | 7) { *byte == b'-' } else { byte.is_ascii_digit() };
    text.len() == FIRST_MODERN.len() && text.iter().enumerate().all(is_well_placed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mcp::message::{NAMINGS, RequestId, Target, TargetKind};

    const LEGACY: &str = "2025-11-25";
    const MODERN: &str = "2026-07-28";

    fn head(fields: &[(&'static str, &str)]) -> Fields {
        let mut headers = http::HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, value.parse().unwrap());
        }
        Fields::from(&headers)
    }

    fn operation(method: &str, name: Option<&str>) -> Operation {
        let targets = name.map(|name| Target { kind: TargetKind::Tool, name: name.into() });
        Operation { method: method.into(), targets: targets.into_iter().collect() }
    }

    fn message(content: Content, claim: Option<&str>) -> Message {
        let id = matches!(content, Content::Request(_)).then(|| RequestId::from_json("1").unwrap());
        Message { id, content, claim: claim.map(Into::into) }
    }

    fn request(method: &str, name: Option<&str>, claim: Option<&str>) -> Message {
        message(Content::Request(operation(method, name)), claim)
    }

    fn notification(method: &str, name: Option<&str>, claim: Option<&str>) -> Message {
        message(Content::Notification(operation(method, name)), claim)
    }

    /// A call of the tool `echo` under a modern head whose `Mcp-Name` is this.
    fn call(mirrored: &str, name: &str) -> Result<Era, Mismatch> {
        let head = head(&[("mcp-protocol-version", MODERN), ("mcp-method", "tools/call"), ("mcp-name", mirrored)]);
        check(&head, &request("tools/call", Some(name), Some(MODERN)))
    }

    #[test]
    fn m18_only_a_modern_date_makes_a_head_modern() {
        for version in [MODERN, "2026-07-29", "2027-01-01", "9999-99-99", " 2026-07-28\t"] {
            assert_eq!(era_of_head(&head(&[("MCP-Protocol-Version", version)])), Ok(Era::Modern), "{version:?}");
        }
        for version in [
            LEGACY,
            "2026-07-27",
            "2024-11-05",
            "",
            "x",
            "2026-07-28x",
            "v2026-07-28",
            "2026-7-28",
            "20260728",
            "2026_07_28",
            "2026-07-28, 2026-07-28",
            "+026-07-28",
            "DRAFT-2026-v1",
            "é026-07-28",
        ] {
            assert_eq!(era_of_head(&head(&[("mcp-protocol-version", version)])), Ok(Era::Legacy), "{version:?}");
        }
        assert_eq!(era_of_head(&Fields::default()), Ok(Era::Legacy));
    }

    #[test]
    fn m14_a_repeated_version_is_a_mismatch_whatever_it_says() {
        for (one, other) in [(MODERN, MODERN), (MODERN, LEGACY), (LEGACY, MODERN), (LEGACY, LEGACY)] {
            let head = head(&[("mcp-protocol-version", one), ("mcp-protocol-version", other)]);
            assert_eq!(era_of_head(&head), Err(Mismatch));
            assert_eq!(check(&head, &request("tools/list", None, None)), Err(Mismatch));
        }
    }

    #[test]
    fn m14_version_and_claim_agree_or_are_refused() {
        let asked = |version: Option<&str>, claim: Option<&str>| {
            let mut fields = vec![("mcp-method", "tools/list")];
            fields.extend(version.map(|version| ("mcp-protocol-version", version)));
            check(&head(&fields), &request("tools/list", None, claim))
        };
        let cells = [
            (None, None, Ok(Era::Legacy)),
            (None, Some(LEGACY), Ok(Era::Legacy)),
            (None, Some(MODERN), Err(Mismatch)),
            (None, Some("x"), Err(Mismatch)),
            (None, Some(""), Err(Mismatch)),
            (Some(LEGACY), None, Ok(Era::Legacy)),
            (Some(LEGACY), Some(LEGACY), Ok(Era::Legacy)),
            (Some(LEGACY), Some("2025-06-18"), Err(Mismatch)),
            (Some(LEGACY), Some(MODERN), Err(Mismatch)),
            (Some("x"), None, Ok(Era::Legacy)),
            (Some("x"), Some("x"), Ok(Era::Modern)),
            (Some("é"), Some("é"), Err(Mismatch)),
            (Some(MODERN), None, Ok(Era::Modern)),
            (Some(MODERN), Some(MODERN), Ok(Era::Modern)),
            (Some(" 2026-07-28 "), Some(MODERN), Ok(Era::Modern)),
            (Some(MODERN), Some("2026-07-29"), Err(Mismatch)),
            (Some(MODERN), Some(LEGACY), Err(Mismatch)),
            (Some(MODERN), Some(" 2026-07-28"), Err(Mismatch)),
        ];
        for (version, claim, expected) in cells {
            assert_eq!(asked(version, claim), expected, "{version:?} {claim:?}");
        }
    }

    #[test]
    fn m14_a_modern_request_repeats_its_method() {
        let asked = |methods: &[&str]| {
            let methods = methods.iter().map(|method| ("mcp-method", *method));
            let fields: Vec<_> = [("mcp-protocol-version", MODERN)].into_iter().chain(methods).collect();
            [request("tools/list", None, Some(MODERN)), notification("tools/list", None, Some(MODERN))]
                .map(|message| check(&head(&fields), &message).is_ok())
        };
        assert_eq!(asked(&["tools/list"]), [true, true]);
        assert_eq!(asked(&["\ttools/list "]), [true, true]);
        assert_eq!(asked(&[]), [false, true]);
        for method in
            ["tools/call", "Tools/List", "tools/lis", "tools/list/", "", "tools /list", "=?base64?dG9vbHMvbGlzdA==?="]
        {
            assert_eq!(asked(&[method]), [false, false], "{method:?}");
        }
        assert_eq!(asked(&["tools/list", "tools/list"]), [false, false]);
    }

    #[test]
    fn m14_a_modern_request_repeats_what_it_names() {
        for naming in NAMINGS {
            let asked = |names: &[&str]| {
                let fields = [("mcp-protocol-version", MODERN), ("mcp-method", naming.method)].into_iter();
                let fields: Vec<_> = fields.chain(names.iter().map(|name| ("mcp-name", *name))).collect();
                [request(naming.method, Some("a"), None), notification(naming.method, Some("a"), None)]
                    .map(|message| check(&head(&fields), &message).is_ok())
            };
            assert_eq!(asked(&["a"]), [true, true], "{}", naming.method);
            assert_eq!(asked(&[]), [!naming.mirrored, true], "{}", naming.method);
            for wrong in [&["b"][..], &["A"], &[""], &["a", "a"], &["a, a"]] {
                assert_eq!(asked(wrong), [!naming.mirrored; 2], "{} {wrong:?}", naming.method);
            }
        }
        let unnamed = head(&[("mcp-protocol-version", MODERN), ("mcp-method", "tools/list"), ("mcp-name", "x")]);
        assert_eq!(check(&unnamed, &request("tools/list", None, None)), Ok(Era::Modern));
    }

    #[test]
    fn m17_names_in_base64_are_decoded_before_they_are_compared() {
        for (mirrored, name) in [
            ("echo", "echo"),
            ("=?base64?ZWNobw==?=", "echo"),
            (" =?base64?ZWNobw==?=\t", "echo"),
            ("=?base64?w6kK?=", "é\n"),
            ("=?base64?PT9iYXNlNjQ/Pz0=?=", "=?base64??="),
            ("=?BASE64?ZWNobw==?=", "=?BASE64?ZWNobw==?="),
            ("=?base64?ZWNobw==", "=?base64?ZWNobw=="),
            ("ZWNobw==", "ZWNobw=="),
        ] {
            assert_eq!(call(mirrored, name), Ok(Era::Modern), "{mirrored}");
        }
        for (mirrored, name) in [
            ("=?base64?ZWNobw==?=", "=?base64?ZWNobw==?="),
            ("=?base64?ZWNobw?=", "echo"),
            ("=?base64?ZWNobx==?=", "echo"),
            ("=?base64?ZWNobw==?= x", "echo"),
            ("=?base64? ZWNobw==?=", "echo"),
            ("=?base64?!!!!?=", "echo"),
            ("=?base64?w6k?=", "é"),
            ("=?base64?_-8=?=", "\u{ffff}"),
            ("=?base64?=", "=?base64?="),
            ("=?base64??=", "=?base64??="),
            ("=?base64?/w==?=", "\u{ff}"),
            ("=?BASE64?ZWNobw==?=", "echo"),
            ("ZWNobw==", "echo"),
            ("é", "é"),
            ("Echo", "echo"),
        ] {
            assert_eq!(call(mirrored, name), Err(Mismatch), "{mirrored}");
        }
    }

    #[test]
    fn m14_a_handshake_under_a_modern_head_is_a_mismatch() {
        let modern = head(&[("mcp-protocol-version", MODERN), ("mcp-method", "initialize")]);
        assert_eq!(check(&modern, &request("initialize", None, None)), Err(Mismatch));
        assert_eq!(check(&modern, &notification("initialize", None, None)), Err(Mismatch));
        // A modern server answers it like any method that it does not know.
        assert_eq!(check(&modern, &request("initialize", None, Some(MODERN))), Ok(Era::Modern));
        for legacy in [head(&[]), head(&[("mcp-protocol-version", LEGACY), ("mcp-method", "x")])] {
            assert_eq!(check(&legacy, &request("initialize", None, None)), Ok(Era::Legacy));
        }
    }

    #[test]
    fn m14_there_are_no_modern_responses() {
        let asked = |version: &str, claim| {
            check(&head(&[("mcp-protocol-version", version)]), &message(Content::Response, claim))
        };
        assert_eq!(asked(LEGACY, None), Ok(Era::Legacy));
        assert_eq!(asked(MODERN, None), Err(Mismatch));
        assert_eq!(asked(MODERN, Some(MODERN)), Err(Mismatch));
        assert_eq!(check(&head(&[]), &message(Content::Response, Some(MODERN))), Err(Mismatch));
    }

    #[test]
    fn a_modern_notification_needs_no_fields() {
        assert_eq!(check(&head(&[]), &notification("notifications/x", None, Some(MODERN))), Ok(Era::Modern));
        assert_eq!(check(&head(&[]), &notification("notifications/x", None, None)), Ok(Era::Legacy));
    }

    #[test]
    fn m18_fields_of_a_legacy_request_decide_nothing() {
        let fields = [("mcp-method", "x"), ("mcp-method", "y"), ("mcp-name", "=?base64?!?="), ("mcp-name", "z")];
        for version in [None, Some(LEGACY), Some("x")] {
            let version = version.map(|version| ("mcp-protocol-version", version));
            let fields: Vec<_> = fields.into_iter().chain(version).collect();
            assert_eq!(check(&head(&fields), &request("tools/call", Some("echo"), None)), Ok(Era::Legacy));
        }
    }
}
