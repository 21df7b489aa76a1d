//! The SQL that writes a raw table.

use jiff_sqlx::ToSqlx as _;
use shared::batch::{Batch, Coverage};
use sqlx::PgConnection;

use super::context::BatchContext;
use super::newer::{Incoming, is_newer};
use super::rows::Row;
use super::sql::{bind_rows, columns, each, input, key, query, same_key};
use super::{history, touched};

/// Inserts or updates the rows in the order of the key, so that two loaders never lock the same rows
/// crosswise. Answers how many it wrote: fewer than it was given where another workspace's batch was
/// newer.
pub(crate) async fn write(
    connection: &mut PgConnection,
    context: BatchContext<'_>,
    rows: &[Row<'_>],
) -> sqlx::Result<u64> {
    let upsert = bind_rows(query(write_sql(context)), context, rows);
    let written = history::run_write(&mut *connection, context, rows, upsert).await?;
    touched::note_rows(connection, context, rows).await?;
    Ok(written)
}

/// The unchanged rows of which no claim tells that they were seen again: all of a batch without one, else
/// those of running entries.
pub(crate) fn unconfirmed<'a>(batch: &Batch, unchanged: &[Row<'a>]) -> Vec<Row<'a>> {
    let is_partial = batch.coverage == Coverage::Partial;
    unchanged.iter().filter(|row| is_partial || row.is_running).copied().collect()
}

/// Notes that unchanged rows were seen again. Only for those [`unconfirmed`]: elsewhere the claim
/// carries that news, and the rows are left alone.
pub(crate) async fn confirm(
    connection: &mut PgConnection,
    context: BatchContext<'_>,
    rows: &[Row<'_>],
) -> sqlx::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    query(confirm_sql(context))
        .bind(each(rows, |row| row.record.source_id))
        .bind(each(rows, |row| row.workspace_id))
        .bind(context.fetched_at.to_sqlx())
        .execute(&mut *connection)
        .await?;
    touched::note_rows(connection, context, rows).await
}

/// A row on its way over a stored one. Claims have had their say, and so had the rule about deletions:
/// the comparison has seen both, under the lock of its resource and workspace. What is asked here once
/// more is what another workspace's batch may have done since.
const EXCLUDED: Incoming<'_> = Incoming {
    row: "excluded",
    fetched_at: "excluded.fetched_at",
    is_live: "excluded.deleted_at is null",
    is_deletion: "false",
};

fn write_sql(context: BatchContext<'_>) -> String {
    let BatchContext { schema, resource, history, .. } = context;
    let is_newer = is_newer(context, &EXCLUDED, "t.fetched_at");
    let table = resource.table();
    let key = key(resource);
    let read_first = history.read_first();
    let goes_on = history::goes_on(context);
    let (columns, input) = (columns(resource), input(resource));
    let updates = if resource.is_time_entry() {
        ", started_at = excluded.started_at, user_id = excluded.user_id"
    } else {
        ""
    };
    let write = format!(
        "insert into {schema}.{table} as t
             (source_id, workspace_id, data, modified_at, deleted_at, content_hash, valid_from{columns}, api_version, fetched_at)
         select source_id, workspace_id, data::jsonb, modified_at, deleted_at, content_hash, valid_from{columns}, $7, $8
         from {input}{read_first}
         order by {key}
         on conflict ({key}) do update set
             workspace_id = excluded.workspace_id, data = excluded.data, api_version = excluded.api_version,
             modified_at = excluded.modified_at, fetched_at = excluded.fetched_at,
             deleted_at = excluded.deleted_at, content_hash = excluded.content_hash,
             valid_from = case when {goes_on} then least(t.valid_from, excluded.valid_from)
                               else excluded.valid_from end,
             synced_at = now(){updates}
         where {is_newer}"
    );
    history.around_write(resource, write)
}

fn confirm_sql(context: BatchContext<'_>) -> String {
    let BatchContext { schema, resource, .. } = context;
    let table = resource.table();
    let same_key = same_key(resource);
    format!(
        "update {schema}.{table} t set fetched_at = $3
         from unnest($1::bigint[], $2::bigint[]) as i(source_id, workspace_id)
         where {same_key} and t.fetched_at < $3"
    )
}
