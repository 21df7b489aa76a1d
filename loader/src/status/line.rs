//! What is known of one raw table.

use jiff::Timestamp;
use serde::Serialize;
use shared::consumer::Trouble;
use shared::resource::Resource;

use super::Status;
use super::queue::Backlog;
use super::words::{UNKNOWN, day, known, time};

/// None is what is not known: a server was away, or there is no such thing yet.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Line {
    pub(crate) resource: &'static str,
    pub(crate) rows_live: Option<i64>,
    pub(crate) rows_deleted: Option<i64>,
    /// Everything in the table is at least as new; of time entries, everything in the range.
    pub(crate) complete_at: Option<Timestamp>,
    /// For time entries: from where on, and up to where.
    pub(crate) complete_from: Option<Timestamp>,
    pub(crate) complete_to: Option<Timestamp>,
    pub(crate) last_fetched_at: Option<Timestamp>,
    pub(crate) last_changed_at: Option<Timestamp>,
    /// How long after `last_fetched_at` it is read again at the latest, by those who start the runs.
    pub(crate) promised_age_seconds: Option<u64>,
    /// Whether `last_fetched_at` is no older than that, in every workspace.
    pub(crate) is_promise_kept: Option<bool>,
    /// Batches that no loader has in hand.
    pub(crate) pending: Option<u64>,
    /// Batches in the hands of loaders.
    pub(crate) in_flight: Option<u64>,
    /// When the oldest of both was published.
    pub(crate) oldest_unloaded_at: Option<Timestamp>,
    pub(crate) dead_letters: Option<i64>,
    /// What keeps the batches that wait from being loaded.
    pub(crate) trouble: Option<Noted>,
}

/// A trouble as a loader noted it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Noted {
    pub(crate) since: Timestamp,
    pub(crate) words: String,
}

impl From<&Trouble> for Noted {
    fn from(trouble: &Trouble) -> Self {
        Self { since: trouble.since, words: trouble.words.clone() }
    }
}

impl Line {
    pub(super) fn of(status: &Status, resource: &Resource) -> Self {
        let name = resource.name;
        let store = status.store.as_ref().ok();
        let rows = status.counts.as_ref().and_then(|counts| counts.rows.get(name));
        let freshness = store.and_then(|store| store.freshness.get(name));
        let promise = freshness.and_then(|freshness| freshness.promise);
        let backlog = status.queue.as_ref().ok().and_then(|queue| queue.backlogs.get(name));
        Self {
            resource: name,
            rows_live: rows.map(|rows| rows.live),
            rows_deleted: rows.map(|rows| rows.deleted),
            complete_at: freshness.and_then(|freshness| freshness.complete),
            complete_from: freshness.and_then(|freshness| freshness.complete_from),
            complete_to: freshness.and_then(|freshness| freshness.complete_to),
            last_fetched_at: freshness.and_then(|freshness| freshness.last_fetch),
            last_changed_at: freshness.and_then(|freshness| freshness.last_change),
            promised_age_seconds: promise.map(|promise| promise.age.as_secs()),
            is_promise_kept: promise.map(|promise| promise.is_kept),
            pending: backlog.map(|backlog| backlog.pending),
            in_flight: backlog.map(|backlog| backlog.in_flight),
            oldest_unloaded_at: backlog.and_then(|backlog| backlog.oldest_at),
            dead_letters: store.map(|store| store.dead_letters.get(name).copied().unwrap_or(0)),
            trouble: backlog.and_then(Backlog::trouble).map(Noted::from),
        }
    }

    /// Whether some of it was fetched and is not loaded yet.
    pub(super) fn waits(&self) -> bool {
        self.pending.unwrap_or(0) + self.in_flight.unwrap_or(0) > 0
    }

    /// Since when the table is as at Toggl; of time entries, from where to where.
    pub(crate) fn complete(&self) -> String {
        match (self.complete_from, self.complete_to) {
            (Some(from), Some(to)) => format!("{} to {}", day(from), time(to)),
            _ if self.complete_from.is_some() || self.complete_to.is_some() => UNKNOWN.to_owned(),
            _ => known(self.complete_at, time),
        }
    }
}
