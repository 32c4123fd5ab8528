//! What counts as one address. Pure.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// The other end of a connection, and how it is written: every record and every request upstream says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PeerAddress {
    pub(crate) socket: SocketAddr,
    /// With its port.
    pub(crate) text: String,
    /// Alone, as the socket has it.
    pub(crate) ip_text: String,
    /// The address that counts: of IPv4 wherever it is one.
    pub(crate) canonical: IpAddr,
}

impl From<SocketAddr> for PeerAddress {
    fn from(socket: SocketAddr) -> Self {
        let (ip, canonical) = (socket.ip(), socket.ip().to_canonical());
        Self { socket, text: socket.to_string(), ip_text: ip.to_string(), canonical }
    }
}

/// An IPv4 address, or an IPv6 /64, which is what one customer gets.
pub(crate) fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
    }
}
