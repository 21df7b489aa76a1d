//! Toggl's clock, as the Date headers of its answers tell it.
//!
//! One clock orders everything that is fetched, and it is Toggl's: several fetchers need no synchronised
//! clocks then, and a wrong one neither hides changes nor makes old news look new.

use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use reqwest::header::{AGE, DATE, HeaderMap};
use shared::telemetry::API;
use tracing::warn;

/// Clocks that differ by less are taken for equal: Date has whole seconds, and an answer takes a while.
const TOLERANCE: SignedDuration = SignedDuration::from_secs(5);

/// By how much Toggl's clock is ahead of this machine's.
#[derive(Debug, Default)]
pub(super) struct Clock {
    /// None until an answer with a Date has come.
    known: Mutex<Option<Known>>,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    /// What times are corrected by.
    ahead: SignedDuration,
    /// What all answers so far allow.
    least: SignedDuration,
    most: SignedDuration,
}

impl Known {
    /// What an answer tells by itself.
    fn alone(least: SignedDuration, most: SignedDuration) -> Self {
        let is_within_tolerance = least <= TOLERANCE && most >= -TOLERANCE;
        let ahead =
            if is_within_tolerance { SignedDuration::ZERO } else { least + (most - least) / 2 };
        Self { ahead, least, most }
    }

    /// Together with what was known; none where the two do not agree.
    fn after(self, before: Self) -> Option<Self> {
        let (least, most) = (self.least.max(before.least), self.most.min(before.most));
        (least <= most).then_some(Self { ahead: before.ahead, least, most })
    }
}

impl Clock {
    /// Takes the Date of an answer to a request of that time. One that a cache has kept tells nothing.
    pub(super) fn note(&self, headers: &HeaderMap, sent: Timestamp, received: Timestamp) {
        let date = headers.get(DATE).and_then(|date| date.to_str().ok());
        let Some(date) = date.and_then(|date| httpdate::parse_http_date(date).ok()) else { return };
        let Ok(theirs) = Timestamp::try_from(date) else { return };
        if headers.contains_key(AGE) || received < sent {
            return;
        }
        // Toggl wrote it at some moment of a second, which lay between the two.
        let (least, most) = (
            theirs.duration_since(received),
            theirs.duration_since(sent) + SignedDuration::from_secs(1),
        );
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Known::alone(least, most);
        let agreed = known.and_then(|known| now.after(known));
        if agreed.is_none() && !now.ahead.is_zero() {
            warn!(
                target: API,
                "This machine's clock is {}; times are corrected by that. Synchronise it",
                difference(now.ahead)
            );
        }
        *known = Some(agreed.unwrap_or(now));
    }

    /// What Toggl's clock shows when ours shows that.
    pub(super) fn corrected(&self, ours: Timestamp) -> Timestamp {
        ours.checked_add(self.ahead()).unwrap_or(ours)
    }

    /// By how much Toggl's clock is ahead of ours; nothing where they agree within some seconds.
    pub(super) fn ahead(&self) -> SignedDuration {
        self.known().map_or(SignedDuration::ZERO, |known| known.ahead)
    }

    /// By how much a corrected time may be later than Toggl's clock showed.
    pub(super) fn uncertainty(&self) -> SignedDuration {
        self.known().map_or(TOLERANCE, |known| known.ahead - known.least).max(SignedDuration::ZERO)
    }

    fn known(&self) -> Option<Known> {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// "3600 s ahead of Toggl's", of a machine whose clock Toggl's is that much ahead of.
pub(crate) fn difference(theirs_ahead: SignedDuration) -> String {
    let word = if theirs_ahead.is_negative() { "ahead of" } else { "behind" };
    format!("{} s {word} Toggl's", theirs_ahead.unsigned_abs().as_secs())
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    fn headers(date: Timestamp) -> HeaderMap {
        let text = httpdate::fmt_http_date(date.into());
        HeaderMap::from_iter([(DATE, HeaderValue::from_str(&text).unwrap())])
    }

    fn seconds(seconds: i64) -> SignedDuration {
        SignedDuration::from_secs(seconds)
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    #[test]
    fn clocks_that_agree_within_seconds_are_left_alone() {
        for theirs in [-4, 0, 4] {
            let clock = Clock::default();
            clock.note(&headers(at(theirs)), at(0), at(0));
            assert_eq!(clock.corrected(at(10)), at(10));
        }
    }

    #[test]
    fn a_clock_an_hour_off_is_corrected_to_the_second() {
        for theirs in [-3_600, 3_600] {
            let clock = Clock::default();
            clock.note(&headers(at(theirs)), at(0), at(0));
            let apart = clock.corrected(at(10)).duration_since(at(10 + theirs)).abs();
            assert!(apart <= seconds(1), "{apart}");
        }
    }

    #[test]
    fn a_correction_stays_as_it_is_while_answers_allow_it() {
        let clock = Clock::default();
        clock.note(&headers(at(3_600)), at(0), at(0));
        let first = clock.ahead();
        clock.note(&headers(at(3_607)), at(5), at(8));
        assert_eq!(clock.ahead(), first);
        clock.note(&headers(at(9)), at(9), at(9));
        assert_eq!(clock.ahead(), seconds(0), "the clock was set");
    }

    #[test]
    fn answers_together_tell_more_than_each_alone() {
        let clock = Clock::default();
        clock.note(&headers(at(0)), at(0), at(0));
        assert_eq!(clock.uncertainty(), seconds(0));
        let half = at(0) + SignedDuration::from_millis(600);
        let clock = Clock::default();
        clock.note(&headers(at(0)), half, half);
        assert_eq!(clock.uncertainty(), SignedDuration::from_millis(600));
        clock.note(&headers(at(1)), half, half + SignedDuration::from_millis(400));
        assert_eq!(clock.uncertainty(), SignedDuration::ZERO);
    }

    #[test]
    fn an_answer_out_of_a_cache_tells_no_time() {
        let clock = Clock::default();
        let mut headers = headers(at(-3_600));
        headers.insert(AGE, HeaderValue::from_static("3600"));
        clock.note(&headers, at(0), at(0));
        assert_eq!(clock.ahead(), seconds(0));
    }
}
