//! Somebody holds a lock on a table for long: the others are loaded meanwhile, and that one afterwards.

use shared::listing::Span;
use sqlx::{Connection as _, Executor as _};
use tests::rows::count;
use tests::servers::wait_for;
use tests::toggl::Account;
use tests::world::World;

use crate::dead_letters::letters::named;
use crate::expected::oracle::RESUME;
use crate::expected::rows::resource;
use crate::given::batches::{cut, publish};
use crate::given::watched::Watched;

const OTHERS: [&str; 4] = ["clients", "groups", "projects", "tasks"];

/// As many batches as there are connections, and more.
const BATCHES: i64 = 12;

#[tokio::test]
async fn other_tables_are_loaded_while_one_is_locked() {
    let world = World::start(Account::empty()).await.unwrap();
    let watched = Watched::start(&world).await;
    world.loaded().await.unwrap();
    let context = world.jetstream().await.unwrap();
    let mut connection = world.connect().await.unwrap();
    let mut locking = world.connect().await.unwrap();
    let mut transaction = locking.begin().await.unwrap();
    let lock = "lock table raw.toggl_track__tags in access exclusive mode";
    transaction.execute(lock).await.unwrap();
    let tags = resource("tags");
    for id in 1..=BATCHES {
        publish(&context, &cut(tags, 10, Span::Partial, named(tags, [id], "one"))).await;
    }
    watched.loader.logged("Trouble with raw.toggl_track__tags", RESUME).await.unwrap();
    for id in 1..=BATCHES {
        for name in OTHERS {
            let other = resource(name);
            publish(&context, &cut(other, 10, Span::Partial, named(other, [id], "one"))).await;
        }
    }
    let connection = tokio::sync::Mutex::new(&mut connection);
    wait_for("the others to be loaded", RESUME, || async {
        let mut connection = connection.lock().await;
        for name in OTHERS {
            if count(&mut connection, resource(name)).await.unwrap() < BATCHES {
                return None;
            }
        }
        Some(())
    })
    .await
    .unwrap_or_else(|error| panic!("{error:#}\n{}", watched.loader.log()));
    // It is still locked, and after a while everybody is told.
    let words = ["tags is not loaded", "lock timeout", "pg_locks"];
    watched.answers("/readyz", 503, &words).await;

    transaction.rollback().await.unwrap();
    world.loaded_within(RESUME).await.unwrap();
    watched.answers("/readyz", 200, &[]).await;
    let log = watched.loader.log();
    assert!(log.contains("raw.toggl_track__tags is loaded again"), "{log}");
    assert_eq!(watched.loader.terminate().await.unwrap(), Some(0), "{log}");
}
