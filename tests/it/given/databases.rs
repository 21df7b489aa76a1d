//! Several databases on one stream: new ones, and dumps that are restored.

use async_nats::jetstream::consumer::{PullConsumer, pull};
use shared::catalogue::CATALOGUE;
use shared::stream::STREAM;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _};
use tests::servers::{Database, wait_for};
use tests::workers::Worker;
use tests::world::World;

use crate::expected::oracle::RESUME;

/// A loader of another database of the same server.
pub(crate) fn loader_of(world: &World, database: &Database, arguments: &[&str]) -> Worker {
    world.loader(arguments).env("DATABASE_URL", &database.url)
}

/// A copy of a database under another name, as a dump of it that is restored there. Whoever is still
/// connected to it, as a pooler for later, is thrown out.
pub(crate) async fn dump(world: &World, of: &Database) -> Database {
    let name = format!("{}_dump", of.name);
    let others = "select pg_terminate_backend(pid) from pg_stat_activity where datname";
    let commands = [
        format!("{others} = '{}'", of.name),
        format!("create database {name} template {}", of.name),
    ];
    execute(world, &commands).await;
    Database { url: world.postgres().url(&name), name }
}

/// The database as it was when it was dumped; whoever was connected is thrown out.
pub(crate) async fn restore(world: &World, from: &Database) {
    let name = &world.database.name;
    let commands = [
        format!("drop database {name} with (force)"),
        format!("create database {name} template {}", from.name),
    ];
    execute(world, &commands).await;
}

async fn execute(world: &World, commands: &[String]) {
    for command in commands {
        // A session that is ending counts for a moment.
        wait_for(command, RESUME, || async {
            let mut connection = world.postgres().connect("postgres").await.ok()?;
            connection.execute(AssertSqlSafe(command.clone())).await.ok().map(drop)
        })
        .await
        .unwrap();
    }
}

/// How many batches are in the ledger of a database, once it has one.
pub(crate) async fn loads_of(world: &World, database: &Database) -> Option<i64> {
    let mut connection = world.postgres().connect(&database.name).await.unwrap();
    let sql = "select count(*) from raw.toggl_track__loads";
    let loads = sqlx::query_scalar(sql).fetch_one(&mut connection).await.ok();
    connection.close().await.unwrap();
    loads
}

/// Waits until so many are.
pub(crate) async fn loads_reach(world: &World, database: &Database, batches: Option<i64>) {
    wait_for("the ledger to grow", RESUME, || async {
        (loads_of(world, database).await >= batches).then_some(())
    })
    .await
    .unwrap();
}

/// Makes the consumers those of the first release, which wrote nothing into their metadata.
pub(crate) async fn disown(world: &World) {
    let stream = world.jetstream().await.unwrap().get_stream(STREAM).await.unwrap();
    for resource in CATALOGUE {
        let info = stream.consumer_info(resource.consumer()).await.unwrap();
        let config = pull::Config {
            durable_name: Some(resource.consumer()),
            description: info.config.description.clone(),
            filter_subject: resource.subject(),
            deliver_policy: info.config.deliver_policy,
            ack_wait: info.config.ack_wait,
            max_deliver: -1,
            max_ack_pending: info.config.max_ack_pending,
            ..pull::Config::default()
        };
        let _: PullConsumer = stream.create_consumer(config).await.unwrap();
    }
}

/// How many consumers of the pipeline say whose they are.
pub(crate) async fn owned(world: &World) -> usize {
    let stream = world.jetstream().await.unwrap().get_stream(STREAM).await.unwrap();
    let mut owned = 0;
    for resource in CATALOGUE {
        let info = stream.consumer_info(resource.consumer()).await.unwrap();
        let notes = shared::consumer::Notes::of(&info.config.metadata);
        owned += usize::from(notes.owner.is_some());
    }
    owned
}
