//! How far an interrupted sync came.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use shared::resource::Resource;

use super::is_within;
use crate::window::Window;

/// How far a sync came that was stopped by a quota. Key `sync.<user>`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SyncProgress {
    /// What was to be synced; another sync starts over.
    pub(crate) signature: String,
    /// Listings that were sent whole.
    done: Vec<DoneListing>,
    /// Listings that broke off.
    broken: Vec<BrokenListing>,
    /// Time entries; none before their windows were begun.
    pub(crate) windows: Option<WindowProgress>,
    /// When the changes were asked for, if Toggl cut its answer off and windows are read instead.
    pub(crate) changes_at: Option<Timestamp>,
    /// What was found uncertain, or could not be used or sent, of what is not read again: resource and reason.
    #[serde(default)]
    pub(crate) uncertain: Vec<(String, String)>,
    /// Whether it was read from the bucket.
    #[serde(skip_serializing, default = "yes")]
    pub(crate) was_saved: bool,
}

/// Windows of time entries that have not been read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WindowProgress {
    /// When the first of them was asked for.
    pub(crate) at: Timestamp,
    pub(crate) ahead: Vec<Window>,
    /// Entries sent of those that were read.
    pub(crate) records: usize,
}

/// A listing that was sent whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DoneListing {
    resource: String,
    workspace_id: i64,
    pub(crate) records: usize,
    pub(crate) at: Timestamp,
}

/// A listing that a quota interrupted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BrokenListing {
    resource: String,
    workspace_id: i64,
    /// Page to go on with.
    pub(crate) next_page: usize,
    /// Records of the pages before, which were sent.
    pub(crate) records: usize,
    /// When the first page was read.
    at: Timestamp,
}

const fn yes() -> bool {
    true
}

impl SyncProgress {
    pub(crate) fn key(user_id: i64) -> String {
        format!("sync.{user_id}")
    }

    /// Of a run that asks for changes alone: it keeps no interrupted sync from going on.
    pub(crate) fn key_of_changes(user_id: i64) -> String {
        format!("changes.{user_id}")
    }

    /// Of a run that asks for changes of lists alone: it keeps neither of the others from going on.
    pub(crate) fn key_of_lists(user_id: i64) -> String {
        format!("lists.{user_id}")
    }

    /// Nothing has been read yet.
    pub(crate) fn new(signature: String) -> Self {
        Self { signature, ..Self::default() }
    }

    /// Forgets what was read longer ago than that: it is read again.
    pub(crate) fn forget_before(&mut self, now: Timestamp, age: Duration) {
        self.done.retain(|done| is_within(done.at, now, age));
        self.broken.retain(|broken| is_within(broken.at, now, age));
        self.windows = self.windows.take().filter(|windows| is_within(windows.at, now, age));
        self.changes_at = self.changes_at.filter(|at| is_within(*at, now, age));
    }

    /// Whether there is nothing to go on with.
    pub(crate) fn is_empty(&self) -> bool {
        self.done.is_empty() && self.broken.is_empty() && self.windows.is_none()
    }

    /// How many listings need not be read again.
    pub(crate) fn done_count(&self) -> usize {
        self.done.len()
    }

    /// A listing that was sent whole, if it was.
    pub(crate) fn done(&self, resource: &Resource, workspace_id: i64) -> Option<&DoneListing> {
        let is = |done: &&DoneListing| {
            done.resource == resource.name && done.workspace_id == workspace_id
        };
        self.done.iter().find(is)
    }

    /// Whether something of a workspace was sent whole.
    pub(crate) fn has_any(&self, workspace_id: i64) -> bool {
        self.done.iter().any(|done| done.workspace_id == workspace_id)
    }

    /// Page to go on with and records sent before; the first and none where it did not break off.
    pub(crate) fn broken_at(&self, resource: &Resource, workspace_id: i64) -> (usize, usize) {
        let broken = self.broken.iter().find(|broken| broken.is(resource, workspace_id));
        broken.map_or((1, 0), |broken| (broken.next_page, broken.records))
    }

    /// A listing was sent whole.
    pub(crate) fn finish(
        &mut self,
        resource: &Resource,
        workspace_id: i64,
        records: usize,
        at: Timestamp,
    ) {
        self.broken.retain(|broken| !broken.is(resource, workspace_id));
        let resource = resource.name.to_owned();
        self.done.push(DoneListing { resource, workspace_id, records, at });
    }

    /// A listing broke off before that page, after so many more records.
    pub(crate) fn interrupt(
        &mut self,
        resource: &Resource,
        workspace_id: i64,
        (next_page, records): (usize, usize),
        now: Timestamp,
    ) {
        let place = self.broken.iter().position(|broken| broken.is(resource, workspace_id));
        let before = place.map(|place| self.broken.swap_remove(place));
        self.broken.push(BrokenListing {
            resource: resource.name.to_owned(),
            workspace_id,
            next_page,
            records: records + before.as_ref().map_or(0, |before| before.records),
            at: before.map_or(now, |before| before.at),
        });
    }
}

impl BrokenListing {
    fn is(&self, resource: &Resource, workspace_id: i64) -> bool {
        self.resource == resource.name && self.workspace_id == workspace_id
    }
}
