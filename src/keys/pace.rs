//! When the next fetch is due: cache headers inside bounds, back-off after failures. Pure.

use std::time::{Duration, SystemTime};

use http::header::{AGE, CACHE_CONTROL, DATE, EXPIRES};
use http::{HeaderMap, HeaderName};

use crate::config::KeyRules;

/// The first wait after a failed fetch; it doubles with each further failure.
const FIRST_BACK_OFF: Duration = Duration::from_secs(1);
/// The longest wait after a failed fetch.
const LAST_BACK_OFF: Duration = Duration::from_mins(1);

/// How long a fetched set counts as fresh: what its headers say, never under the cool-down, never over `max_age`.
///
/// A set that must not be cached at all (`no-store`, `no-cache`, `max-age=0`; common at issuers that send it with every
/// answer) says nothing useful to a verifier: it is refreshed after `max_age` like one without headers.
pub(super) fn fresh_for(headers: &HeaderMap, rules: &KeyRules, now: SystemTime) -> Duration {
    let stated = stated_lifetime(headers, now).filter(|lifetime| !lifetime.is_zero());
    let lifetime = stated.unwrap_or(rules.max_age);
    lifetime.max(rules.cool_down).min(rules.max_age)
}

/// RFC 9111 §5.2.2, §5.3: `max-age` beats `Expires`.
fn stated_lifetime(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let mut max_age = None;
    for value in headers.get_all(CACHE_CONTROL) {
        for directive in value.to_str().ok()?.split(',') {
            let (name, argument) = directive.split_once('=').unwrap_or((directive, ""));
            match name.trim().to_ascii_lowercase().as_str() {
                "no-store" | "no-cache" => return None,
                "max-age" => {
                    max_age = max_age.or(Some(argument.trim().trim_matches('"').parse().ok()?));
                }
                _ => {}
            }
        }
    }
    let age = text(headers, &AGE).and_then(|age| age.trim().parse().ok()).unwrap_or(0);
    if let Some(seconds) = max_age {
        return Some(Duration::from_secs(seconds).saturating_sub(Duration::from_secs(age)));
    }
    let expires = httpdate::parse_http_date(text(headers, &EXPIRES)?).ok()?;
    let sent = text(headers, &DATE).and_then(|date| httpdate::parse_http_date(date).ok());
    expires.duration_since(sent.unwrap_or(now)).ok()
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// The wait before the next try after so many failures in a row: 1 s … 60 s, less up to half of it by chance, so that
/// the replicas of a gateway do not come back in step.
pub(super) fn back_off(failures: u32, random: u64) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    let full = FIRST_BACK_OFF.saturating_mul(1 << doublings).min(LAST_BACK_OFF);
    shortened(full, random, 2).max(FIRST_BACK_OFF)
}

/// A planned wait, less up to a tenth of it by chance.
pub(super) fn jittered(wait: Duration, random: u64) -> Duration {
    shortened(wait, random, 10)
}

fn shortened(wait: Duration, random: u64, part: u32) -> Duration {
    let thousandths = u32::try_from(random % 1000).unwrap_or(0);
    wait.saturating_sub(wait / part * thousandths / 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: KeyRules = KeyRules {
        cool_down: Duration::from_secs(10),
        max_age: Duration::from_hours(1),
        max_stale: Duration::from_hours(24),
        timeout: Duration::from_secs(5),
    };

    fn seconds(fields: &[(HeaderName, &str)]) -> u64 {
        let headers = fields.iter().map(|(n, v)| (n.clone(), v.parse().unwrap())).collect();
        let now = httpdate::parse_http_date("Sun, 22 Nov 2026 08:00:00 GMT").unwrap();
        fresh_for(&headers, &RULES, now).as_secs()
    }

    #[test]
    fn cache_headers_are_followed_inside_the_bounds() {
        assert_eq!(seconds(&[(CACHE_CONTROL, "public, Max-Age=600, must-revalidate")]), 600);
        assert_eq!(seconds(&[(CACHE_CONTROL, "max-age=\"600\"")]), 600);
        assert_eq!(seconds(&[(CACHE_CONTROL, "public"), (CACHE_CONTROL, "max-age=600")]), 600);
        assert_eq!(seconds(&[(CACHE_CONTROL, "max-age=600"), (AGE, "100")]), 500);
        assert_eq!(seconds(&[(CACHE_CONTROL, "max-age=1")]), 10);
        assert_eq!(seconds(&[(CACHE_CONTROL, "max-age=99999999")]), 3600);
        assert_eq!(seconds(&[(EXPIRES, "Sun, 22 Nov 2026 08:20:00 GMT")]), 1200);
        assert_eq!(
            seconds(&[(EXPIRES, "Sun, 22 Nov 2026 08:20:00 GMT"), (DATE, "Sun, 22 Nov 2026 08:10:00 GMT")]),
            600
        );
    }

    #[test]
    fn headers_that_say_nothing_useful_mean_max_age() {
        for headers in [
            &[][..],
            &[(CACHE_CONTROL, "no-store, max-age=5")],
            &[(CACHE_CONTROL, "no-cache")],
            &[(CACHE_CONTROL, "max-age=0")],
            &[(CACHE_CONTROL, "max-age=soon")],
            &[(CACHE_CONTROL, "max-age=-1")],
            &[(CACHE_CONTROL, "max-age=99999999999999999999999")],
            &[(EXPIRES, "0")],
            &[(EXPIRES, "Sun, 22 Nov 2020 08:00:00 GMT")],
        ] {
            assert_eq!(seconds(headers), 3600, "{headers:?}");
        }
    }

    #[test]
    fn back_off_doubles_and_stays_between_one_and_sixty_seconds() {
        let longest: Vec<_> = (1..=8).map(|n| back_off(n, 0).as_secs()).collect();
        assert_eq!(longest, [1, 2, 4, 8, 16, 32, 60, 60]);
        for failures in [0, 1, 3, 20, u32::MAX] {
            for random in [0, 1, 499, 999, u64::MAX] {
                let wait = back_off(failures, random);
                assert!((FIRST_BACK_OFF..=LAST_BACK_OFF).contains(&wait), "{failures} {random} {wait:?}");
            }
        }
        assert!(back_off(7, 999) < Duration::from_secs(31));
        assert!(jittered(Duration::from_secs(100), 999) > Duration::from_secs(90));
    }
}
