//! Whoever is killed or restarted while some thousands of rows flow: every row is there once, with
//! the right data, and every batch stands once in the ledger.

use std::collections::BTreeMap;

use serde_json::Value;
use shared::batch::Batch;
use shared::listing::Span;
use sqlx::{Connection as _, Executor as _, PgConnection};
use tests::rows::raw_rows;
use tests::servers::{DEADLINE, Shutdown, wait_for};
use tests::sessions::waiting_sessions;
use tests::toggl::Account;
use tests::workers::Resident;
use tests::world::World;
use uuid::Uuid;

use crate::expected::rows::resource;
use crate::given::batches::{USER, WORKSPACE, cut, moment, publish, record};
use crate::given::dice::Dice;

/// Entries of a flow, and how many of them a batch holds: few, so that there are many batches.
const ENTRIES: i64 = 6_000;
const ENTRIES_PER_BATCH: i64 = 15;

/// Batches on their way to the tables.
struct Flow {
    world: World,
    batches: Vec<Batch>,
}

impl Flow {
    /// Everything is published and nothing loaded.
    async fn start() -> Self {
        Self::publish(World::start(Account::empty()).await.unwrap()).await
    }

    async fn publish(world: World) -> Self {
        // The first loader makes stream and tables.
        let loader = world.start_loader().await.unwrap();
        world.loaded().await.unwrap();
        assert_eq!(loader.terminate().await.unwrap(), Some(0), "{}", loader.log());
        let mut flow = Self { world, batches: Vec::new() };
        flow.more(1..ENTRIES + 1).await;
        flow
    }

    /// Publishes these entries, and a tag for each batch of them.
    async fn more(&mut self, ids: std::ops::Range<i64>) {
        let (entries, tags) = (resource("time_entries"), resource("tags"));
        let mut batches = Vec::new();
        for first in ids.step_by(usize::try_from(ENTRIES_PER_BATCH).unwrap()) {
            let end = first + ENTRIES_PER_BATCH;
            let records = (first..end).map(|id| record(entries, id, 5, &format!("entry {id}")));
            let span = Span::Starts {
                from: moment(first * 100),
                to: moment(end * 100),
                user_id: Some(USER),
            };
            batches.extend(cut(entries, 10, span, records.collect()));
            let tag = record(tags, first, 5, &format!("tag {first}"));
            batches.extend(cut(tags, 10, Span::Partial, vec![tag]));
        }
        publish(&self.world.jetstream().await.unwrap(), &batches).await;
        self.batches.extend(batches);
    }

    async fn loader(&self) -> Resident {
        self.world.start_loader().await.unwrap()
    }

    /// Waits until so many batches are loaded.
    async fn reached(&self, batches: usize, loader: &Resident) {
        let world = &self.world;
        let reached = wait_for("the ledger to grow", DEADLINE, || async {
            let mut connection = world.connect().await.ok()?;
            let loads = loads(&mut connection).await.ok()?;
            connection.close().await.ok()?;
            (loads >= batches).then_some(())
        });
        reached.await.unwrap_or_else(|error| panic!("{error:#}\n{}", loader.log()));
    }

    /// Until the connection is closed, nobody gets a batch into the tables.
    async fn lock(&self) -> PgConnection {
        let mut connection = self.world.connect().await.unwrap();
        let sql = "begin; lock table raw.toggl_track__time_entries, raw.toggl_track__tags";
        connection.execute(sql).await.unwrap();
        connection
    }

    async fn is_unfinished(&self) -> bool {
        let mut connection = self.world.connect().await.unwrap();
        loads(&mut connection).await.unwrap() < self.batches.len()
    }

    /// Waits until all is loaded, stops the loader in order, and compares everything.
    async fn finish(&self, loader: &Resident) {
        self.world.loaded_by(loader).await.unwrap();
        assert_eq!(loader.terminate().await.unwrap(), Some(0), "{}", loader.log());
        let mut connection = self.world.connect().await.unwrap();
        for name in ["time_entries", "tags"] {
            self.assert_rows(&mut connection, name).await;
        }
        self.assert_ledger(&mut connection).await;
        let dead: i64 = sqlx::query_scalar("select count(*) from raw.toggl_track__dead_letters")
            .fetch_one(&mut connection)
            .await
            .unwrap();
        assert_eq!(dead, 0);
    }

    async fn assert_rows(&self, connection: &mut PgConnection, name: &str) {
        let rows = raw_rows(connection, resource(name)).await.unwrap();
        let batches = self.batches.iter().filter(|batch| batch.resource == name);
        let records: BTreeMap<_, _> =
            batches.flat_map(|batch| &batch.records).map(|r| (r.source_id, r)).collect();
        assert!(rows.keys().eq(records.keys()), "{name}: {} rows", rows.len());
        for (id, record) in records {
            let row = &rows[&id];
            assert_eq!(row.data, serde_json::from_slice::<Value>(&record.data).unwrap());
            assert_eq!((row.workspace_id, row.user_id), (WORKSPACE, record.user_id), "{name} {id}");
            assert_eq!(row.deleted_at, None, "{name} {id}");
        }
    }

    /// Each batch once, and each of its records written by it.
    async fn assert_ledger(&self, connection: &mut PgConnection) {
        let sql = "select run_id, resource, workspace_id, part, received, written
                   from raw.toggl_track__loads";
        let mut loads: Vec<(Uuid, String, i64, i32, i32, i32)> =
            sqlx::query_as(sql).fetch_all(connection).await.unwrap();
        let load = |batch: &Batch| {
            let records = i32::try_from(batch.records.len()).unwrap();
            let part = i32::try_from(batch.part).unwrap();
            let resource = batch.resource.clone();
            (batch.run_id, resource, batch.workspace_id, part, records, records)
        };
        let mut expected: Vec<_> = self.batches.iter().map(load).collect();
        loads.sort_unstable();
        expected.sort_unstable();
        assert_eq!(loads, expected);
    }
}

async fn loads(connection: &mut PgConnection) -> sqlx::Result<usize> {
    let sql = "select count(*) from raw.toggl_track__loads";
    let loads: i64 = sqlx::query_scalar(sql).fetch_one(connection).await?;
    Ok(usize::try_from(loads).unwrap_or_default())
}

#[tokio::test]
async fn loaders_killed_at_random_moments_lose_and_double_nothing() {
    let flow = Flow::start().await;
    let mut midway = 0;
    for place in Dice::new().places(5, flow.batches.len()) {
        let loader = flow.loader().await;
        flow.reached(place, &loader).await;
        loader.kill9().unwrap();
        midway += usize::from(flow.is_unfinished().await);
    }
    assert!(midway > 0, "every loader was killed too late to show anything");
    flow.finish(&flow.loader().await).await;
}

#[tokio::test]
async fn of_two_loaders_one_is_killed_and_the_other_loads_everything_once() {
    let flow = Flow::start().await;
    let lock = flow.lock().await;
    let (killed, other) = (flow.loader().await, flow.loader().await);
    for loader in [&killed, &other] {
        loader.logged("Loading", DEADLINE).await.unwrap();
    }
    lock.close().await.unwrap();
    for loader in [&killed, &other] {
        loader.logged("Upserted", DEADLINE).await.unwrap();
    }
    flow.reached(Dice::new().places(1, flow.batches.len())[0], &killed).await;
    killed.kill9().unwrap();
    flow.finish(&other).await;
}

#[tokio::test]
async fn a_loader_that_is_asked_to_end_finishes_what_it_has_in_hand() {
    let flow = Flow::start().await;
    let lock = flow.lock().await;
    let loader = flow.loader().await;
    let mut watcher = flow.world.connect().await.unwrap();
    // Of its three connections one table has two at most.
    let waiting = waiting_sessions(&mut watcher, 2).await;
    let waiting = waiting.unwrap_or_else(|error| panic!("{error:#}\n{}", loader.log()));
    assert!((2..=3).contains(&waiting.len()), "{waiting:?}");
    loader.signal("TERM").unwrap();
    assert_eq!(loads(&mut watcher).await.unwrap(), 0);
    lock.close().await.unwrap();

    assert_eq!(loader.ended(DEADLINE).await.unwrap(), Some(0), "{}", loader.log());
    let committed = loads(&mut watcher).await.unwrap();
    assert!(committed >= 2, "what was in hand is committed, not {committed}");
    flow.finish(&flow.loader().await).await;
}

#[tokio::test]
async fn loaders_asked_to_end_at_random_moments_leave_the_rest_to_the_next() {
    let flow = Flow::start().await;
    // What one of them forgot to hand back would come again after the test has given up.
    let loader = || flow.world.loader(&[]).env("LOADER_ACK_WAIT", "1h").start();
    for place in Dice::new().places(5, flow.batches.len()) {
        let loader = loader().await.unwrap();
        flow.reached(place, &loader).await;
        assert_eq!(loader.terminate().await.unwrap(), Some(0), "{}", loader.log());
    }
    flow.finish(&loader().await.unwrap()).await;
}

#[tokio::test]
async fn a_loader_goes_on_by_itself_after_nats_was_killed() {
    let mut flow = Flow::start().await;
    let loader = flow.loader().await;
    flow.reached(Dice::new().places(1, flow.batches.len())[0], &loader).await;
    flow.world.nats.kill9().unwrap();
    flow.world.nats.restart().await.unwrap();
    flow.more(ENTRIES + 1..ENTRIES + 151).await;
    flow.finish(&loader).await;
}

#[tokio::test]
async fn a_loader_goes_on_by_itself_after_postgres_was_stopped() {
    let world = World::start_with_own_postgres(Account::empty()).await.unwrap();
    let mut flow = Flow::publish(world).await;
    let loader = flow.loader().await;
    let place = Dice::new().places(1, flow.batches.len())[0];
    flow.reached(place, &loader).await;
    flow.world.postgres().stop(Shutdown::Immediate).await.unwrap();
    flow.more(ENTRIES + 1..ENTRIES + 151).await;
    loader.logged("Postgres is in trouble", DEADLINE).await.unwrap();
    flow.world.postgres().restart(Shutdown::Immediate).await.unwrap();
    flow.finish(&loader).await;
}
