//! Text that is written for every request: hexadecimal digits, and JSON objects straight into a line. Pure.
//!
//! General libraries spend more on these than on the rest of a record; what is written is theirs to read.

use std::cell::Cell;
use std::fmt::{self, Write as _};
use std::time::{Duration, SystemTime};

use jiff::Timestamp;

/// 128 bits in hexadecimal, lower case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hex([u8; 32]);

impl Hex {
    pub(crate) fn of(value: u128) -> Self {
        let mut text = [0; 32];
        write_hex(&value.to_be_bytes(), &mut text);
        Self(text)
    }

    pub(crate) fn as_str(&self) -> &str {
        // They are digits.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// Two digits for each byte, eight at a time.
pub(crate) fn write_hex(bytes: &[u8], text: &mut [u8]) {
    let ((quads, last), (wide, narrow)) = (bytes.as_chunks::<4>(), text.as_chunks_mut::<8>());
    for (digits, quad) in wide.iter_mut().zip(quads) {
        *digits = digits_of(u32::from_be_bytes(*quad));
    }
    for (pair, byte) in narrow.chunks_exact_mut(2).zip(last) {
        pair.iter_mut().zip(digits_of(u32::from(*byte)).into_iter().skip(6)).for_each(|(to, from)| *to = from);
    }
}

/// The eight digits of a number: its half bytes drawn apart, and letters put where they are over nine, all at once.
fn digits_of(number: u32) -> [u8; 8] {
    let wide = u64::from(number);
    let wide = (wide << 16 | wide) & 0x0000_FFFF_0000_FFFF;
    let wide = (wide << 8 | wide) & 0x00FF_00FF_00FF_00FF;
    let halves = (wide << 4 | wide) & 0x0F0F_0F0F_0F0F_0F0F;
    let over_nine = (halves + 0x0606_0606_0606_0606) >> 4 & 0x0101_0101_0101_0101;
    (halves + 0x3030_3030_3030_3030 + over_nine * u64::from(b'a' - b'9' - 1)).to_be_bytes()
}

/// A JSON object on its way into a line. Names are literals of the source: nothing in them needs an escape.
#[derive(Debug)]
pub(crate) struct Object<'a> {
    line: &'a mut Vec<u8>,
    is_empty: bool,
}

impl<'a> Object<'a> {
    pub(crate) fn begin(line: &'a mut Vec<u8>) -> Self {
        line.push(b'{');
        Self { line, is_empty: true }
    }

    pub(crate) fn end(self) {
        self.line.push(b'}');
    }

    #[inline]
    pub(crate) fn text(&mut self, name: &str, value: &str) {
        self.name(name);
        write_string(self.line, value);
    }

    /// Text without anything to escape, by construction: digits, addresses, words of the source.
    #[inline]
    pub(crate) fn word(&mut self, name: &str, value: &str) {
        self.name(name);
        write_word(self.line, value);
    }

    /// What shows itself as text.
    pub(crate) fn shown(&mut self, name: &str, value: impl fmt::Display) {
        self.name(name);
        self.line.push(b'"');
        // Writing to a Vec cannot fail.
        _ = write!(Escaped(self.line), "{value}");
        self.line.push(b'"');
    }

    /// Several texts as one, separated by blanks.
    pub(crate) fn texts<'t>(&mut self, name: &str, values: impl Iterator<Item = &'t str>) {
        self.name(name);
        self.line.push(b'"');
        for (at, value) in values.enumerate() {
            self.line.extend_from_slice(if at == 0 { b"" } else { b" " });
            write_escaped(self.line, value);
        }
        self.line.push(b'"');
    }

    pub(crate) fn number(&mut self, name: &str, value: impl itoa::Integer) {
        self.name(name);
        self.line.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    }

    pub(crate) fn truth(&mut self, name: &str, value: bool) {
        self.name(name);
        self.line.extend_from_slice(if value { b"true" } else { b"false" });
    }

    /// JSON text as it was written by somebody else.
    pub(crate) fn written(&mut self, name: &str, json: &str) {
        self.name(name);
        self.line.extend_from_slice(json.as_bytes());
    }

    /// Members that were written before by [`members`].
    pub(crate) fn members(&mut self, written: &[u8]) {
        let written = if self.is_empty { written.strip_prefix(b",").unwrap_or(written) } else { written };
        self.is_empty &= written.is_empty();
        self.line.extend_from_slice(written);
    }

    /// An object in it.
    pub(crate) fn object(&mut self, name: &str, write: impl FnOnce(&mut Object<'_>)) {
        self.name(name);
        let mut inner = Object::begin(self.line);
        write(&mut inner);
        inner.end();
    }

    /// An array of objects.
    pub(crate) fn objects<T>(&mut self, name: &str, items: &[T], write: impl Fn(&mut Object<'_>, &T)) {
        self.name(name);
        for (at, item) in items.iter().enumerate() {
            self.line.push(if at == 0 { b'[' } else { b',' });
            let mut inner = Object::begin(self.line);
            write(&mut inner, item);
            inner.end();
        }
        self.line.extend_from_slice(if items.is_empty() { b"[]" } else { b"]" });
    }

    /// In milliseconds, to the microsecond.
    pub(crate) fn millis(&mut self, name: &str, time: Duration) {
        let micros = time.as_micros() + u128::from(time.subsec_nanos() % 1000 >= 500);
        self.number(name, micros / 1000);
        let thousandths = u16::try_from(micros % 1000).unwrap_or(0);
        let digit = |value: u16| b'0' + u8::try_from(value % 10).unwrap_or(0);
        self.line.extend_from_slice(&[b'.', digit(thousandths / 100), digit(thousandths / 10), digit(thousandths)]);
    }

    /// RFC 3339.
    pub(crate) fn time(&mut self, name: &str, time: SystemTime) {
        self.name(name);
        self.line.push(b'"');
        write_time(self.line, time);
        self.line.push(b'"');
    }

    pub(crate) fn float(&mut self, name: &str, value: f64) {
        self.name(name);
        // A number: this cannot fail.
        _ = serde_json::to_writer(&mut *self.line, &value);
    }

    /// Inline, as are its callers that are called most: so a name is known where it is written, and its length with it.
    #[inline]
    fn name(&mut self, name: &str) {
        self.next(name.len());
        self.line.extend_from_slice(name.as_bytes());
        self.line.extend_from_slice(b"\":");
    }

    fn next(&mut self, name: usize) {
        self.line.reserve(name + ROOM_FOR_VALUE);
        if !std::mem::take(&mut self.is_empty) {
            self.line.push(b',');
        }
        self.line.push(b'"');
    }
}

/// Members for objects to come, each behind a comma.
pub(crate) fn members(write: impl FnOnce(&mut Object<'_>)) -> Box<[u8]> {
    let mut line = Vec::new();
    write(&mut Object { line: &mut line, is_empty: false });
    line.into()
}

/// RFC 3339 in UTC, to the microsecond, without quotes. Times of one second begin alike: so the beginning is kept.
fn write_time(line: &mut Vec<u8>, time: SystemTime) {
    let time = Timestamp::try_from(time).unwrap_or(Timestamp::UNIX_EPOCH);
    let (second, (mut beginning, mut of)) = (time.as_second(), BEGINNING.get());
    if of != Some(second) {
        let text = time.to_string();
        let text = text.as_bytes().first_chunk().copied();
        (beginning, of) = (text.unwrap_or(beginning), Some(second));
        BEGINNING.set((beginning, of));
    }
    line.extend_from_slice(&beginning);
    let micros = u32::try_from(time.subsec_nanosecond() / 1000).unwrap_or(0);
    let mut end = *b".000000Z";
    let digits = end.iter_mut().rev().skip(1).take(6);
    digits.fold(micros, |rest, digit| {
        *digit += u8::try_from(rest % 10).unwrap_or(0);
        rest / 10
    });
    line.extend_from_slice(&end);
}

thread_local! {
    /// `2026-11-25T07:59:59` of the second that was written last.
    static BEGINNING: Cell<([u8; 19], Option<i64>)> = const { Cell::new(([b'0'; 19], None)) };
}

/// Most values and the signs around them: so a member makes the line grow once.
const ROOM_FOR_VALUE: usize = 64;

fn write_word(line: &mut Vec<u8>, value: &str) {
    line.push(b'"');
    line.extend_from_slice(value.as_bytes());
    line.push(b'"');
}

/// A JSON string (RFC 8259 §7). It shows all that it says: what steers a terminal or an editor stands there as `\uXXXX`.
fn write_string(line: &mut Vec<u8>, value: &str) {
    line.push(b'"');
    write_escaped(line, value);
    line.push(b'"');
}

fn write_escaped(line: &mut Vec<u8>, value: &str) {
    let is_plain = |byte: u8| (b' '..0x7f).contains(&byte) && byte != b'"' && byte != b'\\';
    // Without leaving early: so many bytes are judged at a time.
    if value.bytes().fold(true, |plain, byte| plain & is_plain(byte)) {
        return line.extend_from_slice(value.as_bytes());
    }
    // Rare: with quotes of its own around it, which go.
    let quoted = serde_json::to_string(value).unwrap_or_default();
    let inner = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or_default();
    let mut shown = String::with_capacity(inner.len());
    for char in inner.chars() {
        // Writing to a String cannot fail.
        _ = if steers(char) { write!(shown, "\\u{:04x}", u32::from(char)) } else { shown.write_char(char) };
    }
    line.extend_from_slice(shown.as_bytes());
}

/// Controls, marks of direction (Unicode UAX #9 §2), and what some readers take for the end of a line.
fn steers(char: char) -> bool {
    char.is_control()
        || matches!(char, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Writes text as a part of a JSON string.
struct Escaped<'a>(&'a mut Vec<u8>);

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        write_escaped(self.0, text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn hexadecimal_has_every_digit_in_its_place() {
        assert_eq!(Hex::of(0x0123_4567_89ab_cdef).as_str(), "00000000000000000123456789abcdef");
        assert_eq!(Hex::of(u128::MAX).as_str(), "f".repeat(32));
    }

    #[test]
    fn bytes_of_any_number_become_digits() {
        let bytes: Vec<u8> = (0..=255).collect();
        for length in [0, 1, 3, 4, 5, 32, 256] {
            let (mut text, bytes) = (vec![b'!'; 2 * length], bytes.get(..length).unwrap());
            write_hex(bytes, &mut text);
            let wanted: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(String::from_utf8(text).unwrap(), wanted.concat());
        }
    }

    #[test]
    fn times_are_milliseconds_to_the_microsecond() {
        let mut line = Vec::new();
        let mut object = Object::begin(&mut line);
        for (name, nanos) in [("a", 0), ("b", 1_499), ("c", 1_500), ("d", 12_034_005_600), ("e", 999_999_500)] {
            object.millis(name, Duration::from_nanos(nanos));
        }
        object.end();
        assert_eq!(line, br#"{"a":0.000,"b":0.001,"c":0.002,"d":12034.006,"e":1000.000}"#);
    }

    #[test]
    fn a_time_is_what_the_library_says_whatever_was_written_before() {
        for micros in [0, 1, 999_999, 1_000_000, 1_795_766_399_000_042, 1_795_766_399_999_999, 1_795_766_400_000_000, 7]
        {
            let time = SystemTime::UNIX_EPOCH + Duration::from_micros(micros);
            let mut line = Vec::new();
            write_time(&mut line, time);
            assert_eq!(String::from_utf8(line).unwrap(), format!("{:.6}", Timestamp::try_from(time).unwrap()));
        }
    }

    #[test]
    fn what_steers_a_terminal_or_an_editor_is_written_by_its_number() {
        let mut line = Vec::new();
        let mut object = Object::begin(&mut line);
        object.text("a", "\u{7f}\u{9b}2J\u{85}é\u{61c}\u{200e}\u{2028}");
        object.texts("b", ["\u{202e}txt", "\u{2066}\u{2069}€😀"].into_iter());
        object.end();
        let wanted = r#"{"a":"\u007f\u009b2J\u0085é\u061c\u200e\u2028","b":"\u202etxt \u2066\u2069€😀"}"#;
        assert_eq!(String::from_utf8(line).unwrap(), wanted);
    }

    proptest! {
        #[test]
        fn whatever_is_written_is_read_as_it_was(text in "\\PC*|[\\x00-\\x7f]*|\\p{C}*", number in any::<u64>(), truth in any::<bool>(), quarters in any::<i32>()) {
            let mut line = Vec::new();
            let mut object = Object::begin(&mut line);
            object.text("text", &text);
            object.shown("shown", format_args!("{text}{number}{text}"));
            object.texts("texts", [&*text, "", &*text].into_iter());
            object.texts("none", std::iter::empty());
            object.number("number", number);
            object.truth("truth", truth);
            object.float("float", f64::from(quarters) / 4.0);
            object.objects("objects", &[&*text, ""], |object, item| object.text("item", item));
            object.objects("nothing", &[(); 0], |_, ()| {});
            object.end();
            prop_assert!(!str::from_utf8(&line).unwrap().chars().any(steers));
            let read: serde_json::Value = serde_json::from_slice(&line).unwrap();
            let wanted = serde_json::json!({"text": text, "shown": format!("{text}{number}{text}"), "texts": format!("{text}  {text}"), "none": "", "number": number, "truth": truth, "float": f64::from(quarters) / 4.0, "objects": [{"item": text}, {"item": ""}], "nothing": []});
            prop_assert_eq!(read, wanted);
        }
    }
}
