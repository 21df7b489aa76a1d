//! A loader that waits for hand-made batches.

use async_nats::jetstream::Context;
use shared::batch::Batch;
use sqlx::PgConnection;
use tests::rows::snapshot;
use tests::toggl::Account;
use tests::workers::Resident;
use tests::world::World;

use crate::given::batches::publish;

/// A loader that waits for what the tests publish.
pub(crate) struct Running {
    world: World,
    _loader: Resident,
    context: Context,
    pub(crate) connection: PgConnection,
}

impl Running {
    pub(crate) async fn start() -> Self {
        let world = World::start(Account::empty()).await.unwrap();
        let loader = world.start_loader().await.unwrap();
        world.loaded().await.unwrap();
        let context = world.jetstream().await.unwrap();
        let connection = world.connect().await.unwrap();
        Self { world, _loader: loader, context, connection }
    }

    /// Publishes and waits until it is applied.
    pub(crate) async fn load(&self, batches: &[Batch]) {
        publish(&self.context, batches).await;
        self.world.loaded().await.unwrap();
    }

    pub(crate) async fn ledger_rows(&mut self) -> Vec<String> {
        snapshot(&mut self.connection, "toggl_track__loads").await.unwrap()
    }

    /// The last applied batch: received, written, unchanged, stale.
    pub(crate) async fn last_load(&mut self) -> (i32, i32, i32, i32) {
        sqlx::query_as(
            "select received, written, unchanged, stale from raw.toggl_track__loads
             order by stream_sequence desc limit 1",
        )
        .fetch_one(&mut self.connection)
        .await
        .unwrap()
    }
}
