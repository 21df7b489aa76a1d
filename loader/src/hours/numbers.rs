//! Numbers and days in words.

use jiff::civil::Date;

use crate::status::proof::grouped;

/// Seconds in hours, with two decimals, rounded.
pub(super) fn decimal(seconds: i64) -> String {
    hundredths(div_rounded(seconds, 36))
}

/// The same without separators, for machines.
pub(super) fn plain(seconds: i64) -> String {
    let hundredths = div_rounded(seconds, 36);
    let sign = if hundredths < 0 { "-" } else { "" };
    let size = hundredths.unsigned_abs();
    format!("{sign}{}.{:02}", size / 100, size % 100)
}

/// Millionths of a unit, with two decimals.
pub(super) fn money(millionths: i64) -> String {
    hundredths(div_rounded(millionths, 10_000))
}

/// The same without cents, where there is little room.
pub(super) fn whole(millionths: i64) -> String {
    grouped(div_rounded(millionths, 1_000_000))
}

/// With cents and without separators.
pub(super) fn plain_money(millionths: i64) -> String {
    plain(div_rounded(millionths, 10_000) * 36)
}

/// A part of a whole in percent, rounded.
pub(super) fn percent(part: i64, whole: i64) -> i64 {
    if whole <= 0 { 0 } else { div_rounded(part * 100, whole) }
}

fn hundredths(number: i64) -> String {
    let sign = if number < 0 { "-" } else { "" };
    let size = number.abs();
    format!("{sign}{}.{:02}", grouped(size / 100), size % 100)
}

/// Halves go up.
fn div_rounded(number: i64, by: i64) -> i64 {
    (2 * number + by).div_euclid(2 * by)
}

/// From one day to another, as one says it.
pub(super) fn days(from: Date, to: Date) -> String {
    if from == to {
        return to.strftime("%-d %B %Y").to_string();
    }
    let format = match (from.year() == to.year(), from.month() == to.month()) {
        (true, true) => "%-d",
        (true, false) => "%-d %B",
        (false, _) => "%-d %B %Y",
    };
    format!("{} to {}", from.strftime(format), to.strftime("%-d %B %Y"))
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn hours_and_money_are_rounded_to_two_decimals() {
        assert_eq!(
            [0, 17, 18, 3_600, 4_500_000].map(decimal),
            ["0.00", "0.00", "0.01", "1.00", "1,250.00"]
        );
        assert_eq!(plain(4_500_000), "1250.00");
        assert_eq!([1_234_565_000, -500_000].map(money), ["1,234.57", "-0.50"]);
        assert_eq!(whole(1_234_565_000), "1,235");
        assert_eq!(plain_money(1_234_565_000), "1234.57");
        assert_eq!([percent(1, 3), percent(2, 3), percent(1, 0)], [33, 67, 0]);
    }

    #[test]
    fn days_are_said_as_short_as_they_can_be() {
        let first = date(2026, 11, 1);
        assert_eq!(days(first, first), "1 November 2026");
        assert_eq!(days(first, date(2026, 11, 30)), "1 to 30 November 2026");
        assert_eq!(days(first, date(2026, 12, 3)), "1 November to 3 December 2026");
        assert_eq!(days(first, date(2027, 1, 3)), "1 November 2026 to 3 January 2027");
    }
}
