//! Member names that careless readers take for each other.

/// As Go's `encoding/json` compares member names: by Unicode's simple case folding, which for ASCII names means ASCII without
/// case, the long s (U+017F) and the Kelvin sign (U+212A). A client written in Go reads `"Tools"` as `tools`.
pub(crate) fn is_lookalike(name: &str, known: &str) -> bool {
    name != known && name.chars().map(folded).eq(known.chars().map(folded))
}

fn folded(c: char) -> char {
    match c {
        '\u{17F}' => 's',
        '\u{212A}' => 'k',
        c => c.to_ascii_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_case_looks_alike_and_another_word_does_not() {
        for name in ["Tools", "TOOLS", "tool\u{17f}", "tooLS"] {
            assert!(is_lookalike(name, "tools"), "{name}");
        }
        assert!(is_lookalike("\u{212a}ey", "key"));
        for name in ["tools", "tool", "toolss", "t\u{f6}ols", ""] {
            assert!(!is_lookalike(name, "tools"), "{name}");
        }
    }
}
