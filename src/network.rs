//! What counts as one address. Pure.

use std::net::{IpAddr, Ipv6Addr};

/// An IPv4 address, or an IPv6 /64, which is what one customer gets.
pub(crate) fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
    }
}
