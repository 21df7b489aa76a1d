//! Changes of the workspaces' lists that `since` tells of, deletions above all: the lists drop what was
//! deleted, and Toggl remembers it.

use std::collections::HashMap;

use jiff::Timestamp;

use super::account::{Account, whole_seconds};
use super::list::List;
use super::record::{Record, quoted, with_fields};

/// What was deleted from the lists, as `since` shows it.
#[derive(Debug, Clone, Default)]
pub(super) struct Deletions(HashMap<(List, i64), Vec<Record>>);

impl Deletions {
    /// Of one that has come back.
    pub(super) fn forget(&mut self, list: List, workspace_id: i64, id: i64) {
        if let Some(records) = self.0.get_mut(&(list, workspace_id)) {
            records.retain(|record| record.id() != id);
        }
    }
}

impl Account {
    /// Sets fields of a record to JSON texts, and `at` to the time of the change.
    ///
    /// # Panics
    ///
    /// If there is no such record or a value is no JSON.
    pub fn change(
        &mut self,
        list: List,
        workspace_id: i64,
        id: i64,
        at: Timestamp,
        changes: &[(&str, &str)],
    ) {
        let at = quoted(&time_of(list, at));
        self.edit(list, workspace_id, id, &[changes, &[("at", &at)]].concat());
    }

    /// Deletes a record as a user does: the lists drop it, `since` shows it with `server_deleted_at` (of
    /// tags `deleted_at`) and `at` as the time of deletion.
    ///
    /// # Panics
    ///
    /// If there is no such record.
    pub fn delete(&mut self, list: List, workspace_id: i64, id: i64, at: Timestamp) {
        let records = self.records(list, workspace_id);
        let record = records.iter().find(|record| record.id() == id).expect("a known record");
        let at = quoted(&time_of(list, at));
        let field = if list == List::Tags { "deleted_at" } else { "server_deleted_at" };
        let deleted = Record::parse(&with_fields(record.text(), &[("at", &at), (field, &at)]));
        self.happens_to_deleted(list, workspace_id, &deleted);
        self.remove(list, workspace_id, id);
        self.deletions.0.entry((list, workspace_id)).or_default().push(deleted);
    }

    /// What was deleted from a list.
    pub(super) fn deleted(&self, list: List, workspace_id: i64) -> impl Iterator<Item = &Record> {
        self.deletions.0.get(&(list, workspace_id)).into_iter().flatten()
    }
}

/// A time as the records of the list spell it.
fn time_of(list: List, at: Timestamp) -> String {
    match list {
        List::Tags | List::Groups => at.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string(),
        _ => whole_seconds(at.as_second()),
    }
}
