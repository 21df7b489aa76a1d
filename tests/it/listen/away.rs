//! Whoever was away is level again: Toggl delivers again, tells what it has tried, or a look finds it.

use jiff::Timestamp;

use tests::servers::DEADLINE;

use crate::listen::listening::{Listening, SUBSCRIPTIONS, others_entry, own_entry};

const NEW: i64 = 9_000_000_001;

#[tokio::test]
async fn what_happened_while_nobody_listened_is_looked_at_at_the_start() {
    let listening = Listening::start().await;
    let toggl = &listening.world.toggl;
    // Something is to be remembered as the last event that was heard.
    toggl.with_account(|account| account.put_time_entry(&others_entry(account, NEW)));
    listening.row("time_entries_report", NEW, |_| true).await;
    assert_eq!(listening.listener.terminate().await.unwrap(), Some(0));
    toggl.with_account(|account| {
        for id in NEW + 1..NEW + 120 {
            account.put_time_entry(&others_entry(account, id));
        }
        account.put_time_entry(&own_entry(account, NEW + 500));
        account.delete_time_entry(NEW, Timestamp::now());
    });
    let next = listening.another(&[]).start().await.unwrap();
    for id in [NEW + 1, NEW + 119] {
        listening.row("time_entries_report", id, |_| true).await;
    }
    listening.row("time_entries", NEW + 500, |_| true).await;
    listening.row("time_entries_report", NEW, |row| row.deleted_at.is_some()).await;
    assert!(next.log().contains("came while nobody listened"), "{}", next.log());
    assert_eq!(next.terminate().await.unwrap(), Some(0), "{}", next.log());
}

#[tokio::test]
async fn where_toggl_does_not_tell_what_it_has_tried_own_changes_are_found_and_the_rest_is_said() {
    let listening = Listening::start().await;
    let toggl = &listening.world.toggl;
    toggl.with_account(|account| account.put_time_entry(&others_entry(account, NEW)));
    listening.row("time_entries_report", NEW, |_| true).await;
    assert_eq!(listening.listener.terminate().await.unwrap(), Some(0));
    toggl.configure(|behaviour| behaviour.webhooks.tells_tried = false);
    toggl.with_account(|account| account.put_time_entry(&own_entry(account, NEW + 1)));
    let next = listening.another(&[]).start().await.unwrap();
    next.logged("does not tell what it has delivered", DEADLINE).await.unwrap();
    listening.row("time_entries", NEW + 1, |_| true).await;
    assert_eq!(next.terminate().await.unwrap(), Some(0), "{}", next.log());
}

#[tokio::test]
async fn what_is_delivered_again_is_looked_at_and_what_was_heard_before_a_restart_is_not_lost() {
    let listening = Listening::start().await;
    let toggl = &listening.world.toggl;
    // Nothing can be asked, so what is heard waits.
    let report = "/reports/api/v3/workspace/{w}/search/time_entries";
    toggl.script(report, tests::toggl::Answer::status(500).forever());
    toggl.with_account(|account| account.put_time_entry(&others_entry(account, NEW)));
    listening.listener.logged("A look failed", DEADLINE).await.unwrap();
    listening.listener.kill9().unwrap();
    toggl.with_account(|account| account.put_time_entry(&others_entry(account, NEW + 1)));
    toggl.configure(|behaviour| behaviour.webhooks.tells_tried = false);
    listening.world.forget_listener().await.unwrap();
    let lists = toggl.count(SUBSCRIPTIONS);
    let next = listening.another(&[]).start().await.unwrap();
    toggl.wait_for(SUBSCRIPTIONS, lists + 1).await;
    toggl.clear_scripts();
    listening.row("time_entries_report", NEW, |_| true).await;
    toggl.deliver_again(false);
    listening.row("time_entries_report", NEW + 1, |_| true).await;
    assert_eq!(next.terminate().await.unwrap(), Some(0), "{}", next.log());
}
