//! `[listen]`: the public listener, its TLS files and its bounds.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::path::PathBuf;

use ipnet::IpNet;

use super::super::read::item::{Item, Text};
use super::super::read::shape::{Key, Shape, words};
use super::super::read::table::Table;
use super::super::read::units::Bound;
use super::super::{ClientCertificates, Limits, Listen, Tls};
use super::bounds;

pub(super) const KEYS: &[Key] = &[
    Key::of("address", Shape::Text).required(),
    Key::of("tls", Shape::Table(TLS_KEYS)),
    Key::of("insecure_plaintext", Shape::Flag),
    Key::of("trusted_proxies", Shape::Texts),
    Key::of("shutdown_delay", Shape::Wait(&bounds::SHUTDOWN_DELAY)),
    Key::of("shutdown_grace", Shape::Wait(&bounds::SHUTDOWN_GRACE)),
    Key::of("limits", Shape::Table(LIMITS_KEYS)),
];
const TLS_KEYS: &[Key] = &[
    Key::of("certificate", Shape::Text).required(),
    Key::of("key", Shape::Text).required(),
    Key::of("client_ca", Shape::Text),
    Key::of("client_certificates", Shape::Word(|| words(CLIENT_CERTIFICATES))),
];
const CLIENT_CERTIFICATES: &[(&str, bool)] = &[("required", true), ("optional", false)];
const LIMITS_KEYS: &[Key] = &[
    Key::of("connections", Shape::Count(&bounds::CONNECTIONS)),
    Key::of("connections_per_address", Shape::Count(&bounds::CONNECTIONS_PER_ADDRESS)),
    Key::of("tls_timeout", Shape::Wait(&bounds::TLS_TIMEOUT)),
    Key::of("header_bytes", Shape::Size(&bounds::HEADER_BYTES)),
    Key::of("header_timeout", Shape::Wait(&bounds::HEADER_TIMEOUT)),
    Key::of("idle_timeout", Shape::Wait(&bounds::IDLE_TIMEOUT)),
    Key::of("write_timeout", Shape::Wait(&bounds::WRITE_TIMEOUT)),
    Key::of("body_bytes", Shape::Size(&bounds::BODY_BYTES)),
    Key::of("buffered_bytes", Shape::Size(&bounds::BUFFERED_BYTES)),
    Key::of("body_timeout", Shape::Wait(&bounds::BODY_TIMEOUT)),
    Key::of("streams_per_connection", Shape::Count(&bounds::STREAMS_PER_CONNECTION)),
    Key::of("failures_per_address", Shape::Count(&bounds::FAILURES_PER_ADDRESS)),
    Key::of("failure_window", Shape::Wait(&bounds::FAILURE_WINDOW)),
];

pub(super) fn read(item: &Item<'_>) -> Option<Listen> {
    let table = item.table(KEYS)?;
    let address = table.need("address").and_then(address);
    let tls_item = table.get("tls");
    let tls = tls_item.as_ref().and_then(tls);
    match (tls_item.is_some(), table.flag("insecure_plaintext")) {
        (true, true) => table.error("insecure_plaintext", "must not stand beside tls: remove one of the two"),
        (false, false) => table.missing(
            "tls",
            "is required: { certificate = \"...\", key = \"...\" }; insecure_plaintext = true instead \
             when TLS is ended in front of the gateway",
        ),
        _ => {}
    }
    let proxies = table.get("trusted_proxies").and_then(|item| item.texts()).unwrap_or_default();
    let trusted_proxies = proxies.iter().filter_map(network).collect();
    let shutdown_delay = table.duration("shutdown_delay", &bounds::SHUTDOWN_DELAY);
    let shutdown_grace = table.duration("shutdown_grace", &bounds::SHUTDOWN_GRACE);
    let limits = limits(table.get("limits").and_then(|item| item.table(LIMITS_KEYS)).as_ref());
    Some(Listen { address: address?, tls, trusted_proxies, shutdown_delay, shutdown_grace, limits })
}

pub(super) fn address(item: Item<'_>) -> Option<SocketAddr> {
    let text = item.text()?;
    let address = text.as_str().parse().ok();
    address.or_else(|| text.error("must be an IP address and a port, such as 0.0.0.0:8443 or [::]:8443"))
}

fn tls(item: &Item<'_>) -> Option<Tls> {
    let table = item.table(TLS_KEYS)?;
    let path = |item: Option<Item<'_>>| -> Option<PathBuf> { item?.text()?.path() };
    let certificate = path(table.need("certificate"));
    let key = path(table.need("key"));
    let mode = table.get("client_certificates").and_then(Item::text);
    let required = mode.and_then(|mode| mode.choose(CLIENT_CERTIFICATES));
    let ca = path(table.get("client_ca"));
    if table.get("client_certificates").is_some() && table.get("client_ca").is_none() {
        table.error("client_certificates", "needs client_ca, the file with the authorities that sign them");
    }
    Some(Tls {
        certificate: certificate?,
        key: key?,
        client: ca.map(|ca| ClientCertificates { ca, required: required.unwrap_or(true) }),
    })
}

pub(super) fn network(text: &Text<'_>) -> Option<IpNet> {
    let written = text.as_str();
    let network = written.parse::<IpNet>().ok();
    let network = network.or_else(|| written.parse::<IpAddr>().ok().map(IpNet::from));
    let Some(network) = network else {
        return text.error("must be a network such as 10.0.0.0/8, or an address");
    };
    if network.prefix_len() == 0 {
        return text.error("must not be every address: anybody could claim any client address");
    }
    if network.network() != network.addr() {
        return text.error(&format!("must be a network's first address: {}", network.trunc()));
    }
    Some(network)
}

fn limits(table: Option<&Table<'_>>) -> Limits {
    let duration = |key, bound| -> std::time::Duration { table.map_or(default(bound), |t| t.duration(key, bound)) };
    let size = |key, bound| -> u64 { table.map_or(default(bound), |t| t.size(key, bound)) };
    let count = |key, bound| -> u32 { table.map_or(default(bound), |t| t.count(key, bound)) };
    let connections = count("connections", &bounds::CONNECTIONS);
    let per_address = Bound {
        // Who asks for fewer connections in all need not say it twice.
        default: bounds::CONNECTIONS_PER_ADDRESS.default.min(connections),
        most: connections,
        ..bounds::CONNECTIONS_PER_ADDRESS
    };
    let body_bytes = size("body_bytes", &bounds::BODY_BYTES);
    // One body must fit, or nothing ever would.
    let buffered = Bound { least: body_bytes.max(bounds::BUFFERED_BYTES.least), ..bounds::BUFFERED_BYTES };
    let failures = count("failures_per_address", &bounds::FAILURES_PER_ADDRESS);
    Limits {
        connections: to_usize(connections.into()),
        connections_per_address: to_usize(count("connections_per_address", &per_address).into()),
        tls_timeout: duration("tls_timeout", &bounds::TLS_TIMEOUT),
        header_bytes: to_usize(size("header_bytes", &bounds::HEADER_BYTES)),
        header_timeout: duration("header_timeout", &bounds::HEADER_TIMEOUT),
        idle_timeout: duration("idle_timeout", &bounds::IDLE_TIMEOUT),
        write_timeout: duration("write_timeout", &bounds::WRITE_TIMEOUT),
        body_bytes,
        buffered_bytes: size("buffered_bytes", &buffered),
        body_timeout: duration("body_timeout", &bounds::BODY_TIMEOUT),
        streams_per_connection: count("streams_per_connection", &bounds::STREAMS_PER_CONNECTION),
        failures_per_address: NonZeroU32::new(failures).unwrap_or(NonZeroU32::MIN),
        failure_window: duration("failure_window", &bounds::FAILURE_WINDOW),
    }
}

fn default<T: Copy>(bound: &Bound<T>) -> T {
    bound.default
}

/// Bounded far below any machine's `usize`.
fn to_usize(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
