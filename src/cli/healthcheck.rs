//! Asks a running gateway whether it is alive.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::Failure;

/// The whole probe, connection included.
const PROBE: Duration = Duration::from_secs(2);

/// `GET /healthz` on the admin listener.
pub(crate) fn healthcheck(admin: SocketAddr) -> Result<String, Failure> {
    let unhealthy = |why: String| Failure::Other(format!("{admin} is not healthy: {why}"));
    let status = probe(reachable(admin)).map_err(|why| unhealthy(why.to_string()))?;
    if status == "200" { Ok(String::new()) } else { Err(unhealthy(format!("status {status}"))) }
}

/// A listener on every address is asked over loopback.
fn reachable(mut admin: SocketAddr) -> SocketAddr {
    match admin {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => admin.set_ip(Ipv4Addr::LOCALHOST.into()),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => admin.set_ip(Ipv6Addr::LOCALHOST.into()),
        SocketAddr::V4(_) | SocketAddr::V6(_) => {}
    }
    admin
}

fn probe(admin: SocketAddr) -> io::Result<String> {
    let end = Instant::now() + PROBE;
    let mut stream = TcpStream::connect_timeout(&admin, PROBE)?;
    stream.set_write_timeout(Some(PROBE))?;
    write!(stream, "GET /healthz HTTP/1.1\r\nhost: {admin}\r\nconnection: close\r\n\r\n")?;
    // `HTTP/1.1 200`: nothing behind it matters.
    let (mut head, mut filled) = ([0_u8; 12], 0);
    while let Some(rest) = head.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        let left = end.saturating_duration_since(Instant::now());
        // A timeout of zero is refused by the standard library: at least a millisecond.
        stream.set_read_timeout(Some(left.max(Duration::from_millis(1))))?;
        match stream.read(rest)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => filled += read,
        }
    }
    let head = String::from_utf8_lossy(&head);
    let status = head.strip_prefix("HTTP/1.1 ").ok_or(io::ErrorKind::InvalidData)?;
    Ok(status.to_owned())
}
