//! The time of day as answers say it (RFC 9110 §5.6.7), written once a second.

use std::cell::RefCell;
use std::time::{Duration, SystemTime};

thread_local! {
    static LAST: RefCell<(Option<SystemTime>, String)> = const { RefCell::new((None, String::new())) };
}

/// The whole field.
pub(super) fn write(out: &mut Vec<u8>) {
    let now = SystemTime::now();
    LAST.with_borrow_mut(|(written, line)| {
        let is_fresh = written.and_then(|written| now.duration_since(written).ok()).is_some_and(|age| age < SECOND);
        if !is_fresh {
            // Whole seconds are written: what is kept began with one.
            let into = now.duration_since(SystemTime::UNIX_EPOCH).map_or(Duration::ZERO, into_second);
            *written = now.checked_sub(into);
            *line = format!("date: {}\r\n", httpdate::fmt_http_date(now));
        }
        out.extend_from_slice(line.as_bytes());
    });
}

const SECOND: Duration = Duration::from_secs(1);

fn into_second(since: Duration) -> Duration {
    Duration::from_nanos(since.subsec_nanos().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_is_that_of_now() {
        for _ in 0..2 {
            let mut out = Vec::new();
            let before = SystemTime::now() - SECOND;
            write(&mut out);
            let text = String::from_utf8(out).unwrap();
            let said = text.strip_prefix("date: ").and_then(|text| text.strip_suffix("\r\n")).unwrap();
            let said = httpdate::parse_http_date(said).unwrap();
            assert!(said > before && said <= SystemTime::now(), "{said:?}");
        }
    }
}
