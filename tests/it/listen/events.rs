//! What happens at Toggl is in the tables, for as few requests as can be.

use jiff::Timestamp;
use tests::servers::{DEADLINE, wait_for};
use tests::toggl::{Ids, List};

use crate::listen::listening::{ENTRIES, Listening, REPORT, WORKSPACE, others_entry, own_entry};

const NEW: i64 = 9_000_000_001;

#[tokio::test]
async fn an_entry_of_ones_own_arrives_with_one_request_when_it_is_made_changed_and_deleted() {
    let listening = Listening::start().await;
    let toggl = &listening.world.toggl;
    let before = listening.requests();
    toggl.with_account(|account| account.put_time_entry(&own_entry(account, NEW)));
    listening.row("time_entries", NEW, |row| row.deleted_at.is_none()).await;
    assert_eq!(listening.requests(), before + 1);

    let edit = [("description", r#""edited""#)];
    toggl.with_account(|account| account.edit_time_entry(NEW, Timestamp::now(), &edit));
    listening.row("time_entries", NEW, |row| row.data["description"] == "edited").await;
    assert_eq!(listening.requests(), before + 2);
    assert!(toggl.count(ENTRIES) > 0);

    toggl.with_account(|account| account.delete_time_entry(NEW, Timestamp::now()));
    listening.row("time_entries", NEW, |row| row.deleted_at.is_some()).await;
    assert_eq!(listening.requests(), before + 2, "a deletion needs no look");
    listening.end().await;
}

#[tokio::test]
async fn an_entry_of_somebody_else_arrives_by_its_id_and_is_marked_deleted_at_the_time_of_the_event()
 {
    let listening = Listening::start().await;
    let toggl = &listening.world.toggl;
    let before = listening.requests();
    toggl.with_account(|account| account.put_time_entry(&others_entry(account, NEW)));
    let row = listening.row("time_entries_report", NEW, |row| row.deleted_at.is_none()).await;
    assert_eq!(row.data["description"], "theirs");
    assert_eq!(listening.requests(), before + 1);
    let asked = toggl.requests();
    let asked = asked.iter().rfind(|request| request.path == REPORT).unwrap();
    assert!(asked.body.contains(&NEW.to_string()), "{}", asked.body);

    toggl.with_account(|account| account.delete_time_entry(NEW, Timestamp::now()));
    let row = listening.row("time_entries_report", NEW, |row| row.deleted_at.is_some()).await;
    let event = toggl.deliveries().pop().unwrap().event;
    let happened: Timestamp = event["created_at"].as_str().unwrap().parse().unwrap();
    let marked: Timestamp = row.deleted_at.unwrap().replace(' ', "T").parse().unwrap();
    assert_eq!(marked, happened);
    assert_eq!(listening.requests(), before + 1, "a deletion needs no look");
    listening.end().await;
}

#[tokio::test]
async fn a_deletion_that_comes_late_does_not_touch_what_was_seen_later() {
    let listening = Listening::start().await;
    let toggl = &listening.world.toggl;
    toggl.with_account(|account| account.put_time_entry(&others_entry(account, NEW)));
    listening.row("time_entries_report", NEW, |row| row.deleted_at.is_none()).await;
    // Deleted and restored; the restoration is told first.
    toggl.configure(|behaviour| behaviour.webhooks.reverses = true);
    toggl.with_account(|account| {
        account.delete_time_entry(NEW, Timestamp::now());
        account.put_time_entry(&others_entry(account, NEW));
        let edit = [("description", r#""restored""#)];
        account.edit_time_entry(NEW, Timestamp::now(), &edit);
    });
    let is_restored = |row: &tests::rows::RawRow| {
        row.data["description"] == "restored" && row.deleted_at.is_none()
    };
    listening.row("time_entries_report", NEW, is_restored).await;
    toggl.taken(4).await;
    listening.world.loaded().await.unwrap();
    listening.row("time_entries_report", NEW, is_restored).await;
    listening.end().await;
}

#[tokio::test]
async fn ids_of_any_form_events_out_of_order_and_twice_come_to_the_same() {
    for ids in [Ids::Recorded, Ids::Numbers, Ids::Strings] {
        let listening = Listening::start().await;
        let toggl = &listening.world.toggl;
        toggl.configure(|behaviour| {
            behaviour.webhooks.ids = ids;
            behaviour.webhooks.reverses = true;
            behaviour.webhooks.times = 2;
        });
        toggl.with_account(|account| {
            for id in NEW..NEW + 5 {
                account.put_time_entry(&others_entry(account, id));
            }
            account.delete_time_entry(NEW, Timestamp::now());
        });
        for id in NEW + 1..NEW + 5 {
            listening.row("time_entries_report", id, |row| row.deleted_at.is_none()).await;
        }
        toggl.taken(6).await;
        let repeated = r#"toggl_track_listener_deliveries_total{outcome="repeated"}"#;
        let all = || async { (listening.metric(repeated).await == Some(6.0)).then_some(()) };
        wait_for("each delivery once more", DEADLINE, all).await.unwrap();
        listening.end().await;
    }
}

#[tokio::test]
async fn a_project_a_client_and_a_tag_arrive_and_a_project_that_is_deleted_is_marked() {
    let listening = Listening::start().await;
    let toggl = &listening.world.toggl;
    let (project, client, tag) = toggl.with_account(|account| {
        let first = |list| account.records(list, WORKSPACE).first().unwrap().id();
        let ids = (first(List::Projects), first(List::Clients), first(List::Tags));
        let name = [("name", r#""renamed""#)];
        account.change(List::Projects, WORKSPACE, ids.0, Timestamp::now(), &name);
        account.change(List::Clients, WORKSPACE, ids.1, Timestamp::now(), &name);
        account.change(List::Tags, WORKSPACE, ids.2, Timestamp::now(), &name);
        ids
    });
    for (table, id) in [("projects", project), ("clients", client), ("tags", tag)] {
        listening.row(table, id, |row| row.data["name"] == "renamed").await;
    }
    toggl.with_account(|account| {
        account.delete(List::Projects, WORKSPACE, project, Timestamp::now());
    });
    listening.row("projects", project, |row| row.deleted_at.is_some()).await;
    listening.end().await;
}
