//! A person's day: what lies between entries, and what was tracked twice.

use std::cell::RefCell;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use tokio::runtime::Runtime;

use crate::staging::staged::Staged;

/// Minutes of a day from which to which something was tracked.
type Tracked = Vec<(i64, i64)>;

fn tracked() -> impl Strategy<Value = Tracked> {
    let entry = (0..200_i64, prop_oneof![Just(0), 1..30_i64, 1..120_i64])
        .prop_map(|(start, minutes)| (start, start + minutes));
    proptest::collection::vec(entry, 0..12)
}

/// How many entries cover each minute.
fn covered(tracked: &Tracked) -> Vec<i64> {
    let mut minutes = vec![0; 400];
    for (start, stop) in tracked {
        for minute in *start..*stop {
            minutes[usize::try_from(minute).unwrap()] += 1;
        }
    }
    minutes
}

/// The stretches in which nothing was tracked, between the first minute and the last in which something was.
fn gaps(tracked: &Tracked) -> Vec<(i64, i64)> {
    let covered = covered(tracked);
    let mut gaps = Vec::new();
    let mut last = None;
    for (minute, _) in (0..).zip(&covered).filter(|(_, count)| **count > 0) {
        if let Some(last) = last
            && last + 1 < minute
        {
            gaps.push((last + 1, minute));
        }
        last = Some(minute);
    }
    gaps
}

async fn put(staged: &mut Staged, tracked: &Tracked) {
    let clear = "truncate raw.toggl_track__time_entries_report";
    sqlx::query(clear).execute(&mut staged.connection).await.unwrap();
    let insert = "
        insert into raw.toggl_track__time_entries_report
            (source_id, workspace_id, data, api_version, fetched_at, content_hash)
        select place, 1 + place % 2, jsonb_build_object('user_id', 7, 'seconds', (stop - start) * 60,
                   'start', to_char(timestamp '2026-01-05' + start * interval '1 minute', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'),
                   'stop', to_char(timestamp '2026-01-05' + stop * interval '1 minute', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')),
               '', now(), 0
        from unnest($1::bigint[], $2::bigint[]) with ordinality as t(start, stop, place)";
    sqlx::query(insert)
        .bind(tracked.iter().map(|entry| entry.0).collect::<Vec<_>>())
        .bind(tracked.iter().map(|entry| entry.1).collect::<Vec<_>>())
        .execute(&mut staged.connection)
        .await
        .unwrap();
}

/// From which minute of the day to which, and that the seconds say the same.
async fn shown(staged: &mut Staged, kind: &str) -> Vec<(i64, i64)> {
    let minute = |column: &str| {
        format!(
            "(extract(epoch from {kind}_{column} - timestamptz '2026-01-05 00:00Z') / 60)::bigint"
        )
    };
    let (start, stop) = (minute("started_at"), minute("stopped_at"));
    let sql = format!(
        "select {start}, {stop}, {kind}_seconds from staging.stg_toggl_track__{kind}s order by 1, 2"
    );
    let rows: Vec<(i64, i64, i64)> =
        sqlx::query_as(sqlx::AssertSqlSafe(sql)).fetch_all(&mut staged.connection).await.unwrap();
    for (start, stop, seconds) in &rows {
        assert_eq!((stop - start) * 60, *seconds);
    }
    rows.into_iter().map(|(start, stop, _)| (start, stop)).collect()
}

#[test]
fn gaps_and_overlaps_are_those_of_the_minutes_of_the_day() {
    let runtime = Runtime::new().unwrap();
    let staged = RefCell::new(runtime.block_on(Staged::start()));
    let config = Config { cases: 120, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(&tracked(), |tracked| {
        let mut staged = staged.borrow_mut();
        runtime.block_on(put(&mut staged, &tracked));
        prop_assert_eq!(runtime.block_on(shown(&mut staged, "gap")), gaps(&tracked));
        let overlaps = runtime.block_on(shown(&mut staged, "overlap"));
        let covered = covered(&tracked);
        for (start, stop) in &overlaps {
            for minute in *start..*stop {
                let count = covered[usize::try_from(minute).unwrap()];
                prop_assert!(count > 1, "minute {minute} was tracked once: {overlaps:?}");
            }
        }
        // What was tracked more than once, each time but the first.
        let twice: i64 = covered.iter().map(|count| (count - 1).max(0)).sum();
        let sum: i64 = overlaps.iter().map(|(start, stop)| stop - start).sum();
        prop_assert_eq!(sum, twice);
        Ok::<_, TestCaseError>(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}

#[tokio::test]
async fn gaps_and_overlaps_name_the_entries_on_both_sides() {
    let mut staged = Staged::start().await;
    put(&mut staged, &vec![(0, 60), (10, 20), (15, 30), (90, 120)]).await;
    let gaps =
        "select previous_time_entry_id, next_time_entry_id from staging.stg_toggl_track__gaps";
    let gaps: Vec<(i64, i64)> =
        sqlx::query_as(gaps).fetch_all(&mut staged.connection).await.unwrap();
    assert_eq!(gaps, [(1, 4)]);
    let overlaps = "select time_entry_id, earlier_time_entry_id
                    from staging.stg_toggl_track__overlaps order by 1";
    let overlaps: Vec<(i64, i64)> =
        sqlx::query_as(overlaps).fetch_all(&mut staged.connection).await.unwrap();
    assert_eq!(overlaps, [(2, 1), (3, 1)]);
}
