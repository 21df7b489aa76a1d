//! What earlier runs saw of each listing: what proves that a short or empty answer is no accident.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::is_within;

/// A list that was read without proof of its end gets one within this, at the next run after it.
const PROOF_DUE: Duration = Duration::from_hours(1);
/// And again after this.
const PROOF_KEPT: Duration = Duration::from_hours(7 * 24);

/// What a user's runs saw of the lists of a workspace, by resource. Key `listings.<user>.<workspace>`,
/// workspace 0 for what is the account's.
pub(crate) type Listings = BTreeMap<String, Seen>;

/// The key of [`Listings`].
pub(crate) fn listings_key(user_id: i64, workspace_id: i64) -> String {
    format!("listings.{user_id}.{workspace_id}")
}

/// A listing that was read to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seen {
    /// Rows.
    pub(crate) count: usize,
    /// Lowest id.
    pub(crate) first: Option<i64>,
    /// Highest id.
    pub(crate) last: Option<i64>,
    /// When it was asked for.
    pub(crate) at: Timestamp,
    /// When it was asked for the first time.
    first_at: Timestamp,
    /// When an empty page or a total last proved that nothing follows.
    proven_at: Option<Timestamp>,
    /// When it was found empty, if that has not been believed yet; `count` is of before.
    pub(crate) emptied_at: Option<Timestamp>,
}

impl Seen {
    /// What a run has just seen.
    pub(crate) fn of(count: usize, ids: impl Iterator<Item = i64> + Clone, at: Timestamp) -> Self {
        let (first, last) = (ids.clone().min(), ids.max());
        Self { count, first, last, at, first_at: at, proven_at: None, emptied_at: None }
    }

    /// The same, whose end was proven.
    pub(crate) fn proven(self) -> Self {
        Self { proven_at: Some(self.at), ..self }
    }

    /// The same with what is to be kept of before: a list found empty for the first time is remembered as
    /// it was.
    pub(crate) fn after(self, before: Option<&Self>) -> Self {
        match before {
            Some(before) if self.count == 0 && before.count > 0 && before.emptied_at.is_none() => {
                Self { emptied_at: Some(self.at), ..before.clone() }
            }
            Some(before) => Self {
                first_at: before.first_at,
                proven_at: self.proven_at.or(before.proven_at),
                ..self
            },
            None => self,
        }
    }

    /// Whether it is time to prove once more that nothing follows. That the list is as long as the last time
    /// is proof from run to run; but both may have been cut in the same place.
    pub(crate) fn wants_proof(&self, now: Timestamp) -> bool {
        match self.proven_at {
            Some(at) => !is_within(at, now, PROOF_KEPT),
            None => !is_within(self.first_at, now, PROOF_DUE),
        }
    }

    /// Whether another look saw the same rows, as far as their number and outermost ids tell.
    pub(crate) fn is_like(&self, count: usize, first: Option<i64>, last: Option<i64>) -> bool {
        (self.count, self.first, self.last) == (count, first, last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    #[test]
    fn the_end_of_a_list_is_proven_within_the_hour_and_every_week() {
        let hour = 3_600;
        let first = Seen::of(3, [1, 2, 3].into_iter(), at(0));
        assert!(!first.wants_proof(at(hour)));
        let second = Seen::of(3, [1, 2, 3].into_iter(), at(hour)).after(Some(&first));
        assert!(second.wants_proof(at(hour + 1)));
        let proven = Seen::of(3, [1, 2, 3].into_iter(), at(2 * hour)).proven().after(Some(&second));
        let later = Seen::of(3, [1, 2, 3].into_iter(), at(9 * hour)).after(Some(&proven));
        assert!(!later.wants_proof(at((2 + 7 * 24) * hour)));
        assert!(later.wants_proof(at((2 + 7 * 24) * hour + 1)));
    }
}
