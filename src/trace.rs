//! W3C Trace Context: a valid incoming trace goes on, anything else starts a new one.

use http::{HeaderName, HeaderValue};

use crate::head::{Fields, Lines, as_text};
use crate::text::{Hex, write_hex};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
/// What the gateway says of it to upstreams.
pub(crate) const FIELDS: [HeaderName; 2] = [TRACEPARENT, TRACESTATE];
/// W3C Trace Context §3.3.1.5 asks for at least this much to be passed on.
const MAX_STATE_BYTES: usize = 512;
/// W3C Trace Context §3.2.2.5: the only flag that is ours to change.
const SAMPLED: u8 = 1;

/// The trace that one request belongs to, and the gateway's own span in it.
#[derive(Debug, Clone)]
pub(crate) struct Trace {
    id: u128,
    /// The client's span; `None`: the trace begins here.
    parent_id: Option<u64>,
    span_id: u64,
    flags: u8,
    state: Option<HeaderValue>,
    /// `id` as it is written: to the upstream, and in every record.
    text: Hex,
}

impl Trace {
    /// Same trace id and a new span, or, for an invalid or doubled `traceparent`, a new trace without state.
    pub(crate) fn begin(fields: &Fields) -> Self {
        let span_id = fastrand::u64(1..);
        let known = fields.once(&TRACEPARENT).ok().flatten().and_then(as_text).and_then(parse);
        let Some((trace_id, parent_id, flags)) = known else {
            let id = fastrand::u128(1..);
            return Self { id, parent_id: None, span_id, flags: 0, state: None, text: Hex::of(id) };
        };
        let state = fields.once(&TRACESTATE).ok().flatten().filter(|state| state.len() <= MAX_STATE_BYTES);
        let state = state.and_then(|state| HeaderValue::from_bytes(state).ok());
        Self { id: trace_id, parent_id: Some(parent_id), span_id, flags, state, text: Hex::of(trace_id) }
    }

    /// Says to the upstream what trace it is part of; what the client sent has been removed.
    pub(crate) fn write(&self, lines: &mut Lines) {
        let (span_id, flags) = (self.span_id, self.flags);
        let (mut span, mut flag) = ([0; 16], [0; 2]);
        write_hex(&span_id.to_be_bytes(), &mut span);
        write_hex(&[flags], &mut flag);
        // They are digits.
        let [span, flag] = [span.as_slice(), &flag].map(|digits| std::str::from_utf8(digits).unwrap_or_default());
        lines.push_text(&TRACEPARENT, &["00-", self.text.as_str(), "-", span, "-", flag]);
        if let Some(state) = &self.state {
            lines.push(&TRACESTATE, state);
        }
    }

    /// Of the whole trace.
    pub(crate) fn trace_id(&self) -> u128 {
        self.id
    }

    /// The same as it is written.
    pub(crate) fn trace_id_text(&self) -> &str {
        self.text.as_str()
    }

    /// The client's span.
    pub(crate) fn parent_id(&self) -> Option<u64> {
        self.parent_id
    }

    /// The gateway's own span.
    pub(crate) fn span_id(&self) -> u64 {
        self.span_id
    }

    /// The spans of the trace are to be recorded.
    pub(crate) fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// Decides it for a trace that begins here.
    pub(crate) fn sample(&mut self) {
        self.flags |= SAMPLED;
    }
}

/// Trace id, parent id and flags of a version-00 `traceparent` (W3C Trace Context §3.2.2): lower-case hex, no id all zero.
fn parse(text: &str) -> Option<(u128, u64, u8)> {
    let mut parts = text.split('-');
    let (version, trace_id, parent_id, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let hex = |part: &str, length| {
        part.len() == length && part.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    let valid = version == "00" && parts.next().is_none() && hex(trace_id, 32) && hex(parent_id, 16) && hex(flags, 2);
    let trace_id = u128::from_str_radix(trace_id, 16).ok().filter(|id| valid && *id != 0)?;
    let parent_id = u64::from_str_radix(parent_id, 16).ok().filter(|id| *id != 0)?;
    Some((trace_id, parent_id, u8::from_str_radix(flags, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn run(parents: &[&'static str]) -> http::HeaderMap {
        let mut headers = http::HeaderMap::new();
        for parent in parents {
            headers.append(TRACEPARENT, HeaderValue::from_static(parent));
        }
        headers.insert(TRACESTATE, HeaderValue::from_static("vendor=1"));
        let trace = Trace::begin(&Fields::from(&headers));
        let mut lines = Lines::default();
        trace.write(&mut lines);
        lines.into_map()
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
