//! The time entries of an account, ordered by start as Toggl lists them. Deleted ones stay, since
//! Toggl reports them to whoever asks what changed.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

/// A time entry, with what Toggl filters by and what its reports show.
#[derive(Debug, Clone)]
pub struct TimeEntry {
    pub(super) id: i64,
    pub(super) user_id: i64,
    pub(super) workspace_id: Option<i64>,
    pub(super) start_s: i64,
    pub(super) stop_s: Option<i64>,
    pub(super) at_s: i64,
    pub(super) duration_s: i64,
    pub(super) is_running: bool,
    pub(super) is_deleted: bool,
    pub(super) is_billable: bool,
    pub(super) places: Places,
    pub(super) text: Box<str>,
}

/// Where in the text of an entry the values stand that its reports copy.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Places {
    pub(super) project_id: Place,
    pub(super) task_id: Place,
    pub(super) description: Place,
    pub(super) tag_ids: Place,
}

/// From the first byte of a value to the one after the last; the same for null.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Place(u32, u32);

impl Place {
    pub(super) fn new(start: usize, end: usize) -> Self {
        let byte = |place: usize| u32::try_from(place).expect("an entry is short");
        Self(byte(start), byte(end))
    }

    /// Of a value that was read out of the text.
    fn of(value: Option<&RawValue>, text: &str) -> Self {
        value.map_or_else(Self::default, |value| {
            let start = value.get().as_ptr() as usize - text.as_ptr() as usize;
            Self::new(start, start + value.get().len())
        })
    }
}

impl TimeEntry {
    pub(super) fn parse(text: &str) -> Self {
        let head: Head<'_> = serde_json::from_str(text).expect("a time entry is a JSON object");
        Self {
            id: head.id,
            user_id: head.user_id,
            workspace_id: head.workspace_id.or(head.wid),
            start_s: head.start.as_second(),
            stop_s: head.stop.map(Timestamp::as_second),
            at_s: head.at.as_second(),
            duration_s: head.duration,
            is_running: head.duration < 0,
            is_deleted: head.server_deleted_at.is_some(),
            is_billable: head.billable == Some(true),
            places: Places {
                project_id: Place::of(head.project_id, text),
                task_id: Place::of(head.task_id, text),
                description: Place::of(head.description, text),
                tag_ids: Place::of(head.tag_ids, text),
            },
            text: text.into(),
        }
    }

    /// The value that stands there, byte for byte.
    pub(super) fn value(&self, Place(start, end): Place) -> &str {
        if start == end {
            return "null";
        }
        self.text.get(start as usize..end as usize).expect("a value of this entry")
    }

    /// Toggl's id of the entry.
    pub const fn id(&self) -> i64 {
        self.id
    }

    /// Unix seconds of the start; Toggl keeps no fractions there.
    pub const fn start_s(&self) -> i64 {
        self.start_s
    }

    /// What entries are ordered by.
    pub(super) const fn key(&self) -> (i64, i64) {
        (self.start_s, self.id)
    }

    /// Whether nobody has stopped it yet.
    pub const fn is_running(&self) -> bool {
        self.is_running
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
struct Head<'a> {
    id: i64,
    user_id: i64,
    workspace_id: Option<i64>,
    wid: Option<i64>,
    start: Timestamp,
    stop: Option<Timestamp>,
    at: Timestamp,
    duration: i64,
    server_deleted_at: Option<Timestamp>,
    billable: Option<bool>,
    #[serde(borrow)]
    project_id: Option<&'a RawValue>,
    #[serde(borrow)]
    task_id: Option<&'a RawValue>,
    #[serde(borrow)]
    description: Option<&'a RawValue>,
    #[serde(borrow)]
    tag_ids: Option<&'a RawValue>,
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
        self.rows.insert(entry.key(), entry);
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

    /// Those from the first to the last of these keys, deleted ones included, oldest start first.
    pub(super) fn between(
        &self,
        first: (i64, i64),
        last: (i64, i64),
    ) -> impl DoubleEndedIterator<Item = &TimeEntry> {
        // A range that ends before it starts would panic; it holds nothing.
        let rows = (first <= last).then(|| self.rows.range(first..=last));
        rows.into_iter().flatten().map(|(_, entry)| entry)
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
        let rows: BTreeMap<_, _> = entries.into_iter().map(|entry| (entry.key(), entry)).collect();
        Self { start_by_id: rows.keys().map(|(start, id)| (*id, *start)).collect(), rows }
    }
}
