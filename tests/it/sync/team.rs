//! Everybody's entries beside the owner's: by report, and not at every sync.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use tests::toggl::{Account, AccountSize, with_fields};
use tests::world::World;

use crate::expected::rows::{assert_tables_hold, resource};
use crate::given::bucket::Bucket;
use crate::reports::reporting::{REPORTS, live_ids, load, questions};

const SAID: &str = "Everybody's entries of 7 days in workspace 2230991: ";
const LAST: &str = "team.2230991";

/// Five people with some twenty entries a day.
fn people() -> Account {
    Account::generate(&AccountSize {
        users: 5,
        entry_users: 5,
        time_entries: 400,
        days: 20,
        ..AccountSize::default()
    })
}

/// Everybody's entries that have started so long ago at most and are not running.
fn started_within(account: &Account, days: i64) -> BTreeSet<i64> {
    let floor = Timestamp::now() - SignedDuration::from_hours(24 * days);
    let entries = account.time_entries().filter(|e| e.start_s() >= floor.as_second());
    let stopped = entries.filter(|e| !e.is_deleted() && !e.text().contains(r#""stop":null"#));
    stopped.map(tests::toggl::TimeEntry::id).collect()
}

fn line(stdout: &str) -> &str {
    stdout.lines().find_map(|line| line.trim().strip_prefix(SAID)).unwrap_or_default()
}

#[tokio::test]
async fn an_admins_sync_brings_everybodys_entries_once_a_day() {
    let world = World::start(people()).await.unwrap();
    let sync = ["--days", "30", "--team", "7"];
    let first = world.sync(&sync).await.unwrap();
    load(&world).await;
    let stored = live_ids(&world).await;
    let (least, most) = world.toggl.with_account(|a| (started_within(a, 6), started_within(a, 9)));
    assert!(least.is_subset(&stored) && stored.is_subset(&most), "{} rows", stored.len());
    let said: usize = line(&first.stdout).parse().unwrap();
    assert!((least.len()..=most.len()).contains(&said), "{}", first.stdout);
    let mut connection = world.connect().await.unwrap();
    let people: Vec<i64> =
        sqlx::query_scalar("select distinct user_id from raw.toggl_track__time_entries_report")
            .fetch_all(&mut connection)
            .await
            .unwrap();
    assert_eq!(people.len(), 5, "{people:?}");
    assert!(!first.stdout.contains("1 of 5"), "{}", first.stdout);
    assert_eq!(world.toggl.count(REPORTS), 1);

    let bucket = Bucket::of(&world).await;
    bucket.age(LAST, SignedDuration::from_hours(3)).await;
    let second = world.sync(&sync).await.unwrap();
    assert_eq!(world.toggl.count(REPORTS), 1, "once a day");
    assert_eq!(line(&second.stdout), format!("{said}, 3h ago"), "{}", second.stdout);

    let always = world.sync(&[&sync[..], &["--team-every", "0s"]].concat()).await.unwrap();
    assert_eq!(world.toggl.count(REPORTS), 2);
    assert!(!line(&always.stdout).contains("ago"), "{}", always.stdout);

    bucket.age(LAST, SignedDuration::from_hours(25)).await;
    world.sync(&sync).await.unwrap();
    assert_eq!(world.toggl.count(REPORTS), 3, "a day later");

    world.sync(&["--days", "30", "--team", "8"]).await.unwrap();
    assert_eq!(world.toggl.count(REPORTS), 4, "other days");
}

#[tokio::test]
async fn a_member_is_told_that_it_takes_an_admin_and_gets_the_entries_of_his_own() {
    let mut account = people();
    let workspace = account.workspaces()[0].text().to_owned();
    let member = [("admin", "false"), ("role", r#""user""#)];
    account.put_workspace(&with_fields(&workspace, &member));
    let world = World::start(account).await.unwrap();
    let finished = world.fetcher(&["--days", "30", "--team", "7"]).run().await.unwrap();
    assert_eq!(finished.code, Some(6), "{finished:#?}");
    let skipped = "Skipped: time_entries_report (this account is an admin of no workspace";
    assert!(finished.stdout.contains(skipped), "{}", finished.stdout);
    assert!(finished.stdout.contains("need an admin's token"), "{}", finished.stdout);
    assert!(finished.stdout.contains("Time entries: 80"), "{}", finished.stdout);
    assert_eq!(world.toggl.count(REPORTS), 0);
    load(&world).await;
    let mut connection = world.connect().await.unwrap();
    let own = tests::rows::count(&mut connection, resource("time_entries")).await.unwrap();
    assert_eq!(own, 80);
}

#[tokio::test]
async fn team_is_off_unless_days_are_named_and_whose_entries_are_read_is_said() {
    let world = World::start(people()).await.unwrap();
    let fetcher = |days: Option<&str>| match days {
        Some(days) => world.fetcher(&[]).env("FETCHER_TEAM", days),
        None => world.fetcher(&[]),
    };
    for days in [None, Some("0")] {
        let finished = fetcher(days).run().await.unwrap();
        assert_eq!(finished.code, Some(0), "{finished:#?}");
        let note = "Note: Time entries are those of 1 of 5 people in workspace 2230991";
        assert!(finished.stdout.contains(note), "{}", finished.stdout);
    }
    assert_eq!(world.toggl.count(REPORTS), 0);
    let finished = fetcher(Some("2")).run().await.unwrap();
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    assert_eq!(questions(&world).len(), 1);
}

#[tokio::test]
async fn whoever_is_alone_is_not_told_of_others() {
    let size = AccountSize { users: 1, ..AccountSize::default() };
    let world = World::start(Account::generate(&size)).await.unwrap();
    let finished = world.sync_and_load(&["--days", "60"]).await.unwrap();
    assert!(!finished.stdout.contains("people"), "{}", finished.stdout);
    assert_tables_hold(&world).await;
}
