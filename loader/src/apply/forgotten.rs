//! Whom nothing is written of: the rows of `raw.toggl_track__forgotten`, as a loader knows them.
//!
//! Every batch asks, in the transaction that applies it, whether the list is still the known one; forgetting
//! takes a lock that no batch in flight leaves free (see [`lock`](super::lock)). So a batch knows the list as
//! it is when it commits.

pub(crate) mod person;

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use shared::batch::{Batch, Coverage, Record, Rejected};
use shared::resource::Resource;
use sqlx::PgConnection;

use self::person::{Verdict, judge};

/// A number that no two states of the list share, given as SQL: ids only grow, and what is deleted is
/// one fewer. In the schema `raw` wherever batches go, for a replay must not bring anybody back.
pub(crate) const STAMP_SQL: &str =
    "(select coalesce(max(forgotten_id) << 20, 0) + count(*) from raw.toggl_track__forgotten)";

/// The list as it was last read; clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Forgotten(Arc<RwLock<Arc<List>>>);

/// People and workspaces, by Toggl's ids.
#[derive(Debug, Clone, Default)]
pub(crate) struct List {
    /// As [`STAMP_SQL`] answers it; 0 for an empty list, known without being read.
    pub(crate) stamp: i64,
    pub(crate) users: HashSet<i64>,
    pub(crate) workspaces: HashSet<i64>,
}

impl Forgotten {
    /// As it is known.
    pub(crate) fn known(&self) -> Arc<List> {
        // Whoever panicked while holding it has left it whole.
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads it anew.
    pub(crate) async fn read(&self, connection: &mut PgConnection) -> sqlx::Result<Arc<List>> {
        let rows: Vec<(i64, Option<i64>, Option<i64>)> = sqlx::query_as(
            "select forgotten_id, user_id, workspace_id from raw.toggl_track__forgotten",
        )
        .fetch_all(connection)
        .await?;
        let newest = rows.iter().map(|(id, ..)| *id).max().unwrap_or_default();
        let list = Arc::new(List {
            stamp: (newest << 20) + i64::try_from(rows.len()).unwrap_or(i64::MAX),
            users: rows.iter().filter_map(|(_, user_id, _)| *user_id).collect(),
            workspaces: rows.iter().filter_map(|(.., workspace_id)| *workspace_id).collect(),
        });
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&list);
        Ok(list)
    }
}

impl List {
    /// Whether nobody is forgotten.
    pub(crate) fn is_empty(&self) -> bool {
        self.users.is_empty() && self.workspaces.is_empty()
    }

    /// The batch without their records and without their traces in those of others. What it claims it
    /// still claims, for nobody's rows of theirs are left; except where the claim itself names them.
    pub(crate) fn without<'a>(&self, resource: &Resource, batch: &'a Batch) -> Cow<'a, Batch> {
        if self.is_empty() {
            return Cow::Borrowed(batch);
        }
        let is_theirs = self.workspaces.contains(&batch.workspace_id)
            || matches!(batch.coverage, Coverage::Starts { user_id: Some(id), .. } if self.users.contains(&id));
        let records = batch.records.iter().map(|record| self.record(resource, batch, record));
        let records: Vec<_> = records.collect();
        let rejected =
            batch.rejected.iter().map(|rejected| self.rejected(resource, batch, rejected));
        let rejected: Vec<_> = rejected.collect();
        let is_kept = |verdict: &Verdict| matches!(verdict, Verdict::Keep);
        if !is_theirs && records.iter().all(is_kept) && rejected.iter().all(is_kept) {
            return Cow::Borrowed(batch);
        }
        let mut kept = Batch { records: Vec::new(), rejected: Vec::new(), ..batch.clone() };
        if is_theirs {
            kept.coverage = Coverage::Partial;
        }
        for (record, verdict) in batch.records.iter().zip(records) {
            if let Some(data) = verdict.text(&record.data) {
                kept.records.push(Record { data, ..record.clone() });
            }
        }
        for (rejected, verdict) in batch.rejected.iter().zip(rejected) {
            if let Some(data) = verdict.text(&rejected.data) {
                kept.rejected.push(Rejected { data, ..rejected.clone() });
            }
        }
        Cow::Owned(kept)
    }

    fn record(&self, resource: &Resource, batch: &Batch, record: &Record) -> Verdict {
        let is_theirs = record.user_id.is_some_and(|id| self.users.contains(&id));
        let workspace_id = record.workspace_id.unwrap_or(batch.workspace_id);
        if is_theirs || self.workspaces.contains(&workspace_id) {
            return Verdict::Drop;
        }
        judge(self, resource, Some(record.source_id), &record.data)
    }

    fn rejected(&self, resource: &Resource, batch: &Batch, rejected: &Rejected) -> Verdict {
        if self.workspaces.contains(&batch.workspace_id) {
            return Verdict::Drop;
        }
        judge(self, resource, rejected.source_id, &rejected.data)
    }
}

impl Verdict {
    /// What is kept of a text.
    fn text(self, whole: &Bytes) -> Option<Bytes> {
        match self {
            Self::Keep => Some(whole.clone()),
            Self::Drop => None,
            Self::Cleaned(text) => Some(text.into()),
        }
    }
}
