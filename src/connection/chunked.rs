//! Reads a chunked body to its end (RFC 9112 §7.1), strictly: what could be read in two ways is no body. Pure.

use bytes::{Buf as _, Bytes, BytesMut};

use crate::head::judge::is_name_letter;

/// Chunk extensions and trailers of one body, together (threat F7).
const MAX_EXTRA_BYTES: usize = 16 * 1024;
/// Hex digits of a chunk size that cannot overflow.
const MAX_SIZE_DIGITS: usize = 15;

/// The body is no chunked body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed;

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
pub(crate) struct Chunked {
    place: Place,
    extra: usize,
}

const NEXT_SIZE: Place = Place::Size { size: 0, digits: 0 };

impl Chunked {
    pub(crate) fn new() -> Self {
        Self { place: NEXT_SIZE, extra: 0 }
    }

    /// True behind the last byte.
    pub(crate) fn is_ended(&self) -> bool {
        self.place == Place::End
    }

    /// The next data of these bytes; what only frames it is taken off and judged. `None`: there is no more in them.
    pub(crate) fn take(&mut self, bytes: &mut BytesMut) -> Result<Option<Bytes>, Malformed> {
        let mut framing = 0;
        while let (Some(&byte), false) = (bytes.get(framing), self.is_ended()) {
            if let Place::Data { left } = self.place {
                bytes.advance(framing);
                let here = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                let left = left - here as u64;
                self.place = if left == 0 { Place::DataCr } else { Place::Data { left } };
                return Ok(Some(bytes.split_to(here).freeze()));
            }
            self.place = self.step(byte)?;
            framing += 1;
        }
        bytes.advance(framing);
        Ok(None)
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
    fn take(chunked: &mut Chunked, bytes: &mut BytesMut) -> Result<Vec<u8>, Malformed> {
        let mut data = Vec::new();
        while let Some(piece) = chunked.take(bytes)? {
            assert!(!piece.is_empty());
            data.extend_from_slice(&piece);
        }
        Ok(data)
    }

    fn taken(text: &str) -> Result<Vec<u8>, Malformed> {
        take(&mut Chunked::new(), &mut text.as_bytes().into())
    }

    #[test]
    fn data_and_end_are_found_whatever_the_pieces() {
        let body = b"4;x=\"y\"\r\nwiki\r\nA\r\n0123456789\r\n0\r\nTrailer: v\r\n\r\n";
        let both = [&body[..], b"GET / HTTP/1.1\r\n"].concat();
        for cut in 0..both.len() {
            let (mut chunked, mut bytes) = (Chunked::new(), BytesMut::from(&both[..cut]));
            let mut data = take(&mut chunked, &mut bytes).unwrap();
            bytes.extend_from_slice(&both[cut..]);
            data.extend(take(&mut chunked, &mut bytes).unwrap());
            assert_eq!((&*data, &*bytes), (&b"wiki0123456789"[..], &both[body.len()..]), "cut at {cut}");
            assert!(chunked.is_ended(), "cut at {cut}");
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
            assert_eq!(taken(text), Err(Malformed), "{text:?}");
        }
    }

    #[test]
    fn f7_extensions_are_bounded() {
        let flood = format!("1;{}", "x".repeat(MAX_EXTRA_BYTES));
        assert_eq!(taken(&flood), Err(Malformed));
        let mut drip = Chunked::new();
        assert!((0..MAX_EXTRA_BYTES).any(|_| take(&mut drip, &mut b"1;x\r\na\r\n"[..].into()).is_err()));
    }
}
