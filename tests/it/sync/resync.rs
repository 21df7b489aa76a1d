//! The same sync again, and a sync after something changed.

use jiff::Timestamp;
use shared::catalogue::CATALOGUE;
use tests::rows::{ledger, raw_rows, snapshot};
use tests::toggl::{Account, AccountSize, List};
use tests::world::World;

use crate::expected::rows::{assert_tables_hold, resource};

const DAYS: &[&str] = &["--days", "60"];

#[tokio::test]
async fn the_same_sync_again_rewrites_no_row() {
    let world = World::start(Account::generate(&AccountSize::default())).await.unwrap();
    world.sync_and_load(DAYS).await.unwrap();
    let mut connection = world.connect().await.unwrap();
    let mut before = Vec::new();
    for resource in CATALOGUE.iter().filter(|r| r.by_default) {
        before.push(raw_rows(&mut connection, resource).await.unwrap());
    }

    world.sync_and_load(DAYS).await.unwrap();

    for (resource, before) in CATALOGUE.iter().filter(|r| r.by_default).zip(before) {
        let name = resource.name;
        let mut after = raw_rows(&mut connection, resource).await.unwrap();
        assert!(!before.is_empty(), "{name}");
        if matches!(name, "me" | "workspaces") {
            // Nothing but the row can carry the news that it was seen again.
            for (id, row) in &mut after {
                row.xmin.clone_from(&before[id].xmin);
            }
        }
        assert_eq!(before, after, "{name} was written again");
        let count = i64::try_from(before.len()).unwrap();
        let runs = ledger(&mut connection, name).await.unwrap();
        let expected = [[count, count, 0, 0, 0, 0], [count, 0, count, 0, 0, 0]];
        assert_eq!(runs, expected, "{name}: received, written, unchanged, stale, deleted, dead");
    }
}

#[tokio::test]
async fn what_changed_is_written_and_nothing_else() {
    let world = World::start(Account::generate(&AccountSize::default())).await.unwrap();
    world.sync_and_load(DAYS).await.unwrap();
    let mut connection = world.connect().await.unwrap();
    let before = raw_rows(&mut connection, resource("time_entries")).await.unwrap();
    let edited = *before.keys().next().unwrap();
    let workspace_id = world.toggl.with_account(|account| account.workspace_id());
    let silent = world.toggl.with_account(|account| {
        account.edit_time_entry(edited, Timestamp::now(), &[("description", r#""edited""#)]);
        let id = account.records(List::Tags, workspace_id)[0].id();
        // Its `at` stays as it was, as with changes that Toggl makes on its own.
        account.edit(List::Tags, workspace_id, id, &[("name", r#""renamed""#)]);
        id
    });

    world.sync_and_load(DAYS).await.unwrap();

    assert_tables_hold(&world).await;
    let after = raw_rows(&mut connection, resource("time_entries")).await.unwrap();
    let written: Vec<_> =
        after.iter().filter(|(id, row)| before[id] != **row).map(|(id, _)| *id).collect();
    assert_eq!(written, [edited]);
    let tags = raw_rows(&mut connection, resource("tags")).await.unwrap();
    assert_eq!(tags[&silent].data["name"], "renamed");
    assert_eq!(ledger(&mut connection, "tags").await.unwrap()[1][1], 1);
}

#[tokio::test]
async fn a_second_loader_over_the_same_stream_changes_nothing() {
    let world = World::start(Account::sample_at(Timestamp::now())).await.unwrap();
    world.sync_and_load(DAYS).await.unwrap();
    let mut connection = world.connect().await.unwrap();
    let context = world.jetstream().await.unwrap();
    let mut before = Vec::new();
    for resource in CATALOGUE {
        before.push(snapshot(&mut connection, &resource.table()).await.unwrap());
        // Without its consumer the whole stream is delivered anew.
        let stream = context.get_stream(shared::stream::STREAM).await.unwrap();
        stream.delete_consumer(&resource.consumer()).await.unwrap();
    }
    before.push(snapshot(&mut connection, "toggl_track__loads").await.unwrap());

    let loader = world.start_loader().await.unwrap();
    world.loaded().await.unwrap();
    loader.terminate().await.unwrap();

    let tables = CATALOGUE.iter().map(shared::resource::Resource::table);
    for (table, before) in tables.chain(["toggl_track__loads".to_owned()]).zip(before) {
        assert_eq!(before, snapshot(&mut connection, &table).await.unwrap(), "{table}");
    }
}
