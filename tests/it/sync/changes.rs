//! Edits and deletions of entries that no window of days would show.

use jiff::{SignedDuration, Timestamp};
use tests::rows::raw_rows;
use tests::toggl::{Account, AccountSize, Answer, with_fields};
use tests::world::World;

use crate::expected::rows::{assert_tables_hold, resource};

const ENTRIES: &str = "/api/v9/me/time_entries";

async fn world() -> World {
    let size = AccountSize { time_entries: 300, days: 60, ..AccountSize::default() };
    let world = World::start(Account::generate(&size)).await.unwrap();
    world.sync_and_load(&["--days", "70"]).await.unwrap();
    world
}

/// The n-th oldest entry.
fn old(world: &World, n: usize) -> i64 {
    world.toggl.with_account(|account| account.time_entries().nth(n).unwrap().id())
}

#[tokio::test]
async fn an_edit_and_a_deletion_of_old_entries_arrive_with_the_next_sync() {
    let world = world().await;
    let (edited, deleted) = (old(&world, 3), old(&world, 7));
    world.toggl.with_account(|account| {
        account.edit_time_entry(edited, Timestamp::now(), &[("description", r#""edited""#)]);
        account.delete_time_entry(deleted, Timestamp::now());
    });

    world.sync_and_load(&["--days", "1"]).await.unwrap();

    assert_tables_hold(&world).await;
    let mut connection = world.connect().await.unwrap();
    let rows = raw_rows(&mut connection, resource("time_entries")).await.unwrap();
    assert_eq!(rows[&edited].data["description"], "edited");
    assert!(rows[&deleted].deleted_at.is_some());
    let deleted_rows = rows.values().filter(|row| row.deleted_at.is_some()).count();
    assert_eq!(deleted_rows, 1, "no other is marked");
}

#[tokio::test]
async fn a_running_entry_that_was_stopped_moved_or_deleted_is_right_after_the_next_sync() {
    let start = Timestamp::now() - SignedDuration::from_hours(3 * 24);
    for change in ["stopped", "moved", "deleted"] {
        let mut account = Account::empty();
        let user_id = account.user_id();
        account.put_time_entry(&format!(
            r#"{{"id":1,"workspace_id":2230991,"user_id":{user_id},"start":"{start:.0}","stop":null,"at":"{start:.0}","duration":-1,"server_deleted_at":null}}"#
        ));
        let world = World::start(account).await.unwrap();
        world.sync_and_load(&["--days", "10"]).await.unwrap();
        let now = Timestamp::now();
        world.toggl.with_account(|account| match change {
            "stopped" => {
                let stop = format!("\"{now:.0}\"");
                account.edit_time_entry(1, now, &[("stop", &stop), ("duration", "3600")]);
            }
            "moved" => {
                let start = now - SignedDuration::from_hours(40 * 24);
                account.edit_time_entry(1, now, &[("start", &format!("\"{start:.0}\""))]);
            }
            _ => account.delete_time_entry(1, now),
        });

        world.sync_and_load(&["--days", "1"]).await.unwrap();

        assert_tables_hold(&world).await;
    }
}

#[tokio::test]
async fn each_sync_asks_since_the_last_one_with_a_margin() {
    let before = Timestamp::now();
    let world = world().await;
    let after = Timestamp::now();
    world.sync(&["--days", "1"]).await.unwrap();
    let asked: Vec<i64> = since(&world);
    assert_eq!(asked.len(), 2, "{asked:?}");
    let (earliest, latest) = (before.as_second() - 3_600, after.as_second() - 60);
    assert!((earliest..=latest).contains(&asked[1]), "{} is not in {earliest}..{latest}", asked[1]);
    let first_days = (before.as_second() - asked[0]) / 86_400;
    assert!((83..=85).contains(&first_days), "the first asks for all that is told: {first_days}");
}

/// What was asked since, in seconds since 1970.
fn since(world: &World) -> Vec<i64> {
    let requests = world.toggl.requests().into_iter().filter(|r| r.path == ENTRIES);
    requests
        .filter_map(|request| {
            request.query.strip_prefix("since=").map(|text| text.parse().unwrap())
        })
        .collect()
}

#[tokio::test]
async fn a_sync_that_failed_does_not_move_the_moment_on() {
    let world = world().await;
    let id = old(&world, 2);
    world.toggl.with_account(|account| account.delete_time_entry(id, Timestamp::now()));
    // The window is answered, the changes are not. Today alone may have no entries yet, and what comes
    // back empty is asked for twice.
    world.toggl.script(ENTRIES, Answer::pass_through());
    world.toggl.script(ENTRIES, Answer::status(500).repeat(2));
    let finished = world.fetcher(&["--days", "3"]).run().await.unwrap();
    assert_eq!(finished.code, Some(1), "{finished:#?}");
    let before = since(&world).last().copied().unwrap();

    world.sync_and_load(&["--days", "3"]).await.unwrap();

    assert_eq!(since(&world).last().copied().unwrap(), before);
    assert_tables_hold(&world).await;
}

#[tokio::test]
async fn more_changes_than_toggl_lists_at_once_are_found_by_whole_windows() {
    let size = AccountSize { time_entries: 1_500, days: 80, ..AccountSize::default() };
    let world = World::start(Account::generate(&size)).await.unwrap();
    world.sync_and_load(&["--days", "85"]).await.unwrap();
    let now = Timestamp::now();
    world.toggl.with_account(|account| {
        let ids: Vec<i64> = account.time_entries().map(tests::toggl::TimeEntry::id).collect();
        for id in ids.iter().take(1_200) {
            account.edit_time_entry(*id, now, &[("description", r#""all at once""#)]);
        }
    });

    let finished = world.fetcher(&["--days", "1"]).run().await.unwrap();

    assert_eq!(finished.code, Some(6), "older ones may have changed too: {finished:#?}");
    assert!(finished.stderr.contains("reading the last 85 days whole"), "{}", finished.stderr);
    let loader = world.start_loader().await.unwrap();
    world.loaded().await.unwrap();
    assert_eq!(loader.terminate().await.unwrap(), Some(0));
    assert_tables_hold(&world).await;
}

#[tokio::test]
async fn asking_for_a_few_days_of_changes_does_not_hide_those_before() {
    let world = world().await;
    let (context, user_id) =
        (world.jetstream().await.unwrap(), world.toggl.with_account(|account| account.user_id()));
    let bucket = context.get_key_value(fetcher::state::BUCKET).await.unwrap();
    let last = Timestamp::now() - SignedDuration::from_hours(14 * 24);
    let stored = format!(r#"{{"fetched_at":"{last}"}}"#);
    bucket.put(format!("since.{user_id}"), stored.into()).await.unwrap();

    world.sync(&["--days", "1", "--since-days", "1"]).await.unwrap();
    world.sync(&["--days", "1"]).await.unwrap();

    let asked = since(&world).last().copied().unwrap();
    assert!(asked <= last.as_second(), "{asked} is after {last}");
}

#[tokio::test]
async fn a_sync_that_comes_too_late_names_what_toggl_tells_no_more_and_asks_for_the_rest() {
    let world = World::start(Account::generate(&AccountSize::default())).await.unwrap();
    let context = world.jetstream().await.unwrap();
    let user_id = world.toggl.with_account(|account| account.user_id());
    world.sync(&[]).await.unwrap();
    let bucket = context.get_key_value(fetcher::state::BUCKET).await.unwrap();
    let long_ago = r#"{"fetched_at":"2020-01-01T00:00:00Z"}"#;
    bucket.put(format!("since.{user_id}"), long_ago.into()).await.unwrap();
    let late = world.fetcher(&[]).run().await.unwrap();
    assert_eq!(late.code, Some(6), "{late:#?}");
    let command = "`fetcher report --from 2020-01-01`";
    assert!(late.stdout.contains(command), "{command} is not in {}", late.stdout);
    world.sync(&[]).await.unwrap();
    bucket.put(format!("since.{user_id}"), "nonsense".into()).await.unwrap();
    world.sync(&["--since-days", "85"]).await.unwrap();
    world.sync(&[]).await.unwrap();
}

#[tokio::test]
async fn a_deleted_entry_that_toggl_restores_is_live_again() {
    let world = world().await;
    let id = old(&world, 5);
    let text = world.toggl.with_account(|account| {
        account.delete_time_entry(id, Timestamp::now());
        account.time_entry(id).unwrap().text().to_owned()
    });
    world.sync_and_load(&["--days", "1"]).await.unwrap();
    let later = Timestamp::now() + SignedDuration::from_secs(1);
    let at = format!("\"{later}\"");
    let restored = with_fields(&text, &[("server_deleted_at", "null"), ("at", &at)]);
    world.toggl.with_account(|account| account.put_time_entry(&restored));
    world.sync_and_load(&["--days", "1"]).await.unwrap();
    assert_tables_hold(&world).await;
    let mut connection = world.connect().await.unwrap();
    let rows = raw_rows(&mut connection, resource("time_entries")).await.unwrap();
    assert_eq!(rows[&id].deleted_at, None);
}
