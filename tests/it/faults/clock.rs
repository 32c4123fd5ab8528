//! The clock steps, the gateway's or an issuer's (threat O11). No test sets the time of day: tokens come from an issuer whose clock
//! is wrong, and the judgement of tokens, which takes the time as a value, is asked at other times.

use std::path::Path;
use std::time::{Duration, Instant};

use portcullis::config::Config;
use portcullis::token::TokenError;
use portcullis::token::verify::{Expectations, Unverified};

use super::{AT_ONCE, served, traffic};
use crate::support::mint::now;
use crate::support::process::{PLAIN_RESOURCE, plain};
use crate::support::traffic::{Seen, Traffic};
use crate::support::{Gateway, Issuer, PATH, Upstream, start_with};

/// The least that a wrong clock is forgiven.
const STRICT: &str = "[[issuers]]\nname = \"corp\"\nleeway = \"0s\"\n";

fn refused(seen: &Seen) -> bool {
    seen.is_refused(401, "invalid_token")
}

fn with_clock(gateway: &Gateway, issuer: &Issuer, from: i64, until: i64) -> Traffic {
    let token = issuer.mint().claim("iat", now() + from).claim("exp", now() + until).to_string();
    let client = gateway.client().bearer(token);
    Traffic::of(PATH, move |_| client.clone())
}

#[tokio::test]
async fn o11_tokens_of_an_issuer_whose_clock_is_ahead_pass_when_their_time_has_come() {
    let (issuer, _upstream, gateway) = start_with(STRICT).await;
    let honest = traffic(&gateway, &issuer);
    let mut ahead = with_clock(&gateway, &issuer, 3, 300);
    ahead.sees_only(2, "from the future", refused).await;
    let start = Instant::now();
    ahead.sees("its time", served).await;
    assert!(start.elapsed() < Duration::from_secs(6), "{:?}", start.elapsed());
    ahead.sees_only(4, "after", served).await;
    honest.was_always_served(AT_ONCE);
}

#[tokio::test]
async fn o11_token_that_ends_while_it_is_remembered_is_refused_from_then_on() {
    let (issuer, _upstream, gateway) = start_with(STRICT).await;
    let honest = traffic(&gateway, &issuer);
    let mut ending = with_clock(&gateway, &issuer, -10, 3);
    ending.sees_only(2, "before its end", served).await;
    let start = Instant::now();
    ending.sees("its end", refused).await;
    assert!(start.elapsed() < Duration::from_secs(6), "{:?}", start.elapsed());
    ending.sees_only(4, "after", refused).await;
    honest.was_always_served(AT_ONCE);
}

/// Whatever the time of day was in between, a token is judged by what it is now.
#[tokio::test]
async fn o11_a_clock_that_steps_ahead_and_back_changes_no_later_judgement() {
    const YEAR: i64 = 365 * 24 * 3600;
    let (issuer, upstream) = (Issuer::start().await, Upstream::start().await);
    let config = Config::parse(&plain(&issuer, &upstream), Path::new("gateway.toml")).unwrap();
    let expect = Expectations::new(&config.routes[0], &config.issuers[0]);
    let start = now();
    let token = issuer.mint_for(PLAIN_RESOURCE).claim("iat", start).claim("exp", start + 300).to_string();
    let judged = |step: i64| {
        let at = u64::try_from(start + step).unwrap();
        Unverified::read(&token).and_then(|token| token.check(&expect, None, at)).map(drop)
    };
    // The leeway is 30 s.
    for (step, wanted) in [
        (0, Ok(())),
        (10 * YEAR, Err(TokenError::Expired)),
        (0, Ok(())),
        (-10 * YEAR, Err(TokenError::IssuedAt)),
        (0, Ok(())),
        (329, Ok(())),
        (330, Err(TokenError::Expired)),
        (-30, Ok(())),
        (-31, Err(TokenError::IssuedAt)),
        (-start, Err(TokenError::IssuedAt)),
        (0, Ok(())),
    ] {
        assert_eq!(judged(step), wanted, "{step} s");
    }
}
