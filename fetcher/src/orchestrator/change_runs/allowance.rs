//! How many requests a run of changes may spend on lists.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::state::Limits;
use crate::toggl::{Bucket, QuotaStates};

/// Never the last quarter of what was left when it was first looked at: that belongs to the next changes and to
/// whoever else uses the token.
#[derive(Debug, Default)]
pub(super) struct Allowance {
    rest: BTreeMap<Bucket, Option<i64>>,
}

impl Allowance {
    /// Whether one more request of that bucket may be sent, which is counted then. Of a bucket of which nothing is
    /// known one request tells.
    pub(super) fn take(
        &mut self,
        bucket: Bucket,
        states: &QuotaStates,
        limits: &Limits,
        now: Timestamp,
    ) -> bool {
        let rest = self.rest.entry(bucket).or_insert_with(|| {
            let left = limits.left(bucket, states, now);
            // Toggl does not enforce what it counts below nothing.
            left.filter(|left| *left >= 0).map(|left| left - (left + 3) / 4)
        });
        match rest {
            None => true,
            Some(rest) if *rest > 0 => {
                *rest -= 1;
                true
            }
            Some(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::toggl::QuotaState;

    /// How many requests are allowed with so many left.
    fn allowed(left: Option<i64>) -> usize {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let resets_at = Timestamp::from_second(1_800_000_060).ok();
        let state = QuotaState { remaining: left, resets_at, used_up: false };
        let states = QuotaStates::from([(Bucket::User, state)]);
        let mut allowance = Allowance::default();
        let take = |_: &usize| allowance.take(Bucket::User, &states, &Limits::default(), now);
        (0..100).take_while(take).count()
    }

    #[test]
    fn the_last_quarter_of_what_is_left_is_never_taken() {
        let left = [0, 1, 2, 4, 5, 30].map(|left| allowed(Some(left)));
        assert_eq!(left, [0, 0, 1, 3, 3, 22]);
    }

    #[test]
    fn what_nobody_knows_or_enforces_keeps_nothing_back() {
        assert_eq!(allowed(None), 100);
        assert_eq!(allowed(Some(-3)), 100);
    }
}
