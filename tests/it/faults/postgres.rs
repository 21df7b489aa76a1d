//! Postgres breaks while rows flow, and goes on: rows 4 and 6 of the fault matrix.

use std::time::Duration;

use sqlx::{Connection as _, Executor as _};
use tests::proxy::{COMMIT, Proxy};
use tests::servers::DEADLINE;
use tests::servers::Shutdown;
use tests::sessions::end_waiting_sessions;
use tests::workers::Resident;
use tests::world::World;

use crate::expected::oracle::assert_recovers;
use crate::expected::rows::resource;
use crate::given::flow::{self, loads, reached};

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

/// A lock for which a statement of the loader waits.
const IN_A_STATEMENT: &str = "lock table raw.toggl_track__time_entries in share mode";
/// A lock for which its COMMIT waits, by [`DEFERRED`].
const AT_ITS_COMMIT: &str = "select pg_advisory_xact_lock(1)";
const DEFERRED: &str = "
    create function raw.wait() returns trigger language plpgsql as
    'begin perform pg_advisory_xact_lock(1); return null; end';
    create constraint trigger wait after insert on raw.toggl_track__loads
    deferrable initially deferred for each row execute function raw.wait()";

#[tokio::test]
async fn sessions_that_postgres_ends_lose_and_double_nothing() {
    let (world, mut flow) = flow::start().await;
    let mut connection = world.connect().await.unwrap();
    connection.execute(DEFERRED).await.unwrap();
    let mut administrator = world.connect().await.unwrap();
    let loader = world.start_loader().await.unwrap();
    for place in [IN_A_STATEMENT, AT_ITS_COMMIT].repeat(5) {
        let mut transaction = connection.begin().await.unwrap();
        transaction.execute(place).await.unwrap();
        flow.publish(10).await;
        let ended = end_waiting_sessions(&mut administrator).await;
        ended.unwrap_or_else(|error| panic!("{error:#}\n{}", loader.log()));
        transaction.rollback().await.unwrap();
    }
    assert!(loader.log().contains("Postgres is in trouble"), "{}", loader.log());
    assert_recovers(&world, &flow.oracle, &[&loader]).await;
    ends_in_order(&loader).await;
}

/// Three times the time after which the server gives a message to somebody else.
const WAIT: Duration = Duration::from_secs(15);
/// That time: a third of it is more than a loader is ever kept from its turn on a busy machine.
const ACK_WAIT: &str = "5s";

#[tokio::test]
async fn what_waits_long_for_its_turn_is_delivered_to_nobody_else() {
    let (world, mut flow) = flow::start().await;
    let loader = || world.loader(&[]).env("LOADER_ACK_WAIT", ACK_WAIT).start();
    let loaders = [loader().await.unwrap(), loader().await.unwrap()];
    let mut connection = world.connect().await.unwrap();
    let mut transaction = connection.begin().await.unwrap();
    transaction.execute("lock table raw.toggl_track__time_entries").await.unwrap();
    flow.publish(20).await;
    tokio::time::sleep(WAIT).await;
    transaction.rollback().await.unwrap();
    assert_recovers(&world, &flow.oracle, &[&loaders[0], &loaders[1]]).await;

    let sql = "select count(*) from raw.toggl_track__loads where resource = 'time_entries'";
    let batches: i64 = sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap();
    let stream = world.stream().await.unwrap();
    let consumer = stream.consumer_info(&resource("time_entries").consumer()).await.unwrap();
    assert_eq!(consumer.delivered.consumer_sequence, batches.unsigned_abs());
    for loader in &loaders {
        ends_in_order(loader).await;
    }
}

/// The loader cannot know whether it has committed, and applies the batch again.
#[tokio::test]
async fn commits_whose_reply_is_lost_are_counted_once() {
    let (world, mut flow) = flow::start().await;
    let proxy = Proxy::start(world.postgres().port()).await.unwrap();
    let loader = loader_through(&world, &proxy).await;
    loader.logged("Loading", DEADLINE).await.unwrap();
    for round in 1..=10 {
        proxy.lose_replies(COMMIT, 1);
        flow.publish(2).await;
        world.loaded_by(&loader).await.unwrap();
        assert_eq!(proxy.lost_replies(), round);
    }
    assert_recovers(&world, &flow.oracle, &[&loader]).await;
    ends_in_order(&loader).await;
}
