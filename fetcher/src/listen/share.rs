//! How soon the next look may be: at once as a rule, ever later as the share of an hour's quota that events may use
//! comes to its end, and with the next hour once it is used up.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use crate::toggl::{Bucket, MARGIN, QuotaState, SAME_WINDOW, WINDOW};

/// However little is left of the share, a look waits no longer than this for its turn.
const LONGEST: Duration = Duration::from_mins(10);

/// What looks may take of each quota.
#[derive(Debug)]
pub(super) struct Share {
    /// Between two looks at least.
    pub(super) gap: Duration,
    /// Of a hundred requests of an hour.
    pub(super) percent: u8,
    /// The end of each window, and what was left when it was first heard of.
    windows: BTreeMap<Bucket, (Timestamp, i64)>,
}

impl Share {
    pub(super) const fn new(gap: Duration, percent: u8) -> Self {
        Self { gap, percent, windows: BTreeMap::new() }
    }

    /// How long the next look that takes from this quota waits after one.
    pub(super) fn pause(
        &mut self,
        bucket: Bucket,
        known: Option<QuotaState>,
        now: Timestamp,
    ) -> Duration {
        let Some((known, resets_at)) = known.and_then(|known| Some((known, known.resets_at?)))
        else {
            return self.gap;
        };
        // Less than nothing is left where Toggl does not enforce it.
        let Some(left) = known.left(now).filter(|left| *left >= 0) else { return self.gap };
        let until: Duration = resets_at.duration_since(now).try_into().unwrap_or_default();
        let until = until.min(WINDOW);
        let whole = self.whole(bucket, resets_at, left);
        let reserved = whole - whole * i64::from(self.percent.min(100)) / 100;
        let usable = left - reserved;
        if known.used_up || usable <= 0 {
            return until.saturating_add(MARGIN);
        }
        if usable * 2 >= whole - reserved {
            return self.gap;
        }
        let spread = until / u32::try_from(usable).unwrap_or(u32::MAX);
        spread.min(LONGEST).max(self.gap)
    }

    /// What there was of this window when it was first heard of.
    fn whole(&mut self, bucket: Bucket, resets_at: Timestamp, left: i64) -> i64 {
        let window = self.windows.entry(bucket).or_insert((resets_at, left));
        if window.0.duration_since(resets_at).unsigned_abs() >= SAME_WINDOW {
            *window = (resets_at, left);
        }
        window.1 = window.1.max(left);
        window.1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GAP: Duration = Duration::from_secs(2);

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn pause(share: &mut Share, (left, resets_at): (i64, i64), now: i64) -> Duration {
        let (remaining, resets_at) = (Some(left), Some(at(resets_at)));
        let state = QuotaState { remaining, resets_at, used_up: false };
        share.pause(Bucket::User, Some(state), at(now))
    }

    #[test]
    fn of_thirty_requests_half_are_used_the_first_at_once_the_others_over_the_hour() {
        let mut share = Share::new(GAP, 50);
        let pauses: Vec<u64> =
            (0..=16).map(|used| pause(&mut share, (30 - used, 3_600), 0).as_secs()).collect();
        assert_eq!(pauses[..8], [2; 8]);
        assert!(pauses[8..15].is_sorted() && pauses[8] > 2 && pauses[14] == 600, "{pauses:?}");
        assert_eq!(pauses[15..], [3_601, 3_601], "the rest is for others");
    }

    #[test]
    fn the_next_hour_begins_anew() {
        let mut share = Share::new(GAP, 50);
        pause(&mut share, (30, 3_600), 0);
        assert_eq!(pause(&mut share, (10, 3_600), 3_500).as_secs(), 101);
        assert_eq!(pause(&mut share, (29, 7_200), 3_601), GAP);
    }

    #[test]
    fn what_nobody_knows_or_enforces_holds_nothing_up() {
        let mut share = Share::new(GAP, 50);
        assert_eq!(share.pause(Bucket::User, None, at(0)), GAP);
        assert_eq!(pause(&mut share, (-4, 3_600), 0), GAP);
        assert_eq!(pause(&mut share, (0, 10), 20), GAP, "that hour is over");
    }
}
