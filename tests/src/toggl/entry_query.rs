//! Reading the parameters of `/me/time_entries`: what they ask for, or why Toggl refuses them.

use std::collections::HashMap;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, Timestamp};

use super::time_entries::EntryFilter;

/// Toggl's body for `since` together with `before`, as recorded.
const SINCE_AND_BEFORE: &str = "'since' and 'before' can not be present simultaneously";

/// What Toggl answers when nothing is asked for: the last nine days.
const DEFAULT_SPAN: SignedDuration = SignedDuration::from_hours(9 * 24);

/// The present, and how far back Toggl looks.
#[derive(Debug)]
pub(super) struct Horizon<'a> {
    pub(super) now: Timestamp,
    pub(super) time_zone: &'a TimeZone,
    pub(super) months: Option<i32>,
}

impl Horizon<'_> {
    /// What the query asks for, or the text of the 400.
    pub(super) fn filter(&self, query: &HashMap<String, String>) -> Result<EntryFilter, String> {
        if query.contains_key("since") && query.contains_key("before") {
            return Err(SINCE_AND_BEFORE.to_owned());
        }
        let time = |name| query.get(name).map(|text| self.time(name, text)).transpose();
        let since = query.get("since").map(|text| unix_seconds("since", text)).transpose()?;
        let (start, end, before) = (time("start_date")?, time("end_date")?, time("before")?);
        if start.is_some() != end.is_some() {
            // The wording is not recorded, only that one without the other is refused.
            return Err("start_date and end_date must be present simultaneously".to_owned());
        }
        for (name, bound) in [("start_date", start), ("since", since), ("before", before)] {
            self.check_floor(name, bound)?;
        }
        if start.or(since).or(before).is_none() {
            let start = self.now - DEFAULT_SPAN;
            return Ok(EntryFilter { start: Some(start.as_second()), ..EntryFilter::default() });
        }
        let end = end.into_iter().chain(before).min();
        Ok(EntryFilter {
            start: start.map(Timestamp::as_second),
            end: end.map(first_second_at_or_after),
            changed_since: since.map(Timestamp::as_second),
        })
    }

    /// The first day Toggl still answers for, counted in calendar months.
    fn floor(&self) -> Option<Date> {
        let today = self.now.to_zoned(self.time_zone.clone()).date();
        self.months.map(|months| today.saturating_sub(Span::new().months(months)))
    }

    fn check_floor(&self, name: &str, bound: Option<Timestamp>) -> Result<(), String> {
        match (bound, self.floor()) {
            (Some(bound), Some(floor)) if bound.to_zoned(self.time_zone.clone()).date() < floor => {
                Err(format!("{name} must not be earlier than {floor}"))
            }
            _ => Ok(()),
        }
    }

    /// A date in the profile's time zone, or RFC 3339 with an offset and seconds.
    fn time(&self, name: &str, text: &str) -> Result<Timestamp, String> {
        let refused = || format!("{name} is not a valid date");
        if text.len() == "YYYY-MM-DD".len() {
            let date: Date = text.parse().map_err(|_| refused())?;
            let midnight = date.to_zoned(self.time_zone.clone()).map_err(|_| refused())?;
            return Ok(midnight.timestamp());
        }
        // Toggl's parser insists on the seconds, jiff's does not.
        let has_seconds = text.as_bytes().get("YYYY-MM-DDTHH:MM".len()) == Some(&b':');
        if !has_seconds {
            return Err(refused());
        }
        text.parse().map_err(|_| refused())
    }
}

pub(super) fn unix_seconds(name: &str, text: &str) -> Result<Timestamp, String> {
    let second = text.parse().ok().and_then(|second| Timestamp::from_second(second).ok());
    second.ok_or_else(|| format!("{name} is not a valid unix timestamp"))
}

/// Starts are whole seconds, so an exclusive bound within a second lets that second through.
fn first_second_at_or_after(bound: Timestamp) -> i64 {
    bound.as_second() + i64::from(bound.subsec_nanosecond() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(now: &str, query: &[(&str, &str)]) -> Result<EntryFilter, String> {
        let time_zone = TimeZone::get("Europe/Berlin").unwrap();
        let now = now.parse().unwrap();
        let query = query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Horizon { now, time_zone: &time_zone, months: Some(3) }.filter(&query.collect())
    }

    fn second(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_second()
    }

    #[test]
    fn floor_is_three_calendar_months_and_named_in_the_refusal() {
        let ask = |start| {
            filter("2026-02-11T12:00:00Z", &[("start_date", start), ("end_date", "2026-02-12")])
        };

        assert_eq!(
            ask("2025-11-10").unwrap_err(),
            "start_date must not be earlier than 2025-11-11"
        );
        assert!(ask("2025-11-11").is_ok());
        assert!(ask("2025-11-10T23:30:00+00:00").is_ok(), "already the 11th in Berlin");
    }

    #[test]
    fn since_has_the_same_floor() {
        let ask = |since| filter("2026-02-11T12:00:00Z", &[("since", since)]);

        assert!(ask("1735689600").is_err());
        assert_eq!(ask("1770000000").unwrap().changed_since, Some(1_770_000_000));
    }

    #[test]
    fn bare_dates_are_midnights_of_the_profile() {
        let filter = filter(
            "2026-07-11T12:00:00Z",
            &[("start_date", "2026-07-01"), ("end_date", "2026-07-02")],
        )
        .unwrap();

        assert_eq!(filter.start, Some(second("2026-06-30T22:00:00Z")));
        assert_eq!(filter.end, Some(second("2026-07-01T22:00:00Z")));
    }

    #[test]
    fn times_without_seconds_or_with_a_raw_plus_are_refused() {
        let ask = |start| {
            filter("2026-02-11T12:00:00Z", &[("start_date", start), ("end_date", "2026-02-12")])
        };

        assert!(ask("2026-02-01T10:00Z").is_err());
        assert!(ask("2026-02-01T10:00:00 00:00").is_err());
        assert!(ask("2026-02-01T10:00:00+00:00").is_ok());
    }

    #[test]
    fn start_without_end_is_refused() {
        assert!(filter("2026-02-11T12:00:00Z", &[("start_date", "2026-02-01")]).is_err());
    }
}
