//! History from reports: every entry once, whatever happens on the way.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp, ToSpan as _};
use serde_json::Value;
use tests::rows::{count, raw_rows};
use tests::servers::wait_for;
use tests::toggl::{Account, AccountSize, Answer, QuotaLimits, Running, SeenRequest};
use tests::world::World;

use crate::endings::{assert_fails, assert_misused};
use crate::expected_rows::resource;

const REPORT: &str = "/reports/api/v3/workspace/{w}/search/time_entries";
const REPORTS: &str = "/reports/";

/// Three years of many people's entries.
fn team(entries: usize) -> AccountSize {
    AccountSize {
        users: 7,
        entry_users: 7,
        time_entries: entries,
        days: 3 * 365,
        ..AccountSize::default()
    }
}

fn days_ago(days: i64) -> String {
    (Timestamp::now() - SignedDuration::from_hours(24 * days)).strftime("%Y-%m-%d").to_string()
}

/// Ids of the entries that a report shows: neither deleted nor running.
fn reported(account: &Account) -> BTreeSet<i64> {
    let shown = |text: &str| serde_json::from_str::<Value>(text).unwrap()["stop"].is_string();
    let entries = account.time_entries().filter(|e| !e.is_deleted() && shown(e.text()));
    entries.map(tests::toggl::TimeEntry::id).collect()
}

async fn live_ids(world: &World) -> BTreeSet<i64> {
    let mut connection = world.connect().await.unwrap();
    let rows = raw_rows(&mut connection, resource("time_entries_report")).await.unwrap();
    rows.into_iter().filter(|(_, row)| row.deleted_at.is_none()).map(|(id, _)| id).collect()
}

async fn load(world: &World) {
    let loader = world.start_loader().await.unwrap();
    world.loaded().await.unwrap();
    assert_eq!(loader.terminate().await.unwrap(), Some(0));
}

/// Questions asked of reports, as JSON.
fn questions(world: &World) -> Vec<Value> {
    let asked = world.toggl.requests().into_iter().filter(|r| r.path.starts_with(REPORTS));
    asked.map(|request: SeenRequest| serde_json::from_str(&request.body).unwrap()).collect()
}

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
async fn a_report_that_was_killed_goes_on_where_it_was() {
    let world = World::start(Account::generate(&team(50_000))).await.unwrap();
    let from = days_ago(3 * 365 + 2);
    // Slow answers make sure that the kill comes in the middle.
    let slow = Answer::pass_through().delay(Duration::from_millis(100));
    world.toggl.script(REPORT, slow.forever());
    let fetcher = world.fetcher(&["report", "--from", &from]).start().await.unwrap();
    tokio::time::timeout(Duration::from_mins(1), world.toggl.wait_for(REPORTS, 9)).await.unwrap();
    fetcher.kill9().unwrap();
    let before = questions(&world);

    world.toggl.clear_scripts();
    world.sync(&["report", "--from", &from]).await.unwrap();
    load(&world).await;

    assert_eq!(live_ids(&world).await, world.toggl.with_account(|account| reported(account)));
    let after = questions(&world).split_off(before.len());
    // The last one was on its way, the one before may not have been written down.
    let acknowledged = &before[..before.len() - 2];
    for question in &after {
        assert!(!acknowledged.contains(question), "asked again: {question}");
    }
    assert_eq!(world.toggl.count(REPORTS), before.len() + after.len());
}

#[tokio::test]
async fn a_report_that_is_interrupted_says_so_and_restart_begins_anew() {
    let world = World::start(Account::generate(&team(20_000))).await.unwrap();
    let arguments = ["report", "--from", &days_ago(3 * 365 + 2)];
    world.toggl.script(REPORT, Answer::pass_through().delay(Duration::from_millis(100)).forever());
    let fetcher = world.fetcher(&arguments).start().await.unwrap();
    tokio::time::timeout(Duration::from_mins(1), world.toggl.wait_for(REPORTS, 5)).await.unwrap();
    fetcher.signal("INT").unwrap();
    assert_eq!(fetcher.ended(Duration::from_secs(20)).await.unwrap(), Some(1));
    assert!(fetcher.log().contains("interrupted"), "{}", fetcher.log());
    let first = questions(&world)[0].clone();

    world.toggl.clear_scripts();
    let again = world.sync(&arguments).await.unwrap();
    assert!(again.stderr.contains("Going on with the report"), "{}", again.stderr);
    assert_eq!(questions(&world).iter().filter(|question| **question == first).count(), 1);

    world.sync(&[&arguments[..], &["--restart"]].concat()).await.unwrap();
    assert_eq!(questions(&world).iter().filter(|question| **question == first).count(), 2);
    load(&world).await;
    assert_eq!(live_ids(&world).await, world.toggl.with_account(|account| reported(account)));
}

#[tokio::test]
async fn a_report_stopped_by_the_quota_ends_with_4_and_goes_on_after_the_reset() {
    let world = World::start(Account::generate(&team(40_000))).await.unwrap();
    let arguments = ["report", "--from", &days_ago(3 * 365 + 2)];
    world.toggl.limit_quota(QuotaLimits { organization: 30, ..QuotaLimits::default() });
    let finished = world.fetcher(&arguments).run().await.unwrap();
    assert_fails(&finished, 4, &["quota", "come back in ", "goes on"]);
    let first = world.toggl.count(REPORTS);
    load(&world).await;
    let sent = live_ids(&world).await;
    assert!(sent.len() > 20_000, "everything that was fetched is sent: {}", sent.len());

    let finished = world.fetcher(&arguments).run().await.unwrap();
    assert_fails(&finished, 4, &["quota"]);
    assert_eq!(world.toggl.count(REPORTS), first, "asked in vain");

    world.toggl.advance_quota_clock(Duration::from_hours(1));
    forget_the_reset(&world).await;
    world.sync(&arguments).await.unwrap();
    load(&world).await;
    assert_eq!(live_ids(&world).await, world.toggl.with_account(|account| reported(account)));
}

/// The simulator's hour has passed, the fetcher's clock has not moved.
async fn forget_the_reset(world: &World) {
    let user_id = world.toggl.with_account(|account| account.user_id());
    let context = world.jetstream().await.unwrap();
    let bucket = context.get_key_value(fetcher::state::BUCKET).await.unwrap();
    bucket.purge(format!("limits.{user_id}")).await.unwrap();
}

#[tokio::test]
async fn an_entry_deleted_in_toggl_is_marked_by_the_next_report_and_no_other() {
    let world = World::start(Account::generate(&team(3_000))).await.unwrap();
    let arguments = ["report", "--from", &days_ago(3 * 365 + 2)];
    world.sync_and_load(&arguments).await.unwrap();
    let deleted: BTreeSet<i64> = world.toggl.with_account(|account| {
        let ids: Vec<_> = reported(account).into_iter().collect();
        let chosen: BTreeSet<i64> = ids.into_iter().step_by(97).collect();
        for id in &chosen {
            account.delete_time_entry(*id, Timestamp::now());
        }
        chosen
    });
    assert!(deleted.len() > 20);
    world.sync_and_load(&arguments).await.unwrap();
    let mut connection = world.connect().await.unwrap();
    let rows = raw_rows(&mut connection, resource("time_entries_report")).await.unwrap();
    let marked: BTreeSet<i64> =
        rows.into_iter().filter(|(_, row)| row.deleted_at.is_some()).map(|(id, _)| id).collect();
    assert_eq!(marked, deleted);
}

#[tokio::test]
async fn entries_of_people_all_over_the_world_are_claimed_wherever_they_are() {
    let mut account = Account::generate(&team(2_000));
    let first = account.user_id();
    let zones = ["Pacific/Kiritimati", "Pacific/Pago_Pago", "Asia/Kolkata", "America/St_Johns"];
    for (user, zone) in (first + 1..).zip(zones) {
        account.set_user_time_zone(user, zone);
    }
    let world = World::start(account).await.unwrap();
    let arguments = ["report", "--from", &days_ago(700), "--to", &days_ago(400)];
    world.sync_and_load(&arguments).await.unwrap();
    let live = live_ids(&world).await;
    let (from, to) = (days_ago(700), days_ago(400));
    let start = |day: &str| format!("{day}T00:00:00Z").parse::<Timestamp>().unwrap();
    let (from, to) = (start(&from).as_second(), start(&to).as_second() + 86_400);
    world.toggl.with_account(|account| {
        let shown = reported(account);
        for entry in account.time_entries().filter(|entry| shown.contains(&entry.id())) {
            if (from..to).contains(&entry.start_s()) {
                assert!(live.contains(&entry.id()), "{} is missing", entry.text());
            }
        }
    });

    // Nothing that another report found at the edges is taken for deleted.
    world
        .sync_and_load(&["report", "--from", &days_ago(550), "--to", &days_ago(450)])
        .await
        .unwrap();
    assert_eq!(live_ids(&world).await, live);
}

#[tokio::test]
async fn who_is_no_admin_vouches_for_nobody_else() {
    let mut account = Account::generate(&team(600));
    let workspace = account.workspaces()[0].text().replace(r#""role":"admin""#, r#""role":"user""#);
    let workspace = tests::toggl::with_fields(&workspace, &[("admin", "false")]);
    let world = World::start(account.clone()).await.unwrap();
    let arguments = ["report", "--from", &days_ago(3 * 365 + 2)];
    world.sync_and_load(&arguments).await.unwrap();
    let everybody = live_ids(&world).await;

    account.put_workspace(&workspace);
    world.toggl.with_account(|known| *known = account);
    world.sync_and_load(&arguments).await.unwrap();

    assert_eq!(
        live_ids(&world).await,
        everybody,
        "the others' entries were not shown, not deleted"
    );
    let mut connection = world.connect().await.unwrap();
    let users: Vec<Option<i64>> = sqlx::query_scalar(
        "select distinct user_id from raw.toggl_track__claims
         where resource = 'time_entries_report' and fetched_at = (
             select max(fetched_at) from raw.toggl_track__claims where resource = 'time_entries_report')",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    let user_id = world.toggl.with_account(|account| account.user_id());
    assert_eq!(users, [Some(user_id)]);
}

#[tokio::test]
async fn a_running_entry_is_left_alone_by_later_reports() {
    let mut account = Account::generate(&team(50));
    let text = entry(&account, 5, Timestamp::now() - SignedDuration::from_hours(1));
    account
        .put_time_entry(&tests::toggl::with_fields(&text, &[("stop", "null"), ("duration", "-1")]));
    let world = World::start(account).await.unwrap();
    world.toggl.configure(|behaviour| behaviour.report_running = Running::WithoutStop);
    let arguments = ["report", "--from", &days_ago(3 * 365 + 2)];
    world.sync_and_load(&arguments).await.unwrap();
    assert!(live_ids(&world).await.contains(&5));

    world.toggl.configure(|behaviour| behaviour.report_running = Running::Missing);
    world.sync_and_load(&arguments).await.unwrap();

    assert!(live_ids(&world).await.contains(&5), "a running entry was taken for deleted");
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
async fn a_page_that_was_named_and_does_not_come_leaves_the_report_incomplete() {
    let world = World::start(Account::generate(&team(2_500))).await.unwrap();
    let arguments = ["report", "--from", &days_ago(3 * 365 + 2)];
    world.sync_and_load(&arguments).await.unwrap();
    let before = live_ids(&world).await;

    world.toggl.script(REPORT, Answer::pass_through());
    // Both times that it is asked for.
    world.toggl.configure(|behaviour| behaviour.report_page_cap = 300);
    world.toggl.script(REPORT, Answer::json("[]").repeat(2));
    let finished = world.fetcher(&arguments).run().await.unwrap();
    load(&world).await;

    assert_eq!(finished.code, Some(6), "{finished:#?}");
    assert!(finished.stdout.contains("INCOMPLETE"), "{}", finished.stdout);
    assert_eq!(live_ids(&world).await, before, "what did not come was taken for deleted");
}

#[tokio::test]
async fn an_empty_report_is_asked_for_twice_before_anything_is_deleted() {
    let world =
        World::start(Account::generate(&AccountSize { days: 20, ..team(15) })).await.unwrap();
    let arguments = ["report", "--from", &days_ago(30)];
    world.sync_and_load(&arguments).await.unwrap();
    let before = live_ids(&world).await;
    assert!(!before.is_empty());
    world.toggl.script(REPORT, Answer::json("[]"));
    world.sync_and_load(&arguments).await.unwrap();
    assert_eq!(live_ids(&world).await, before);

    world.toggl.script(REPORT, Answer::json("null").repeat(2));
    world.sync_and_load(&arguments).await.unwrap();
    assert!(live_ids(&world).await.is_empty(), "nothing is there, twice");
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
    wait_for("a line of progress", Duration::from_mins(1), line).await.unwrap();
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

/// A stopped entry of the token's own user.
fn entry(account: &Account, id: i64, start: Timestamp) -> String {
    let stop = start + 1.hour();
    format!(
        r#"{{"id":{id},"workspace_id":{},"user_id":{},"start":"{start:.0}","stop":"{stop:.0}","at":"{stop:.0}","duration":3600}}"#,
        account.workspace_id(),
        account.user_id()
    )
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
