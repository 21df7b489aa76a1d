//! What to sync.

use std::time::Duration;

use crate::account::Workspaces;
use crate::selection::Selection;

/// What an interrupted sync has read is not read again for this long.
const RESUME_WITHIN: Duration = Duration::from_hours(1);

/// What to sync.
#[derive(Debug, Clone)]
pub struct SyncOptions {
    /// Days of time entries, today included, in the time zone of the Toggl profile. What is older
    /// than Toggl's three months comes from reports.
    pub days: u32,
    /// Workspaces to read.
    pub workspaces: Workspaces,
    /// Resources to read.
    pub selection: Selection,
    /// Days of changes to ask for; none for those since the last sync.
    pub since_days: Option<u32>,
    /// Days of everybody's entries to read by report, where the token may; none for the owner's alone.
    pub team_days: Option<u32>,
    /// Everybody's entries are read again after this long.
    pub team_every: Duration,
    /// What an interrupted sync has read is not read again for this long.
    pub resume_within: Duration,
    /// How long another run of the same account is waited for.
    pub patience: Duration,
}

impl Default for SyncOptions {
    /// The last three days and every master of the default workspace.
    fn default() -> Self {
        Self {
            days: 3,
            workspaces: Workspaces::default(),
            selection: Selection::default(),
            since_days: None,
            team_days: None,
            team_every: Duration::from_hours(24),
            resume_within: RESUME_WITHIN,
            patience: Duration::from_mins(5),
        }
    }
}

/// What a sync is going to read, in words.
pub(super) fn beginning(options: &SyncOptions) -> String {
    let SyncOptions { days, selection, .. } = options;
    if *selection == Selection::default() {
        return format!("full sync ({days} days)");
    }
    let entries = selection.names().split(',').any(|name| name == "time_entries");
    let days = if entries { format!(" ({days} days)") } else { String::new() };
    format!("sync of {}{days}", selection.names().replace(',', ", "))
}

/// What tells one sync from another.
pub(super) fn signature(options: &SyncOptions) -> String {
    let SyncOptions { days, workspaces, selection, since_days, .. } = options;
    format!("days {days}, since {since_days:?}, {workspaces:?}, {}", selection.names())
}
