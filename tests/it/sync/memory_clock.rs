//! Toggl's clock orders what is fetched, whatever this machine's says.

use jiff::{SignedDuration, Timestamp};
use sqlx::PgConnection;
use tests::rows::raw_rows;
use tests::toggl::{Account, AccountSize};
use tests::world::World;

use crate::expected::rows::{assert_tables_hold, resource};

const ENTRIES: &str = "/api/v9/me/time_entries";

/// When the batches that were loaded were fetched, the earliest and the latest.
async fn fetched(connection: &mut PgConnection) -> (Timestamp, Timestamp) {
    let sql = "select extract(epoch from min(fetched_at))::bigint,
                      extract(epoch from max(fetched_at))::bigint from raw.toggl_track__loads";
    let (first, last): (i64, i64) = sqlx::query_as(sql).fetch_one(connection).await.unwrap();
    (Timestamp::from_second(first).unwrap(), Timestamp::from_second(last).unwrap())
}

/// Toggl's clock is so much ahead of ours.
async fn holds_where_toggls_clock_is_ahead_by(offset: SignedDuration, words: &str) {
    let size = AccountSize { time_entries: 300, days: 60, ..AccountSize::default() };
    let world = World::start(Account::generate(&size)).await.unwrap();
    world.toggl.configure(|behaviour| behaviour.clock_offset = offset);
    let toggls_now = || Timestamp::now() + offset;
    let before = toggls_now();
    let first = world.sync_and_load(&["--days", "70"]).await.unwrap();
    let is_note = |line: &str| line.contains("Note: This machine's clock is ");
    let note = first.stdout.lines().find(|line| is_note(line)).unwrap();
    assert!(note.contains(words), "{note}");
    let id = world.toggl.with_account(|account| {
        let id = account.time_entries().nth(3).unwrap().id();
        account.edit_time_entry(id, toggls_now(), &[("description", r#""edited""#)]);
        id
    });

    world.sync_and_load(&["--days", "1"]).await.unwrap();

    let after = toggls_now();
    let mut connection = world.connect().await.unwrap();
    let rows = raw_rows(&mut connection, resource("time_entries")).await.unwrap();
    assert_eq!(rows[&id].data["description"], "edited");
    assert_tables_hold(&world).await;
    let (earliest, latest) = fetched(&mut connection).await;
    let slack = SignedDuration::from_secs(10);
    // What lies more than an hour after JetStream's clock, which is this machine's, is not believed.
    let trusted =
        if offset > SignedDuration::from_hours(1) { offset } else { SignedDuration::ZERO };
    assert!(
        before - trusted - slack <= earliest && latest <= after - trusted + slack,
        "{earliest} to {latest}"
    );
    let days = world
        .toggl
        .requests()
        .into_iter()
        .rfind(|request| request.path == ENTRIES && request.query.starts_with("start_date="));
    let query = days.unwrap().query.replace("%3A", ":");
    let bound = |name: &str| {
        let text = query.split('&').find_map(|part| part.strip_prefix(name)).unwrap();
        text.parse::<Timestamp>().unwrap()
    };
    let (from, to) = (bound("start_date="), bound("end_date="));
    assert!(from <= after && before < to, "{from} to {to} is not the day of {after}");
}

#[tokio::test]
async fn a_clock_an_hour_ahead_of_toggls_hides_no_change() {
    let offset = -SignedDuration::from_hours(1);
    holds_where_toggls_clock_is_ahead_by(offset, "s ahead of Toggl's").await;
}

#[tokio::test]
async fn a_clock_an_hour_behind_toggls_hides_no_change() {
    let offset = SignedDuration::from_mins(59);
    holds_where_toggls_clock_is_ahead_by(offset, "s behind Toggl's").await;
}

#[tokio::test]
async fn a_clock_days_behind_toggls_reads_toggls_today() {
    let offset = SignedDuration::from_hours(49);
    holds_where_toggls_clock_is_ahead_by(offset, "s behind Toggl's").await;
}

#[tokio::test]
async fn clocks_that_agree_are_not_spoken_of() {
    let world = World::start(Account::sample_at(Timestamp::now())).await.unwrap();
    let finished = world.sync(&[]).await.unwrap();
    assert!(!finished.stdout.contains("clock"), "{}", finished.stdout);
}
