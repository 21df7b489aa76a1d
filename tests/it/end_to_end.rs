//! The main job, from Toggl to the raw tables.

use jiff::Timestamp;
use tests::toggl::Account;
use tests::world::World;

#[tokio::test]
async fn one_sync_fills_all_tables() {
    let world = World::start(Account::sample_at(Timestamp::now())).await.unwrap();
    let finished = world.sync_and_load(&["--days", "3"]).await.unwrap();
    println!("{}\n{}", finished.stdout, finished.stderr);
    let mut connection = world.connect().await.unwrap();
    for resource in shared::catalogue::CATALOGUE {
        println!(
            "{} {}",
            resource.name,
            tests::rows::raw_rows(&mut connection, resource).await.unwrap().len()
        );
    }
}
