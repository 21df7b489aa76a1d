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
mod tests;
