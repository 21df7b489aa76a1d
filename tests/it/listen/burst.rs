//! A thousand events at once cost a handful of requests.

use std::collections::BTreeSet;
use std::time::Instant;

use jiff::Timestamp;
use tests::rows::raw_rows;
use tests::servers::{DEADLINE, wait_for};
use tests::toggl::{Account, AccountSize};
use tests::world::World;

use crate::expected::rows::resource;
use crate::listen::listening::Listening;

/// Ids of the rows with that description.
async fn described(world: &World, table: &str) -> BTreeSet<i64> {
    let mut connection = world.connect().await.unwrap();
    let rows = raw_rows(&mut connection, resource(table)).await.unwrap();
    rows.into_iter()
        .filter(|(_, row)| row.data["description"] == "burst")
        .map(|(id, _)| id)
        .collect()
}

#[tokio::test]
async fn a_thousand_events_at_once_cost_a_handful_of_requests_and_none_is_lost() {
    let size = AccountSize {
        users: 2,
        entry_users: 2,
        time_entries: 1_002,
        days: 60,
        ..AccountSize::default()
    };
    let listening = Listening::of(Account::generate(&size), &["--gap", "10s"]).await;
    let (before, begun) = (listening.requests(), Instant::now());
    let toggl = &listening.world.toggl;
    let (own, others) = toggl.with_account(|account| {
        let user_id = account.user_id();
        let stopped = account.time_entries().take(1_000).cloned().collect::<Vec<_>>();
        let is_own = |entry: &tests::toggl::TimeEntry| {
            let value: serde_json::Value = serde_json::from_str(entry.text()).unwrap();
            value["user_id"] == user_id
        };
        for entry in &stopped {
            account.edit_time_entry(entry.id(), Timestamp::now(), &[("description", r#""burst""#)]);
        }
        let (own, others): (Vec<_>, Vec<_>) = stopped.into_iter().partition(is_own);
        let ids = |entries: Vec<tests::toggl::TimeEntry>| {
            entries.iter().map(tests::toggl::TimeEntry::id).collect::<BTreeSet<_>>()
        };
        (ids(own), ids(others))
    });
    assert!(own.len() > 300 && others.len() > 300, "{} and {}", own.len(), others.len());
    toggl.taken(1_000).await;
    for (table, expected) in [("time_entries", &own), ("time_entries_report", &others)] {
        let all =
            || async { (described(&listening.world, table).await == *expected).then_some(()) };
        wait_for(table, DEADLINE, all).await.unwrap();
    }
    let requests = listening.requests() - before;
    // A slow machine tells of them for longer than one gap.
    let gaps = usize::try_from(begun.elapsed().as_secs() / 10).unwrap();
    let most = 12 + 6 * gaps.saturating_sub(2);
    assert!(requests <= most, "{requests} requests in {gaps} gaps");
    listening.end().await;
}
