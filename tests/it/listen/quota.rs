//! Looks keep to their share of the quota, and what waits for it is not forgotten.

use std::time::Duration;

use tests::toggl::{Account, QuotaLimits};
use tests::world::World;

use crate::listen::listening::{Listening, REPORT, others_entry};

const NEW: i64 = 9_000_000_001;

#[tokio::test]
async fn what_the_share_does_not_allow_waits_for_the_next_window() {
    let world = World::start(Account::sample_at(jiff::Timestamp::now())).await.unwrap();
    let listening = Listening::in_world(world, &["--check-every", "1h", "--share", "50"]).await;
    // From here on the window is one that looks have to themselves.
    listening.rings().await;
    let toggl = &listening.world.toggl;
    let window = Duration::from_secs(20);
    toggl.limit_quota(QuotaLimits { me: 1_000, organization: 6, window });
    let begun = toggl.count(REPORT);
    for id in NEW..NEW + 3 {
        toggl.with_account(|account| account.put_time_entry(&others_entry(account, id)));
        listening.row("time_entries_report", id, |_| true).await;
    }
    // Half of six.
    assert_eq!(toggl.count(REPORT) - begun, 3);
    toggl.with_account(|account| account.put_time_entry(&others_entry(account, NEW + 3)));
    toggl.taken(4).await;
    let waits = r#"toggl_track_listener_pending{kind="entries"}"#;
    assert_eq!(listening.metric(waits).await, Some(1.0));
    listening.row("time_entries_report", NEW + 3, |_| true).await;
    let refused = toggl.requests().into_iter().filter(|request| request.status == Some(402));
    assert_eq!(refused.count(), 0, "nothing was asked for in vain");
    listening.end().await;
}
