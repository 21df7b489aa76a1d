//! Toggl has gone quiet, and a poll shows it.

use jiff::{SignedDuration, Timestamp};

use tests::servers::DEADLINE;

use crate::listen::listening::{Listening, own_entry};

#[tokio::test]
async fn a_change_that_a_run_sees_and_no_event_has_announced_is_told() {
    let listening = Listening::start().await;
    let toggl = &listening.world.toggl;
    toggl.configure(|behaviour| behaviour.webhooks.loses_events = true);
    toggl.with_account(|account| {
        account.put_time_entry(&own_entry(account, 9_000_000_001));
        let at = Timestamp::now() + SignedDuration::from_secs(2);
        account.edit_time_entry(9_000_000_001, at, &[]);
    });
    listening.world.sync(&["changes"]).await.unwrap();
    // An event may still come, for minutes by Toggl's clock.
    toggl.configure(|behaviour| behaviour.clock_offset = SignedDuration::from_mins(10));
    listening.listener.logged("no event has announced it", DEADLINE).await.unwrap();
    let told = listening.metric("toggl_track_listener_unannounced_changes_total").await;
    assert_eq!(told, Some(1.0));
    listening.end().await;
}
