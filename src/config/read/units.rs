//! Durations and sizes as people write them: `1h30m`, `500ms`, `32KiB`.

use std::fmt::Write as _;
use std::time::Duration;

/// A setting's default and the range it may be set to.
pub(crate) struct Bound<T> {
    pub(crate) default: T,
    pub(crate) least: T,
    pub(crate) most: T,
}

/// Units of time in milliseconds, the longest first.
const TIMES: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];
/// Units of size in bytes, the largest first.
const SIZES: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// Numbers with units, the longest unit first, each at most once.
pub(crate) fn parse_duration(text: &str) -> Option<Duration> {
    let (mut rest, mut units, mut total) = (text, TIMES.as_slice(), 0_u64);
    while !rest.is_empty() {
        let (number, tail) = rest.split_at_checked(rest.find(|c: char| !c.is_ascii_digit())?)?;
        let (unit, tail) = tail.split_at_checked(tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len()))?;
        let at = units.iter().position(|(name, _)| *name == unit)?;
        let (_, millis) = units.get(at)?;
        total = total.checked_add(number.parse::<u64>().ok()?.checked_mul(*millis)?)?;
        (rest, units) = (tail, units.get(at + 1..)?);
    }
    (!text.is_empty()).then(|| Duration::from_millis(total))
}

/// The text that [`parse_duration`] reads as this duration (whole milliseconds).
pub(crate) fn show_duration(duration: Duration) -> String {
    let mut rest = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let mut text = String::new();
    for (name, millis) in TIMES {
        if rest >= millis {
            // Writing to a String cannot fail.
            _ = write!(text, "{}{name}", rest / millis);
            rest %= millis;
        }
    }
    if text.is_empty() { "0s".into() } else { text }
}

/// A number with a binary unit.
pub(crate) fn parse_size(text: &str) -> Option<u64> {
    let (number, unit) = text.split_at_checked(text.find(|c: char| !c.is_ascii_digit())?)?;
    let (_, bytes) = SIZES.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*bytes)
}

/// The shortest text that [`parse_size`] reads as this size.
pub(crate) fn show_size(bytes: u64) -> String {
    let fits = |(_, unit): &&(&str, u64)| bytes >= *unit && bytes.is_multiple_of(*unit);
    let (name, unit) = SIZES.iter().find(fits).unwrap_or(&("B", 1));
    format!("{}{name}", bytes / unit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_are_numbers_with_units_in_order() {
        let millis = |text| parse_duration(text).map(|d| d.as_millis());
        assert_eq!(millis("10s"), Some(10_000));
        assert_eq!(millis("500ms"), Some(500));
        assert_eq!(millis("1h30m"), Some(5_400_000));
        for bad in ["", "10", "s", "1.5s", "-1s", "1s1h", "1s1s", "1 s", "1d", "99999999999999999h", "1S", "1µs"] {
            assert_eq!(millis(bad), None, "{bad}");
        }
    }

    #[test]
    fn sizes_are_binary() {
        assert_eq!(parse_size("32KiB"), Some(32 * 1024));
        assert_eq!(parse_size("512B"), Some(512));
        for bad in ["", "32", "KiB", "32KB", "32kib", "1.5MiB", "-1B", "99999999999GiB"] {
            assert_eq!(parse_size(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_again(number in 1_u64..10_000_000_000) {
            let duration = Duration::from_millis(number);
            prop_assert_eq!(parse_duration(&show_duration(duration)), Some(duration));
            prop_assert_eq!(parse_size(&show_size(number)), Some(number));
        }
    }
}
