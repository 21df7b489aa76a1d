//! Whose entries were read, and when: the view and `loader status`.

use jiff::Timestamp;
use serde_json::{Value, json};
use sqlx::PgConnection;
use tests::toggl::{Account, AccountSize};
use tests::workers::Resident;
use tests::world::World;

use crate::given::watched::{Watched, status, status_json};
use crate::reports::reporting::days_ago;

const PEOPLE: usize = 5;

/// As the first release made it.
const FRESHNESS: &str =
    include_str!("../../../migrations/20261123140300_create_staging_freshness.sql");

fn team() -> Account {
    Account::generate(&AccountSize {
        users: PEOPLE,
        entry_users: PEOPLE,
        time_entries: 300,
        days: 40,
        ..AccountSize::default()
    })
}

/// The token's owner is an ordinary member.
fn no_admin(mut account: Account) -> Account {
    let workspace = account.workspaces()[0].text().replace(r#""role":"admin""#, r#""role":"user""#);
    account.put_workspace(&tests::toggl::with_fields(&workspace, &[("admin", "false")]));
    account
}

async fn synced(account: Account) -> (World, Resident) {
    let world = World::start(account).await.unwrap();
    let loader = world.start_loader().await.unwrap();
    world.sync(&["--days", "10", "--wait"]).await.unwrap();
    (world, loader)
}

async fn report(world: &World, arguments: &[&str]) {
    let arguments: Vec<&str> =
        ["report", "--wait"].into_iter().chain(arguments.iter().copied()).collect();
    world.sync(&arguments).await.unwrap();
}

/// The line of people.
async fn said(world: &World) -> Option<String> {
    let finished = status(world, 0).await;
    finished.stdout.lines().find(|line| line.starts_with("People:")).map(str::to_owned)
}

#[tokio::test]
async fn a_sync_reads_the_token_owners_entries_and_an_admins_report_everybodys() {
    let (world, _loader) = synced(team()).await;
    let owner = world.toggl.with_account(|account| account.user_id());
    let line = said(&world).await.unwrap();
    let wanted = "People: entries of 1 of 5 read within the last day; never read: 4 (";
    assert!(line.starts_with(wanted), "{line}");
    let found = status_json(&world, 0).await;
    let counts = json!({"people": 5, "read_lately": 1, "older": 0, "never_read": 4,
        "oldest_known_until": null});
    assert_eq!(found["people"], counts);
    let each = found["each_person"].as_array().unwrap();
    let (owners, others): (Vec<_>, Vec<_>) =
        each.iter().partition(|person| person["user_id"] == owner);
    assert_eq!((owners.len(), others.len()), (1, 4));
    assert!(owners[0]["is_token_owner"] == true && owners[0]["entries_as_of"].is_string());
    let is_unread =
        |person: &&&Value| person["is_token_owner"] == false && person["entries_as_of"].is_null();
    assert_eq!(others.iter().filter(is_unread).count(), 4, "{others:?}");

    // What was read of the past alone is old, however lately it was read.
    report(&world, &["--from", &days_ago(39), "--to", &days_ago(20)]).await;
    let line = said(&world).await.unwrap();
    assert!(line.contains("of 1 of 5 read within the last day; older: 4, "), "{line}");

    report(&world, &["--from", &days_ago(30)]).await;
    let all = "People: entries of 5 of 5 read within the last day";
    assert_eq!(said(&world).await.as_deref(), Some(all));
    Watched::start(&world).await.answers("/", 200, &[all]).await;

    // A look at the past afterwards takes nothing away.
    report(&world, &["--from", &days_ago(39), "--to", &days_ago(20)]).await;
    assert_eq!(said(&world).await.as_deref(), Some(all));
}

#[tokio::test]
async fn a_report_by_who_is_no_admin_reads_one_persons_entries() {
    let (world, _loader) = synced(no_admin(team())).await;
    report(&world, &["--from", &days_ago(30)]).await;
    let line = said(&world).await.unwrap();
    assert!(line.starts_with("People: entries of 1 of 5 "), "{line}");
    assert!(line.contains("never read: 4"), "{line}");
}

#[tokio::test]
async fn where_no_users_are_known_nothing_is_said_of_people() {
    let world = World::start(team()).await.unwrap();
    world.sync_and_load(&["--skip", "users"]).await.unwrap();
    assert_eq!(said(&world).await, None);
    assert!(status_json(&world, 0).await["people"].is_null());
}

/// Of the token's owner, and of somebody else.
async fn rows(connection: &mut PgConnection, owner: i64) -> [Person; 2] {
    let sql = "select extract(epoch from entries_as_of)::bigint as entries_as_of,
                      extract(epoch from entries_from)::bigint as entries_from,
                      extract(epoch from entries_to)::bigint as entries_to,
                      extract(epoch from last_entry_started_at)::bigint as last_entry_started_at
               from staging.stg_toggl_track__people order by user_id <> $1, user_id limit 2";
    let rows = sqlx::query_as(sql).bind(owner).fetch_all(connection).await.unwrap();
    rows.try_into().unwrap()
}

/// In seconds since 1970.
#[derive(Debug, PartialEq, sqlx::FromRow)]
struct Person {
    entries_as_of: Option<i64>,
    entries_from: Option<i64>,
    entries_to: Option<i64>,
    last_entry_started_at: Option<i64>,
}

#[tokio::test]
async fn the_view_has_the_window_that_was_read_and_the_newest_entry_also_of_older_tables() {
    let (world, _loader) = synced(team()).await;
    let owner = world.toggl.with_account(|account| account.user_id());
    let mut connection = world.connect().await.unwrap();
    let before = rows(&mut connection, owner).await;
    let [own, other] = &before;
    let ago = |second: Option<i64>| (Timestamp::now().as_second() - second.unwrap()) / 3_600;
    assert_eq!(ago(own.entries_as_of), 0);
    assert!((24 * 8..=24 * 10).contains(&ago(own.entries_from)), "{own:?}");
    assert!((-25..=0).contains(&ago(own.entries_to)), "{own:?}");
    let newest = world.toggl.with_account(|account| {
        let user = |text: &str| serde_json::from_str::<Value>(text).unwrap()["user_id"].as_i64();
        let own = account.time_entries().filter(|entry| user(entry.text()) == Some(owner));
        own.map(tests::toggl::TimeEntry::start_s).max()
    });
    assert_eq!(own.last_entry_started_at, newest);
    assert_eq!((other.entries_as_of, other.last_entry_started_at), (None, None));

    // As the release before had the tables.
    for sql in [
        "drop view staging.stg_toggl_track__people",
        "drop view staging.stg_toggl_track__freshness, staging.stg_toggl_track__coverage cascade",
        FRESHNESS,
        "drop index raw.toggl_track__claims_people, raw.toggl_track__dead_letters_runs",
        "delete from raw.toggl_track__migrations
         where version in (20261129090000, 20261129090100, 20261129100500)",
    ] {
        sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
    }
    assert_eq!(said(&world).await, None);
    let migrated = world.loader(&["migrate"]).run().await.unwrap();
    assert_eq!(migrated.code, Some(0), "{migrated:#?}");
    assert_eq!(rows(&mut connection, owner).await, before);
}
