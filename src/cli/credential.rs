//! A token on the command line or on standard input: kept out of every output.

use std::fmt;
use std::io::{self, Read};
use std::str::FromStr;

/// Longer than any token, and than the claims in one.
const MAX_INPUT_BYTES: u64 = 64 * 1024;

/// A token as it was written, or `-` for standard input.
#[derive(Clone)]
pub(super) struct TokenText(String);

impl TokenText {
    pub(super) fn read(&self) -> io::Result<String> {
        let text = if self.0 == "-" { read(io::stdin())? } else { self.0.clone() };
        Ok(text.trim().to_owned())
    }
}

impl FromStr for TokenText {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for TokenText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenText(…)")
    }
}

/// All of a short input.
pub(super) fn read(from: impl Read) -> io::Result<String> {
    let mut text = String::new();
    from.take(MAX_INPUT_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_INPUT_BYTES {
        return Err(io::Error::other("longer than 64KiB"));
    }
    Ok(text)
}
