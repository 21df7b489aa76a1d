//! When entries started, as earlier runs saw it: what proves that an answer without any is no accident.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

mod units;

use self::units::Units;

/// Which units of time had entries that started in them. Keys `windows.<user>`, in hours, and
/// `reports.<user>.<workspace>.<scope>`, in days of UTC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SeenStarts {
    unit_s: i64,
    /// Looked at.
    looked: Units,
    /// With entries.
    filled: Units,
    /// Of the filled ones, those that were found empty once.
    emptied: Units,
    /// When they were looked at last.
    at: Timestamp,
}

/// Whether "there is nothing" is to be believed of a stretch of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Emptiness {
    /// It was empty before, or is for the second time.
    Believed,
    /// Nobody has looked there before: there is nothing to claim.
    New,
    /// Entries started then, when it was last looked at: the units, as seconds since 1970.
    Doubted {
        /// When that was.
        at: Timestamp,
        /// From and to of each unit with entries.
        filled: Vec<(i64, i64)>,
    },
}

impl SeenStarts {
    /// Nothing has been seen yet.
    pub(crate) const fn by_hours() -> Self {
        Self::new(3_600)
    }

    /// The same where only whole days are ever asked for.
    pub(crate) const fn by_days() -> Self {
        Self::new(86_400)
    }

    const fn new(unit_s: i64) -> Self {
        let none = Units::new();
        Self {
            unit_s,
            looked: none,
            filled: Units::new(),
            emptied: Units::new(),
            at: Timestamp::UNIX_EPOCH,
        }
    }

    /// What to think of an answer without any entry that starts in `[from, to)`.
    pub(crate) fn emptiness(&self, from: Timestamp, to: Timestamp) -> Emptiness {
        let (first, end) = self.inside(from, to);
        let filled: Vec<_> = self
            .filled
            .within(first, end)
            .filter(|unit| !self.emptied.has(*unit))
            .map(|unit| (unit * self.unit_s, (unit + 1) * self.unit_s))
            .collect();
        if !filled.is_empty() {
            return Emptiness::Doubted { at: self.at, filled };
        }
        // What lies after all that was ever looked at is new by nature.
        let known = self.looked.end().map_or(first, |known| known.min(end));
        if first < known && self.looked.covers(first, known) {
            Emptiness::Believed
        } else {
            Emptiness::New
        }
    }

    /// Takes over what was seen of a stretch: the starts of its entries.
    pub(crate) fn note(
        &mut self,
        (from, to): (Timestamp, Timestamp),
        starts: impl Iterator<Item = Timestamp>,
        at: Timestamp,
    ) {
        let (first, end) = self.inside(from, to);
        let mut units: Vec<i64> =
            starts.map(|start| start.as_second().div_euclid(self.unit_s)).collect();
        units.sort_unstable();
        units.dedup();
        let is_doubted = matches!(self.emptiness(from, to), Emptiness::Doubted { .. });
        self.looked.add(first, end);
        if units.is_empty() && is_doubted {
            let filled: Vec<_> = self.filled.within(first, end).collect();
            for unit in filled {
                self.emptied.add(unit, unit + 1);
            }
        } else {
            self.filled.remove(first, end);
            self.emptied.remove(first, end);
            for unit in units {
                self.filled.add(unit, unit + 1);
            }
        }
        self.filled.forget_early();
        self.looked.forget_early();
        self.at = at;
    }

    /// The units that lie wholly in a stretch: the first, and the one after the last.
    fn inside(&self, from: Timestamp, to: Timestamp) -> (i64, i64) {
        let first = (from.as_second() + self.unit_s - 1).div_euclid(self.unit_s);
        (first, to.as_second().div_euclid(self.unit_s).max(first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hour: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 / 3_600 * 3_600 + hour * 3_600).unwrap()
    }

    fn seen(hours: &[i64]) -> SeenStarts {
        let mut seen = SeenStarts::by_hours();
        seen.note((at(0), at(100)), hours.iter().map(|hour| at(*hour)), at(200));
        seen
    }

    fn look(seen: &mut SeenStarts, from: i64, to: i64) -> bool {
        let doubted = matches!(seen.emptiness(at(from), at(to)), Emptiness::Doubted { .. });
        seen.note((at(from), at(to)), std::iter::empty(), at(300));
        doubted
    }

    #[test]
    fn what_was_full_is_believed_to_be_empty_the_second_time() {
        assert_eq!(SeenStarts::by_hours().emptiness(at(0), at(100)), Emptiness::New);
        let mut seen = seen(&[10, 60]);
        assert!(look(&mut seen, 20, 120));
        assert_eq!(seen.emptiness(at(20), at(120)), Emptiness::Believed);
        assert!(!look(&mut seen, 20, 120));
        assert!(look(&mut seen, 0, 100), "the entry before was not looked for");
    }

    #[test]
    fn days_that_have_passed_by_the_last_entry_are_empty_by_nature() {
        assert_eq!(seen(&[10, 60]).emptiness(at(61), at(161)), Emptiness::Believed);
    }

    #[test]
    fn a_narrow_look_says_nothing_of_what_lies_around_it() {
        let mut seen = seen(&[10, 60]);
        assert!(!look(&mut seen, 80, 104));
        assert!(look(&mut seen, 0, 104), "there were entries before today");
        let mut fresh = SeenStarts::by_hours();
        fresh.note((at(80), at(104)), std::iter::empty(), at(200));
        assert_eq!(fresh.emptiness(at(0), at(104)), Emptiness::New);
    }

    #[test]
    fn entries_in_the_middle_of_what_was_seen_are_remembered() {
        let mut year = seen(&[10, 50, 90]);
        assert!(look(&mut year, 40, 60));
    }

    #[test]
    fn entries_after_a_doubt_begin_anew() {
        let mut seen = seen(&[10, 60]);
        assert!(look(&mut seen, 0, 100));
        seen.note((at(0), at(100)), std::iter::once(at(10)), at(400));
        assert!(look(&mut seen, 0, 100));
    }
}
