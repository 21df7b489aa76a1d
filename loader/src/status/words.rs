//! Numbers and times as people read them.

use std::time::Duration;

use indicatif::HumanBytes;
use jiff::Timestamp;

/// In UTC, to the minute.
pub(crate) fn time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M").to_string()
}

/// In UTC, the day alone.
pub(crate) fn day(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d").to_string()
}

/// From here on days alone tell enough.
const MONTH: u64 = 30 * 24 * 3_600;

/// Its two greatest units.
pub(crate) fn duration(seconds: i64) -> String {
    let seconds = u64::try_from(seconds).unwrap_or(0);
    let unit = match seconds {
        0..3_600 => 1,
        3_600..86_400 => 60,
        86_400..MONTH => 3_600,
        _ => return format!("{} days", seconds / 86_400),
    };
    humantime::format_duration(Duration::from_secs(seconds / unit * unit)).to_string()
}

pub(crate) fn bytes(bytes: u64) -> String {
    HumanBytes(bytes).to_string()
}

/// What stands for what is not known, or not there.
pub(crate) const UNKNOWN: &str = "-";

pub(crate) fn known<T>(value: Option<T>, words: impl FnOnce(T) -> String) -> String {
    value.map_or_else(|| UNKNOWN.to_owned(), words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_durations_leave_out_what_nobody_asks_for() {
        let words = [
            (-5, "0s"),
            (65, "1m 5s"),
            (3_725, "1h 2m"),
            (90_061, "1day 1h"),
            (68 * 86_400 + 7_200, "68 days"),
        ];
        for (seconds, expected) in words {
            assert_eq!(duration(seconds), expected);
        }
    }
}
