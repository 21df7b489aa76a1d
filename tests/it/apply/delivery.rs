//! Batches late, twice and out of order: what counts is which were applied, not when.

use shared::catalogue::CATALOGUE;
use tests::rows::{raw_rows, snapshot};

use crate::expected::rows::resource;
use crate::given::batches::{listing, record};
use crate::given::running::Running;

#[tokio::test]
async fn an_older_batch_after_a_newer_one_changes_nothing() {
    let mut running = Running::start().await;
    for resource in CATALOGUE {
        let table = resource.table();
        let newer = [record(resource, 1, 40, "new"), record(resource, 2, 40, "new")];
        running.load(&listing(resource, 50, newer.to_vec())).await;
        let before = snapshot(&mut running.connection, &table).await.unwrap();
        assert_eq!(before.len(), 2, "{table}");

        let older = [record(resource, 1, 20, "old"), record(resource, 2, 40, "new")];
        running.load(&listing(resource, 30, older.to_vec())).await;

        let after = snapshot(&mut running.connection, &table).await.unwrap();
        assert_eq!(before, after, "{table}");
        assert_eq!(running.last_load().await, (2, 0, 0, 2), "{table}");
    }
}

#[tokio::test]
async fn the_same_batch_again_changes_nothing() {
    let mut running = Running::start().await;
    for resource in CATALOGUE {
        let table = resource.table();
        let batches = listing(resource, 50, vec![record(resource, 1, 40, "one")]);
        running.load(&batches).await;
        let before = snapshot(&mut running.connection, &table).await.unwrap();
        let claims = snapshot(&mut running.connection, "toggl_track__claims").await.unwrap();
        let ledger = running.ledger_rows().await;

        running.load(&batches).await;

        assert_eq!(before, snapshot(&mut running.connection, &table).await.unwrap(), "{table}");
        let claims_after = snapshot(&mut running.connection, "toggl_track__claims").await.unwrap();
        assert_eq!(claims, claims_after, "{table}");
        assert_eq!(ledger, running.ledger_rows().await, "{table}");
    }
}

#[tokio::test]
async fn a_late_batch_does_not_bring_back_what_was_there_between_two_equal_listings() {
    let mut running = Running::start().await;
    for resource in CATALOGUE {
        let table = resource.table();
        let content = |text| vec![record(resource, 1, 5, text)];
        running.load(&listing(resource, 10, content("A"))).await;
        running.load(&listing(resource, 50, content("A"))).await;
        assert_eq!(running.last_load().await, (1, 0, 1, 0), "{table}: equal content");
        let before = snapshot(&mut running.connection, &table).await.unwrap();

        running.load(&listing(resource, 30, content("B"))).await;

        assert_eq!(before, snapshot(&mut running.connection, &table).await.unwrap(), "{table}");
        assert_eq!(running.last_load().await, (1, 0, 0, 1), "{table}: late content");
    }
}

#[tokio::test]
async fn a_claim_that_was_cut_into_several_batches_confirms_every_row_it_covers() {
    let mut running = Running::start().await;
    let tags = resource("tags");
    let many = |text: &str| (1..=6_000).map(|id| record(tags, id, 5, text)).collect::<Vec<_>>();
    running.load(&listing(tags, 10, many("A"))).await;
    let second = listing(tags, 50, many("A"));
    assert!(second.len() >= 3, "{}", second.len());
    running.load(&second).await;
    let before = snapshot(&mut running.connection, &tags.table()).await.unwrap();

    running.load(&listing(tags, 30, many("B"))).await;

    assert_eq!(before, snapshot(&mut running.connection, &tags.table()).await.unwrap());
}

#[tokio::test]
async fn a_change_that_left_at_alone_is_written() {
    let mut running = Running::start().await;
    for resource in CATALOGUE {
        let table = resource.table();
        running.load(&listing(resource, 10, vec![record(resource, 1, 5, "before")])).await;
        running.load(&listing(resource, 20, vec![record(resource, 1, 5, "after")])).await;
        let rows = raw_rows(&mut running.connection, resource).await.unwrap();
        assert_eq!(rows[&1].data["name"], "after", "{table}");
        assert_eq!(running.last_load().await, (1, 1, 0, 0), "{table}");
    }
}
