//! Member names that careless readers take for each other.

/// True for another name that lenient readers take for the known one. Go's `encoding/json` reads `"Method"` as `method`: it folds
/// case as Unicode does, which for the names of MCP means ASCII without case, the long s (U+017F) and the Kelvin sign (U+212A).
/// Java's `equalsIgnoreCase` takes the i with and without dot (U+0130, U+0131) for an i too. Readers in C end a name at its
/// first NUL.
pub(crate) fn is_lookalike(name: &str, known: &str) -> bool {
    name != known && folded(name).eq(folded(known))
}

fn folded(name: &str) -> impl Iterator<Item = char> {
    name.chars().take_while(|c| *c != '\0').map(|c| match c {
        '\u{17F}' => 's',
        '\u{212A}' => 'k',
        '\u{130}' | '\u{131}' => 'i',
        _ => c.to_ascii_lowercase(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_case_looks_alike_and_another_word_does_not() {
        for name in ["Tools", "TOOLS", "tool\u{17f}", "tooLS", "tools\0", "tools\0x"] {
            assert!(is_lookalike(name, "tools"), "{name}");
        }
        assert!(is_lookalike("\u{212a}ey", "key") && is_lookalike("\u{131}d", "id"));
        for name in ["tools", "tool", "toolss", "t\u{f6}ols", "", "\0tools"] {
            assert!(!is_lookalike(name, "tools"), "{name}");
        }
    }
}
