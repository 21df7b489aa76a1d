//! JetStream has no room left: row 9 of the fault matrix. A fetcher fails loudly, nothing is claimed
//! of which the records were refused, and with more room everything goes on.

use std::collections::BTreeSet;

use jiff::Timestamp;
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use tests::rows::raw_rows;
use tests::servers::NatsOptions;
use tests::toggl::{Account, AccountSize};
use tests::world::World;

use crate::expected::endings::{assert_fails, assert_fails_in_the_end};
use crate::expected::oracle::{Oracle, assert_recovers};
use crate::expected::rows::{assert_tables_hold, resource};

const DAYS: [&str; 2] = ["--days", "60"];

/// Entries enough for several batches.
fn size() -> AccountSize {
    AccountSize { time_entries: 2_500, days: 50, ..AccountSize::default() }
}

async fn load(world: &World, max_bytes: &str) {
    let loader = world.loader(&[]).env("STREAM_MAX_BYTES", max_bytes).start().await.unwrap();
    assert_recovers(world, &Oracle::default(), &[&loader]).await;
    assert_eq!(loader.terminate().await.unwrap(), Some(0), "{}", loader.log());
}

/// Much changes at Toggl, though not more than it tells of at once.
fn change_much(world: &World) {
    world.toggl.with_account(|account| {
        let ids: Vec<_> = account.time_entries().map(tests::toggl::TimeEntry::id).collect();
        for id in ids.into_iter().step_by(3) {
            let description = format!(r#""changed {id}""#);
            account.edit_time_entry(id, Timestamp::now(), &[("description", &description)]);
        }
    });
}

async fn live(world: &World) -> BTreeSet<i64> {
    let mut connection = world.connect().await.unwrap();
    let rows = raw_rows(&mut connection, resource("time_entries")).await.unwrap();
    rows.into_iter().filter(|(_, row)| row.deleted_at.is_none()).map(|(id, _)| id).collect()
}

/// A world in which everything is loaded and much has changed since, its live entries, and the bytes
/// in its stream.
async fn loaded_and_changed() -> (World, BTreeSet<i64>, u64) {
    let world = World::start(Account::generate(&size())).await.unwrap();
    world.sync_and_load(&DAYS).await.unwrap();
    let before = live(&world).await;
    change_much(&world);
    let used = stored(&world).await;
    (world, before, used)
}

async fn stored(world: &World) -> u64 {
    world.stream().await.unwrap().cached_info().state.bytes
}

#[tokio::test]
async fn a_full_stream_fails_the_fetcher_and_harms_nothing_that_is_stored() {
    let (world, before, used) = loaded_and_changed().await;
    // Room for the masters and for a part of the entries.
    let full = (used + 25_000).to_string();
    let fetcher = world.fetcher(&DAYS).env("STREAM_MAX_BYTES", &full);
    let finished = fetcher.run().await.unwrap();
    assert_fails(&finished, 1, &["full", "STREAM_MAX_BYTES"]);
    assert!(finished.stdout.is_empty(), "claims nothing: {}", finished.stdout);
    assert!(stored(&world).await > used, "some of it was stored");

    load(&world, &full).await;
    assert_eq!(live(&world).await, before, "nothing is taken for deleted");

    world.sync(&DAYS).await.unwrap();
    load(&world, "268435456").await;
    assert_tables_hold(&world).await;
}

#[tokio::test]
async fn a_full_store_fails_the_fetcher_and_goes_on_with_more_room() {
    let options = NatsOptions { max_file_store: 60_000, ..NatsOptions::default() };
    let world = World::start_with(Account::generate(&size()), options).await.unwrap();
    let fetcher = || world.fetcher(&DAYS).env("STREAM_MAX_BYTES", "-1");
    let finished = fetcher().run().await.unwrap();
    assert_fails(&finished, 1, &["max_file_store"]);
    load(&world, "-1").await;

    let path = world.nats.configuration_path();
    let configuration = std::fs::read_to_string(&path).unwrap();
    let configuration = configuration.replace("max_file_store: 60000", "max_file_store: 60000000");
    std::fs::write(&path, configuration).unwrap();
    world.nats.restart().await.unwrap();
    let finished = fetcher().run().await.unwrap();
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    load(&world, "-1").await;
    assert_tables_hold(&world).await;
}

/// Lets no file of the server grow beyond so many bytes: its writes fail as on a full disk, which an
/// ordinary user cannot make.
fn limit_files(world: &World, bytes: Option<u64>) {
    let pid = Pid::from_raw(world.nats.pid().try_into().unwrap());
    prlimit(pid, Resource::Fsize, Rlimit { current: bytes, maximum: None }).unwrap();
}

#[tokio::test]
async fn a_full_disk_fails_the_fetcher_and_with_more_room_both_go_on() {
    let (world, before, used) = loaded_and_changed().await;
    limit_files(&world, Some(used + 25_000));
    let finished = world.fetcher(&DAYS).run().await.unwrap();
    assert_fails_in_the_end(&finished, 5, &["did not acknowledge", "disk"]);
    assert!(finished.stdout.is_empty(), "claims nothing: {}", finished.stdout);

    limit_files(&world, None);
    world.nats.restart().await.unwrap();
    load(&world, "268435456").await;
    assert_eq!(live(&world).await, before, "nothing is taken for deleted");
    world.sync(&DAYS).await.unwrap();
    load(&world, "268435456").await;
    assert_tables_hold(&world).await;
}
