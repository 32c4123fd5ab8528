//! Which of two media types a client would rather have (RFC 9110 §12.5.1). Pure.

/// How much `accept` wants a media type, in thousandths; the most specific range that fits decides.
pub(super) fn quality(accept: &str, wanted: &str) -> u16 {
    let kind = wanted.split('/').next().unwrap_or_default();
    let any_of_kind = format!("{kind}/*");
    let ranges = accept.split(',').filter_map(|range| {
        let mut parts = range.split(';').map(str::trim);
        let name = parts.next()?.to_ascii_lowercase();
        let precision = [wanted, &any_of_kind, "*/*"].iter().rev().position(|range| *range == name)?;
        let weight = parts.find_map(|parameter| parameter.strip_prefix("q=").or_else(|| parameter.strip_prefix("Q=")));
        Some((precision, weight.map_or(1000, thousandths)))
    });
    ranges.max_by_key(|(precision, _)| *precision).map_or(0, |(_, quality)| quality)
}

fn thousandths(weight: &str) -> u16 {
    let (whole, fraction) = weight.split_once('.').unwrap_or((weight, ""));
    let digits = fraction.bytes().chain(std::iter::repeat(b'0')).take(3).filter(u8::is_ascii_digit);
    let fraction = digits.fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'));
    if whole == "1" { 1000 } else { fraction }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_want_html_and_programs_json() {
        let firefox = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
        for (accept, html, json) in [
            (firefox, 1000, 800),
            ("*/*", 1000, 1000),
            ("application/json", 0, 1000),
            ("application/json, text/html;q=0.5", 500, 1000),
            ("text/*;q=0.3, text/html;Q=0.75", 750, 0),
            ("text/html;q=0", 0, 0),
            ("", 0, 0),
            ("nonsense;;,,", 0, 0),
        ] {
            assert_eq!((quality(accept, "text/html"), quality(accept, "application/json")), (html, json), "{accept}");
        }
    }
}
