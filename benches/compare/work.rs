//! The scenarios of requests: what is sent, over what, to whom, and the bars for Portcullis.

use std::time::Duration;

use crate::bar::Bar;
use crate::floor::Check;
use crate::gateways::Kind;

pub(crate) const MIB: usize = 1024 * 1024;

/// What credentials are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sends {
    /// The same good one again and again.
    One,
    /// All good ones in turn; all were seen before.
    Each,
    /// Good ones that were not seen before.
    FirstRs256,
    FirstEs256,
    FirstEdDsa,
    Missing,
    Malformed,
    Expired,
    Forged,
    UnknownKey,
    ForeignIssuer,
    ForeignAudience,
}

impl Sends {
    pub(crate) fn is_good(self) -> bool {
        matches!(self, Self::One | Self::Each) || self.is_new()
    }

    pub(crate) fn is_new(self) -> bool {
        matches!(self, Self::FirstRs256 | Self::FirstEs256 | Self::FirstEdDsa)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Over {
    Http1,
    Http2,
    NewConnection,
    ResumedConnection,
}

/// How much goes which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bodies {
    Small,
    /// A small request, an answer of 1 MiB.
    Down,
    /// A request of 1 MiB, a small answer.
    Up,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Work {
    pub(crate) name: &'static str,
    pub(crate) sends: Sends,
    pub(crate) over: Over,
    pub(crate) bodies: Bodies,
    pub(crate) connections: u32,
    /// Whose turns; each is asked with these credentials.
    pub(crate) rows: &'static [(Kind, Sends)],
    pub(crate) bars: &'static [Bar],
}

/// One turn.
pub(crate) const TURN: Duration = Duration::from_millis(350);

/// Streams of one HTTP/2 connection.
pub(crate) const STREAMS: u32 = 16;

/// The load comes over 16 connections that are kept.
const fn work(name: &'static str, sends: Sends, rows: &'static [(Kind, Sends)], bars: &'static [Bar]) -> Work {
    Work { name, sends, over: Over::Http1, bodies: Bodies::Small, connections: 16, rows, bars }
}

macro_rules! rows {
    ($check:ident, $sends:ident, [$($kind:ident),*]) => {
        &[(Kind::Floor(Check::$check), Sends::$sends), (Kind::Portcullis, Sends::$sends), $((Kind::$kind, Sends::$sends)),*]
    };
}

const PASSED: &[(Kind, Sends)] = rows!(Nothing, One, [Nginx, HaProxy, Envoy]);

impl Work {
    pub(crate) const ALL: &[Self] = &[
        work(
            "one-token",
            Sends::One,
            rows!(Nothing, One, [Nginx, QuietNginx, HaProxy, QuietHaProxy, Envoy]),
            &[Bar::Floor(1.25), Bar::Of(Kind::Nginx, 1.05), Bar::Of(Kind::HaProxy, 0.4)],
        ),
        work(
            "many-tokens",
            Sends::Each,
            rows!(Once, Each, [Nginx, HaProxy, Envoy]),
            &[Bar::Floor(1.25), Bar::ResidentMib(30.0)],
        ),
        work("first-seen-rs256", Sends::FirstRs256, rows!(Always, FirstRs256, [HaProxy, Envoy]), &[Bar::Floor(1.2)]),
        work("first-seen-es256", Sends::FirstEs256, rows!(Always, FirstEs256, [HaProxy, Envoy]), &[]),
        work("first-seen-eddsa", Sends::FirstEdDsa, rows!(Always, FirstEdDsa, [Envoy]), &[]),
        Self { over: Over::Http2, connections: 64, ..work("http2", Sends::One, PASSED, &[Bar::Floor(1.25)]) },
        Self { over: Over::NewConnection, ..work("new-connection", Sends::One, PASSED, &[Bar::Floor(1.1)]) },
        Self { over: Over::ResumedConnection, ..work("resumed-connection", Sends::One, PASSED, &[Bar::Floor(1.1)]) },
        Self { bodies: Bodies::Down, connections: 4, ..work("1mib-down", Sends::One, PASSED, &[Bar::Floor(1.1)]) },
        Self { bodies: Bodies::Up, connections: 4, ..work("1mib-up", Sends::One, PASSED, &[Bar::Floor(1.25)]) },
        work("missing-token", Sends::Missing, rows!(Presence, Missing, [HaProxy, Envoy]), &[Bar::Floor(1.25)]),
        work("malformed-token", Sends::Malformed, rows!(Always, Malformed, [HaProxy, Envoy]), &[]),
        work("expired-token", Sends::Expired, rows!(Always, Expired, [HaProxy, Envoy]), &[Bar::Of(Kind::HaProxy, 1.0)]),
        // Without HAProxy 2.6: after a bad signature it ends connections without an answer.
        work(
            "forged-token",
            Sends::Forged,
            &[
                (Kind::Floor(Check::Always), Sends::Forged),
                (Kind::Floor(Check::Always), Sends::Missing),
                (Kind::Portcullis, Sends::Forged),
                (Kind::Portcullis, Sends::Missing),
                (Kind::Envoy, Sends::Forged),
            ],
            &[Bar::MissingAndOneVerification],
        ),
        // As above: HAProxy does not look at the key's name.
        work("unknown-key", Sends::UnknownKey, rows!(Always, UnknownKey, [Envoy]), &[]),
        work("foreign-issuer", Sends::ForeignIssuer, rows!(Always, ForeignIssuer, [HaProxy, Envoy]), &[]),
        work("foreign-audience", Sends::ForeignAudience, rows!(Always, ForeignAudience, [HaProxy, Envoy]), &[]),
    ];
}
