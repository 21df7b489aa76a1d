//! The main job, from Toggl to the raw tables.

use jiff::Timestamp;
use tests::rows::{count, ledger};
use tests::toggl::{Account, AccountSize, List};
use tests::world::World;

use crate::expected::rows::{assert_tables_hold, resource};

/// The account of the fixtures, with a project and a tag that Toggl says are deleted.
fn sample() -> Account {
    let mut account = Account::sample_at(Timestamp::now());
    let workspace_id = account.workspace_id();
    for (list, field) in [(List::Projects, "server_deleted_at"), (List::Tags, "deleted_at")] {
        let id = account.records(list, workspace_id)[0].id();
        account.edit(list, workspace_id, id, &[(field, r#""2026-02-03T04:05:06+00:00""#)]);
    }
    account
}

#[tokio::test]
async fn every_record_of_the_sample_account_is_in_its_table_once() {
    let world = World::start(sample()).await.unwrap();
    let finished = world.sync_and_load(&["--days", "60"]).await.unwrap();
    assert!(finished.stdout.starts_with("[OK] "), "{}", finished.stdout);
    assert_tables_hold(&world).await;
}

#[tokio::test]
async fn only_the_entries_of_the_days_asked_for_are_read() {
    let mut account = Account::empty();
    account.set_time_zone("America/Los_Angeles");
    let zone = jiff::tz::TimeZone::get("America/Los_Angeles").unwrap();
    let today = Timestamp::now().to_zoned(zone.clone()).date();
    let first = today.yesterday().unwrap().to_zoned(zone).unwrap().timestamp().as_second();
    let user_id = account.user_id();
    // Changed so long ago that Toggl tells it no more.
    let at = Timestamp::from_second(first - 100 * 86_400).unwrap();
    for (id, start) in [(1, first - 1), (2, first), (3, Timestamp::now().as_second())] {
        let start = Timestamp::from_second(start).unwrap();
        account.put_time_entry(&format!(
            r#"{{"id":{id},"workspace_id":2230991,"user_id":{user_id},"start":"{start}","at":"{at}","duration":1}}"#
        ));
    }
    let world = World::start(account).await.unwrap();
    world.sync_and_load(&["--days", "2"]).await.unwrap();
    let mut connection = world.connect().await.unwrap();
    let rows = tests::rows::raw_rows(&mut connection, resource("time_entries")).await.unwrap();
    assert_eq!(rows.keys().copied().collect::<Vec<_>>(), [2, 3]);
}

#[tokio::test]
async fn every_record_of_an_account_over_all_caps_is_in_its_table_once() {
    let world = World::start(Account::generate(&AccountSize {
        projects: 380,
        archived_projects: 70,
        clients: 40,
        archived_clients: 20,
        tags: 30,
        users: 12,
        groups: 3,
        time_entries: 2_500,
        days: 58,
        ..AccountSize::default()
    }))
    .await
    .unwrap();
    world.sync_and_load(&["--days", "60"]).await.unwrap();
    assert_tables_hold(&world).await;

    let pages = world.toggl.requests().into_iter().filter(|r| r.path.ends_with("/projects"));
    let queries: Vec<_> = pages.map(|request| request.query).collect();
    assert_eq!(queries.len(), 3, "450 projects are three pages of 200: {queries:?}");
    assert!(queries.iter().all(|query| query.contains("active=both")), "{queries:?}");
    let mut connection = world.connect().await.unwrap();
    assert_eq!(count(&mut connection, resource("projects")).await.unwrap(), 450);
    assert_eq!(count(&mut connection, resource("time_entries")).await.unwrap(), 2_500);
    let [received, written, ..] = ledger(&mut connection, "time_entries").await.unwrap()[0];
    assert_eq!((received, written), (2_500, 2_500), "no entry travels twice");
}

#[tokio::test]
async fn a_workspace_that_is_named_is_read_instead_of_the_default() {
    let mut account = Account::sample_at(Timestamp::now());
    let other = account.workspaces()[0].text().replace("2230991", "777");
    account.put_workspace(&other);
    account.put(List::Clients, 777, r#"{"id":1,"wid":777,"archived":false,"name":"One"}"#);
    let world = World::start(account).await.unwrap();
    world.sync_and_load(&["--workspace", "777"]).await.unwrap();
    let mut connection = world.connect().await.unwrap();
    let clients = tests::rows::raw_rows(&mut connection, resource("clients")).await.unwrap();
    assert_eq!(clients.keys().copied().collect::<Vec<_>>(), [1]);
    assert_eq!(clients[&1].workspace_id, 777);
}
