//! The days of an inventory.

use std::fmt;

use jiff::ToSpan as _;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::report::UnknownDays;

/// The most days that Toggl sums up in one answer.
pub(crate) const LONGEST: i64 = 365;

/// Days, both inclusive, by the clock of whose entry it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Days {
    pub(crate) from: Date,
    pub(crate) to: Date,
}

impl Days {
    /// The first so many of these days.
    pub(crate) fn first(self, most: i64) -> Self {
        let end = self.from.saturating_add((most.clamp(1, LONGEST) - 1).days());
        Self { from: self.from, to: end.min(self.to) }
    }

    /// What is left after these; none where they are the last.
    pub(crate) fn after(self, done: Self) -> Option<Self> {
        let from = done.to.tomorrow().ok()?;
        (from <= self.to).then_some(Self { from, to: self.to })
    }

    pub(crate) fn count(self) -> i64 {
        i64::from((self.to - self.from).get_days()) + 1
    }

    /// How many inventories they take.
    pub(crate) fn spans(self) -> u32 {
        u32::try_from((self.count() + LONGEST - 1) / LONGEST).unwrap_or(u32::MAX)
    }

    pub(super) fn asked(self) -> (String, String) {
        (self.from.to_string(), self.to.to_string())
    }

    /// What is wrong with the days that Toggl says it looked at, if anything.
    pub(super) fn fault(
        self,
        looked_at: Option<Result<(Date, Date), UnknownDays>>,
    ) -> Option<String> {
        match looked_at? {
            Ok((from, to)) if from <= self.from && to >= self.to => None,
            Ok((from, to)) => Some(format!("Toggl looked only at {from} to {to}")),
            Err(UnknownDays) => Some("which days Toggl looked at is unknown".to_owned()),
        }
    }
}

impl fmt::Display for Days {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", self.from, self.to)
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn spans_cover_every_day_once_and_are_never_longer_than_toggl_takes(
            start in 0_i64..9_000, length in 1_i64..3_000, most in 1_i64..500
        ) {
            let from = date(2006, 1, 1).saturating_add(start.days());
            let all = Days { from, to: from.saturating_add((length - 1).days()) };
            let (mut rest, mut next, mut count) = (Some(all), from, 0);
            while let Some(left) = rest {
                let span = left.first(most);
                prop_assert_eq!(span.from, next);
                prop_assert!(span.count() <= LONGEST.min(most));
                next = span.to.tomorrow().unwrap();
                count += span.count();
                rest = all.after(span);
            }
            prop_assert_eq!(count, length);
            prop_assert_eq!(next, all.to.tomorrow().unwrap());
        }
    }

    #[test]
    fn an_answer_for_fewer_days_than_were_asked_for_is_no_proof() {
        let days = Days { from: date(2024, 1, 1), to: date(2024, 12, 30) };
        let fault = |from, to| days.fault(Some(Ok((from, to))));
        assert_eq!(days.fault(None), None);
        assert_eq!(fault(date(2024, 1, 1), date(2024, 12, 30)), None);
        assert_eq!(
            fault(date(2024, 10, 1), date(2024, 12, 30)).as_deref(),
            Some("Toggl looked only at 2024-10-01 to 2024-12-30")
        );
        assert!(days.fault(Some(Err(UnknownDays))).is_some());
    }

    #[test]
    fn a_span_is_a_year_of_365_days_at_most() {
        let days = |count: i64| {
            let from = date(2024, 1, 1);
            Days { from, to: from.saturating_add((count - 1).days()) }.spans()
        };
        assert_eq!([1, 365, 366, 730, 731].map(days), [1, 1, 2, 2, 3]);
    }
}
