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

/// Stretches of time, each with what was last seen of the entries that start in it. Keys
/// `windows.<user>` and `reports.<user>.<workspace>.<scope>`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SeenStarts(Vec<Stretch>);

/// More stretches than reports of twenty years have; the oldest look is forgotten first.
const MAX_STRETCHES: usize = 64;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Stretch {
    from: Timestamp,
    to: Timestamp,
    count: usize,
    /// Earliest and latest start; none without entries.
    starts: Option<(Timestamp, Timestamp)>,
    at: Timestamp,
    /// When it was found empty, if that has not been believed yet.
    emptied_at: Option<Timestamp>,
}

/// Whether "there is nothing" is to be believed of a stretch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Emptiness {
    /// It was empty before, or is for the second time.
    Believed,
    /// Nobody has looked there before: there is nothing to claim.
    New,
    /// There were so many entries at that time.
    Doubted(usize, Timestamp),
}

impl SeenStarts {
    /// What to think of an answer without any entry that starts in `[from, to)`.
    pub(crate) fn emptiness(&self, from: Timestamp, to: Timestamp) -> Emptiness {
        let inside = |start: &Timestamp| from <= *start && *start < to;
        let doubted =
            self.0.iter().filter(|stretch| stretch.emptied_at.is_none()).find(|stretch| {
                stretch.starts.is_some_and(|(first, last)| inside(&first) || inside(&last))
            });
        match doubted {
            Some(stretch) => Emptiness::Doubted(stretch.count, stretch.at),
            None if self.0.iter().any(|stretch| stretch.from < to && from < stretch.to) => {
                Emptiness::Believed
            }
            None => Emptiness::New,
        }
    }

    /// Takes over what was seen of a stretch: how many entries, the earliest and latest of their starts.
    pub(crate) fn note(
        &mut self,
        (from, to): (Timestamp, Timestamp),
        count: usize,
        starts: Option<(Timestamp, Timestamp)>,
        at: Timestamp,
    ) {
        if starts.is_none() && matches!(self.emptiness(from, to), Emptiness::Doubted(..)) {
            for stretch in &mut self.0 {
                if stretch.from < to && from < stretch.to {
                    stretch.emptied_at = stretch.emptied_at.or(Some(at));
                }
            }
            return;
        }
        self.0.retain(|stretch| stretch.to <= from || to <= stretch.from);
        self.0.push(Stretch { from, to, count, starts, at, emptied_at: None });
        if self.0.len() > MAX_STRETCHES {
            let oldest = (0..).zip(&self.0).min_by_key(|(_, stretch)| stretch.at);
            if let Some(place) = oldest.map(|(place, _)| place) {
                self.0.remove(place);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn starts(first: i64, last: i64) -> (Timestamp, Timestamp) {
        (at(first), at(last))
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

    #[test]
    fn a_stretch_that_was_full_is_believed_to_be_empty_the_second_time() {
        let mut seen = SeenStarts::default();
        assert_eq!(seen.emptiness(at(0), at(100)), Emptiness::New);
        seen.note((at(0), at(100)), 3, Some(starts(10, 60)), at(200));
        assert_eq!(seen.emptiness(at(20), at(120)), Emptiness::Doubted(3, at(200)));
        seen.note((at(20), at(120)), 0, None, at(300));
        assert_eq!(seen.emptiness(at(20), at(120)), Emptiness::Believed);
        seen.note((at(20), at(120)), 0, None, at(400));
        assert_eq!(seen.emptiness(at(20), at(120)), Emptiness::Believed);
    }

    #[test]
    fn days_that_have_passed_by_the_last_entry_are_empty_by_nature() {
        let mut seen = SeenStarts::default();
        seen.note((at(0), at(100)), 3, Some(starts(10, 60)), at(200));
        assert_eq!(seen.emptiness(at(61), at(161)), Emptiness::Believed);
    }

    #[test]
    fn entries_after_a_doubt_begin_anew() {
        let mut seen = SeenStarts::default();
        seen.note((at(0), at(100)), 3, Some(starts(10, 60)), at(200));
        seen.note((at(0), at(100)), 0, None, at(300));
        seen.note((at(0), at(100)), 2, Some(starts(10, 20)), at(400));
        assert_eq!(seen.emptiness(at(0), at(100)), Emptiness::Doubted(2, at(400)));
    }

    #[test]
    fn no_more_is_kept_than_a_report_of_a_lifetime_needs() {
        let mut seen = SeenStarts::default();
        for place in 0..200 {
            seen.note((at(place), at(place + 1)), 1, Some(starts(place, place)), at(place));
        }
        assert_eq!(seen.0.len(), MAX_STRETCHES);
        assert_eq!(seen.emptiness(at(199), at(200)), Emptiness::Doubted(1, at(199)));
    }
}
