//! Rows that were damaged in Postgres are found.

use sqlx::Executor as _;
use tests::toggl::SummaryGroups;

use crate::reports::reporting::{live_ids, reported};
use crate::verify::verifying::{Verified, inside};

#[tokio::test]
async fn rows_that_were_changed_deleted_or_invented_by_hand_are_found() {
    let verified = Verified::start(600, SummaryGroups::OfOne).await;
    let ids: Vec<i64> = verified
        .world
        .toggl
        .with_account(|account| inside(account).iter().map(tests::toggl::TimeEntry::id).collect());
    let (changed, deleted, copied) = (ids[100], ids[200], ids[300]);
    let mut connection = verified.world.connect().await.unwrap();
    let table = "raw.toggl_track__time_entries_report";
    let damage = format!(
        "update {table} set data = jsonb_set(data, '{{seconds}}', '5') where source_id = {changed};
         delete from {table} where source_id = {deleted};
         insert into {table} select 5, workspace_id, data, api_version, modified_at, fetched_at, synced_at,
             deleted_at, content_hash, started_at, user_id from {table} where source_id = {copied};"
    );
    connection.execute(sqlx::AssertSqlSafe(damage)).await.unwrap();

    let found = verified.verify(&[]).await;

    assert_eq!(found.code, Some(6), "{found:#?}");
    assert_eq!(verified.of_state(&["other seconds"]).await, [changed].into());
    assert_eq!(verified.of_state(&["missing"]).await, [deleted].into());
    assert_eq!(verified.of_state(&["gone"]).await, [5].into());

    // What is missing and what was invented is mended; a row with a text that is not its own stays, and is told.
    let mended = verified.verify(&["--repair"]).await;
    assert_eq!(mended.code, Some(6), "{mended:#?}");
    assert!(mended.stdout.contains("loader replay --force"), "{}", mended.stdout);
    let expected = verified.world.toggl.with_account(|account| reported(account));
    assert_eq!(live_ids(&verified.world).await, expected);
    assert_eq!(verified.of_state(&["other seconds"]).await, [changed].into());
    verified.end().await;
}
