//! A loader that keeps dead letters, and the commands about them.

use std::collections::{BTreeMap, BTreeSet};

use async_nats::jetstream::Context;
use shared::batch::{Batch, Record, Rejected, ZSTD};
use shared::listing::Span;
use shared::resource::Resource;
use sqlx::{AssertSqlSafe, Executor as _, FromRow, PgConnection};
use tests::rows::{RawRow, raw_rows};
use tests::toggl::Account;
use tests::workers::{Finished, Resident, Worker};
use tests::world::World;

use crate::given::batches::{cut, publish, record};

/// A world with a loader, in which some records are refused until they are allowed.
pub(crate) struct Letters {
    pub(crate) world: World,
    pub(crate) loader: Resident,
    pub(crate) context: Context,
    pub(crate) connection: PgConnection,
}

impl Letters {
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

    pub(crate) async fn load(&self, batches: &[Batch]) {
        publish(&self.context, batches).await;
        self.loaded().await;
    }

    pub(crate) async fn loaded(&self) {
        self.world.loaded_by(&self.loader).await.unwrap();
    }

    /// From now on this table refuses records whose name begins with `poison`.
    pub(crate) async fn refuse(&mut self, resource: &Resource, constraint: &str) {
        self.execute(format!(
            "alter table raw.{} add constraint {constraint} check (data->>'name' not like 'poison%')",
            resource.table()
        ))
        .await;
    }

    pub(crate) async fn allow(&mut self, resource: &Resource, constraint: &str) {
        let table = resource.table();
        self.execute(format!("alter table raw.{table} drop constraint {constraint}")).await;
    }

    pub(crate) async fn execute(&mut self, sql: String) {
        self.connection.execute(AssertSqlSafe(sql)).await.unwrap();
    }

    /// The command as a person runs it who has no NATS.
    pub(crate) fn command(&self, arguments: &[&str]) -> Worker {
        let arguments: Vec<&str> = ["dead-letters"].iter().chain(arguments).copied().collect();
        self.world.loader(&arguments).env("NATS_URL", "nats://127.0.0.1:1")
    }

    pub(crate) async fn run(&self, arguments: &[&str], code: i32) -> Finished {
        let finished = self.command(arguments).run().await.unwrap();
        assert_eq!(finished.code, Some(code), "{arguments:?}: {finished:#?}");
        finished
    }

    /// The texts that a query answers.
    pub(crate) async fn texts(&mut self, sql: &'static str) -> Vec<String> {
        sqlx::query_scalar(sql).fetch_all(&mut self.connection).await.unwrap()
    }

    /// Ids, the oldest letter first.
    pub(crate) async fn ids(&mut self) -> Vec<i64> {
        let sql = "select dead_letter_id from raw.toggl_track__dead_letters order by 1";
        sqlx::query_scalar(sql).fetch_all(&mut self.connection).await.unwrap()
    }

    pub(crate) async fn assert_none(&mut self) {
        assert!(self.ids().await.is_empty());
    }

    /// The only letter there is.
    pub(crate) async fn only_id(&mut self) -> i64 {
        let [id] = <[_; 1]>::try_from(self.ids().await).unwrap();
        id
    }

    pub(crate) async fn rows(&mut self, resource: &Resource) -> BTreeMap<i64, RawRow> {
        raw_rows(&mut self.connection, resource).await.unwrap()
    }

    pub(crate) async fn live(&mut self, resource: &Resource) -> BTreeSet<i64> {
        let rows = self.rows(resource).await;
        rows.iter().filter(|(_, row)| row.deleted_at.is_none()).map(|(id, _)| *id).collect()
    }

    pub(crate) async fn kept(&mut self) -> Vec<Kept> {
        let sql = "select dead_letter_id, kind, source_id, reason, payload, batch
                   from raw.toggl_track__dead_letters order by dead_letter_id";
        sqlx::query_as(sql).fetch_all(&mut self.connection).await.unwrap()
    }

    /// Kinds and source ids, the oldest letter first.
    pub(crate) async fn kinds(&mut self) -> Vec<(String, Option<i64>)> {
        self.kept().await.into_iter().map(|kept| (kept.kind, kept.source_id)).collect()
    }

    /// The batch of the only letter there is.
    pub(crate) async fn only_batch(&mut self) -> Batch {
        let [kept] = <[_; 1]>::try_from(self.kept().await).unwrap();
        Batch::decode(&kept.batch.unwrap(), Some(ZSTD)).unwrap()
    }
}

#[derive(Debug, PartialEq, FromRow)]
pub(crate) struct Kept {
    pub(crate) dead_letter_id: i64,
    pub(crate) kind: String,
    pub(crate) source_id: Option<i64>,
    pub(crate) reason: String,
    pub(crate) payload: Vec<u8>,
    pub(crate) batch: Option<Vec<u8>>,
}

pub(crate) fn poison(resource: &Resource, ids: impl IntoIterator<Item = i64>) -> Vec<Record> {
    ids.into_iter().map(|id| record(resource, id, 5, &format!("poison {id}"))).collect()
}

/// A batch that brings nothing but what the fetcher could make no record of: ids and texts.
pub(crate) fn rejected(
    resource: &'static Resource,
    fetched_at: i64,
    rejected: &[(Option<i64>, &str)],
) -> Batch {
    let mut batch = cut(resource, fetched_at, Span::Partial, vec![record(resource, 1, 5, "")]);
    let mut batch = batch.remove(0);
    batch.records.clear();
    batch.rejected = rejected
        .iter()
        .map(|(source_id, text)| Rejected {
            source_id: *source_id,
            reason: "it is none".to_owned(),
            data: (*text).to_owned().into(),
        })
        .collect();
    batch
}

pub(crate) fn named(
    resource: &Resource,
    ids: impl IntoIterator<Item = i64>,
    name: &str,
) -> Vec<Record> {
    ids.into_iter().map(|id| record(resource, id, 5, name)).collect()
}
