//! Which stored rows of running entries a complete report says are gone.

use jiff_sqlx::ToSqlx as _;
use shared::batch::{Batch, Coverage};
use shared::resource::Scope;
use sqlx::{FromRow as _, PgConnection};

use super::context::BatchContext;
use super::running_entries::{self, LONGEST};
use super::sql::query;

/// The rows of running entries that the batch's claim says are gone, and that are not known to be.
pub(crate) async fn gone(
    connection: &mut PgConnection,
    context: BatchContext<'_>,
    batch: &Batch,
) -> sqlx::Result<Vec<i64>> {
    let (Some(_), Some(start), &Coverage::Starts { from, to, user_id }) =
        (context.resource.running_unless, context.resource.started_field, &batch.coverage)
    else {
        return Ok(Vec::new());
    };
    let present: Vec<i64> = batch.records.iter().map(|record| record.source_id).collect();
    let rows = query(stored_sql(context, start))
        .bind(batch.workspace_id)
        .bind(batch.fetched_at.to_sqlx())
        .bind(user_id)
        .bind(present)
        .fetch_all(connection)
        .await?;
    let mut gone = Vec::new();
    for row in &rows {
        let (id, start): (i64, Option<String>) = <_>::from_row(row)?;
        let start = start.as_deref().and_then(running_entries::start);
        let is_claimed = start.is_some_and(|start| {
            from <= start && start < to && batch.fetched_at.duration_since(start) > LONGEST
        });
        if is_claimed {
            gone.push(id);
        }
    }
    Ok(gone)
}

/// `$1` workspace, `$2` fetched at, `$3` user, `$4` the ids in the batch.
fn stored_sql(context: BatchContext<'_>, start: &str) -> String {
    let BatchContext { schema, resource, .. } = context;
    let table = resource.table();
    let workspace = match resource.scope {
        Scope::Account => "$1::bigint is not null",
        Scope::Workspace => "workspace_id = $1::bigint",
    };
    format!(
        "select source_id, data->>'{start}' from {schema}.{table}
         where started_at is null and {workspace} and fetched_at < $2
             and (deleted_at is null or deleted_at > $2)
             and ($3::bigint is null or user_id = $3) and source_id <> all($4::bigint[])"
    )
}
