//! Toggl's hourly quota of one user: a bucket for `/me…`, and one for everything of each
//! organisation. The window is fixed, opened by the first request; refused requests do not move
//! its end.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// The requests each bucket allows within a window.
#[derive(Debug, Clone, Copy)]
pub struct QuotaLimits {
    /// `/me` and everything below it; 30 on every ordinary plan.
    pub me: u32,
    /// Everything else, for each organisation; 30 on Free, 240 on Starter, 600 on Premium.
    pub organization: u32,
    /// Time from the first request to the reset; an hour at Toggl.
    pub window: Duration,
}

impl Default for QuotaLimits {
    /// Limits no test reaches, over Toggl's hour.
    fn default() -> Self {
        Self { me: 1_000_000, organization: 1_000_000, window: Duration::from_hours(1) }
    }
}

/// Which bucket a request is taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Bucket {
    Me,
    /// By its id; none for a user without organisations.
    Organization(Option<i64>),
}

/// What the quota headers say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) remaining: u32,
    pub(super) total: u32,
    /// Rounded up, so that whoever waits this long finds a new window.
    pub(super) resets_in_s: u64,
}

/// Raised for a request that finds its bucket empty.
#[derive(Debug, Clone, Copy)]
pub(super) struct UsedUp;

#[derive(Debug)]
pub(super) struct Quota {
    limits: QuotaLimits,
    started: Instant,
    advanced: Duration,
    windows: HashMap<Bucket, Window>,
}

/// One bucket's window, by the quota's own clock.
#[derive(Debug, Clone, Copy, Default)]
struct Window {
    opened: Option<Duration>,
    used: u32,
}

impl Quota {
    /// Every bucket full, no window open.
    pub(super) fn new(limits: QuotaLimits) -> Self {
        Self { limits, started: Instant::now(), advanced: Duration::ZERO, windows: HashMap::new() }
    }

    /// Moves the clock the windows run by.
    pub(super) fn advance(&mut self, by: Duration) {
        self.advanced += by;
    }

    /// Takes one request out of the bucket.
    pub(super) fn spend(&mut self, bucket: Bucket) -> Result<(), UsedUp> {
        let now = self.now();
        let limit = self.limit(bucket);
        let window = self.current(bucket);
        let window = Window { opened: window.opened.or(Some(now)), ..window };
        let (window, outcome) = if window.used < limit {
            (Window { used: window.used + 1, ..window }, Ok(()))
        } else {
            (window, Err(UsedUp))
        };
        self.windows.insert(bucket, window);
        outcome
    }

    pub(super) fn standing(&self, bucket: Bucket) -> Standing {
        let window = self.current(bucket);
        let total = self.limit(bucket);
        let open_for =
            window.opened.map_or(Duration::ZERO, |opened| self.now().saturating_sub(opened));
        let left = self.limits.window.saturating_sub(open_for);
        Standing {
            remaining: total.saturating_sub(window.used),
            total,
            resets_in_s: left.as_secs() + u64::from(left.subsec_nanos() > 0),
        }
    }

    /// The bucket's window, a fresh one if the last has run out.
    fn current(&self, bucket: Bucket) -> Window {
        let window = self.windows.get(&bucket).copied().unwrap_or_default();
        match window.opened {
            Some(opened) if self.now() < opened + self.limits.window => window,
            _ => Window::default(),
        }
    }

    const fn limit(&self, bucket: Bucket) -> u32 {
        match bucket {
            Bucket::Me => self.limits.me,
            Bucket::Organization(_) => self.limits.organization,
        }
    }

    fn now(&self) -> Duration {
        self.started.elapsed() + self.advanced
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    #[test]
    fn refused_requests_do_not_push_the_reset_back() {
        let mut quota = Quota::new(QuotaLimits { me: 1, organization: 1, window: HOUR });
        assert!(quota.spend(Bucket::Me).is_ok());
        quota.advance(HOUR / 2);

        assert!(quota.spend(Bucket::Me).is_err());

        assert_eq!(quota.standing(Bucket::Me).remaining, 0);
        assert!(quota.standing(Bucket::Me).resets_in_s <= 1800);
        quota.advance(HOUR / 2);
        assert!(quota.spend(Bucket::Me).is_ok());
    }

    #[test]
    fn the_buckets_are_independent() {
        let mut quota = Quota::new(QuotaLimits { me: 0, organization: 1, window: HOUR });
        let [one, other] = [1, 2].map(|id| Bucket::Organization(Some(id)));

        assert!(quota.spend(Bucket::Me).is_err());
        assert!(quota.spend(one).is_ok());
        assert!(quota.spend(one).is_err());
        assert!(quota.spend(other).is_ok());
    }
}
