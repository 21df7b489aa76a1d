//! What was applied is on disk: its message may be acknowledged then.

use loader::apply::{Options, Origin, apply};
use shared::batch::Batch;
use sqlx::{Connection as _, Executor as _};
use tests::rows::ledger;
use tests::servers::Shutdown;
use tests::toggl::Account;
use tests::world::World;

use crate::dead_letters::letters::named;
use crate::expected::rows::resource;
use crate::given::batches::{listing, moment};
use crate::given::flow::prepared;

/// Longer than the test takes: what nobody waits for is on disk by then.
const LAZY: &str = "alter system set wal_writer_delay = '10s'";

#[tokio::test]
async fn whatever_way_a_batch_takes_it_outlives_the_server_once_it_is_applied() {
    let world = World::start_with_own_postgres(Account::empty()).await.unwrap();
    let world = prepared(world).await;
    world.connect().await.unwrap().execute(LAZY).await.unwrap();
    world.postgres().restart(Shutdown::Fast).await.unwrap();
    let tags = resource("tags");
    let new = listing(tags, 10, named(tags, 1..=30, "one"));
    let same = listing(tags, 20, named(tags, 1..=30, "one"));
    let changed = listing(tags, 30, named(tags, 1..=29, "two"));
    let ways: [(&str, &[Batch]); 3] = [("new", &new), ("same", &same), ("changed", &changed)];
    for (place, (way, batches)) in ways.into_iter().enumerate() {
        let mut connection = world.connect().await.unwrap();
        let [batch] = batches else { panic!("{} batches", batches.len()) };
        let origin = Origin {
            subject: tags.subject(),
            stream_sequence: 1 + i64::try_from(place).unwrap(),
            published_at: moment(40),
            promised_age: None,
        };
        apply(&mut connection, tags, batch, &origin, Options::default()).await.unwrap();
        world.postgres().restart(Shutdown::Immediate).await.unwrap();
        connection.close_hard().await.unwrap();
        let mut connection = world.connect().await.unwrap();
        assert_eq!(ledger(&mut connection, "tags").await.unwrap().len(), place + 1, "{way}");
        let claims = "select count(*) from raw.toggl_track__claims where run_id = $1";
        let query = sqlx::query_scalar(claims).bind(batch.run_id);
        let claims: i64 = query.fetch_one(&mut connection).await.unwrap();
        assert_eq!(claims, 1, "{way}");
    }
}
