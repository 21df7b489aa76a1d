//! Which days a report is of, and in which steps they are drawn.

use jiff::civil::Date;
use jiff::{Span, ToSpan as _};

use super::error::HoursError;

/// Up to so many days, each is a step.
const MOST_DAYS: i32 = 45;
/// Up to so many days, each week is a step.
const MOST_DAYS_IN_WEEKS: i32 = 300;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Day,
    Week,
    Month,
}

impl Unit {
    pub(super) fn of(from: Date, to: Date) -> Self {
        match (to - from).get_days() {
            days if days < MOST_DAYS => Self::Day,
            days if days < MOST_DAYS_IN_WEEKS => Self::Week,
            _ => Self::Month,
        }
    }

    /// The column of the view of daily entries.
    pub(super) const fn column(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }

    fn step(self) -> Span {
        match self {
            Self::Day => 1.day(),
            Self::Week => 7.days(),
            Self::Month => 1.month(),
        }
    }

    /// All steps of these days, where `known` begins one; steps without hours too.
    pub(super) fn steps(self, from: Date, to: Date, known: Option<Date>) -> Vec<Date> {
        let first = match (self, known) {
            (Self::Month, _) => from.first_of_month(),
            (Self::Week, Some(known)) => {
                // Weeks begin on different days, as people have set it.
                let days = (from - known).get_days().rem_euclid(7);
                from - i64::from(days).days()
            }
            _ => from,
        };
        first.series(self.step()).take_while(|date| *date <= to).collect()
    }
}

/// From and to: up to today, from the first of the month.
pub(super) fn span(
    from: Option<Date>,
    to: Option<Date>,
    today: Date,
) -> Result<(Date, Date), HoursError> {
    let to = to.unwrap_or(today);
    match from {
        None => Ok((to.first_of_month(), to)),
        Some(from) if from > to => Err(HoursError::Future(from)),
        Some(from) => Ok((from, to)),
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn without_dates_it_is_this_month_up_to_today() {
        let today = date(2026, 11, 30);
        let days = |from, to| span(from, to, today).ok();
        assert_eq!(days(None, None), Some((date(2026, 11, 1), today)));
        assert_eq!(
            days(None, Some(date(2026, 2, 28))),
            Some((date(2026, 2, 1), date(2026, 2, 28)))
        );
        assert_eq!(days(Some(date(2026, 1, 5)), None), Some((date(2026, 1, 5), today)));
        assert_eq!(days(Some(date(2026, 12, 1)), None), None);
    }

    #[test]
    fn every_step_is_there_and_weeks_begin_where_people_begin_them() {
        let (from, to) = (date(2026, 11, 1), date(2026, 12, 20));
        assert_eq!(Unit::of(from, to), Unit::Week);
        let weeks = Unit::Week.steps(from, to, Some(date(2026, 11, 16)));
        assert_eq!(weeks.first(), Some(&date(2026, 10, 26)));
        assert_eq!(weeks.len(), 8);
        assert_eq!(Unit::of(from, date(2026, 11, 30)), Unit::Day);
        assert_eq!(Unit::Day.steps(from, date(2026, 11, 30), None).len(), 30);
        assert_eq!(Unit::of(from, date(2027, 10, 31)), Unit::Month);
        assert_eq!(
            Unit::Month.steps(date(2026, 11, 5), date(2027, 1, 1), None),
            [date(2026, 11, 1), date(2026, 12, 1), date(2027, 1, 1)]
        );
    }
}
