//! Batches that do not fit into the time, for a trigger or a line that is slow: they are cut until they do.

use std::fmt::Write as _;

use shared::listing::Span;
use sqlx::Executor as _;
use tests::proxy::{Direction, Proxy};
use tests::rows::{count, ledger};
use tests::servers::{DEADLINE, wait_for};
use tests::toggl::Account;
use tests::workers::Resident;
use tests::world::World;

use crate::dead_letters::letters::named;
use crate::expected::rows::resource;
use crate::given::batches::{cut, listing, publish, record};

async fn loaded(world: &World, loader: &Resident) {
    let loaded = world.loaded_within(DEADLINE).await;
    loaded.unwrap_or_else(|error| panic!("{error:#}\n{}", loader.log()));
}

#[tokio::test]
async fn a_slow_trigger_makes_smaller_batches_and_keeps_nobody_else() {
    let world = World::start(Account::empty()).await.unwrap();
    let loader = world.start_loader().await.unwrap();
    world.loaded_by(&loader).await.unwrap();
    let mut connection = world.connect().await.unwrap();
    let (tags, clients) = (resource("tags"), resource("clients"));
    let context = world.jetstream().await.unwrap();
    publish(&context, &listing(tags, 5, named(tags, 651..=750, "old"))).await;
    world.loaded_by(&loader).await.unwrap();
    let slow = "create function raw.slow() returns trigger language plpgsql as
                $$ begin perform pg_sleep(0.045); return new; end $$;
                create trigger slow before insert on raw.toggl_track__tags
                for each row execute function raw.slow()";
    sqlx::raw_sql(slow).execute(&mut connection).await.unwrap();
    // 700 are new, and the last 50 of those that were there are gone.
    let new = listing(tags, 10, named(tags, 1..=700, "new"));
    publish(&context, &new).await;
    loader.logged("Trouble with raw.toggl_track__tags", DEADLINE).await.unwrap();
    publish(&context, &listing(clients, 10, named(clients, 1..=10, "one"))).await;
    loader.logged("10 records to raw.toggl_track__clients", DEADLINE).await.unwrap();
    assert!(count(&mut connection, tags).await.unwrap() < 750, "not yet");
    loaded(&world, &loader).await;
    assert_eq!(count(&mut connection, tags).await.unwrap(), 750);
    let told = ledger(&mut connection, "tags").await.unwrap();
    assert_eq!(told, [[100, 100, 0, 0, 0, 0], [700, 700, 0, 0, 50, 0]], "once, with the sums");
    assert_eq!(loader.terminate().await.unwrap(), Some(0), "{}", loader.log());
}

#[tokio::test]
async fn a_slow_line_makes_smaller_batches() {
    let world = World::start(Account::empty()).await.unwrap();
    let proxy = Proxy::start(world.postgres().port()).await.unwrap();
    let url = world.database_url_through(&proxy);
    let loader = world.loader(&[]).env("DATABASE_URL", url).start().await.unwrap();
    world.loaded_by(&loader).await.unwrap();
    let tags = resource("tags");
    proxy.throttle(Direction::ToServer, 32 * 1024);
    let mut long = String::new();
    write!(long, "{:01200}", 0).unwrap();
    let records = (1..=1_200).map(|id| record(tags, id, 5, &long)).collect();
    let batches = cut(tags, 10, Span::Ids, records);
    let context = world.jetstream().await.unwrap();
    publish(&context, &batches).await;
    loaded(&world, &loader).await;
    let mut connection = world.connect().await.unwrap();
    assert_eq!(count(&mut connection, tags).await.unwrap(), 1_200);
    let loads = connection.fetch_all("table raw.toggl_track__loads").await.unwrap();
    assert_eq!(loads.len(), batches.len());
    proxy.heal();
    assert_eq!(loader.terminate().await.unwrap(), Some(0), "{}", loader.log());
}

#[tokio::test]
async fn one_record_that_takes_long_gets_more_time() {
    let world = World::start(Account::empty()).await.unwrap();
    let loader = world.start_loader().await.unwrap();
    world.loaded_by(&loader).await.unwrap();
    let mut connection = world.connect().await.unwrap();
    let slow = "create function raw.slow() returns trigger language plpgsql as
                $$ begin perform pg_sleep(30); return new; end $$;
                create trigger slow before insert on raw.toggl_track__tags
                for each row execute function raw.slow()";
    sqlx::raw_sql(slow).execute(&mut connection).await.unwrap();
    let tags = resource("tags");
    let context = world.jetstream().await.unwrap();
    publish(&context, &cut(tags, 10, Span::Partial, named(tags, [1], "one"))).await;
    let connection = tokio::sync::Mutex::new(connection);
    wait_for("the record", DEADLINE, || async {
        let rows = count(&mut *connection.lock().await, tags).await.unwrap();
        (rows == 1).then_some(())
    })
    .await
    .unwrap_or_else(|error| panic!("{error:#}\n{}", loader.log()));
    loaded(&world, &loader).await;
}
