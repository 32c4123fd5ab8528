//! `${env:NAME}` and `${file:/path}` in string values. Expanded after the document was parsed, so that a value cannot
//! inject syntax; no message holds what a reference expanded to.

use std::env::VarError;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

/// A secret in a file is short; anything longer is the wrong file.
const MAX_FILE_BYTES: u64 = 64 * 1024;
/// How an environment variable starts in a reference.
const ENV: &str = "env:";
/// How a file starts in a reference.
const FILE: &str = "file:";

/// Where references get their values. Passed in: only [`Sources::process`] touches the environment.
pub(crate) struct Sources<'a> {
    pub(crate) env: &'a dyn Fn(&str) -> Result<String, VarError>,
    pub(crate) file: &'a dyn Fn(&Path) -> io::Result<String>,
}

impl Sources<'static> {
    /// References lead nowhere.
    pub(crate) fn none() -> Self {
        Self { env: &|_| Err(VarError::NotPresent), file: &|_| Err(io::ErrorKind::NotFound.into()) }
    }

    /// This process's environment and file system.
    pub(crate) fn process() -> Self {
        Self { env: &read_env, file: &read_file }
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
fn read_env(name: &str) -> Result<String, VarError> {
    std::env::var(name)
}

/// A short regular file.
pub(crate) fn read_file(path: &Path) -> io::Result<String> {
    // A pipe would block the start, a folder only fails later.
    if !path.metadata()?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let mut text = String::new();
    File::open(path)?.take(MAX_FILE_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(io::Error::other("longer than 64KiB"));
    }
    Ok(text)
}

/// A string value after expansion.
pub(crate) struct Expanded {
    pub(crate) value: String,
    /// The references in it, as written; empty: the value is a plain literal.
    pub(crate) references: Vec<String>,
}

/// Replaces every reference. `folder` is what relative paths start from.
pub(crate) fn expand(text: &str, folder: &Path, sources: &Sources<'_>) -> Result<Expanded, String> {
    let mut expanded = Expanded { value: String::new(), references: Vec::new() };
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        if let Some(escaped) = before.strip_suffix('$') {
            expanded.value.push_str(escaped);
            expanded.value.push_str("${");
            rest = after;
            continue;
        }
        let (reference, tail) = after.split_once('}').ok_or("has a ${ without its }; write $${ for a literal ${")?;
        expanded.value.push_str(before);
        expanded.value.push_str(&resolve(reference, folder, sources)?);
        expanded.references.push(format!("${{{reference}}}"));
        rest = tail;
    }
    expanded.value.push_str(rest);
    Ok(expanded)
}

fn resolve(reference: &str, folder: &Path, sources: &Sources<'_>) -> Result<String, String> {
    if let Some(name) = reference.strip_prefix(ENV).filter(|name| is_variable(name)) {
        return (sources.env)(name).map_err(|why| match why {
            VarError::NotPresent => format!("environment variable {name} is not set"),
            VarError::NotUnicode(_) => format!("environment variable {name} is not UTF-8"),
        });
    }
    if let Some(path) = reference.strip_prefix(FILE).filter(|path| !path.is_empty()) {
        let mut text = (sources.file)(&folder.join(path)).map_err(|why| format!("cannot read {path}: {why}"))?;
        // One newline: what editors and `echo` leave at the end of a secret's file.
        if text.ends_with('\n') {
            text.pop();
            if text.ends_with('\r') {
                text.pop();
            }
        }
        return Ok(text);
    }
    Err("has an unknown ${...}: accepted are ${env:NAME} and ${file:/path}; write $${ for a literal ${".into())
}

fn is_variable(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(text: &str) -> Result<String, String> {
        let sources = Sources {
            env: &|name| {
                if name == "TOKEN" { Ok("t\"\n${env:X}".into()) } else { Err(VarError::NotPresent) }
            },
            file: &|path| {
                if path == Path::new("/etc/gw/secret") {
                    Ok("s3cret\n\n".into())
                } else {
                    Err(io::ErrorKind::NotFound.into())
                }
            },
        };
        expand(text, Path::new("/etc/gw"), &sources).map(|e| e.value)
    }

    #[test]
    fn references_are_replaced_once() {
        assert_eq!(expanded("plain").unwrap(), "plain");
        assert_eq!(expanded("Bearer ${env:TOKEN}!").unwrap(), "Bearer t\"\n${env:X}!");
        assert_eq!(expanded("${file:/etc/gw/secret}").unwrap(), "s3cret\n");
        assert_eq!(expanded("${file:secret}").unwrap(), "s3cret\n");
        assert_eq!(expanded("$${env:TOKEN} $1 {x}").unwrap(), "${env:TOKEN} $1 {x}");
    }

    #[test]
    fn what_cannot_be_expanded_is_an_error() {
        assert_eq!(expanded("${env:NONE}").unwrap_err(), "environment variable NONE is not set");
        assert!(expanded("${file:/none}").unwrap_err().starts_with("cannot read /none: "));
        for bad in ["${TOKEN}", "${env:}", "${env:A B}", "${file:}", "${vault:x}", "${}"] {
            assert!(expanded(bad).unwrap_err().starts_with("has an unknown ${...}"), "{bad}");
        }
        assert!(expanded("${env:TOKEN").unwrap_err().starts_with("has a ${ without its }"));
    }
}
