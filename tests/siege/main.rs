//! The binary under attack, one attack at a time, while honest clients go on calling: memory stays under a stated ceiling, open
//! files come back, honest calls succeed, and the attack meets what `docs/threats.md` says. `docs/siege.md` has the ceilings.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    clippy::print_stdout,
    clippy::format_collect,
    reason = "a failed step is a failed test"
)]

#[expect(dead_code, unused_imports, reason = "the tests in tests/it use the rest")]
mod support;

mod attacker;
mod authority;
mod frames;
mod honest;
mod reading;
mod rig;
mod upstream;

mod bombs;
mod crowds;
mod floods;
mod identities;
mod slow;
mod soak;
mod streams;
