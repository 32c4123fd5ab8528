//! The demo itself, and the sample server without a gateway in front.

use super::*;

#[tokio::test]
async fn every_step_of_the_round_trip_holds() {
    let mut out = Vec::new();
    let outcome = run(true, &mut out).await;
    let text = String::from_utf8(out).unwrap();
    assert!(outcome.is_ok(), "{outcome:?}\n{text}");
    assert_eq!(text.matches('✓').count(), 13, "{text}");
    assert!(!text.contains('✗') && text.contains("x-auth-subject: alice@acme"), "{text}");
    assert!(!text.contains("globex") && !text.contains("eyJ0eXAiOiJhdCtqd3Qi."), "{text}");
}
