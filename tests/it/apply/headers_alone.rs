//! Messages of which only the headers can be read.

use async_nats::HeaderMap;
use bytes::Bytes;
use shared::batch::Batch;
use shared::message::headers;
use shared::resource::Resource;
use sqlx::AssertSqlSafe;
use tests::toggl::Account;
use tests::world::World;

use crate::dead_letters::letters::Letters;
use crate::given::batches::publish_with;

/// What is no batch: whoever reads it keeps it as a dead letter.
const UNREADABLE: &[u8] = b"never unpacked";

impl Letters {
    /// With a loader of one connection, so that every batch meets what the last one has taught it.
    pub(crate) async fn of_one_connection() -> Self {
        let world = World::start(Account::empty()).await.unwrap();
        let loader = world.loader(&[]).env("LOADER_WRITERS", "1").start().await.unwrap();
        world.loaded().await.unwrap();
        let context = world.jetstream().await.unwrap();
        let connection = world.connect().await.unwrap();
        Self { world, loader, context, connection }
    }

    /// Loads a batch of which only the headers can be read. Whether they were enough.
    pub(crate) async fn is_enough(&mut self, batch: &Batch) -> bool {
        let before = self.unreadable().await;
        let resource = batch.known_resource().unwrap();
        let headers = headers(resource, batch, UNREADABLE);
        self.send(resource, headers, UNREADABLE.into()).await;
        let kept = self.unreadable().await - before;
        assert!(kept <= 1, "{:?}", self.kept().await);
        kept == 0
    }

    /// How many messages have been kept because they cannot be read.
    async fn unreadable(&mut self) -> usize {
        self.kept().await.iter().filter(|letter| letter.payload == UNREADABLE).count()
    }

    /// Loads them one by one. The second of two listings that are the same makes a loader expect a third.
    pub(crate) async fn load_each(&self, batches: impl IntoIterator<Item = Batch>) {
        for batch in batches {
            self.load(&[batch]).await;
        }
    }

    pub(crate) async fn send(&self, resource: &Resource, headers: HeaderMap, payload: Bytes) {
        publish_with(&self.context, resource.subject(), headers, payload).await;
        self.loaded().await;
    }

    /// All there is of a resource and of batches, without what differs from time to time.
    pub(crate) async fn everything(&mut self, resource: &Resource) -> Vec<String> {
        let (mut all, own) = (Vec::new(), resource.table());
        for table in
            [own.as_str(), "toggl_track__claims", "toggl_track__history", "toggl_track__loads"]
        {
            let sql = format!(
                "select (to_jsonb(t) - '{{synced_at,claim_id,history_id,recorded_at,load_id,loaded_at,stream_sequence}}'::text[])::text
                 from raw.{table} t order by 1"
            );
            all.extend::<Vec<String>>(
                sqlx::query_scalar(AssertSqlSafe(sql))
                    .fetch_all(&mut self.connection)
                    .await
                    .unwrap(),
            );
        }
        all
    }

    pub(crate) async fn empty(&mut self, resource: &Resource) {
        let table = resource.table();
        self.execute(format!(
            "truncate raw.{table}, raw.toggl_track__claims, raw.toggl_track__history,
                 raw.toggl_track__loads"
        ))
        .await;
    }

    /// Of the last applied batch: received, written, unchanged, stale, deleted, and whether its time of
    /// fetching was believed.
    pub(crate) async fn last_load(&mut self) -> (i32, i32, i32, i32, i32, bool) {
        let sql = "select received, written, unchanged, stale, deleted, told_fetched_at is null
                   from raw.toggl_track__loads order by stream_sequence desc limit 1";
        sqlx::query_as(sql).fetch_one(&mut self.connection).await.unwrap()
    }
}
