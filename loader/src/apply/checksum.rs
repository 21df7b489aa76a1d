//! The live rows that a batch's claim covers: which they are, how many, and what they sum up to. Where
//! the stored ones sum up to those of the batch, the listing brings nothing new, and none of it needs to
//! be sent. Where those of the batch are known to be stored, their number tells whether there are others.

use jiff_sqlx::{Timestamp as SqlTimestamp, ToSqlx as _};
use shared::batch::{Batch, Coverage};
use shared::digest::Sums;
use shared::resource::{Resource, Scope};
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{PgConnection, Postgres, Row as _};

use super::claims::{OnRecord, on_record_columns};
use super::context::BatchContext;
use super::sql::query;

/// What is stored and on record about what a batch claims.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Stored {
    pub(crate) on_record: OnRecord,
    pub(crate) sums: Sums,
    /// When the newest of the rows was fetched.
    pub(crate) newest: Option<SqlTimestamp>,
}

/// What is stored, compared by its sums.
pub(crate) async fn stored(
    connection: &mut PgConnection,
    context: BatchContext<'_>,
    batch: &Batch,
) -> sqlx::Result<Stored> {
    let starts = match batch.coverage {
        Coverage::Starts { .. } => {
            "coalesce((extract(epoch from sum(t.started_at - $1::timestamptz)) * 1000000)::bigint, 0)"
        }
        Coverage::Ids { .. } | Coverage::Partial => "0::bigint",
    };
    let sums =
        format!("count(*), coalesce(bit_xor(t.content_hash), 0), {starts}, max(t.fetched_at)");
    let row = look(connection, context, batch, &sums).await?;
    Ok(Stored {
        on_record: on_record(&row)?,
        sums: Sums { rows: row.try_get(3)?, hashes: row.try_get(4)?, starts: row.try_get(5)? },
        newest: row.try_get(6)?,
    })
}

/// Only how many there are.
pub(crate) async fn number(
    connection: &mut PgConnection,
    context: BatchContext<'_>,
    batch: &Batch,
) -> sqlx::Result<(OnRecord, i64)> {
    let row = look(connection, context, batch, "count(*)").await?;
    Ok((on_record(&row)?, row.try_get(3)?))
}

fn on_record(row: &PgRow) -> sqlx::Result<OnRecord> {
    Ok(OnRecord {
        newer_claims: row.try_get(0)?,
        letters: row.try_get(1)?,
        forgotten: row.try_get(2)?,
    })
}

/// Asks once for everything: `$1` to `$4` as in [`range`], `$5` resource, `$6` fetched at.
async fn look(
    connection: &mut PgConnection,
    context: BatchContext<'_>,
    batch: &Batch,
    sums: &str,
) -> sqlx::Result<PgRow> {
    let BatchContext { schema, resource, .. } = context;
    let table = resource.table();
    let on_record = on_record_columns(schema, "$5", "$4", "$6");
    let range = range(resource, batch).unwrap_or_else(|| NOTHING.to_owned());
    let sql = format!(
        "select {on_record}, {sums} from {schema}.{table} t
         where t.deleted_at is null and {range}"
    );
    bind_range(query(sql), batch)
        .bind(batch.workspace_id)
        .bind(&batch.resource)
        .bind(batch.fetched_at.to_sqlx())
        .fetch_one(connection)
        .await
}

/// Binds `$1` to `$3` of [`range`]; the workspace comes behind.
pub(crate) fn bind_range<'q>(
    statement: Query<'q, Postgres, PgArguments>,
    batch: &Batch,
) -> Query<'q, Postgres, PgArguments> {
    match batch.coverage {
        Coverage::Partial => statement.bind(None::<i64>).bind(None::<i64>).bind(None::<i64>),
        Coverage::Ids { after, through } => statement
            .bind(after.unwrap_or(i64::MIN))
            .bind(through.unwrap_or(i64::MAX))
            .bind(None::<i64>),
        Coverage::Starts { from, to, user_id } => {
            statement.bind(from.to_sqlx()).bind(to.to_sqlx()).bind(user_id)
        }
    }
}

/// What a batch without a claim covers.
const NOTHING: &str = "false and $1::bigint is null and $2::bigint is null and $3::bigint is null";

/// The rows `t` that a batch's claim covers: `$1` and `$2` the bounds, `$3` the user, `$4` the workspace.
/// None where nothing is claimed.
pub(crate) fn range(resource: &Resource, batch: &Batch) -> Option<String> {
    let range = match batch.coverage {
        Coverage::Partial => return None,
        Coverage::Ids { .. } => {
            "t.source_id > $1::bigint and t.source_id <= $2::bigint and $3::bigint is null"
        }
        Coverage::Starts { user_id: Some(_), .. } => {
            "t.started_at >= $1::timestamptz and t.started_at < $2::timestamptz and t.user_id = $3::bigint"
        }
        Coverage::Starts { user_id: None, .. } => {
            "t.started_at >= $1::timestamptz and t.started_at < $2::timestamptz and $3::bigint is null"
        }
    };
    // A user's entries are listed over all workspaces at once.
    let workspace = match resource.scope {
        Scope::Account => "$4::bigint is not null",
        Scope::Workspace => "t.workspace_id = $4::bigint",
    };
    Some(format!("{range} and {workspace}"))
}
