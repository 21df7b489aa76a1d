//! What Toggl's headers say about limits; pure functions of header texts.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reqwest::header::{HeaderMap, RETRY_AFTER};
use serde::Deserialize;

/// Requests left in the hourly quota of the bucket that the request counted in.
const QUOTA_REMAINING: &str = "x-toggl-quota-remaining";
/// Whole seconds until that quota is full again.
const QUOTA_RESETS_IN: &str = "x-toggl-quota-resets-in";
const RATE_LIMIT_RESET: &str = "x-ratelimit-reset";

/// Longer waits in a header are not meant, or not worth it.
const LONGEST: Duration = Duration::from_hours(24);

/// The hourly quota, as the last answer told it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Quota {
    /// Requests left; negative while Toggl does not enforce it.
    pub(super) remaining: Option<i64>,
    /// Until it is full again.
    pub(super) resets_in: Option<Duration>,
}

/// Reads the quota headers; what is missing or unreadable is none.
pub(super) fn quota(headers: &HeaderMap) -> Quota {
    Quota {
        remaining: text(headers, QUOTA_REMAINING).and_then(|text| text.parse().ok()),
        resets_in: text(headers, QUOTA_RESETS_IN).and_then(seconds),
    }
}

/// How long a 429 asks to wait: Retry-After (seconds or a date), else X-RateLimit-Reset (a moment or
/// seconds), else none.
pub(super) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    text(headers, RETRY_AFTER.as_str())
        .and_then(|text| seconds(text).or_else(|| date(text, now)))
        .or_else(|| text(headers, RATE_LIMIT_RESET).and_then(|text| reset(text, now)))
}

/// The wait that a quota message names in words ("will reset in 2380 seconds"): only for answers
/// whose quota headers are missing.
pub(super) fn reset_in_words(body: &str) -> Option<Duration> {
    let (_, rest) = body.split_once("reset in ")?;
    let (number, rest) = rest.split_once(' ')?;
    rest.starts_with("second").then(|| seconds(number)).flatten()
}

/// The organisation's or the user's own quota in the answer of /me/quota; none where that cannot be
/// read, or where of several organisations only some have anything left.
pub(super) fn quota_in_list(body: &[u8], of_user: bool) -> Option<Quota> {
    let list: Vec<ListedQuota> = serde_json::from_slice(body).ok()?;
    let meant = || list.iter().filter(|quota| quota.organization_id.is_none() == of_user);
    let least = meant().min_by_key(|quota| quota.remaining)?;
    let agree = meant().all(|quota| (quota.remaining == 0) == (least.remaining == 0));
    let seconds = least.resets_in_secs.and_then(|wait| u64::try_from(wait).ok());
    agree.then(|| Quota { remaining: Some(least.remaining), resets_in: seconds.map(bounded) })
}

/// One quota in the answer of /me/quota (`me.GetQuotaResult` of the published description).
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ListedQuota {
    /// None for the user's own.
    pub(crate) organization_id: Option<i64>,
    pub(crate) remaining: i64,
    pub(crate) total: Option<i64>,
    pub(crate) resets_in_secs: Option<i64>,
}

fn bounded(seconds: u64) -> Duration {
    Duration::from_secs(seconds).min(LONGEST)
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

fn seconds(text: &str) -> Option<Duration> {
    text.parse().ok().map(bounded)
}

fn date(text: &str, now: SystemTime) -> Option<Duration> {
    let at = httpdate::parse_http_date(text).ok()?;
    Some(at.duration_since(now).unwrap_or_default().min(LONGEST))
}

/// Over a billion it is a moment in seconds since 1970, over a trillion in milliseconds.
fn reset(text: &str, now: SystemTime) -> Option<Duration> {
    let number: u64 = text.parse().ok()?;
    let moment = match number {
        0..=1_000_000_000 => return Some(bounded(number)),
        1_000_000_001..=1_000_000_000_000 => Duration::from_secs(number),
        _ => Duration::from_millis(number),
    };
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    Some(moment.saturating_sub(now).min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use reqwest::header::{HeaderName, HeaderValue};

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
            })
            .collect()
    }

    fn now() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_700_000_000)
    }

    #[test]
    fn retry_after_wins_over_the_rate_limit_reset() {
        let both = headers(&[("retry-after", "7"), ("x-ratelimit-reset", "90")]);
        assert_eq!(retry_after(&both, now()), Some(Duration::from_secs(7)));
    }

    #[test]
    fn a_wait_is_read_in_every_form() {
        let forms = [
            ("retry-after", "7", Some(7)),
            ("retry-after", "Tue, 14 Nov 2023 22:13:30 GMT", Some(10)),
            ("retry-after", "Tue, 14 Nov 2023 22:13:10 GMT", Some(0)),
            ("retry-after", "99999999999", Some(86_400)),
            ("retry-after", "soon", None),
            ("x-ratelimit-reset", "12", Some(12)),
            ("x-ratelimit-reset", "1700000015", Some(15)),
            ("x-ratelimit-reset", "1700000015000", Some(15)),
            ("x-ratelimit-reset", "1600000000", Some(0)),
            ("x-ratelimit-reset", "-1", None),
        ];
        for (name, value, wait) in forms {
            let wait = wait.map(Duration::from_secs);
            assert_eq!(retry_after(&headers(&[(name, value)]), now()), wait, "{name}: {value}");
        }
    }

    #[test]
    fn the_words_of_a_quota_message_name_the_wait() {
        let words = "You have hit your hourly limit for API calls. Please upgrade to a paid plan for \
                     increased access. Your quota will reset in 2380 seconds. CTA: Go to \
                     subscriptions page.";
        assert_eq!(reset_in_words(words), Some(Duration::from_secs(2380)));
        assert_eq!(reset_in_words("Tasks are a premium feature"), None);
    }

    proptest! {
        #[test]
        fn no_header_or_body_panics(value in any::<Vec<u8>>(), words in any::<String>()) {
            if let Ok(value) = HeaderValue::from_bytes(&value) {
                for name in ["retry-after", "x-ratelimit-reset", QUOTA_REMAINING, QUOTA_RESETS_IN] {
                    let mut headers = HeaderMap::new();
                    headers.insert(HeaderName::from_static(name), value.clone());
                    let _wait = retry_after(&headers, now());
                    let _quota = quota(&headers);
                }
            }
            let _wait = reset_in_words(&format!("reset in {words}"));
            let _standing = quota_in_list(words.as_bytes(), true);
        }
    }
}
