//! What a 402 is about: the hourly quota, or a feature that the plan lacks.
//!
//! The headers decide, never the words: Toggl has worded the one as the other. Words count only
//! for the length of a wait, where the headers are missing.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use reqwest::header::HeaderMap;

use super::limit_headers::{self, Quota};
use super::quotas::WINDOW;

/// What a 402 is about.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum PaymentRequired {
    Quota(Quota),
    Plan,
    /// Neither headers nor words tell.
    Doubtful,
}

impl PaymentRequired {
    pub(super) fn of(headers: &HeaderMap, body: &[u8]) -> Self {
        let quota = limit_headers::quota(headers);
        let in_words = || limit_headers::reset_in_words(&String::from_utf8_lossy(body));
        match quota.remaining {
            // Less than nothing is left where Toggl does not enforce the quota.
            Some(remaining) if remaining != 0 => Self::Plan,
            remaining => match quota.resets_in.or_else(in_words) {
                None if remaining.is_none() => Self::Doubtful,
                resets_in => Self::Quota(Quota { remaining, resets_in }),
            },
        }
    }
}

/// Paths refused with 402 for no reason that could be found out, each with the first time. What is
/// still refused an hour later was no quota.
#[derive(Debug, Default)]
pub(super) struct Doubts(Mutex<BTreeMap<String, Timestamp>>);

impl Doubts {
    pub(super) fn remember(&self, doubts: &BTreeMap<String, Timestamp>) {
        self.locked().extend(doubts.clone());
    }

    pub(super) fn all(&self) -> BTreeMap<String, Timestamp> {
        self.locked().clone()
    }

    /// Notes a doubt; whether it is older than any quota's window.
    pub(super) fn persists(&self, path: &str) -> bool {
        let now = Timestamp::now();
        let since = *self.locked().entry(path.to_owned()).or_insert(now);
        now.duration_since(since).unsigned_abs() >= WINDOW
    }

    /// The path has answered.
    pub(super) fn forget(&self, path: &str) {
        self.locked().remove(path);
    }

    fn locked(&self) -> MutexGuard<'_, BTreeMap<String, Timestamp>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use reqwest::header::HeaderValue;

    const PLAN: &str = "feature is not included in current subscription level of workspace";
    const QUOTA: &str = "Your quota will reset in 2380 seconds.";

    fn kind(remaining: Option<&'static str>, body: &str) -> PaymentRequired {
        let mut headers = HeaderMap::new();
        if let Some(remaining) = remaining {
            headers.insert("x-toggl-quota-remaining", HeaderValue::from_static(remaining));
        }
        PaymentRequired::of(&headers, body.as_bytes())
    }

    #[test]
    fn a_402_is_told_apart_by_its_headers_whatever_it_says() {
        assert!(matches!(kind(Some("0"), PLAN), PaymentRequired::Quota(_)));
        assert_eq!(kind(Some("12"), QUOTA), PaymentRequired::Plan);
        assert_eq!(kind(Some("-3"), QUOTA), PaymentRequired::Plan);
    }

    #[test]
    fn without_headers_words_name_the_wait_and_nothing_else() {
        let resets_in = Some(Duration::from_secs(2380));
        assert_eq!(kind(None, QUOTA), PaymentRequired::Quota(Quota { remaining: None, resets_in }));
        assert_eq!(kind(None, PLAN), PaymentRequired::Doubtful);
        assert_eq!(kind(None, ""), PaymentRequired::Doubtful);
    }

    #[test]
    fn a_doubt_that_outlives_the_window_is_no_quota() {
        let doubts = Doubts::default();
        assert!(!doubts.persists("/new"));
        let long_ago = Timestamp::now() - jiff::SignedDuration::from_mins(61);
        doubts.remember(&BTreeMap::from([("/old".to_owned(), long_ago)]));
        assert!(doubts.persists("/old"));
    }
}
