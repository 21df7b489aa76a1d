//! What tests of reports begin with, and what reports are compared with.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp, ToSpan as _};
use serde_json::Value;
use tests::rows::raw_rows;
use tests::toggl::{Account, AccountSize, SeenRequest};
use tests::world::World;

use crate::expected::rows::resource;

pub(crate) const REPORT: &str = "/reports/api/v3/workspace/{w}/search/time_entries";
pub(crate) const REPORTS: &str = "/reports/";

/// Three years of many people's entries.
pub(crate) fn team(entries: usize) -> AccountSize {
    AccountSize {
        users: 7,
        entry_users: 7,
        time_entries: entries,
        days: 3 * 365,
        ..AccountSize::default()
    }
}

pub(crate) fn days_ago(days: i64) -> String {
    (Timestamp::now() - SignedDuration::from_hours(24 * days)).strftime("%Y-%m-%d").to_string()
}

/// Ids of the entries that a report shows: neither deleted nor running.
pub(crate) fn reported(account: &Account) -> BTreeSet<i64> {
    let shown = |text: &str| serde_json::from_str::<Value>(text).unwrap()["stop"].is_string();
    let entries = account.time_entries().filter(|e| !e.is_deleted() && shown(e.text()));
    entries.map(tests::toggl::TimeEntry::id).collect()
}

pub(crate) async fn live_ids(world: &World) -> BTreeSet<i64> {
    let mut connection = world.connect().await.unwrap();
    let rows = raw_rows(&mut connection, resource("time_entries_report")).await.unwrap();
    rows.into_iter().filter(|(_, row)| row.deleted_at.is_none()).map(|(id, _)| id).collect()
}

pub(crate) async fn load(world: &World) {
    let loader = world.start_loader().await.unwrap();
    world.loaded().await.unwrap();
    assert_eq!(loader.terminate().await.unwrap(), Some(0));
}

/// Questions asked of reports, as JSON.
pub(crate) fn questions(world: &World) -> Vec<Value> {
    let asked = world.toggl.requests().into_iter().filter(|r| r.path.starts_with(REPORTS));
    asked.map(|request: SeenRequest| serde_json::from_str(&request.body).unwrap()).collect()
}

/// A stopped entry of the token's own user.
pub(crate) fn entry(account: &Account, id: i64, start: Timestamp) -> String {
    let stop = start + 1.hour();
    format!(
        r#"{{"id":{id},"workspace_id":{},"user_id":{},"start":"{start:.0}","stop":"{stop:.0}","at":"{stop:.0}","duration":3600}}"#,
        account.workspace_id(),
        account.user_id()
    )
}
