//! History from reports: every entry once.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tests::rows::{count, raw_rows};
use tests::servers::{DEADLINE, wait_for};
use tests::toggl::{Account, AccountSize, Answer};
use tests::world::World;

use crate::expected::endings::{assert_fails, assert_misused};
use crate::expected::rows::resource;
use crate::reports::reporting::{
    REPORT, REPORTS, days_ago, entry, live_ids, load, questions, reported, team,
};

#[tokio::test]
async fn a_report_of_three_years_holds_every_entry_once() {
    let world = World::start(Account::generate(&team(50_000))).await.unwrap();
    let from = days_ago(3 * 365 + 2);
    let finished = world.sync(&["report", "--from", &from]).await.unwrap();
    load(&world).await;
    let expected = world.toggl.with_account(|account| reported(account));
    assert_eq!(live_ids(&world).await, expected);
    let said = format!("Time entries of workspace 2230991: {}", expected.len());
    assert!(finished.stdout.contains(&said), "{said} is not in {}", finished.stdout);

    let mut connection = world.connect().await.unwrap();
    let claimed: Vec<(bool, bool)> = sqlx::query_as(
        "select user_id is null, range_agg(starts) @> tstzrange(now() - interval '3 years', now())
         from raw.toggl_track__claims where resource = 'time_entries_report' group by 1",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    assert_eq!(claimed, [(true, true)], "an admin's report is complete for everybody");
    let questions = questions(&world);
    assert!(questions.len() < 60, "{} requests for 50 pages", questions.len());
    for question in questions {
        assert_eq!((&question["rounding"], &question["rounding_minutes"]), (&0.into(), &0.into()));
        assert_eq!(question["page_size"], 1_000);
    }
}

#[tokio::test]
async fn the_same_report_again_writes_no_row() {
    let world = World::start(Account::generate(&team(3_000))).await.unwrap();
    let from = days_ago(3 * 365 + 2);
    world.sync_and_load(&["report", "--from", &from]).await.unwrap();
    let mut connection = world.connect().await.unwrap();
    let table = "toggl_track__time_entries_report";
    let before = tests::rows::snapshot(&mut connection, table).await.unwrap();
    assert!(before.len() > 2_990, "{}", before.len());
    // A new entry moves the numbers of all rows after it.
    let early = Timestamp::now() - SignedDuration::from_hours(24 * 300);
    world.toggl.with_account(|account| account.put_time_entry(&entry(account, 1, early)));

    world.sync_and_load(&["report", "--from", &from]).await.unwrap();

    let after = tests::rows::snapshot(&mut connection, table).await.unwrap();
    assert_eq!(after.len(), before.len() + 1);
    let rewritten: Vec<_> = before.iter().filter(|row| !after.contains(row)).collect();
    // Days beyond what a span claims carry their news in the row itself.
    assert!(rewritten.len() <= 30, "{rewritten:#?}");
}

#[tokio::test]
async fn rows_that_hold_several_entries_become_a_row_each() {
    let world = World::start(Account::generate(&team(400))).await.unwrap();
    world.toggl.configure(|behaviour| behaviour.report_rows_hold = 3);
    world.sync_and_load(&["report", "--from", &days_ago(3 * 365 + 2)]).await.unwrap();
    assert_eq!(live_ids(&world).await, world.toggl.with_account(|account| reported(account)));
}

#[tokio::test]
async fn a_cursor_that_repeats_ends_the_report_instead_of_going_round() {
    let world = World::start(Account::generate(&team(50))).await.unwrap();
    let page = Answer::json("[]")
        .header("x-next-id", "1")
        .header("x-next-row-number", "1001")
        .header("x-next-timestamp", "1700000000");
    world.toggl.script(REPORT, page.forever());
    let finished = world.fetcher(&["report", "--from", &days_ago(10)]).run().await.unwrap();
    assert_fails(&finished, 1, &["circles"]);
}

#[tokio::test]
async fn days_beyond_toggls_floor_come_from_reports() {
    let world =
        World::start(Account::generate(&AccountSize { days: 400, ..team(3_000) })).await.unwrap();
    let finished = world.sync_and_load(&["--days", "410"]).await.unwrap();
    assert!(finished.stdout.contains("Older time entries, from reports: "), "{}", finished.stdout);
    let mut connection = world.connect().await.unwrap();
    let mut stored: BTreeSet<i64> = BTreeSet::new();
    for name in ["time_entries", "time_entries_report"] {
        let rows = raw_rows(&mut connection, resource(name)).await.unwrap();
        stored.extend(rows.into_iter().filter(|(_, r)| r.deleted_at.is_none()).map(|(id, _)| id));
    }
    let own: BTreeSet<i64> = world.toggl.with_account(|account| {
        let user_id = account.user_id();
        let own = |text: &str| serde_json::from_str::<Value>(text).unwrap()["user_id"] == user_id;
        let entries = account.time_entries().filter(|e| !e.is_deleted() && own(e.text()));
        entries.map(tests::toggl::TimeEntry::id).collect()
    });
    assert!(own.len() > 400, "{}", own.len());
    assert_eq!(stored, own, "the token's own entries, and nobody else's");
}

#[tokio::test]
async fn a_report_says_how_far_it_is_and_how_long_it_will_take() {
    let world = World::start(Account::generate(&team(5_000))).await.unwrap();
    world.toggl.script(REPORT, Answer::pass_through().delay(Duration::from_secs(4)).forever());
    let from = days_ago(3 * 365 + 2);
    let fetcher = world.fetcher(&["report", "--from", &from]).start().await.unwrap();
    let line = || async { fetcher.log().contains(" entries, ").then_some(()) };
    wait_for("a line of progress", DEADLINE, line).await.unwrap();
    assert!(fetcher.log().contains('%') && fetcher.log().contains(" left"), "{}", fetcher.log());
    fetcher.kill9().unwrap();
}

#[tokio::test]
async fn wrong_days_of_a_report_are_misuse() {
    for days in
        [&["--from", "2024-02-30"][..], &["--from", "2024-02-02", "--to", "2024-02-01"], &[]]
    {
        let world = tests::workers::Worker::new("fetcher", &[&["report"], days].concat());
        assert_misused(&world.env("TOGGL_API_TOKEN", "t").run().await.unwrap(), &["--"]);
    }
}

#[tokio::test]
async fn a_report_that_is_closed_to_the_account_is_skipped() {
    let world = World::start(Account::generate(&team(10))).await.unwrap();
    world.toggl.script(REPORT, Answer::status(403).body(r#""not yours""#).forever());
    let finished = world.fetcher(&["report", "--from", &days_ago(10)]).run().await.unwrap();
    assert_eq!(finished.code, Some(6), "{finished:#?}");
    assert!(finished.stdout.contains("Skipped: time_entries_report"), "{}", finished.stdout);
}

/// So that the count of a table that nobody filled is not taken for a test.
#[tokio::test]
async fn a_sync_of_a_few_days_asks_no_report() {
    let world = World::start(Account::generate(&team(100))).await.unwrap();
    world.sync_and_load(&["--days", "85"]).await.unwrap();
    assert_eq!(world.toggl.count(REPORTS), 0);
    let mut connection = world.connect().await.unwrap();
    assert_eq!(count(&mut connection, resource("time_entries_report")).await.unwrap(), 0);
}
