//! Reads a chunked body to its end (RFC 9112 §7.1), strictly: what could be read in two ways is no body. Pure.

use bytes::{Buf, Bytes};

use crate::head::judge::is_name_letter;

/// Chunk extensions and trailers of one body, together (threat F7).
const MAX_EXTRA_BYTES: usize = 16 * 1024;
/// Hex digits of a chunk size that cannot overflow.
const MAX_SIZE_DIGITS: usize = 15;

/// The body is no chunked body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

/// Where in a chunked body the next byte stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Size { size: u64, digits: usize },
    Extension { size: u64 },
    SizeLf { size: u64 },
    Data { left: u64 },
    DataCr,
    DataLf,
    TrailerStart,
    TrailerName,
    Trailer,
    TrailerLf,
    EndLf,
    End,
}

/// See the module.
#[derive(Debug)]
pub struct Chunked {
    place: Place,
    extra: usize,
}

/// The next piece of data among some bytes, and the framing around it.
struct Span {
    before: usize,
    data: usize,
    behind: usize,
}

const NEXT_SIZE: Place = Place::Size { size: 0, digits: 0 };

/// Before its first byte.
impl Default for Chunked {
    fn default() -> Self {
        Self { place: NEXT_SIZE, extra: 0 }
    }
}

impl Chunked {
    /// True behind the last byte.
    pub fn is_ended(&self) -> bool {
        self.place == Place::End
    }

    /// Takes the next piece of data out of these bytes, and the framing around it; none when they are used up or the body has ended.
    /// `Bytes` and `BytesMut` give it away without a copy: there may be as many pieces as bytes.
    pub fn take(&mut self, bytes: &mut (impl Buf + AsRef<[u8]>)) -> Result<Option<Bytes>, Malformed> {
        let Span { before, data, behind } = self.span(bytes.as_ref())?;
        bytes.advance(before);
        let data = (data > 0).then(|| bytes.copy_to_bytes(data));
        bytes.advance(behind);
        Ok(data)
    }

    fn span(&mut self, bytes: &[u8]) -> Result<Span, Malformed> {
        let before = self.pass_framing(bytes)?;
        let rest = bytes.get(before..).unwrap_or_default();
        let data = self.pass_data(rest.len());
        // What stands behind the last piece is read with it: then the end is known at once.
        let behind = self.pass_framing(rest.get(data..).unwrap_or_default())?;
        Ok(Span { before, data, behind })
    }

    /// How many bytes stand before the next data, or before the end of the body.
    fn pass_framing(&mut self, bytes: &[u8]) -> Result<usize, Malformed> {
        for (count, &byte) in bytes.iter().enumerate() {
            if matches!(self.place, Place::Data { .. } | Place::End) {
                return Ok(count);
            }
            self.place = self.step(byte)?;
        }
        Ok(bytes.len())
    }

    /// How many of so many bytes are data.
    fn pass_data(&mut self, available: usize) -> usize {
        let Place::Data { left } = self.place else { return 0 };
        let here = usize::try_from(left).unwrap_or(usize::MAX).min(available);
        let left = left - here as u64;
        self.place = if left == 0 { Place::DataCr } else { Place::Data { left } };
        here
    }

    fn step(&mut self, byte: u8) -> Result<Place, Malformed> {
        match (self.place, byte) {
            (Place::Size { size, digits }, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') if digits < MAX_SIZE_DIGITS => {
                let digit = char::from(byte).to_digit(16).ok_or(Malformed)?;
                Ok(Place::Size { size: size * 16 + u64::from(digit), digits: digits + 1 })
            }
            (Place::Size { size, digits: 1.. } | Place::Extension { size }, b'\r') => Ok(Place::SizeLf { size }),
            (Place::Size { size, digits: 1.. }, b';') | (Place::Extension { size }, b'\t' | b' '..=b'~') => {
                self.extra(Place::Extension { size })
            }
            (Place::SizeLf { size: left @ 1.. }, b'\n') => Ok(Place::Data { left }),
            (Place::DataCr, b'\r') => Ok(Place::DataLf),
            (Place::DataLf, b'\n') => Ok(NEXT_SIZE),
            (Place::TrailerStart, b'\r') => Ok(Place::EndLf),
            // RFC 9112 §7.1.2: a trailer is a field, and nothing else.
            (Place::TrailerStart | Place::TrailerName, byte) if is_name_letter(byte) => self.extra(Place::TrailerName),
            (Place::TrailerName, b':') | (Place::Trailer, b'\t' | b' '..=b'~') => self.extra(Place::Trailer),
            (Place::Trailer, b'\r') => Ok(Place::TrailerLf),
            (Place::SizeLf { size: 0 } | Place::TrailerLf, b'\n') => Ok(Place::TrailerStart),
            (Place::EndLf, b'\n') => Ok(Place::End),
            _ => Err(Malformed),
        }
    }

    fn extra(&mut self, next: Place) -> Result<Place, Malformed> {
        self.extra += 1;
        if self.extra > MAX_EXTRA_BYTES { Err(Malformed) } else { Ok(next) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Everything that these bytes bring.
    fn taken(chunked: &mut Chunked, text: &str) -> Result<Vec<u8>, Malformed> {
        let (mut bytes, mut data) = (Bytes::copy_from_slice(text.as_bytes()), Vec::new());
        while let Some(piece) = chunked.take(&mut bytes)? {
            data.extend_from_slice(&piece);
        }
        Ok(data)
    }

    #[test]
    fn the_data_is_taken_out_whatever_the_pieces() {
        let body = b"4;x=\"y\"\r\nwiki\r\n01A\r\n0123456789abcdefghijklmnop\r\n0\r\nTrailer: v\r\n\r\nmore";
        for cut in 0..=body.len() {
            let (mut chunked, mut data) = (Chunked::default(), Vec::new());
            let mut bytes = Bytes::new();
            for piece in [&body[..cut], &body[cut..]] {
                assert!(!chunked.is_ended() || cut > body.len() - 5, "{cut}");
                bytes = Bytes::from([&bytes, piece].concat());
                while let Some(piece) = chunked.take(&mut bytes).unwrap() {
                    data.extend_from_slice(&piece);
                }
            }
            assert_eq!(
                (&data[..], &bytes[..], chunked.is_ended()),
                (&b"wiki0123456789abcdefghijklmnop"[..], &b"more"[..], true),
                "{cut}"
            );
        }
    }

    #[test]
    fn f5_sizes_and_terminators_that_are_none() {
        let bad = [
            "0x4\r\n",
            "+4\r\n",
            "-4\r\n",
            " 4\r\n",
            "4 \r\n",
            "\r\n",
            "g\r\n",
            "4\n",
            "4\rx",
            "4\r\nwikix\r\n",
            "4\r\nwiki\n",
            "ffffffffffffffff\r\n",
            "0\r\n\n",
            "0\r\nA: b\n",
            "0\r\nfold\r\n",
            "0\r\n x: y\r\n",
            "0\r\nx : y\r\n",
            "0\r\n: y\r\n",
            ";x\r\n",
            "4;\0\r\n",
        ];
        for text in bad {
            assert_eq!(taken(&mut Chunked::default(), text), Err(Malformed), "{text:?}");
        }
    }

    #[test]
    fn f7_extensions_are_bounded() {
        let extension = |bytes: usize| taken(&mut Chunked::default(), &format!("1;{}\r\na\r\n", "x".repeat(bytes - 1)));
        assert_eq!((extension(16 * 1024), extension(16 * 1024 + 1)), (Ok(b"a".to_vec()), Err(Malformed)));
        let mut drip = Chunked::default();
        assert!((0..MAX_EXTRA_BYTES).any(|_| taken(&mut drip, "1;x\r\na\r\n").is_err()));
    }
}
