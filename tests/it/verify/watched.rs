//! What a running loader makes of inventories.

use std::time::Duration;

use sqlx::{Executor as _, PgConnection};
use tests::servers::wait_for;
use tests::toggl::Account;
use tests::world::World;

use crate::given::watched::Watched;

/// A few looks, and less than the comparison takes.
const SOON: Duration = Duration::from_mins(1);
/// One more look.
const LOOK: Duration = Duration::from_secs(20);

/// The view, with a sleep in it.
const SLOW: &str = "
    alter view staging.stg_toggl_track__verification rename to fast;
    create view staging.stg_toggl_track__verification as
        select fast.* from (select pg_sleep(150) is null as is_awake) sleep cross join staging.fast
        where not is_awake;";

/// Comparisons that sleep at this moment.
async fn comparisons(connection: &mut PgConnection) -> i64 {
    let asleep = "select count(*) from pg_stat_activity
        where datname = current_database() and wait_event = 'PgSleep'
            and query like '%stg_toggl_track__verification%'";
    sqlx::query_scalar(asleep).fetch_one(connection).await.unwrap()
}

#[tokio::test]
async fn a_loader_looks_around_while_millions_of_entries_are_compared() {
    let world = World::start(Account::sample_at(jiff::Timestamp::now())).await.unwrap();
    let watched = Watched::start(&world).await;
    world.loaded().await.unwrap();
    let mut connection = world.connect().await.unwrap();
    connection.execute(SLOW).await.unwrap();
    world.sync(&["verify"]).await.unwrap();
    world.loaded().await.unwrap();
    let mut begun = 0;
    for _ in 0..600 {
        begun = comparisons(&mut connection).await;
        if begun > 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(begun, 1, "{}", watched.loader.log());

    world.sync(&["--only", "tags"]).await.unwrap();
    world.loaded().await.unwrap();
    let seen = wait_for("what came since to be seen", SOON, || async {
        let (_, text) = watched.answer("/metrics").await;
        text.contains("toggl_track_loader_fetched_age_seconds{resource=\"tags\"}").then_some(())
    });
    seen.await.unwrap();
    tokio::time::sleep(LOOK).await;
    assert_eq!(comparisons(&mut connection).await, 1, "one comparison, and still the same");
}
