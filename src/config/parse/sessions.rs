//! `[sessions]`: the keys that seal legacy session ids.

use base64::Engine as _;
use base64::alphabet::{Alphabet, STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::super::SessionKey;
use super::super::read::item::{Seen, Text};
use super::super::read::shape::{Key, Shape};
use super::super::read::table::Table;

pub(super) const KEYS: &[Key] = &[Key::of("keys", Shape::Texts).required()];
/// Each id that does not fit the first key is tried with all others: one in use and one that leaves are enough.
const MAX_KEYS: usize = 8;

/// The keys in their order; none without the table.
pub(super) fn read(root: &Table<'_>) -> Option<Vec<SessionKey>> {
    let Some(item) = root.get("sessions") else { return Some(Vec::new()) };
    let item = item.table(KEYS)?.need("keys")?;
    let written = item.array()?.len();
    if written == 0 || written > MAX_KEYS {
        return item
            .error(&format!("must hold 1 to {MAX_KEYS} keys; leave the table out for a key that each start makes"));
    }
    let mut seen = Seen::default();
    let keys: Vec<SessionKey> = item.texts()?.iter().filter_map(|text| key(text, &mut seen)).collect();
    (keys.len() == written).then_some(keys)
}

/// Messages never quote the text: it is a secret, or was meant to be one.
fn key(text: &Text<'_>, seen: &mut Seen) -> Option<SessionKey> {
    let written = text.as_str();
    let written = written.strip_suffix('\n').unwrap_or(written);
    let bytes = decode(written, &STANDARD).or_else(|| decode(written, &URL_SAFE));
    let Some(bytes) = bytes else {
        return text.error("must be exactly 32 random bytes in base64, such as `openssl rand -base64 32` writes");
    };
    text.is_new_as(format!("{bytes:?}"), seen).then_some(SessionKey(bytes))
}

fn decode(text: &str, alphabet: &Alphabet) -> Option<[u8; 32]> {
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    GeneralPurpose::new(alphabet, config).decode(text).ok()?.try_into().ok()
}
