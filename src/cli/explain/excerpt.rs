//! The lines of the configuration file on which a rule stands.

use std::path::Path;

use super::Failure;

/// A rule with more lines than this is shown in part.
const MAX_LINES: usize = 30;

/// The configuration file as it is written.
pub(super) struct File<'a> {
    path: &'a Path,
    text: String,
}

impl<'a> File<'a> {
    pub(super) fn read(path: &'a Path) -> Result<Self, Failure> {
        let text = std::fs::read_to_string(path)?;
        Ok(Self { path, text })
    }

    /// `gateway.toml:12`.
    pub(super) fn place(&self, line: usize) -> String {
        format!("{}:{line}", self.path.display())
    }

    /// The rule that begins on this line.
    pub(super) fn rule(&self, line: usize) -> Vec<&str> {
        excerpt(&self.text, line)
    }
}

/// A table under a header goes on to the next header, an inline one to its closing brace.
fn excerpt(text: &str, line: usize) -> Vec<&str> {
    let mut rest = text.lines().skip(line.saturating_sub(1));
    let Some(first) = rest.next() else { return Vec::new() };
    let mut found = vec![first];
    if first.trim_start().starts_with("[[") {
        found.extend(rest.take_while(|line| !line.trim_start().starts_with('[')).take(MAX_LINES));
        let is_idle = |line: &&str| line.trim().is_empty() || line.trim_start().starts_with('#');
        while found.last().is_some_and(is_idle) {
            found.pop();
        }
        return found;
    }
    let mut open = open_braces(first);
    for line in rest.take(MAX_LINES) {
        if open <= 0 {
            break;
        }
        open += open_braces(line);
        found.push(line);
    }
    found
}

/// How many braces a line opens more than it closes, those in strings and comments left out.
fn open_braces(line: &str) -> i32 {
    let (mut open, mut quote, mut escaped) = (0, None, false);
    for c in line.chars() {
        match (quote, c) {
            (Some('"'), '\\') if !escaped => {
                escaped = true;
                continue;
            }
            (Some(mark), _) if c == mark && !escaped => quote = None,
            (None, '"' | '\'') => quote = Some(c),
            (None, '#') => break,
            (None, '{') => open += 1,
            (None, '}') => open -= 1,
            (Some(_) | None, _) => {}
        }
        escaped = false;
    }
    open
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"[routes.policy]
default = "deny"
rules = [{ tools = ["a"] }, { tools = ["b"] }]

[[routes.policy.rules]]
tools = [
  "a",
]
# why
deny = true

# the next

[[routes.policy.rules]]
policy = { rules = [
  { tools = ["{\"{", '{'], # {
    deny = true,
  },
] }"#;

    #[test]
    fn a_rule_is_shown_whole() {
        let shown = |line| excerpt(FILE, line).join("\n");
        assert_eq!(shown(3), "rules = [{ tools = [\"a\"] }, { tools = [\"b\"] }]");
        assert_eq!(shown(5), "[[routes.policy.rules]]\ntools = [\n  \"a\",\n]\n# why\ndeny = true");
        assert_eq!(shown(16), "  { tools = [\"{\\\"{\", '{'], # {\n    deny = true,\n  },");
        assert_eq!(shown(99), "");
    }
}
