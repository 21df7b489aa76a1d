//! A version of a key, and which claims cover it.

use jiff::Timestamp;
use shared::batch::{Batch, Coverage};
use shared::resource::{Resource, Scope};

use super::stored::{Asked, Stored};
use crate::apply::rows::Row;

/// A version of the key that was stored.
#[derive(Debug, Clone, Copy)]
pub(super) struct Form {
    pub(super) workspace_id: i64,
    pub(super) modified_at: Option<Timestamp>,
    pub(super) fetched_at: Timestamp,
    pub(super) deleted_at: Option<Timestamp>,
    pub(super) started_at: Option<Timestamp>,
    pub(super) user_id: Option<i64>,
    pub(super) content_hash: i64,
}

impl Form {
    pub(super) fn of_stored(stored: &Stored) -> Self {
        Self {
            workspace_id: stored.workspace_id,
            modified_at: stored.modified_at,
            fetched_at: stored.fetched_at,
            deleted_at: stored.deleted_at,
            started_at: stored.started_at,
            user_id: stored.user_id,
            content_hash: stored.content_hash,
        }
    }

    pub(super) fn of_row(batch: &Batch, row: &Row<'_>) -> Self {
        Self {
            workspace_id: row.workspace_id,
            modified_at: row.record.modified_at,
            fetched_at: batch.fetched_at,
            deleted_at: row.deleted_at,
            started_at: row.record.started_at,
            user_id: row.record.user_id,
            content_hash: row.content_hash,
        }
    }
}

/// Whether the batch would have it, if it were there. Of an id that is not stored the id alone is known.
pub(super) fn covers(
    asked: Asked,
    batch: &Batch,
    coverage: &Coverage,
    form: Option<&Form>,
) -> bool {
    match form {
        Some(form) => {
            is_of_workspace(asked.resource, batch, form) && in_range(asked.id, coverage, form)
        }
        None => matches!(coverage, Coverage::Ids { .. }) && in_ids(asked.id, coverage),
    }
}

fn is_of_workspace(resource: &Resource, batch: &Batch, form: &Form) -> bool {
    resource.scope == Scope::Account || form.workspace_id == batch.workspace_id
}

pub(super) fn in_range(id: i64, coverage: &Coverage, form: &Form) -> bool {
    match *coverage {
        Coverage::Starts { from, to, user_id } => {
            form.started_at.is_some_and(|start| from <= start && start < to)
                && (user_id.is_none() || user_id == form.user_id)
        }
        Coverage::Ids { .. } | Coverage::Partial => in_ids(id, coverage),
    }
}

fn in_ids(id: i64, coverage: &Coverage) -> bool {
    match *coverage {
        Coverage::Ids { after, through } => {
            after.is_none_or(|after| after < id) && through.is_none_or(|through| id <= through)
        }
        Coverage::Starts { .. } | Coverage::Partial => false,
    }
}
