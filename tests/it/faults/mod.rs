//! Everything around the gateway is broken, one thing after the other and all together, while honest clients ask: what they
//! must see before, during and after, without a restart. The matrix is in docs/threats.md.

mod clock;
mod disk;
mod dns;
mod issuer;
mod scraper;
mod sink;
mod together;
mod upstream;

use std::time::Duration;

use crate::support::gateway::route;
use crate::support::process::PLAIN_RESOURCE;
use crate::support::traffic::{Seen, Traffic};
use crate::support::{Client, Gateway, Issuer, PATH, Process, Upstream};

/// What waits for nothing that is broken comes within this, on a busy machine too.
const AT_ONCE: Duration = Duration::from_secs(2);
/// A route that nothing happens to.
const BESIDE: &str = "/beside/mcp";
const BESIDE_URL: &str = "https://mcp.example.com/beside/mcp";

/// Changes that add the other route, for tokens of `corp`.
fn beside(upstream: &Upstream) -> String {
    route("beside", BESIDE_URL, upstream, &[])
}

/// Good requests to the route `notes`: every other one with a token that was verified before.
fn traffic(gateway: &Gateway, issuer: &Issuer) -> Traffic {
    traffic_of(gateway.client(), issuer)
}

fn traffic_over_http2(gateway: &Gateway, issuer: &Issuer) -> Traffic {
    traffic_of(gateway.client().http2(), issuer)
}

fn traffic_of(client: Client, issuer: &Issuer) -> Traffic {
    let (known, fresh) = (issuer.mint().to_string(), issuer.mint());
    Traffic::of(PATH, move |number| match number % 2 {
        0 => client.clone().bearer(&known),
        _ => client.clone().bearer(fresh.clone().claim("jti", format!("fresh-{number}"))),
    })
}

/// Good requests to the route beside it.
fn traffic_beside(gateway: &Gateway, issuer: &Issuer) -> Traffic {
    let client = gateway.client().bearer(issuer.mint_for(BESIDE_URL));
    Traffic::of(BESIDE, move |_| client.clone())
}

/// Good requests to the one route of a process.
fn traffic_to(process: &Process, issuer: &Issuer, upstream: &Upstream) -> Traffic {
    let client = process.client(upstream).bearer(issuer.mint_for(PLAIN_RESOURCE));
    Traffic::of("/mcp", move |_| client.clone())
}

fn served(seen: &Seen) -> bool {
    seen.is_served() && seen.took < AT_ONCE
}
