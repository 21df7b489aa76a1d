//! Postgres breaks while rows flow, and goes on: rows 4 and 6 of the fault matrix.

use std::time::Duration;

use shared::stream::STREAM;
use sqlx::{Connection as _, Executor as _};
use tests::proxy::Proxy;
use tests::servers::{Shutdown, wait_for};
use tests::workers::Resident;
use tests::world::World;

use crate::expected_rows::resource;
use crate::flow::{self, loads, reached};
use crate::oracle::assert_recovers;

const DEADLINE: Duration = Duration::from_mins(1);

async fn loader_through(world: &World, proxy: &Proxy) -> Resident {
    let loader = world.loader(&[]).env("DATABASE_URL", world.database_url_through(proxy));
    loader.start().await.unwrap()
}

async fn ends_in_order(loader: &Resident) {
    assert_eq!(loader.terminate().await.unwrap(), Some(0), "{}", loader.log());
}

#[tokio::test]
async fn restarts_of_postgres_lose_and_double_nothing() {
    let (world, mut flow) = flow::start_with_own_postgres().await;
    let loader = world.start_loader().await.unwrap();
    for shutdown in [Shutdown::Fast, Shutdown::Immediate, Shutdown::Fast, Shutdown::Immediate] {
        let before = loads(&world).await.unwrap();
        flow.publish(100).await;
        reached(&world, before + 50, &loader).await;
        world.postgres().restart(shutdown).await.unwrap();
    }
    assert!(loader.log().contains("Postgres is in trouble"), "{}", loader.log());
    assert_recovers(&world, &flow.oracle, &[&loader]).await;
    ends_in_order(&loader).await;
}

#[tokio::test]
async fn sessions_that_postgres_ends_lose_and_double_nothing() {
    let (world, mut flow) = flow::start().await;
    let loader = world.start_loader().await.unwrap();
    let connection = tokio::sync::Mutex::new(world.connect().await.unwrap());
    let end = "select count(pg_terminate_backend(pid)) from pg_stat_activity
               where application_name = 'toggl-track-loader' and datname = current_database()
                 and state <> 'idle'";
    let mut ended = 0;
    for _ in 0..40 {
        flow.publish(10).await;
        // At work, if only for a moment: within a transaction, or at its COMMIT.
        let at_work = wait_for("a session at work", Duration::from_secs(2), || async {
            let ended = sqlx::query_scalar::<_, i64>(end);
            Some(ended.fetch_one(&mut *connection.lock().await).await.ok()?).filter(|n| *n > 0)
        });
        ended += at_work.await.unwrap_or(0);
    }
    assert!(ended >= 10, "too few sessions were seen at work: {ended}");
    assert!(loader.log().contains("Postgres is in trouble"), "{}", loader.log());
    assert_recovers(&world, &flow.oracle, &[&loader]).await;
    ends_in_order(&loader).await;
}

/// The loader cannot know whether it has committed, and applies the batch again.
/// Three times the time after which the server gives a message to somebody else; a statement waits
/// longer than that for a lock.
const WAIT: Duration = Duration::from_secs(6);

#[tokio::test]
async fn what_waits_long_for_its_turn_is_delivered_to_nobody_else() {
    let (world, mut flow) = flow::start().await;
    let loaders = [world.start_loader().await.unwrap(), world.start_loader().await.unwrap()];
    let mut connection = world.connect().await.unwrap();
    let mut transaction = connection.begin().await.unwrap();
    transaction.execute("lock table raw.toggl_track__time_entries").await.unwrap();
    flow.publish(20).await;
    tokio::time::sleep(WAIT).await;
    transaction.rollback().await.unwrap();
    assert_recovers(&world, &flow.oracle, &[&loaders[0], &loaders[1]]).await;

    let sql = "select count(*) from raw.toggl_track__loads where resource = 'time_entries'";
    let batches: i64 = sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap();
    let stream = world.jetstream().await.unwrap().get_stream(STREAM).await.unwrap();
    let consumer = stream.consumer_info(&resource("time_entries").consumer()).await.unwrap();
    assert_eq!(consumer.delivered.consumer_sequence, batches.unsigned_abs());
    for loader in &loaders {
        ends_in_order(loader).await;
    }
}

#[tokio::test]
async fn commits_whose_reply_is_lost_are_counted_once() {
    let (world, mut flow) = flow::start().await;
    let proxy = Proxy::start(world.postgres().port()).await.unwrap();
    let loader = loader_through(&world, &proxy).await;
    loader.logged("Loading", DEADLINE).await.unwrap();
    for round in 1..=10 {
        proxy.lose_commit_replies(1);
        flow.publish(2).await;
        world.loaded_by(&loader).await.unwrap();
        assert_eq!(proxy.lost_commit_replies(), round);
    }
    assert_recovers(&world, &flow.oracle, &[&loader]).await;
    ends_in_order(&loader).await;
}
