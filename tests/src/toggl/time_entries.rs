//! The time entries of an account, ordered by start as Toggl lists them. Deleted ones stay, since
//! Toggl reports them to whoever asks what changed.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use serde::Deserialize;

/// A time entry, with what Toggl filters by.
#[derive(Debug, Clone)]
pub struct TimeEntry {
    pub(super) id: i64,
    pub(super) user_id: i64,
    pub(super) start_s: i64,
    pub(super) at_s: i64,
    pub(super) is_running: bool,
    pub(super) is_deleted: bool,
    pub(super) text: Box<str>,
}

impl TimeEntry {
    pub(super) fn parse(text: &str) -> Self {
        let head: Head = serde_json::from_str(text).expect("a time entry is a JSON object");
        Self {
            id: head.id,
            user_id: head.user_id,
            start_s: head.start.as_second(),
            at_s: head.at.as_second(),
            is_running: head.duration < 0,
            is_deleted: head.server_deleted_at.is_some(),
            text: text.into(),
        }
    }

    /// Toggl's id of the entry.
    pub const fn id(&self) -> i64 {
        self.id
    }

    /// Unix seconds of the start; Toggl keeps no fractions there.
    pub const fn start_s(&self) -> i64 {
        self.start_s
    }

    /// Whether only `since` still shows it.
    pub const fn is_deleted(&self) -> bool {
        self.is_deleted
    }

    /// The JSON object, byte for byte as it is served.
    pub const fn text(&self) -> &str {
        &self.text
    }
}

#[derive(Deserialize)]
struct Head {
    id: i64,
    user_id: i64,
    start: Timestamp,
    at: Timestamp,
    duration: i64,
    server_deleted_at: Option<Timestamp>,
}

/// Which entries are asked for; bounds in unix seconds, the upper ones exclusive.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct EntryFilter {
    /// Lowest start.
    pub(super) start: Option<i64>,
    /// First start that is too late.
    pub(super) end: Option<i64>,
    /// Lowest time of change. Set, it brings deleted entries along.
    pub(super) changed_since: Option<i64>,
}

/// All entries of an account, of every user and workspace.
#[derive(Debug, Clone, Default)]
pub(super) struct TimeEntries {
    rows: BTreeMap<(i64, i64), TimeEntry>,
    start_by_id: HashMap<i64, i64>,
}

impl TimeEntries {
    pub(super) fn put(&mut self, entry: TimeEntry) {
        self.remove(entry.id);
        self.start_by_id.insert(entry.id, entry.start_s);
        self.rows.insert((entry.start_s, entry.id), entry);
    }

    pub(super) fn find(&self, id: i64) -> Option<&TimeEntry> {
        let start = self.start_by_id.get(&id)?;
        self.rows.get(&(*start, id))
    }

    pub(super) fn remove(&mut self, id: i64) -> Option<TimeEntry> {
        let start = self.start_by_id.remove(&id)?;
        self.rows.remove(&(start, id))
    }

    /// Oldest start first.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &TimeEntry> {
        self.rows.values()
    }

    /// What the filter lets through, newest start first.
    pub(super) fn newest_first(&self, filter: EntryFilter) -> impl Iterator<Item = &TimeEntry> {
        let start = filter.start.unwrap_or(i64::MIN);
        // A range that ends before it starts would panic; it holds nothing.
        let end = filter.end.unwrap_or(i64::MAX).max(start);
        let started = self.rows.range((start, i64::MIN)..(end, i64::MIN)).rev();
        started.map(|(_, entry)| entry).filter(move |entry| match filter.changed_since {
            Some(since) => entry.at_s >= since,
            None => !entry.is_deleted,
        })
    }
}

impl FromIterator<TimeEntry> for TimeEntries {
    fn from_iter<I: IntoIterator<Item = TimeEntry>>(entries: I) -> Self {
        let rows: BTreeMap<_, _> =
            entries.into_iter().map(|entry| ((entry.start_s, entry.id), entry)).collect();
        Self { start_by_id: rows.keys().map(|(start, id)| (*id, *start)).collect(), rows }
    }
}
