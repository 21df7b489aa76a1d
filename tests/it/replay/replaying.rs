//! A stream with a past, and the command that replays it.

use std::collections::BTreeMap;

use async_nats::jetstream::Context;
use futures::TryStreamExt as _;
use shared::batch::Batch;
use shared::catalogue::CATALOGUE;
use shared::resource::Resource;
use shared::stream::STREAM;
use sqlx::{AssertSqlSafe, Executor as _, PgConnection};
use tests::rows::snapshot;
use tests::toggl::Account;
use tests::workers::{Finished, Resident};
use tests::world::World;

use crate::given::batches::{listing, publish, record};

/// A world with a running loader.
pub(crate) struct Replaying {
    pub(crate) world: World,
    pub(crate) loader: Resident,
    pub(crate) context: Context,
    pub(crate) connection: PgConnection,
}

/// Everything in some tables, by table.
pub(crate) type Contents = BTreeMap<String, Vec<String>>;

const BOOKKEEPING: [&str; 3] =
    ["toggl_track__loads", "toggl_track__claims", "toggl_track__dead_letters"];

impl Replaying {
    pub(crate) async fn start() -> Self {
        Self::over(World::start(Account::empty()).await.unwrap()).await
    }

    pub(crate) async fn over(world: World) -> Self {
        let loader = world.start_loader().await.unwrap();
        world.loaded().await.unwrap();
        let context = world.jetstream().await.unwrap();
        let connection = world.connect().await.unwrap();
        Self { world, loader, context, connection }
    }

    /// With the whole [`past`] loaded.
    pub(crate) async fn with_past() -> Self {
        let replaying = Self::start().await;
        replaying.load_past(10..=60).await;
        replaying
    }

    /// Step by step: the writers of a loader overtake each other.
    pub(crate) async fn load_past(&self, fetched: std::ops::RangeInclusive<i64>) {
        for fetched_at in fetched.step_by(10) {
            self.load(&past(fetched_at..=fetched_at)).await;
        }
    }

    pub(crate) async fn load(&self, batches: &[Batch]) {
        publish(&self.context, batches).await;
        self.loaded().await;
    }

    pub(crate) async fn loaded(&self) {
        self.world.loaded_by(&self.loader).await.unwrap();
    }

    /// Replays to the end, which must be this exit code, and leaves no consumer behind.
    pub(crate) async fn replay(&self, arguments: &[&str], code: i32) -> Finished {
        let arguments: Vec<&str> = ["replay"].iter().chain(arguments).copied().collect();
        let finished = self.world.loader(&arguments).run().await.unwrap();
        assert_eq!(finished.code, Some(code), "{arguments:?}: {finished:#?}");
        assert_eq!(self.consumers().await, [""; 0], "{arguments:?}: {finished:#?}");
        finished
    }

    /// Consumers of replays.
    pub(crate) async fn consumers(&self) -> Vec<String> {
        let stream = self.context.get_stream(STREAM).await.unwrap();
        let names: Vec<String> = stream.consumer_names().try_collect().await.unwrap();
        names.into_iter().filter(|name| !name.starts_with("loader_")).collect()
    }

    pub(crate) async fn execute(&mut self, sql: &str) {
        self.connection.execute(AssertSqlSafe(sql.to_owned())).await.unwrap();
    }

    /// Empties all raw tables, and leaves the claims and the ledger as they are.
    pub(crate) async fn truncate(&mut self) {
        for resource in CATALOGUE {
            self.execute(&format!("truncate raw.{}", resource.table())).await;
        }
    }

    /// All raw tables without these columns.
    pub(crate) async fn contents(&mut self, schema: &str, without: &[&str]) -> Contents {
        let mut contents = Contents::new();
        for table in CATALOGUE.iter().map(Resource::table) {
            let sql =
                format!("select (to_jsonb(t) - $1)::text from \"{schema}\".{table} t order by 1");
            let rows = sqlx::query_scalar(AssertSqlSafe(sql)).bind(without);
            contents.insert(table, rows.fetch_all(&mut self.connection).await.unwrap());
        }
        contents
    }

    /// Everything in the live schema, with what tells whether it was written again.
    pub(crate) async fn live(&mut self) -> Contents {
        let mut live = Contents::new();
        let tables = CATALOGUE.iter().map(Resource::table);
        for table in tables.chain(BOOKKEEPING.map(str::to_owned)) {
            let rows = snapshot(&mut self.connection, &table).await.unwrap();
            live.insert(table, rows);
        }
        live
    }

    pub(crate) async fn scalar(&mut self, sql: &str) -> String {
        let sql = format!("select coalesce(({sql})::text, 'null')");
        sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut self.connection).await.unwrap()
    }
}

/// Six listings of each resource, fetched at 10, 20, … 60. Of five records the second changes
/// silently, the third is missing, comes back and is missing again, the fourth is missing from 40 on,
/// and a sixth comes at the end. Where a listing claims nothing, nothing is deleted.
fn past(fetched: std::ops::RangeInclusive<i64>) -> Vec<Batch> {
    let steps: [&[i64]; 6] = [
        &[1, 2, 3, 4, 5],
        &[1, 2, 3, 4, 5],
        &[1, 2, 4, 5],
        &[1, 2, 3, 5],
        &[1, 2, 5],
        &[1, 2, 5, 6],
    ];
    let mut batches = Vec::new();
    for (fetched_at, ids) in (10..).step_by(10).zip(steps) {
        if !fetched.contains(&fetched_at) {
            continue;
        }
        for resource in CATALOGUE {
            batches.extend(listing(resource, fetched_at, seen(resource, fetched_at, ids)));
        }
    }
    batches
}

fn seen(resource: &Resource, fetched_at: i64, ids: &[i64]) -> Vec<shared::batch::Record> {
    let content = |id| if id == 2 && fetched_at > 10 { "B" } else { "A" };
    ids.iter().map(|id| record(resource, *id, 5, content(*id))).collect()
}

/// A listing that says the same as the last of the [`past`].
pub(crate) fn nothing_new(resource: &'static Resource, fetched_at: i64) -> Vec<Batch> {
    listing(resource, fetched_at, seen(resource, fetched_at, &[1, 2, 5, 6]))
}
