//! Each pattern at its threshold, once per window; blocks that end; memory that stays.

use std::net::SocketAddr;
use std::num::NonZeroU32;

use super::*;
use crate::config::watching::Blocks;
use crate::trace::Trace;

const MINUTE: Duration = Duration::from_mins(1);

fn rules(block: bool) -> DetectionConfig {
    let three = NonZeroU32::new(3).unwrap();
    DetectionConfig {
        window: MINUTE,
        failures_per_address: three,
        failures_per_client: three,
        foreign_tenants: three,
        foreign_sessions: three,
        unknown_keys: three,
        step_ups: three,
        block: Blocks { addresses: block, clients: block, time: MINUTE },
        never_block: vec!["192.0.2.128/25".parse().unwrap()],
    }
}

/// A refusal of somebody unknown; what it made suspicious.
fn refused(detection: &Detection, address: &str, reason: &'static str, now: Instant) -> Vec<&'static str> {
    let trace = Trace::begin(&crate::head::Fields::default());
    let record = Record {
        began: SystemTime::UNIX_EPOCH,
        event: "refused",
        reason: Some(reason),
        detail: None,
        request_id: "",
        trace: &trace,
        peer: &SocketAddr::from((address.parse::<IpAddr>().unwrap(), 1)).into(),
        client_address: None,
        route: None,
        http_method: "POST",
        path: "/",
        identity: None,
        era: None,
        mcp_method: None,
        mcp_name: None,
        rule: None,
        scopes_asked: None,
        is_foreign_session: false,
        is_off_hours: false,
        status: None,
        is_event_stream: false,
        received_bytes: 0,
        sent_bytes: 0,
        gateway_time: None,
        upstream_time: None,
        time: Duration::ZERO,
        ended: now,
    };
    let mut told = Vec::new();
    detection.ended(&record, |suspicion| told.push(suspicion.pattern.reason()));
    told
}

#[test]
fn a_threshold_is_said_once_per_window() {
    let (detection, start) = (Detection::new(&rules(false)), Instant::now());
    let fail = |at| refused(&detection, "192.0.2.1", "token.signature", at);
    assert!(fail(start).is_empty() && fail(start).is_empty());
    assert_eq!(fail(start), ["suspicious.failures_address"]);
    assert!((0..100).all(|_| fail(start).is_empty()), "not again in this window");
    for _ in 0..2 {
        assert!(fail(start + MINUTE).is_empty());
    }
    assert_eq!(fail(start + MINUTE), ["suspicious.failures_address"]);
    assert_eq!(detection.totals().map(|(_, count)| count).sum::<u64>(), 2);
    assert_eq!(detection.recent().len(), 2);
    assert_eq!(detection.blocks_address("192.0.2.1".parse().unwrap(), start), None, "nobody asked for blocks");
}

#[test]
fn a_block_that_ends_within_the_window_begins_again_with_new_signs() {
    let mut rules = rules(true);
    rules.block.time = MINUTE / 4;
    let (detection, start) = (Detection::new(&rules), Instant::now());
    let address = "192.0.2.1".parse().unwrap();
    for round in 0..3 {
        let now = start + MINUTE / 4 * round;
        assert_eq!(detection.blocks_address(address, now), None, "it is over");
        for told in [0, 0, 1] {
            assert_eq!(refused(&detection, "192.0.2.1", "token.signature", now).len(), told);
        }
        assert_eq!(detection.blocks_address(address, now), Some(MINUTE / 4), "{round}");
    }
}

#[test]
fn addresses_count_for_themselves_and_an_expired_token_is_no_sign() {
    let (detection, now) = (Detection::new(&rules(false)), Instant::now());
    for last in 1..100 {
        assert!(refused(&detection, &format!("192.0.2.{last}"), "token.kid", now).is_empty());
        assert!(refused(&detection, "2001:db8::1", "token.exp", now).is_empty());
        assert!(refused(&detection, "2001:db8::1", "block.address", now).is_empty());
        assert!(refused(&detection, "2001:db8::1", "authz.tool", now).is_empty(), "of nobody who was verified");
    }
    for (last, wanted) in [(1, 0), (2, 0), (3, 2)] {
        let told = refused(&detection, &format!("2001:db8:0:1::{last}"), "token.kid", now);
        assert_eq!(told.len(), wanted, "one /64 is one address: {told:?}");
    }
    for _ in 0..2 {
        assert!(refused(&detection, "192.0.2.1", "authz.tenant", now).is_empty());
    }
    assert_eq!(refused(&detection, "192.0.2.1", "authz.tenant", now), ["suspicious.foreign_tenants"]);
}

#[test]
fn a_block_ends_by_itself_and_spares_whom_it_must() {
    let (detection, start) = (Detection::new(&rules(true)), Instant::now());
    let address = |text: &str| text.parse::<IpAddr>().unwrap();
    for who in ["192.0.2.1", "192.0.2.200"] {
        for _ in 0..3 {
            refused(&detection, who, "token.signature", start);
        }
    }
    assert_eq!(detection.blocks_address(address("192.0.2.1"), start + MINUTE / 2), Some(MINUTE / 2));
    assert_eq!(detection.blocks_address(address("192.0.2.2"), start), None);
    assert_eq!(detection.blocks_address(address("192.0.2.200"), start), None, "never_block");
    assert_eq!(detection.blocked(start), (1, 0));
    for _ in 0..100 {
        refused(&detection, "192.0.2.1", "block.address", start + MINUTE / 2);
    }
    assert_eq!(
        detection.blocks_address(address("192.0.2.1"), start + MINUTE),
        None,
        "its own refusals do not prolong it"
    );
    assert_eq!(detection.blocked(start + MINUTE), (0, 0));
}

#[test]
fn d21_memory_is_bounded_whatever_the_number_of_addresses() {
    let (detection, now) = (Detection::new(&rules(true)), Instant::now());
    for number in 0..150_000_u32 {
        let address = IpAddr::from(number.to_be_bytes()).to_string();
        for _ in 0..3 {
            refused(&detection, &address, "token.signature", now);
        }
    }
    assert!(detection.counts.len() <= 100_000 && detection.addresses.len() <= MAX_BLOCKED);
    assert_eq!(detection.recent().len(), MAX_RECENT);
}

#[test]
fn d21_a_million_keys_hold_under_256_bytes_for_each_that_is_remembered() {
    const REMEMBERED: u64 = 2 * MAX_BLOCKED as u64;
    let (mut detection, now) = (None, Instant::now());
    let mut see = |from: u64, count: u64| {
        allocation_counter::measure(|| {
            let detection = detection.get_or_insert_with(|| Detection::new(&rules(true)));
            for number in from..from + count {
                let address = IpAddr::from((u128::from(number) << 64).to_be_bytes());
                detection.counts.one_more(detection.hash(Pattern::FailuresAddress, address), 3, now);
                detection.block(Against::Address, address, None, now);
            }
        })
    };
    let (first, second) = (see(0, 1_000_000), see(1_000_000, 300_000));
    assert!(first.bytes_max < 256 * REMEMBERED, "{first:?}");
    assert!(first.bytes_current.unsigned_abs() > 24 * REMEMBERED, "the test sees what is held: {first:?}");
    // A table may come to its last size late. Without a bound, 1.3 million entries in each would take twice this.
    let held = (first.bytes_current + second.bytes_current).unsigned_abs();
    assert!(held < 256 * REMEMBERED, "more add nothing: {first:?} {second:?}");
}
