//! Noting which time entries a batch writes, so that the views read them from the raw tables until their copy is
//! brought up to date.
//!
//! Triggers note what anybody else writes, row by row. A batch knows its ids, and notes them at once in its own
//! transaction, which costs a twentieth of that; the triggers let its rows pass.

use sqlx::PgConnection;

use super::context::BatchContext;
use super::rows::Row;
use super::sql::each;
use crate::postgres::schema::Schema;

/// Set in a transaction that notes what it writes.
pub(super) const NOTES_ITSELF: &str = "set local toggl_track.notes_touched = on";

/// Notes rows that a statement of the batch wrote or may have written. Every statement that writes a raw table is
/// followed by this, or by [`note`].
pub(super) async fn note_rows(
    connection: &mut PgConnection,
    context: BatchContext<'_>,
    rows: &[Row<'_>],
) -> sqlx::Result<()> {
    if !is_copied(context) {
        return Ok(());
    }
    note(connection, context, each(rows, |row| row.record.source_id)).await
}

/// The same of rows of which the ids are known.
pub(super) async fn note(
    connection: &mut PgConnection,
    context: BatchContext<'_>,
    ids: Vec<i64>,
) -> sqlx::Result<()> {
    if ids.is_empty() || !is_copied(context) {
        return Ok(());
    }
    sqlx::query("select raw.toggl_track__note_touched($1)")
        .bind(ids)
        .execute(connection)
        .await
        .map(drop)
}

/// The copy is of time entries in the live tables alone.
fn is_copied(context: BatchContext<'_>) -> bool {
    context.resource.is_time_entry() && *context.schema == Schema::RAW
}
