//! What is deleted at Toggl is marked by the next sync, and nothing else is.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use shared::catalogue::CATALOGUE;
use tests::rows::raw_rows;
use tests::toggl::{Account, AccountSize, List};
use tests::world::World;

use crate::expected::rows::resource;

/// Ids of the deleted rows of every table that has some.
async fn deleted(world: &World) -> BTreeMap<&'static str, BTreeSet<i64>> {
    let mut connection = world.connect().await.unwrap();
    let mut deleted = BTreeMap::new();
    for resource in CATALOGUE {
        let rows = raw_rows(&mut connection, resource).await.unwrap();
        let ids: BTreeSet<i64> = rows
            .into_iter()
            .filter(|(_, row)| row.deleted_at.is_some())
            .map(|(id, _)| id)
            .collect();
        if !ids.is_empty() {
            deleted.insert(resource.name, ids);
        }
    }
    deleted
}

#[tokio::test]
async fn what_is_deleted_in_every_list_and_of_old_and_new_entries_is_marked_and_none_other_is() {
    let size =
        AccountSize { users: 9, groups: 5, time_entries: 400, days: 70, ..AccountSize::default() };
    let world = World::start(Account::generate(&size)).await.unwrap();
    world.sync_and_load(&["--days", "80", "--only", "all"]).await.unwrap();
    assert_eq!(deleted(&world).await, BTreeMap::new());

    let expected = world.toggl.with_account(|account| {
        let workspace_id = account.workspace_id();
        let mut expected = BTreeMap::new();
        for list in List::ALL {
            let id = account.records(*list, workspace_id)[1].id();
            assert!(account.remove(*list, workspace_id, id), "{list:?}");
            expected.insert(list.name(), BTreeSet::from([id]));
        }
        let ids: Vec<i64> = account.time_entries().map(tests::toggl::TimeEntry::id).collect();
        // One of seventy days ago, one of today.
        let chosen = BTreeSet::from([ids[2], ids[ids.len() - 2]]);
        for id in &chosen {
            account.delete_time_entry(*id, Timestamp::now());
        }
        expected.insert("time_entries", chosen);
        expected
    });
    world.sync_and_load(&["--days", "3", "--only", "all"]).await.unwrap();

    assert_eq!(deleted(&world).await, expected);
}

#[tokio::test]
async fn what_comes_back_is_live_again() {
    let world = World::start(Account::generate(&AccountSize::default())).await.unwrap();
    world.sync_and_load(&["--only", "all"]).await.unwrap();
    let removed: Vec<(List, String)> = world.toggl.with_account(|account| {
        let workspace_id = account.workspace_id();
        let remove = |list: &List| {
            let record = account.records(*list, workspace_id)[0].clone();
            account.remove(*list, workspace_id, record.id());
            (*list, record.text().to_owned())
        };
        List::ALL.iter().map(remove).collect()
    });
    world.sync_and_load(&["--only", "all"]).await.unwrap();
    assert_eq!(deleted(&world).await.len(), List::ALL.len());

    world.toggl.with_account(|account| {
        let workspace_id = account.workspace_id();
        for (list, text) in removed {
            account.put(list, workspace_id, &text);
        }
    });
    world.sync_and_load(&["--only", "all"]).await.unwrap();

    assert_eq!(deleted(&world).await, BTreeMap::new());
}

/// What was in it may still be there for others.
#[tokio::test]
async fn a_workspace_that_was_left_is_gone_and_takes_no_other_row_with_it() {
    let mut account = Account::sample_at(Timestamp::now());
    let other = account.workspaces()[0].text().replace("2230991", "777");
    account.put_workspace(&other);
    let world = World::start(account).await.unwrap();
    world.sync_and_load(&["--only", "all"]).await.unwrap();
    world.toggl.with_account(|account| *account = Account::sample_at(Timestamp::now()));
    let left = world.fetcher(&["--only", "all"]).run().await.unwrap();
    assert_eq!(left.code, Some(6), "{left:#?}");
    let loader = world.start_loader().await.unwrap();
    world.loaded_by(&loader).await.unwrap();
    assert_eq!(loader.terminate().await.unwrap(), Some(0), "{}", loader.log());
    let mut connection = world.connect().await.unwrap();
    for resource in CATALOGUE.iter().filter(|r| r.is_synced()) {
        let rows = raw_rows(&mut connection, resource).await.unwrap();
        let gone = rows.values().filter(|row| row.deleted_at.is_some()).count();
        let left = usize::from(resource.name == "workspaces");
        assert!(resource.is_time_entry() || gone == left, "{} lost {gone} rows", resource.name);
    }
    let workspaces = raw_rows(&mut connection, resource("workspaces")).await.unwrap();
    assert_eq!(workspaces.len(), 2);
}
