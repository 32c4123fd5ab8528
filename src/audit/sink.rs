//! Where audit records go: a file, standard output, the system's log. Writing may block; only the stream's own thread does it.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config::watching::{AuditSink, Chain};

use super::chain::{self, Digest};

/// Syslog's facility 13, log audit, and severity 6, informational (RFC 5424 §6.2.1).
const SYSLOG_HEAD: &str = "<110>portcullis: ";
/// A daemon that takes nothing for so long has failed.
const SYSLOG_TIME: Duration = Duration::from_secs(2);
/// Of a file's end, to find its last line: far longer than a line.
const TAIL_BYTES: u64 = 256 * 1024;
/// Nobody but the gateway and its administrator.
const MODE: u32 = 0o600;

/// See the module.
#[derive(Debug)]
pub(super) enum Sink {
    File { path: PathBuf, file: File },
    Stdout,
    Syslog { path: PathBuf, socket: Option<UnixDatagram> },
}

/// How a file ends that is written on.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Last {
    /// Its last line has no end.
    pub(super) torn: bool,
    /// Number and digest of its last whole line, where it is chained.
    pub(super) link: Option<(u64, Digest)>,
}

impl Sink {
    pub(super) fn name(setting: &AuditSink) -> String {
        match setting {
            AuditSink::File(path) | AuditSink::Syslog(path) => path.display().to_string(),
            AuditSink::Stdout => "standard output".into(),
        }
    }

    pub(super) fn open(setting: &AuditSink, chain: &Chain) -> io::Result<(Self, Last)> {
        Ok(match setting {
            AuditSink::File(path) => {
                let (file, last) = open_file(path, *chain != Chain::None)?;
                (Self::File { path: path.clone(), file }, last)
            }
            AuditSink::Stdout => (Self::Stdout, Last::default()),
            AuditSink::Syslog(path) => {
                (Self::Syslog { path: path.clone(), socket: Some(connect(path)?) }, Last::default())
            }
        })
    }

    /// A rotated file is left behind for a new one; true when there is a new one.
    pub(super) fn reopen(&mut self) -> io::Result<Option<Last>> {
        let Self::File { path, file } = self else { return Ok(None) };
        let (new, last) = open_file(path, true)?;
        *file = new;
        Ok(Some(last))
    }

    /// Writes some of these whole lines; how many bytes went out. Whatever did not is to be given again.
    pub(super) fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        match self {
            Self::File { file, .. } => file.write(lines),
            Self::Stdout => {
                let mut stdout = io::stdout().lock();
                let written = stdout.write(lines)?;
                stdout.flush()?;
                Ok(written)
            }
            Self::Syslog { path, socket } => {
                let end = lines.iter().position(|byte| *byte == b'\n').map_or(lines.len(), |at| at + 1);
                let line = lines.get(..end).unwrap_or(lines).trim_ascii_end();
                let connected = match socket.take() {
                    Some(socket) => socket,
                    None => connect(path)?,
                };
                // A socket that failed is connected anew: the daemon may have been restarted.
                connected.send(&[SYSLOG_HEAD.as_bytes(), line].concat())?;
                *socket = Some(connected);
                Ok(end)
            }
        }
    }
}

fn connect(path: &Path) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.connect(path)?;
    socket.set_write_timeout(Some(SYSLOG_TIME))?;
    Ok(socket)
}

fn open_file(path: &Path, is_chained: bool) -> io::Result<(File, Last)> {
    let mut file = OpenOptions::new().append(true).create(true).read(true).mode(MODE).open(path)?;
    // Devices and pipes have no end to look at.
    let last = if file.metadata()?.is_file() { last(&mut file, is_chained)? } else { Last::default() };
    Ok((file, last))
}

fn last(file: &mut File, is_chained: bool) -> io::Result<Last> {
    let length = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
    let mut tail = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut tail)?;
    let tail = String::from_utf8_lossy(&tail);
    let torn = !tail.is_empty() && !tail.ends_with('\n');
    let whole = if torn { tail.rsplit_once('\n').map_or("", |(whole, _)| whole) } else { tail.trim_end_matches('\n') };
    let newest = whole.rsplit('\n').next().filter(|_| is_chained);
    let link = newest.and_then(chain::parts).map(|parts| (parts.seq, parts.chain));
    Ok(Last { torn, link })
}
