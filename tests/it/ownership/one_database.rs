//! A stream is loaded into one database: loaders of another one take nothing until it is moved to theirs.

use shared::catalogue::CATALOGUE;
use sqlx::Connection as _;
use tests::servers::{DEADLINE, wait_for};

use crate::expected::oracle::assert_recovers;
use crate::given::databases::{disown, dump, loader_of, loads_of, owned};
use crate::given::flow;
use crate::given::watched::{Watched, assert_says, ended};

/// The advisory lock of who moves consumers.
const MOVING: i64 = 0x0074_6f67_676c_0011;

#[tokio::test]
async fn a_second_database_takes_nothing_until_it_adopts_the_stream_and_then_gets_all() {
    let (mut world, mut flow) = flow::start().await;
    let first = world.start_loader().await.unwrap();
    flow.publish(10).await;
    assert_recovers(&world, &flow.oracle, &[&first]).await;

    let other = world.postgres().create_database().await.unwrap();
    let second = Watched::of(loader_of(&world, &other, &["--http", "127.0.0.1:0"])).await;
    second.answers("/readyz", 503, &["another database", "`loader adopt`", "--copy NAME"]).await;
    flow.publish(10).await;
    assert_recovers(&world, &flow.oracle, &[&first]).await;
    assert_eq!(loads_of(&world, &other).await, Some(0), "{}", second.loader.log());
    assert_eq!(second.loader.log().matches("Not loading").count(), 1, "{}", second.loader.log());
    let status = ended(loader_of(&world, &other, &["status", "--json"]), 6).await;
    assert_says(&serde_json::from_str(&status.stdout).unwrap(), &["another database", "adopt"]);

    let adopted = ended(loader_of(&world, &other, &["adopt"]), 0).await;
    assert!(adopted.stdout.contains("from now on"), "{adopted:#?}");
    second.answers("/readyz", 200, &["ok"]).await;
    first.logged("Not loading", DEADLINE).await.unwrap();
    let former = std::mem::replace(&mut world.database, other);
    let before = loads_of(&world, &former).await;
    flow.publish(10).await;
    assert_recovers(&world, &flow.oracle, &[&second.loader]).await;
    assert_eq!(loads_of(&world, &former).await, before, "{}", first.log());
    assert_eq!(first.exit_code(), None);
    let again = ended(world.loader(&["adopt"]), 0).await;
    assert!(again.stdout.contains("already"), "{again:#?}");
    ended(world.loader(&["status"]), 0).await;
}

/// Where a consumer begins is read and written back by both; what it delivers in between would never come.
#[tokio::test]
async fn adopting_waits_for_a_loader_that_is_just_comparing() {
    let (world, mut flow) = flow::start().await;
    let first = world.start_loader().await.unwrap();
    flow.publish(3).await;
    assert_recovers(&world, &flow.oracle, &[&first]).await;
    let other = world.postgres().create_database().await.unwrap();
    ended(loader_of(&world, &other, &["setup"]), 0).await;

    let mut comparing = world.postgres().connect(&other.name).await.unwrap();
    sqlx::query("select pg_advisory_lock($1)").bind(MOVING).execute(&mut comparing).await.unwrap();
    let adopting = loader_of(&world, &other, &["adopt"]).start().await.unwrap();
    wait_for("adopt to ask for its turn", DEADLINE, || async {
        let asks = "select 1 from pg_stat_activity
                    where datname = $1 and query like '%pg_try_advisory_xact_lock%'";
        let mut connection = world.postgres().connect("postgres").await.ok()?;
        let asking = sqlx::query(asks).bind(&other.name).fetch_optional(&mut connection).await;
        asking.ok()?.map(drop)
    })
    .await
    .unwrap();
    assert_eq!(adopting.exit_code(), None, "{}", adopting.log());
    assert!(!first.log().contains("Not loading"), "{}", first.log());

    comparing.close().await.unwrap();
    first.logged("Not loading", DEADLINE).await.unwrap();
    assert_eq!(adopting.ended(DEADLINE).await.unwrap(), Some(0), "{}", adopting.log());
}

#[tokio::test]
async fn a_new_database_under_consumers_that_nobody_owns_gets_everything() {
    let (mut world, mut flow) = flow::start().await;
    let first = world.start_loader().await.unwrap();
    flow.publish(60).await;
    assert_recovers(&world, &flow.oracle, &[&first]).await;
    assert_eq!(first.terminate().await.unwrap(), Some(0));
    disown(&world).await;

    world.database = world.postgres().create_database().await.unwrap();
    let second = world.start_loader().await.unwrap();
    second.logged("are loaded again", DEADLINE).await.unwrap();
    flow.publish(5).await;
    assert_recovers(&world, &flow.oracle, &[&second]).await;
    assert_eq!(owned(&world).await, CATALOGUE.len());
}

#[tokio::test]
async fn while_a_loader_of_the_first_release_reads_a_new_database_takes_nothing() {
    let (world, mut flow) = flow::start().await;
    let first = world.start_loader().await.unwrap();
    flow.publish(10).await;
    assert_recovers(&world, &flow.oracle, &[&first]).await;
    // Its pull requests wait on.
    disown(&world).await;
    let other = world.postgres().create_database().await.unwrap();
    let second = loader_of(&world, &other, &[]).start().await.unwrap();
    second.logged("a loader of an older version that is at work", DEADLINE).await.unwrap();
    flow.publish(10).await;
    assert_recovers(&world, &flow.oracle, &[&first]).await;
    assert_eq!(loads_of(&world, &other).await, Some(0), "{}", second.log());
}

#[tokio::test]
async fn the_same_database_takes_consumers_of_the_first_release_without_a_word() {
    let (world, mut flow) = flow::start().await;
    let first = world.start_loader().await.unwrap();
    flow.publish(10).await;
    assert_recovers(&world, &flow.oracle, &[&first]).await;
    disown(&world).await;
    // Beside the one that is at work.
    let second = world.start_loader().await.unwrap();
    second.logged("Loading", DEADLINE).await.unwrap();
    flow.publish(10).await;
    assert_recovers(&world, &flow.oracle, &[&first, &second]).await;
    wait_for("the consumers to be owned", DEADLINE, || async {
        (owned(&world).await == CATALOGUE.len()).then_some(())
    })
    .await
    .unwrap();
    for word in ["WARN  [subscriber]", "ERROR", "loaded again", "Took over"] {
        assert!(!second.log().contains(word), "{}", second.log());
    }
}

#[tokio::test]
async fn a_dump_restored_elsewhere_takes_the_stream_only_once_the_first_is_loaded_no_more() {
    let (mut world, mut flow) = flow::start().await;
    let twin = dump(&world, &world.database).await;
    let first = world.start_loader().await.unwrap();
    flow.publish(10).await;
    assert_recovers(&world, &flow.oracle, &[&first]).await;
    let second = loader_of(&world, &twin, &[]).start().await.unwrap();
    second.logged("another copy of this database", DEADLINE).await.unwrap();
    flow.publish(10).await;
    assert_recovers(&world, &flow.oracle, &[&first]).await;
    assert_eq!(loads_of(&world, &twin).await, Some(0), "{}", second.log());

    assert_eq!(first.terminate().await.unwrap(), Some(0), "{}", first.log());
    second.logged("Took over the stream", DEADLINE).await.unwrap();
    second.logged("this database's now", DEADLINE).await.unwrap();
    world.database = twin;
    assert_recovers(&world, &flow.oracle, &[&second]).await;
}
