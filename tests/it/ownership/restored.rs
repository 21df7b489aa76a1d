//! Batches that were acknowledged and are not in the database: after a restored backup, or a lost standby.

use async_nats::jetstream::stream::Stream;
use shared::stream::STREAM;
use tests::servers::DEADLINE;
use tests::toggl::Account;
use tests::workers::Resident;
use tests::world::World;

use crate::expected::oracle::assert_recovers;
use crate::given::databases::{dump, restore};
use crate::given::flow::{self, Flow};
use crate::given::watched::{assert_says, ended, status_json};

/// Loads so many more listings.
async fn load(world: &World, flow: &mut Flow, listings: i64) {
    let loader = world.start_loader().await.unwrap();
    flow.publish(listings).await;
    assert_recovers(world, &flow.oracle, &[&loader]).await;
    stop(&loader).await;
}

async fn stop(loader: &Resident) {
    assert_eq!(loader.terminate().await.unwrap(), Some(0), "{}", loader.log());
}

async fn stream(world: &World) -> Stream {
    world.jetstream().await.unwrap().get_stream(STREAM).await.unwrap()
}

#[tokio::test]
async fn after_a_backup_was_restored_a_loader_that_starts_brings_back_what_came_since() {
    let (world, mut flow) = flow::start().await;
    load(&world, &mut flow, 10).await;
    let backup = dump(&world, &world.database).await;
    load(&world, &mut flow, 20).await;
    restore(&world, &backup).await;

    let found = status_json(&world, 6).await;
    assert_says(
        &found,
        &["batches were acknowledged and are not in this database", "time_entries"],
    );
    let loader = world.start_loader().await.unwrap();
    loader.logged("are loaded again", DEADLINE).await.unwrap();
    assert_recovers(&world, &flow.oracle, &[&loader]).await;
    stop(&loader).await;
    let found = status_json(&world, 0).await;
    assert_eq!(found["verdict"], "healthy");

    // Nothing is missed once more.
    let loader = world.start_loader().await.unwrap();
    flow.publish(1).await;
    assert_recovers(&world, &flow.oracle, &[&loader]).await;
    assert!(!loader.log().contains("loaded again"), "{}", loader.log());
}

#[tokio::test]
async fn after_a_backup_was_restored_under_a_running_loader_it_brings_back_what_came_since() {
    let (world, mut flow) = flow::start().await;
    load(&world, &mut flow, 10).await;
    let backup = dump(&world, &world.database).await;
    let loader = world.start_loader().await.unwrap();
    for is_idle in [false, true] {
        flow.publish(20).await;
        assert_recovers(&world, &flow.oracle, &[&loader]).await;
        let before = loader.log().matches("are loaded again").count();
        restore(&world, &backup).await;
        if !is_idle {
            // The next batch meets the connection that is lost.
            flow.publish(1).await;
        }
        tests::servers::wait_for("the loader to notice", DEADLINE, || async {
            (loader.log().matches("are loaded again").count() > before).then_some(())
        })
        .await
        .unwrap_or_else(|error| panic!("{error:#}\n{}", loader.log()));
        assert_recovers(&world, &flow.oracle, &[&loader]).await;
    }
}

#[tokio::test]
async fn what_left_the_stream_before_a_restored_database_had_it_is_named_with_what_fetches_it() {
    let world = World::start(Account::sample_at(jiff::Timestamp::now())).await.unwrap();
    world.sync_and_load(&["--days", "10"]).await.unwrap();
    let backup = dump(&world, &world.database).await;
    world.sync_and_load(&["--days", "10"]).await.unwrap();
    restore(&world, &backup).await;
    stream(&world).await.purge().await.unwrap();

    let loader = world.start_loader().await.unwrap();
    loader.logged("not in the stream any more", DEADLINE).await.unwrap();
    world.loaded_by(&loader).await.unwrap();
    stop(&loader).await;
    let words = ["not in the stream any more", "tags", "`fetcher`", "--since-days", "loader adopt"];
    assert_says(&status_json(&world, 6).await, &words);

    // Fetched once more, all of it is there.
    world.sync_and_load(&["--days", "10"]).await.unwrap();
    let loader = world.start_loader().await.unwrap();
    world.loaded_by(&loader).await.unwrap();
    loader.logged("Loading", DEADLINE).await.unwrap();
    tests::servers::wait_for("nothing to be missed", DEADLINE, || async {
        let found = world.loader(&["status"]).run().await.ok()?;
        (found.code == Some(0)).then_some(())
    })
    .await
    .unwrap_or_else(|error| panic!("{error:#}\n{}", loader.log()));
    assert!(!loader.log().contains("not in the stream any more"), "{}", loader.log());
}

#[tokio::test]
async fn who_knows_what_is_gone_says_so_by_adopting_the_stream_once_more() {
    let world = World::start(Account::sample_at(jiff::Timestamp::now())).await.unwrap();
    world.sync(&[]).await.unwrap();
    stream(&world).await.purge().await.unwrap();
    world.sync(&["--only", "me"]).await.unwrap();
    // Of a table that the stream has something of.
    let loader = world.start_loader().await.unwrap();
    loader.logged("not in the stream any more", DEADLINE).await.unwrap();
    world.loaded_by(&loader).await.unwrap();
    let adopted = ended(world.loader(&["adopt"]), 0).await;
    assert!(adopted.stdout.contains("named no more"), "{adopted:#?}");
    ended(world.loader(&["status"]), 0).await;
}

#[tokio::test]
async fn messages_that_left_the_stream_after_they_were_loaded_are_not_missed() {
    let world = World::start(Account::sample_at(jiff::Timestamp::now())).await.unwrap();
    world.sync_and_load(&[]).await.unwrap();
    stream(&world).await.purge().await.unwrap();
    world.sync_and_load(&["--only", "tags"]).await.unwrap();
    stream(&world).await.purge().await.unwrap();
    world.sync_and_load(&[]).await.unwrap();
    let loader = world.start_loader().await.unwrap();
    world.loaded_by(&loader).await.unwrap();
    ended(world.loader(&["status"]), 0).await;
    assert!(!loader.log().contains("not in the stream any more"), "{}", loader.log());
}
