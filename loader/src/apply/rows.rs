//! From a batch to the rows of its table.

use jiff::Timestamp;
use shared::batch::{Batch, Record, is_storable};
use shared::digest::{Sums, content_hash};
use shared::resource::{Key, Resource};

use super::dead_record::DeadRecord;
use super::running_entries;

/// A record on its way into its table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row<'a> {
    /// Place of the record in its batch.
    pub(crate) record_index: usize,
    pub(crate) record: &'a Record,
    /// The record's JSON, known to be UTF-8.
    pub(crate) data: &'a str,
    /// The record's own workspace, or the batch's.
    pub(crate) workspace_id: i64,
    /// By what two texts are compared.
    pub(crate) content_hash: i64,
    /// Whether it is of an entry that runs, and that no claim covers for that.
    pub(crate) is_running: bool,
    /// Its start then, if it can be read.
    pub(crate) running_since: Option<Timestamp>,
    /// When it was deleted: by the record's own word, or because a newer claim does not have it.
    pub(crate) deleted_at: Option<Timestamp>,
}

impl Row<'_> {
    /// Since when the row is as the record says, given when that was fetched. Toggl's own word that it is
    /// deleted is no version that was ever valid, even where that lies ahead.
    pub(crate) fn valid_from(&self, fetched_at: Timestamp) -> Timestamp {
        self.record.deleted_at.map_or(fetched_at, |deleted_at| fetched_at.max(deleted_at))
    }
}

/// The newest form of each key in the batch, in the order of the keys. Records that cannot even be sent
/// to Postgres for comparison come back as dead.
pub(crate) fn rows<'a>(resource: &Resource, batch: &'a Batch) -> (Vec<Row<'a>>, Vec<DeadRecord>) {
    let mut dead = Vec::new();
    let mut rows: Vec<Row<'a>> = Vec::with_capacity(batch.records.len());
    for (record_index, record) in batch.records.iter().enumerate() {
        match text(record) {
            Ok(data) => rows.push(Row {
                record_index,
                record,
                data,
                workspace_id: record.workspace_id.unwrap_or(batch.workspace_id),
                content_hash: content_hash(&record.data),
                is_running: running_entries::is_running(resource, record),
                running_since: running_entries::since(resource, record),
                deleted_at: record.deleted_at,
            }),
            Err(reason) => dead.push(DeadRecord { record_index, reason, sqlstate: None }),
        }
    }
    // Of two of the same key and time the later one, which the order keeps, is the newer one.
    rows.sort_by_key(|row| (key(resource, row), row.record.modified_at));
    rows.reverse();
    rows.dedup_by_key(|row| key(resource, row));
    rows.reverse();
    (rows, dead)
}

/// What those sum up to that the claim of their batch covers.
pub(crate) fn sums(resource: &Resource, batch: &Batch, rows: &[Row<'_>]) -> Sums {
    Sums::of(resource, batch, rows.iter().map(|row| (row.record, row.content_hash)))
}

const fn key(resource: &Resource, row: &Row<'_>) -> (i64, i64) {
    match resource.key {
        Key::Source => (0, row.record.source_id),
        Key::WorkspaceAndSource => (row.workspace_id, row.record.source_id),
    }
}

/// The record's JSON, if it is text and its times are such as Postgres can hold.
fn text(record: &Record) -> Result<&str, String> {
    let times = [record.modified_at, record.started_at, record.deleted_at];
    if let Some(time) = times.into_iter().flatten().find(|time| !is_storable(*time)) {
        return Err(format!("the record has a time before 4713 BC: {time}"));
    }
    std::str::from_utf8(&record.data).map_err(|error| format!("the record is not UTF-8: {error}"))
}
