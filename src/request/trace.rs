//! W3C Trace Context: a valid incoming trace goes on, anything else starts a new one.

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::headers::from_ascii;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
/// W3C Trace Context §3.3.1.5 asks for at least this much to be passed on.
const MAX_STATE_BYTES: usize = 512;

/// What goes upstream.
#[derive(Debug)]
pub(crate) struct Trace {
    parent: HeaderValue,
    state: Option<HeaderValue>,
}

/// Same trace id and a new parent id, or, for an invalid or doubled `traceparent`, a new trace without state.
pub(crate) fn continue_trace(headers: &HeaderMap) -> Trace {
    let parent_id = fastrand::u64(1..);
    let mut parents = headers.get_all(&TRACEPARENT).iter();
    let known = match (parents.next(), parents.next()) {
        (Some(parent), None) => parent.to_str().ok().and_then(parse),
        _ => None,
    };
    let Some((trace_id, flags)) = known else {
        let parent = from_ascii(format!("00-{:032x}-{parent_id:016x}-00", fastrand::u128(1..)));
        return Trace { parent, state: None };
    };
    let mut states = headers.get_all(&TRACESTATE).iter();
    let state = match (states.next(), states.next()) {
        (Some(state), None) if state.len() <= MAX_STATE_BYTES => Some(state.clone()),
        _ => None,
    };
    Trace { parent: from_ascii(format!("00-{trace_id}-{parent_id:016x}-{flags}")), state }
}

impl Trace {
    /// Replaces whatever the client sent.
    pub(crate) fn write(self, headers: &mut HeaderMap) {
        headers.remove(&TRACESTATE);
        headers.insert(TRACEPARENT, self.parent);
        if let Some(state) = self.state {
            headers.insert(TRACESTATE, state);
        }
    }
}

/// Trace id and flags of a version-00 `traceparent` (W3C Trace Context §3.2.2): lower-case hex, no id all zero.
fn parse(text: &str) -> Option<(&str, &str)> {
    let mut parts = text.split('-');
    let (version, trace_id, parent_id, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let hex = |part: &str, length| {
        part.len() == length && part.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    let zero = |part: &str| part.bytes().all(|b| b == b'0');
    let valid = version == "00" && parts.next().is_none() && hex(trace_id, 32) && hex(parent_id, 16) && hex(flags, 2);
    (valid && !zero(trace_id) && !zero(parent_id)).then_some((trace_id, flags))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn run(parents: &[&'static str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for parent in parents {
            headers.append(TRACEPARENT, HeaderValue::from_static(parent));
        }
        headers.insert(TRACESTATE, HeaderValue::from_static("vendor=1"));
        let trace = continue_trace(&headers);
        trace.write(&mut headers);
        headers
    }

    #[test]
    fn a_valid_trace_goes_on_with_a_new_parent() {
        let headers = run(&[GOOD]);
        let parent = headers[TRACEPARENT].to_str().unwrap();
        assert!(parent.starts_with("00-0af7651916cd43dd8448eb211c80319c-") && parent.ends_with("-01"));
        assert!(!parent.contains("b7ad6b7169203331") && headers.contains_key(TRACESTATE));
    }

    #[test]
    fn an_invalid_or_doubled_trace_starts_anew_without_state() {
        let zero = "00-00000000000000000000000000000000-b7ad6b7169203331-01";
        for bad in
            [&["garbage"][..], &[GOOD, GOOD], &[zero], &["01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"]]
        {
            let headers = run(bad);
            assert!(!headers[TRACEPARENT].to_str().unwrap().contains("0af7651916cd43dd8448eb211c80319c"));
            assert!(!headers.contains_key(TRACESTATE) && headers.get_all(TRACEPARENT).iter().count() == 1);
        }
    }
}
