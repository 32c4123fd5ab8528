//! HTTP/1.1 as bytes: what the upstream, the issuer and the client read. Strict, so that a sloppy peer fails a test.

use std::fmt;

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};

/// Header fields in the order and spelling in which they came.
#[derive(Clone, Default)]
pub(crate) struct Fields(pub(crate) Vec<(String, String)>);

impl Fields {
    /// The only value under this name; panics when there are several.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(all.len() < 2, "{name} stands {} times in {self:?}", all.len());
        all.first().copied()
    }

    /// Every value under this name.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        let named = self.0.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str()).collect()
    }

    /// The names in lower case, sorted, each as often as it stands.
    pub(crate) fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = self.0.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
        names.sort();
        names
    }
}

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.0.iter().map(|(n, v)| (n, v))).finish()
    }
}

/// Start line and fields.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    pub(crate) start: String,
    pub(crate) fields: Fields,
}

impl Head {
    /// A response's status.
    pub(crate) fn status(&self) -> u16 {
        self.start.split(' ').nth(1).unwrap().parse().unwrap()
    }
}

/// Reads a head; `None` when the peer closed before one was complete.
pub(crate) async fn read_head(reader: &mut (impl AsyncBufRead + Unpin)) -> Option<Head> {
    let start = read_line(reader).await?;
    let mut fields = Fields::default();
    loop {
        let line = read_line(reader).await?;
        if line.is_empty() {
            return Some(Head { start, fields });
        }
        let (name, value) = line.split_once(':').unwrap_or_else(|| panic!("no field: {line:?}"));
        fields.0.push((name.to_owned(), value.trim().to_owned()));
    }
}

async fn read_line(reader: &mut (impl AsyncBufRead + Unpin)) -> Option<String> {
    let mut line = Vec::new();
    reader.read_until(b'\n', &mut line).await.ok()?;
    let line = line.strip_suffix(b"\r\n")?;
    Some(String::from_utf8_lossy(line).into_owned())
}

/// How much of a body is still to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Length {
    Exactly(u64),
    Chunked,
    UntilClose,
}

/// The next thing that happens to a body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    Data(Vec<u8>),
    End,
    Broken,
}

impl Length {
    /// A request's body length.
    pub(crate) fn of_request(fields: &Fields) -> Self {
        match (fields.get("transfer-encoding"), fields.get("content-length")) {
            (Some("chunked"), None) => Self::Chunked,
            (None, Some(length)) => Self::Exactly(length.parse().unwrap()),
            (None, None) => Self::Exactly(0),
            both => panic!("ambiguous framing: {both:?}"),
        }
    }

    /// A response's body length.
    pub(crate) fn of_response(head: &Head) -> Self {
        let chunked = head.fields.get("transfer-encoding").is_some();
        match (chunked, head.status(), head.fields.get("content-length")) {
            (_, 100..200 | 204 | 304, _) => Self::Exactly(0),
            (true, ..) => Self::Chunked,
            (false, _, Some(length)) => Self::Exactly(length.parse().unwrap()),
            (false, _, None) => Self::UntilClose,
        }
    }

    /// Reads what comes next of the body.
    pub(crate) async fn next(&mut self, reader: &mut (impl AsyncBufRead + Unpin)) -> Piece {
        match self {
            Self::Exactly(0) => Piece::End,
            Self::Exactly(left) => {
                let data = some(reader, usize::try_from(*left).unwrap()).await;
                *left -= data.len() as u64;
                if data.is_empty() { Piece::Broken } else { Piece::Data(data) }
            }
            Self::UntilClose => match some(reader, usize::MAX).await {
                data if data.is_empty() => Piece::End,
                data => Piece::Data(data),
            },
            Self::Chunked => chunk(reader).await.unwrap_or(Piece::Broken),
        }
    }

    /// Reads all that is left: the bytes, and whether the body came to its end.
    pub(crate) async fn rest(&mut self, reader: &mut (impl AsyncBufRead + Unpin)) -> (Vec<u8>, bool) {
        let mut body = Vec::new();
        loop {
            match self.next(reader).await {
                Piece::Data(data) => body.extend(data),
                Piece::End => return (body, true),
                Piece::Broken => return (body, false),
            }
        }
    }
}

async fn some(reader: &mut (impl AsyncBufRead + Unpin), most: usize) -> Vec<u8> {
    let Ok(buffer) = reader.fill_buf().await else {
        return Vec::new();
    };
    let data = buffer[..buffer.len().min(most)].to_vec();
    reader.consume(data.len());
    data
}

/// One whole chunk. Extensions and trailers count as broken: the gateway must never send them on.
async fn chunk(reader: &mut (impl AsyncBufRead + Unpin)) -> Option<Piece> {
    let size = usize::from_str_radix(&read_line(reader).await?, 16).ok()?;
    let mut data = vec![0; size];
    reader.read_exact(&mut data).await.ok()?;
    read_line(reader).await?.is_empty().then_some(())?;
    Some(if size == 0 { Piece::End } else { Piece::Data(data) })
}
