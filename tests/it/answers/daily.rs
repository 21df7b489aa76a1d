//! The view of daily entries: entries are divided at local midnight, and nothing is lost or added.

use std::cell::RefCell;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan as _};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Executor as _};
use tokio::runtime::Runtime;

use crate::expected::rows::resource;
use crate::staging::staged::{Form, Staged, settle};

/// Zones, each with a time shortly before its clocks change: put forward and back, at midnight and over it, by
/// half an hour, and by a whole day at the date line.
const CHANGES: [(&str, &str); 13] = [
    ("UTC", "2026-03-28T12:00:00Z"),
    ("Europe/Berlin", "2026-03-28T12:00:00Z"),
    ("Europe/Berlin", "2026-10-24T12:00:00Z"),
    ("America/New_York", "2026-03-07T12:00:00Z"),
    ("America/New_York", "2026-10-31T12:00:00Z"),
    ("America/Sao_Paulo", "2018-11-03T12:00:00Z"),
    ("America/Sao_Paulo", "2018-02-17T12:00:00Z"),
    ("America/Havana", "2025-03-08T12:00:00Z"),
    ("America/Havana", "2025-11-01T12:00:00Z"),
    ("Atlantic/Azores", "2026-10-24T12:00:00Z"),
    ("Australia/Lord_Howe", "2026-04-04T00:00:00Z"),
    ("Asia/Kathmandu", "2026-01-01T00:00:00Z"),
    ("Pacific/Apia", "2011-12-29T12:00:00Z"),
];

/// An entry: its zone, its start, how long it took by the clock, what Toggl tells instead of that, its price.
type Entry = (&'static str, Timestamp, i64, Option<i64>, Option<i64>);

fn entries() -> impl Strategy<Value = Entry> {
    let day = 86_400_i64;
    (
        select(CHANGES.to_vec()),
        -2 * day..2 * day,
        prop_oneof![Just(0), 1..4 * 3_600_i64, 0..3 * day, Just(day), 0..60 * day],
        proptest::option::weighted(0.3, prop_oneof![Just(0), 0..10_i64, 0..10 * day]),
        proptest::option::of(0..1_000_000_i64),
    )
        .prop_map(|((zone, change), seconds, clocked, told, cents)| {
            let change: Timestamp = change.parse().unwrap();
            (zone, change + SignedDuration::from_secs(seconds), clocked, told, cents)
        })
}

/// The days of an entry and their seconds by the clock: for each local day what lies between its first moment
/// and that of the next.
fn by_the_clock(zone: &str, start: Timestamp, clocked: i64) -> Vec<(Date, i64)> {
    let zone = TimeZone::get(zone).unwrap();
    let stop = start + SignedDuration::from_secs(clocked);
    let first = start.to_zoned(zone.clone()).date();
    let mut days = Vec::new();
    let mut day = first;
    loop {
        let next = day.checked_add(1.day()).unwrap();
        let begins =
            |day: Date| day.to_zoned(zone.clone()).unwrap().start_of_day().unwrap().timestamp();
        let from = if day == first { start } else { begins(day) };
        let until = begins(next).min(stop);
        if until > from || day == first {
            days.push((day, until.duration_since(from).as_secs()));
        }
        if begins(next) >= stop {
            return days;
        }
        day = next;
    }
}

/// What the view shows of one entry: day, seconds, millionths of its price, start and end of the part.
type Part = (Date, i64, Option<i64>, Timestamp, Timestamp);

/// Puts an entry of user 7.
async fn put(staged: &mut Staged, (_, start, clocked, told, cents): Entry) {
    let stop = start + SignedDuration::from_secs(clocked);
    let record = json!({"start": start.to_string(), "stop": stop.to_string(), "user_id": 7,
        "seconds": told.unwrap_or(clocked), "billable_amount_in_cents": cents});
    staged.put(resource("time_entries_report"), 1, &Form::live(record)).await;
}

async fn parts(staged: &mut Staged) -> Vec<Part> {
    let sql = "select day::text, seconds, (billable_amount * 1000000)::bigint,
                   (extract(epoch from part_started_at) * 1000000)::bigint,
                   (extract(epoch from part_stopped_at) * 1000000)::bigint
               from staging.stg_toggl_track__daily_entries order by part_started_at";
    let rows: Vec<(String, i64, Option<i64>, i64, i64)> =
        sqlx::query_as(sql).fetch_all(&mut staged.connection).await.unwrap();
    let at = |micros| Timestamp::from_microsecond(micros).unwrap();
    rows.into_iter()
        .map(|(day, seconds, millionths, from, until)| {
            (day.parse().unwrap(), seconds, millionths, at(from), at(until))
        })
        .collect()
}

/// The parts, however Postgres comes by them: in a zone that the session names or in the person's own, of an entry
/// that has not been copied, that was copied in another zone, or that was copied in this one.
async fn parts_in_every_way(staged: &mut Staged, entry: Entry) -> Vec<(&'static str, Vec<Part>)> {
    let (zone, ..) = entry;
    let mut ways = Vec::new();
    put(staged, entry).await;
    let set = format!("set toggl_track.time_zone = '{zone}'");
    staged.connection.execute(AssertSqlSafe(set)).await.unwrap();
    ways.push(("not copied", parts(staged).await));
    settle(&mut staged.connection).await;
    ways.push(("copied in another zone than the session's", parts(staged).await));
    staged.connection.execute("reset toggl_track.time_zone").await.unwrap();
    let membership = json!({"uid": 7, "timezone": zone});
    staged.put(resource("workspace_users"), 70, &Form::live(membership)).await;
    ways.push(("moved", parts(staged).await));
    settle(&mut staged.connection).await;
    ways.push(("copied in their zone", parts(staged).await));
    let is_undivided = "select count(*) from raw.toggl_track__unreckoned_entries";
    let undivided: i64 =
        sqlx::query_scalar(is_undivided).fetch_one(&mut staged.connection).await.unwrap();
    assert_eq!(undivided, 0, "the copy knows its days");
    ways
}

fn check(entry: Entry, parts: &[Part]) -> Result<(), TestCaseError> {
    let (zone, start, clocked, told, cents) = entry;
    let days = by_the_clock(zone, start, clocked);
    let shown: Vec<Date> = parts.iter().map(|part| part.0).collect();
    prop_assert_eq!(&shown, &days.iter().map(|(day, _)| *day).collect::<Vec<_>>());
    let total = told.unwrap_or(clocked);
    prop_assert_eq!(parts.iter().map(|part| part.1).sum::<i64>(), total, "seconds");
    let amount = parts.iter().map(|part| part.2.unwrap_or(0)).sum::<i64>();
    prop_assert_eq!(amount, cents.unwrap_or(0) * 10_000, "amount");
    let mut reached = start;
    for (part, (day, seconds)) in parts.iter().zip(days) {
        let (_, share, millionths, from, until) = *part;
        prop_assert_eq!(from, reached, "{}", day);
        prop_assert_eq!(until.duration_since(from).as_secs(), seconds, "{}", day);
        reached = until;
        if total == clocked {
            prop_assert_eq!(share, seconds, "{}", day);
        } else if clocked > 0 {
            // At most a second for rounding.
            prop_assert!(
                (i128::from(share) * i128::from(clocked) - i128::from(total) * i128::from(seconds))
                    .abs()
                    <= i128::from(clocked)
            );
        }
        prop_assert_eq!(millionths.is_some(), cents.is_some());
        if let (Some(millionths), Some(cents)) = (millionths, cents)
            && total > 0
        {
            let wanted = i128::from(cents) * 10_000 * i128::from(share) / i128::from(total);
            prop_assert!((i128::from(millionths) - wanted).abs() <= 2, "{} of {}", day, cents);
        }
    }
    prop_assert_eq!(reached, start + SignedDuration::from_secs(clocked));
    Ok(())
}

#[test]
fn entries_are_divided_at_midnight_whatever_the_clocks_do() {
    let runtime = Runtime::new().unwrap();
    let staged = RefCell::new(runtime.block_on(Staged::start()));
    let config = Config { cases: 100, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(&entries(), |entry| {
        let ways = runtime.block_on(parts_in_every_way(&mut staged.borrow_mut(), entry));
        ways.iter().try_for_each(|(way, parts)| {
            check(entry, parts)
                .map_err(|error| TestCaseError::fail(format!("{way}: {error}: {parts:?}")))
        })
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}

/// What the view shows of an entry of v9: how many rows, and their days and seconds from first to last.
async fn shown(
    staged: &mut Staged,
    record: Value,
) -> (i64, Option<String>, Option<String>, Option<i64>) {
    staged.put(resource("time_entries"), 1, &Form::live(record)).await;
    let sql = "select count(*), min(day)::text, max(day)::text, sum(seconds)::bigint
               from staging.stg_toggl_track__daily_entries";
    let seen = sqlx::query_as(sql).fetch_one(&mut staged.connection).await.unwrap();
    settle(&mut staged.connection).await;
    let copied = sqlx::query_as(sql).fetch_one(&mut staged.connection).await.unwrap();
    assert_eq!(seen, copied, "read from the raw tables, and from the copy");
    seen
}

#[tokio::test]
async fn entries_that_cannot_be_are_kept_and_bounded() {
    let mut staged = Staged::start().await;
    let start = "2016-11-28T20:00:00Z";
    let most = 999_999_999_999_999_i64;
    let day = |day: &str| Some(day.to_owned());
    for (record, wanted) in [
        (json!({"start": "soon", "stop": start, "duration": 10}), (1, None, None, Some(10))),
        (json!({"duration": 10}), (1, None, None, None)),
        (
            json!({"start": start, "stop": "2416-11-28T20:00:00Z", "duration": 12_622_780_800_i64}),
            (400, day("2016-11-28"), day("2018-01-01"), Some(12_622_780_800)),
        ),
        (
            json!({"start": start, "stop": "soon", "duration": most}),
            (400, day("2016-11-28"), day("2018-01-01"), Some(most)),
        ),
        (
            json!({"start": "9999-12-31T23:00:00-15:59", "stop": "soon", "duration": most}),
            (400, day("10000-01-01"), day("10001-02-03"), Some(most)),
        ),
        (
            json!({"start": start, "stop": "2016-11-28T19:00:00Z", "duration": 8 * 3_600}),
            (2, day("2016-11-28"), day("2016-11-29"), Some(8 * 3_600)),
        ),
        (
            json!({"start": start, "stop": "soon", "duration": -1}),
            (1, day("2016-11-28"), day("2016-11-28"), None),
        ),
    ] {
        let shown = shown(&mut staged, record.clone()).await;
        assert_eq!(shown, wanted, "{record}");
    }
}

#[tokio::test]
async fn a_running_entry_is_divided_up_to_now() {
    let mut staged = Staged::start().await;
    let start = Timestamp::now() - SignedDuration::from_hours(50);
    let record = json!({"start": start.to_string(), "duration": -1});
    let (days, first, last, seconds) = shown(&mut staged, record).await;
    assert!(days == 3 || days == 4, "{days}");
    assert_eq!(first, Some(start.to_zoned(TimeZone::UTC).date().to_string()));
    assert!(first < last && seconds.is_none());
    let sql = "select round(sum(hours_so_far), 1)::float8,
                   count(*) filter (where part_stopped_at is null), sum(hours)::float8
               from staging.stg_toggl_track__daily_entries";
    let sums: (f64, i64, Option<f64>) =
        sqlx::query_as(sql).fetch_one(&mut staged.connection).await.unwrap();
    assert!((50.0..50.2).contains(&sums.0), "{sums:?}");
    assert_eq!((sums.1, sums.2), (1, None));
}

#[tokio::test]
async fn weeks_and_months_are_those_of_the_part() {
    let mut staged = Staged::start().await;
    // From a Saturday to a Monday.
    let record = json!({"start": "2026-02-28T20:00:00Z", "stop": "2026-03-02T04:00:00Z",
        "duration": 115_200});
    staged.put(resource("time_entries"), 1, &Form::live(record)).await;
    let rows = staged.rows("daily_entries").await;
    let shown: Vec<_> = rows
        .iter()
        .map(|row| [&row["day"], &row["week"], &row["month"]].map(Value::as_str))
        .collect();
    let wanted = [
        ["2026-02-28", "2026-02-23", "2026-02-01"],
        ["2026-03-01", "2026-02-23", "2026-03-01"],
        ["2026-03-02", "2026-03-02", "2026-03-01"],
    ];
    for wanted in wanted {
        assert!(shown.contains(&wanted.map(Some)), "{shown:?}");
    }
    assert_eq!(rows.len(), 3);
}
