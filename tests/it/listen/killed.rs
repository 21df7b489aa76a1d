//! What Toggl was told is heard is not lost, whatever ends the listener; what might be lost is not taken.

use std::time::Duration;

use tests::servers::DEADLINE;
use tests::toggl::{Answer, signature};

use crate::listen::listening::{Listening, REPORT, others_entry};
use crate::listen::refused::{event, secret};

const REPORTS: &str = "/reports/api/v3/workspace/{w}/search/time_entries";
const NEW: i64 = 9_000_000_001;

#[tokio::test]
async fn what_was_heard_during_a_look_that_was_killed_is_looked_at_by_the_next_listener() {
    let listening = Listening::start().await;
    let toggl = &listening.world.toggl;
    // What is looked at is asked for and not answered, so that the kill comes in the middle.
    toggl.script(REPORTS, Answer::pass_through().delay(Duration::from_hours(1)).forever());
    let looks = toggl.count(REPORT);
    toggl.with_account(|account| account.put_time_entry(&others_entry(account, NEW)));
    toggl.wait_for(REPORT, looks + 1).await;
    toggl.with_account(|account| account.put_time_entry(&others_entry(account, NEW + 1)));
    toggl.taken(2).await;
    listening.listener.kill9().unwrap();

    // Toggl delivers nothing again, and does not say what it has delivered.
    toggl.configure(|behaviour| behaviour.webhooks.tells_tried = false);
    toggl.clear_scripts();
    listening.world.forget_listener().await.unwrap();
    let next = listening.another(&[]).start().await.unwrap();
    for id in [NEW, NEW + 1] {
        listening.row("time_entries_report", id, |_| true).await;
    }
    assert_eq!(next.terminate().await.unwrap(), Some(0), "{}", next.log());
}

#[tokio::test]
async fn what_cannot_be_written_down_is_not_taken_until_toggl_delivers_it_again() {
    let listening = Listening::start().await;
    let toggl = &listening.world.toggl;
    toggl.configure(|behaviour| behaviour.webhooks.loses_events = true);
    toggl.with_account(|account| account.put_time_entry(&others_entry(account, NEW)));
    let body = event(&listening, 1).to_string();
    let signature = signature(&secret(&listening), body.as_bytes());
    listening.world.nats.signal("STOP").unwrap();
    assert_eq!(listening.post(Some(&signature), body.clone()).await, 503);
    let unwritten = "toggl_track_listener_deliveries_total{outcome=\"unwritten\"}";
    assert_eq!(listening.metric(unwritten).await, Some(1.0));
    listening.world.nats.signal("CONT").unwrap();
    let taken = || async {
        let status = listening.post(Some(&signature), body.clone()).await;
        (status == 200).then_some(())
    };
    tests::servers::wait_for("it to be taken", DEADLINE, taken).await.unwrap();
    listening.row("time_entries_report", NEW, |_| true).await;
    listening.end().await;
}
