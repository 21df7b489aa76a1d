//! The table `loads`, the ledger: one row for every applied batch.

use jiff_sqlx::ToSqlx;
use shared::batch::Batch;
use sqlx::PgConnection;

use super::applied::Applied;
use super::origin::Origin;
use super::sql::query;
use crate::postgres::schema::Schema;

/// Writes the batch's row. A batch that comes again leaves the row as it was, and so does a dead
/// letter that is applied later: `loads` tells what each message did when it came.
pub(crate) async fn write(
    connection: &mut PgConnection,
    schema: &Schema,
    batch: &Batch,
    origin: &Origin,
    applied: &Applied,
) -> sqlx::Result<()> {
    let count = |n: usize| i32::try_from(n).unwrap_or(i32::MAX);
    let told = applied.clock_ahead.and_then(|ahead| batch.fetched_at.checked_add(ahead).ok());
    let promised = origin.promised_age.map(|age| i32::try_from(age.as_secs()).unwrap_or(i32::MAX));
    query(format!(
        "insert into {schema}.toggl_track__loads
             (run_id, resource, workspace_id, part, received, written, unchanged, stale, deleted,
              dead, fetched_at, stream_sequence, told_fetched_at, promised_age)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14 * interval '1 second')
         on conflict do nothing"
    ))
    .bind(batch.run_id)
    .bind(&batch.resource)
    .bind(batch.workspace_id)
    .bind(i32::try_from(batch.part).unwrap_or(i32::MAX))
    .bind(count(applied.received))
    .bind(count(applied.written))
    .bind(count(applied.unchanged))
    .bind(count(applied.stale))
    .bind(count(applied.deleted))
    .bind(count(applied.dead))
    .bind(batch.fetched_at.to_sqlx())
    .bind(origin.stream_sequence)
    .bind(told.map(ToSqlx::to_sqlx))
    .bind(promised)
    .execute(connection)
    .await
    .map(drop)
}

/// Waits until the batch's row is on disk, and with it all that was committed before. The row is locked to that end:
/// Postgres writes that down as it does a change, and here its commit waits. Without a row, as of a dead letter that is
/// applied later, there is no message to be acknowledged, and nothing is waited for.
pub(crate) async fn wait_for_disk(
    connection: &mut PgConnection,
    schema: &Schema,
    batch: &Batch,
) -> sqlx::Result<()> {
    query(format!(
        "select from {schema}.toggl_track__loads
         where run_id = $1 and resource = $2 and workspace_id = $3 and part = $4
         for no key update"
    ))
    .bind(batch.run_id)
    .bind(&batch.resource)
    .bind(batch.workspace_id)
    .bind(i32::try_from(batch.part).unwrap_or(i32::MAX))
    .execute(connection)
    .await
    .map(drop)
}
