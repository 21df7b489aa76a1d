//! How the views read times: every form that Toggl writes, and nothing that is no time.

use std::cell::RefCell;

use jiff::Timestamp;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use tokio::runtime::Runtime;

use crate::staging::staged::Staged;

#[tokio::test]
async fn times_are_read_in_every_form_that_toggl_writes() {
    let mut staged = Staged::start().await;
    for (text, wanted) in [
        ("2024-12-16T18:07:05.694469Z", Some("2024-12-16 18:07:05.694469+00")),
        ("2024-12-16T18:07:05.5Z", Some("2024-12-16 18:07:05.5+00")),
        ("2024-12-16T18:07:05Z", Some("2024-12-16 18:07:05+00")),
        ("2024-12-16T18:07:05+00:00", Some("2024-12-16 18:07:05+00")),
        ("2024-07-30T11:13:46+03:00", Some("2024-07-30 08:13:46+00")),
        ("2024-07-30T11:13:46.25-05:30", Some("2024-07-30 16:43:46.25+00")),
        ("2024-02-29T00:00:00Z", Some("2024-02-29 00:00:00+00")),
        ("2000-02-29T00:00:00Z", Some("2000-02-29 00:00:00+00")),
        ("1900-02-29T00:00:00Z", None),
        ("2023-02-29T00:00:00Z", None),
        ("2023-04-31T00:00:00Z", None),
        ("2023-13-01T00:00:00Z", None),
        ("2023-01-01T24:00:01Z", None),
        ("2023-01-01T00:00:00", None),
        ("2023-01-01", None),
        ("0001-01-01T00:00:00Z", None),
        ("2023-01-01T00:00:00+16:00", None),
        ("2023-01-01T00:00:00Z\n", None),
        ("infinity", None),
        ("now", None),
        ("", None),
    ] {
        assert_eq!(staged.cast("toggl_timestamp", text).await.as_deref(), wanted, "{text}");
    }
}

/// Year, month, day, hour, minute, second, fraction, offset in minutes.
type Moment = (i16, u8, u8, u8, u8, u8, Option<u32>, Option<i16>);

fn moments() -> impl Strategy<Value = Moment> {
    (
        prop_oneof![Just(1999), Just(2000), Just(2024), Just(2100), 1000..10_000_i16],
        0..14_u8,
        prop_oneof![27..33_u8, 0..33_u8],
        prop_oneof![22..26_u8, 0..24_u8],
        0..61_u8,
        0..60_u8,
        proptest::option::of(0..1_000_000_u32),
        proptest::option::of(-15 * 60..15 * 60_i16),
    )
}

fn spelled((year, month, day, hour, minute, second, fraction, offset): Moment) -> String {
    let fraction = fraction.map(|micros| format!(".{micros:06}")).unwrap_or_default();
    let offset = offset.map_or_else(
        || "Z".to_owned(),
        |minutes| {
            let sign = if minutes < 0 { '-' } else { '+' };
            format!("{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60)
        },
    );
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}{offset}")
}

#[test]
fn a_time_is_read_if_and_only_if_it_is_one() {
    let runtime = Runtime::new().unwrap();
    let staged = RefCell::new(runtime.block_on(Staged::start()));
    let config = Config { cases: 20, failure_persistence: None, ..Config::default() };
    let texts = proptest::collection::vec(moments().prop_map(spelled), 100);
    let outcome = TestRunner::new(config).run(&texts, |texts| {
        // jiff, which the fetcher uses, as the judge.
        let wanted: Vec<Option<i64>> = texts
            .iter()
            .map(|text| text.parse::<Timestamp>().ok().map(Timestamp::as_microsecond))
            .collect();
        let sql = "select (extract(epoch from staging.toggl_timestamp(value)) * 1000000)::bigint
                   from unnest($1::text[]) with ordinality as t(value, place) order by place";
        let mut staged = staged.borrow_mut();
        let query = sqlx::query_scalar(sql).bind(&texts).fetch_all(&mut staged.connection);
        let read: Result<Vec<Option<i64>>, _> = runtime.block_on(query);
        let read = read.map_err(|error| TestCaseError::fail(error.to_string()))?;
        for ((text, wanted), read) in texts.iter().zip(wanted).zip(read) {
            prop_assert_eq!(read, wanted, "{}", text);
        }
        Ok::<_, TestCaseError>(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}
