//! Times as reports show them: local, with the offset, whole seconds.

use jiff::Timestamp;
use jiff::tz::TimeZone;

const DAY_S: i64 = 86_400;

/// Writes times of one zone. Times of the same day in a row share all but the time of day, so that
/// is all that is written for most.
#[derive(Debug)]
pub(super) struct LocalTimes {
    time_zone: TimeZone,
    /// Day and offset of the last time.
    last: Option<(i64, i64)>,
    text: LocalTime,
}

/// Such as `2024-07-30T11:13:46+03:00`.
#[derive(Debug, Clone, Copy)]
pub(super) struct LocalTime([u8; 25]);

impl LocalTime {
    pub(super) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("digits and signs")
    }

    fn midnight(day: i64, offset_s: i64) -> Self {
        let midnight = Timestamp::from_second(day * DAY_S).expect("a time in this era");
        let sign = if offset_s < 0 { '-' } else { '+' };
        let (hours, minutes) = (offset_s.abs() / 3600, offset_s.abs() / 60 % 60);
        let text = format!("{}{sign}{hours:02}:{minutes:02}", midnight.strftime("%FT00:00:00"));
        Self(text.into_bytes().try_into().expect("a year of four digits"))
    }

    /// The digits at the place and after it.
    fn set(&mut self, place: usize, number: i64) {
        let digit = |number: i64| u8::try_from(number).expect("a digit") + b'0';
        self.0[place] = digit(number / 10);
        self.0[place + 1] = digit(number % 10);
    }
}

impl LocalTimes {
    pub(super) fn of(time_zone: TimeZone) -> Self {
        Self { time_zone, last: None, text: LocalTime([b' '; 25]) }
    }

    pub(super) fn text(&mut self, unix_s: i64) -> LocalTime {
        let at = Timestamp::from_second(unix_s).expect("a time in this era");
        let offset_s = i64::from(self.time_zone.to_offset(at).seconds());
        let local_s = unix_s + offset_s;
        let (day, second) = (local_s.div_euclid(DAY_S), local_s.rem_euclid(DAY_S));
        if self.last != Some((day, offset_s)) {
            self.text = LocalTime::midnight(day, offset_s);
            self.last = Some((day, offset_s));
        }
        for (place, number) in [(11, second / 3600), (14, second / 60 % 60), (17, second % 60)] {
            self.text.set(place, number);
        }
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local(time_zone: &str, at: &str) -> String {
        let at: Timestamp = at.parse().unwrap();
        let mut times = LocalTimes::of(TimeZone::get(time_zone).unwrap());
        times.text(at.as_second()).as_str().to_owned()
    }

    #[test]
    fn times_carry_the_offset_of_their_season() {
        assert_eq!(local("Europe/Kyiv", "2024-07-30T08:13:46Z"), "2024-07-30T11:13:46+03:00");
        assert_eq!(local("Europe/Kyiv", "2024-12-31T22:00:00Z"), "2025-01-01T00:00:00+02:00");
        assert_eq!(local("UTC", "2024-07-30T08:14:38Z"), "2024-07-30T08:14:38+00:00");
    }

    #[test]
    fn zones_west_of_greenwich_and_of_half_hours_are_spelled_right() {
        assert_eq!(local("America/St_Johns", "2024-01-01T03:29:59Z"), "2023-12-31T23:59:59-03:30");
        assert_eq!(local("Asia/Kathmandu", "2024-01-01T00:00:00Z"), "2024-01-01T05:45:00+05:45");
    }

    #[test]
    fn one_writer_follows_days_and_offsets() {
        let mut times = LocalTimes::of(TimeZone::get("Europe/Berlin").unwrap());
        for (at, expected) in [
            ("2024-03-30T23:30:00Z", "2024-03-31T00:30:00+01:00"),
            ("2024-03-31T00:59:59Z", "2024-03-31T01:59:59+01:00"),
            ("2024-03-31T01:00:00Z", "2024-03-31T03:00:00+02:00"),
            ("2024-03-31T22:00:00Z", "2024-04-01T00:00:00+02:00"),
            ("2024-03-30T23:30:00Z", "2024-03-31T00:30:00+01:00"),
        ] {
            let at: Timestamp = at.parse().unwrap();
            assert_eq!(times.text(at.as_second()).as_str(), expected);
        }
    }
}
