//! When runs are due.

use anyhow::Context as _;
use croner::Cron;
use jiff::{SignedDuration, Zoned};

/// As a clock is set back for being a bit fast; more is another time.
const A_LITTLE: SignedDuration = SignedDuration::from_hours(1);

/// A schedule, and where in it the runs are.
pub(super) struct Clock<'a> {
    pub(super) schedule: &'a Cron,
    /// What the last run was due at.
    pub(super) last: Option<Zoned>,
}

impl Clock<'_> {
    /// A clock that is set back a little does not bring the same run twice.
    pub(super) fn next(&self, now: &Zoned) -> anyhow::Result<Zoned> {
        let is_near = |last: &&Zoned| *last > now && now.duration_until(last) < A_LITTLE;
        self.following(self.last.as_ref().filter(is_near).unwrap_or(now))
    }

    /// How long it is from the last run to the next one.
    pub(super) fn until_next(&self) -> SignedDuration {
        let last = self.last.as_ref();
        last.zip(self.after_last()).map_or(A_LITTLE, |(last, next)| last.duration_until(&next))
    }

    pub(super) fn after_last(&self) -> Option<Zoned> {
        self.last.as_ref().and_then(|last| self.following(last).ok())
    }

    fn following(&self, moment: &Zoned) -> anyhow::Result<Zoned> {
        let next = self.schedule.find_next_occurrence(moment, false);
        next.with_context(|| format!("the schedule {} never comes", self.schedule.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use std::str::FromStr as _;

    use super::*;

    /// When a schedule comes next in Berlin, where summer time begins on 2026-03-29 and ends on 2026-10-25.
    fn next(schedule: &str, now: &str, times: usize) -> Vec<String> {
        let schedule = Cron::from_str(schedule).unwrap();
        let mut clock = Clock { schedule: &schedule, last: None };
        let mut now: Zoned = format!("{now}[Europe/Berlin]").parse().unwrap();
        let mut found = Vec::new();
        for _ in 0..times {
            now = clock.next(&now).unwrap();
            clock.last = Some(now.clone());
            found.push(now.strftime("%d %H:%M %Z").to_string());
        }
        found
    }

    #[test]
    fn a_time_of_day_comes_once_a_day_when_summer_time_begins_and_ends() {
        let spring = next("30 2 * * *", "2026-03-28T12:00", 2);
        assert_eq!(spring, ["29 03:00 CEST", "30 02:30 CEST"]);
        let autumn = next("30 2 * * *", "2026-10-24T12:00", 2);
        assert_eq!(autumn, ["25 02:30 CEST", "26 02:30 CET"]);
    }

    #[test]
    fn every_hour_is_every_hour_when_summer_time_begins_and_ends() {
        let spring = next("17 * * * *", "2026-03-29T00:30", 3);
        assert_eq!(spring, ["29 01:17 CET", "29 03:17 CEST", "29 04:17 CEST"]);
        let autumn = next("17 * * * *", "2026-10-25T01:30", 4);
        assert_eq!(autumn, ["25 02:17 CEST", "25 02:17 CET", "25 03:17 CET", "25 04:17 CET"]);
    }

    #[test]
    fn the_last_run_of_a_week_comes_again_after_the_week_end() {
        let schedule = Cron::from_str("0 7-20 * * MON-FRI").unwrap();
        let hours = |last: &str| {
            let last = format!("2026-01-{last}[UTC]").parse().unwrap();
            Clock { schedule: &schedule, last: Some(last) }.until_next().as_hours()
        };
        assert_eq!([hours("30T19:00"), hours("29T20:00"), hours("30T20:00")], [1, 11, 59]);
    }

    #[test]
    fn a_clock_that_is_set_back_a_little_brings_no_run_twice_and_one_set_back_far_does() {
        let schedule = Cron::from_str("17 * * * *").unwrap();
        let at = |time: &str| format!("2026-01-31T{time}[UTC]").parse::<Zoned>().unwrap();
        let clock = Clock { schedule: &schedule, last: Some(at("12:17")) };
        assert_eq!(clock.next(&at("12:16:58")).unwrap(), at("13:17"));
        assert_eq!(clock.next(&at("12:17:01")).unwrap(), at("13:17"));
        assert_eq!(clock.next(&at("09:00")).unwrap(), at("09:17"));
    }
}
