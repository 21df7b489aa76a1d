//! Windows of time, by the start of what they hold.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan as _};
use serde::{Deserialize, Serialize};

/// The first of that many days, of which today is the last.
///
/// # Errors
/// When the date leaves the calendar.
pub(crate) fn first_of(days: u32, today: Date) -> Result<Date, jiff::Error> {
    today.checked_sub((i64::from(days) - 1).days())
}

/// A half-open span of starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Window {
    pub(crate) from: Timestamp,
    pub(crate) to: Timestamp,
}

impl Window {
    /// The last `days` days of that time zone up to the midnight after today.
    ///
    /// # Errors
    /// When the dates leave the calendar.
    pub(crate) fn last_days(days: u32, today: Date, zone: &TimeZone) -> Result<Self, jiff::Error> {
        let midnight = |date: Date| Ok::<_, jiff::Error>(date.to_zoned(zone.clone())?.timestamp());
        Ok(Self { from: midnight(first_of(days, today)?)?, to: midnight(today.tomorrow()?)? })
    }

    /// Two halves cut at a whole second, the later first; none when it is a second long.
    pub(crate) fn halves(self) -> Option<[Self; 2]> {
        let length = self.to.duration_since(self.from);
        if length <= SignedDuration::from_secs(1) {
            return None;
        }
        let middle = Timestamp::from_second(self.from.as_second() + length.as_secs() / 2).ok()?;
        Some([Self { from: middle, to: self.to }, Self { from: self.from, to: middle }])
    }

    pub(crate) fn contains(self, start: Timestamp) -> bool {
        self.from <= start && start < self.to
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn last_days(days: u32, now: &str, zone: &str) -> (String, String) {
        let zone = TimeZone::get(zone).unwrap();
        let today = now.parse::<Timestamp>().unwrap().to_zoned(zone.clone()).date();
        let window = Window::last_days(days, today, &zone).unwrap();
        (window.from.to_string(), window.to.to_string())
    }

    #[test]
    fn today_is_the_profiles_today() {
        let (from, to) = last_days(1, "2024-12-16T23:30:00Z", "Europe/Berlin");
        assert_eq!((from.as_str(), to.as_str()), ("2024-12-16T23:00:00Z", "2024-12-17T23:00:00Z"));
        let (from, to) = last_days(3, "2024-12-16T23:30:00Z", "America/Los_Angeles");
        assert_eq!((from.as_str(), to.as_str()), ("2024-12-14T08:00:00Z", "2024-12-17T08:00:00Z"));
    }

    #[test]
    fn days_are_as_long_as_the_clocks_make_them() {
        let (from, to) = last_days(1, "2024-03-31T12:00:00Z", "Europe/Berlin");
        assert_eq!((from.as_str(), to.as_str()), ("2024-03-30T23:00:00Z", "2024-03-31T22:00:00Z"));
    }

    #[test]
    fn a_window_holds_its_first_moment_and_not_its_last() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let window = Window { from: at(10), to: at(20) };
        let held: Vec<_> = (0..30).filter(|second| window.contains(at(*second))).collect();
        assert_eq!(held, (10..20).collect::<Vec<_>>());
    }

    #[test]
    fn halves_are_as_long_as_one_another_and_the_later_comes_first() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let halves = |from, to| Window { from: at(from), to: at(to) }.halves();
        let later_and_earlier = |from, middle, to| {
            Some([
                Window { from: at(middle), to: at(to) },
                Window { from: at(from), to: at(middle) },
            ])
        };
        assert_eq!(halves(10, 30), later_and_earlier(10, 20, 30));
        assert_eq!(halves(10, 13), later_and_earlier(10, 11, 13));
        assert_eq!(halves(10, 12), later_and_earlier(10, 11, 12));
        assert_eq!(halves(10, 11), None);
    }

    #[test]
    fn days_that_leave_the_calendar_are_an_error() {
        assert_eq!(first_of(2, Date::constant(2024, 3, 1)).unwrap(), Date::constant(2024, 2, 29));
        assert!(first_of(2, Date::MIN).is_err());
        assert!(Window::last_days(1, Date::MAX, &TimeZone::UTC).is_err());
    }

    proptest! {
        #[test]
        fn halves_tile_their_window(from in 0..2_000_000_000_i64, length in 1..100_000_000_i64) {
            let at = |second| Timestamp::from_second(second).unwrap();
            let window = Window { from: at(from), to: at(from + length) };
            match window.halves() {
                None => prop_assert_eq!(length, 1),
                Some([later, earlier]) => {
                    prop_assert_eq!(earlier.from, window.from);
                    prop_assert_eq!(earlier.to, later.from);
                    prop_assert_eq!(later.to, window.to);
                    prop_assert!(earlier.from < earlier.to && later.from < later.to);
                }
            }
        }
    }
}
