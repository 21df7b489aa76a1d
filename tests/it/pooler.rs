//! Through PgBouncer.

use jiff::Timestamp;
use tests::servers::PoolMode;
use tests::toggl::Account;
use tests::world::World;

use crate::expected_rows::assert_tables_hold;

#[tokio::test]
#[ignore = "needs PgBouncer: .ci/run pooler"]
async fn a_pooler_as_it_comes_lets_the_loader_in_and_everything_is_loaded() {
    let world = World::start(Account::sample_at(Timestamp::now())).await.unwrap();
    let world = world.pooled(PoolMode::Session).await.unwrap();
    world.sync_and_load(&["--days", "60"]).await.unwrap();
    assert_tables_hold(&world).await;
}
