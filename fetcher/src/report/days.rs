//! The days of a report: what is asked for, and what the answer is complete for.
//!
//! Reports take days, both inclusive, a year at most, and cut them in the time zone of each entry's
//! owner. So a day more is asked for on either side than is claimed: what is claimed lies in the
//! asked days in every time zone there is.

use jiff::civil::{Date, date};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use reqwest::header::HeaderMap;

/// Days in a span: with the day more on either side they make a year at most.
const SPAN_DAYS: i64 = 363;

/// Toggl refuses days before this. It has published a last day, too (2030-01-01): the days after it are asked
/// for all the same, so that it is Toggl who refuses them.
pub(crate) const FIRST_DAY: Date = date(2006, 1, 1);

/// Days that are read as one listing, both inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) from: Date,
    pub(crate) to: Date,
}

impl Span {
    /// The span that begins on that day, of those up to `to`.
    pub(crate) fn starting(from: Date, to: Date) -> Self {
        let end = from.saturating_add((SPAN_DAYS - 1).days());
        Self { from, to: end.min(to) }
    }

    /// The day after it.
    pub(crate) fn next_day(self) -> Date {
        self.to.saturating_add(1.day())
    }

    /// The days to ask for, both inclusive.
    pub(crate) fn asked(self) -> (Date, Date) {
        (self.from.saturating_sub(1.day()).max(FIRST_DAY), self.next_day())
    }

    /// The starts that an answer for these days is complete for, wherever the owners of the entries are: from
    /// the first moment to before the second.
    pub(crate) fn claimed(self) -> (Timestamp, Timestamp) {
        certain(self.asked())
    }
}

/// The starts that lie in these days, both inclusive, in every time zone.
pub(crate) fn certain((first, last): (Date, Date)) -> (Timestamp, Timestamp) {
    (midnight(first.saturating_add(1.day())), midnight(last))
}

/// The days that Toggl has looked at, as the headers of an answer tell; none where they say nothing.
pub(crate) fn looked_at(headers: &HeaderMap) -> Option<Result<(Date, Date), UnknownDays>> {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let (first, last) = (text("x-range-start")?, text("x-range-end")?);
    Some(day(first).zip(day(last)).ok_or(UnknownDays))
}

/// Headers that name days, but not in a form that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UnknownDays;

/// A date, alone or before a time, or seconds since 1970.
fn day(text: &str) -> Option<Date> {
    let text = text.trim();
    let date = text.get(..10).and_then(|date| date.parse().ok());
    let seconds = || Timestamp::from_second(text.parse().ok()?).ok();
    date.or_else(|| Some(seconds()?.to_zoned(TimeZone::UTC).date()))
}

/// The beginning of the day in UTC.
pub(crate) fn midnight(day: Date) -> Timestamp {
    // Only the very ends of the calendar have no such moment.
    day.to_zoned(TimeZone::UTC).map_or(Timestamp::MIN, |zoned| zoned.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::tz::Offset;
    use proptest::prelude::*;
    use reqwest::header::{HeaderName, HeaderValue};

    #[test]
    fn the_days_that_toggl_looked_at_are_read_in_every_form() {
        let looked_at = |start: &'static str, end: &'static str| {
            let pair =
                |(name, text)| (HeaderName::from_static(name), HeaderValue::from_static(text));
            looked_at(
                &[("x-range-start", start), ("x-range-end", end)].map(pair).into_iter().collect(),
            )
        };
        let days = (date(2024, 2, 1), date(2024, 2, 29));
        assert_eq!(looked_at("2024-02-01", "2024-02-29"), Some(Ok(days)));
        let times = looked_at("2024-02-01T00:00:00+03:00", "2024-02-29T23:59:59+03:00");
        assert_eq!(times, Some(Ok(days)));
        assert_eq!(looked_at("1706745600", "1709164800"), Some(Ok(days)));
        assert_eq!(looked_at("February", "2024-02-29"), Some(Err(UnknownDays)));
        assert_eq!(super::looked_at(&HeaderMap::new()), None);
        let start = [(HeaderName::from_static("x-range-start"), HeaderValue::from_static("0"))];
        assert_eq!(super::looked_at(&start.into_iter().collect()), None);
    }

    #[test]
    fn days_after_the_last_that_was_published_are_asked_for() {
        let span = Span::starting(date(2030, 3, 1), date(2030, 3, 31));
        assert_eq!(span.asked(), (date(2030, 2, 28), date(2030, 4, 1)));
    }

    #[test]
    fn a_span_asks_for_a_year_and_no_day_more() {
        let span = Span::starting(date(2021, 1, 1), date(2022, 12, 31));
        assert_eq!(span, Span { from: date(2021, 1, 1), to: date(2021, 12, 29) });
        assert_eq!(span.asked(), (date(2020, 12, 31), date(2021, 12, 30)));
        assert_eq!(span.next_day(), date(2021, 12, 30));
        let claimed = (midnight(date(2021, 1, 1)), midnight(date(2021, 12, 30)));
        assert_eq!(span.claimed(), claimed);
    }

    #[test]
    fn days_that_toggl_refuses_are_neither_asked_for_nor_claimed() {
        let span = Span::starting(FIRST_DAY, date(2006, 1, 31));
        assert_eq!(span.asked(), (date(2006, 1, 1), date(2006, 2, 1)));
        assert_eq!(span.claimed().0, midnight(date(2006, 1, 2)));
    }

    proptest! {
        #[test]
        fn spans_tile_the_days_and_ask_for_a_year_at_most(start in 0..8_000_i64, length in 0..2_000_i64) {
            let from = date(2006, 1, 3).saturating_add(start.days());
            let to = from.saturating_add(length.days()).min(date(2029, 12, 30));
            prop_assume!(from <= to);
            let (mut day, mut reached) = (from, midnight(from));
            while day <= to {
                let span = Span::starting(day, to);
                let (first, last) = span.asked();
                prop_assert!((last - first).get_days() < 365);
                let (claimed_from, claimed_to) = span.claimed();
                prop_assert_eq!(claimed_from, reached);
                reached = claimed_to;
                day = span.next_day();
            }
            prop_assert_eq!(reached, midnight(to.tomorrow().unwrap()));
        }

        #[test]
        fn what_is_claimed_was_asked_for_in_every_time_zone(
            start in 0..8_000_i64, hours in -12..=14_i8, second in 0..i64::from(SPAN_SECONDS)
        ) {
            let from = date(2006, 1, 3).saturating_add(start.days());
            let span = Span::starting(from, from.saturating_add(100.days()));
            let at = midnight(from).checked_add(jiff::SignedDuration::from_secs(second)).unwrap();
            let (claimed_from, claimed_to) = span.claimed();
            prop_assume!(claimed_from <= at && at < claimed_to);
            let local = at.to_zoned(TimeZone::fixed(Offset::constant(hours))).date();
            let (first, last) = span.asked();
            prop_assert!(first <= local && local <= last);
        }
    }

    const SPAN_SECONDS: u32 = 100 * 86_400;
}
