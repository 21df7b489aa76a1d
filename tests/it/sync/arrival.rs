//! `--wait`: a run that ends when its data is in the tables.

use tests::servers::DEADLINE;
use tests::toggl::Account;
use tests::world::World;

use crate::expected::endings::assert_fails;
use crate::expected::rows::assert_tables_hold;
use crate::given::guarded::Guarded;

#[tokio::test]
async fn a_run_that_waits_ends_when_the_tables_hold_everything() {
    // With the rights of the compose stack's users.
    let guarded = Guarded::start().await;
    guarded.set_up().await;
    let fetcher = guarded.fetcher(&["--days", "60", "--wait"]).start().await.unwrap();
    let loader = guarded.loader(&[]).start().await.unwrap();

    assert_eq!(fetcher.ended(DEADLINE).await.unwrap(), Some(0), "{}", fetcher.log());

    assert_tables_hold(&guarded.world).await;
    assert!(fetcher.log().contains("Loaders have stored all of it"), "{}", fetcher.log());
    assert_eq!(loader.terminate().await.unwrap(), Some(0), "{}", loader.log());
}

#[tokio::test]
async fn where_no_loader_runs_the_wait_ends_and_names_what_was_not_stored() {
    let world = World::start(Account::sample_at(jiff::Timestamp::now())).await.unwrap();
    for command in [&["--wait=1s"][..], &["report", "--from", "2026-01-01", "--wait=1s"]] {
        let finished = world.fetcher(command).run().await.unwrap();
        assert_fails(&finished, 1, &["not stored within 1s", "time_entries", "loader status"]);
        assert!(finished.stdout.contains("[OK]"), "{finished:#?}");
    }
}
