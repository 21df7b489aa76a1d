//! The claims of complete listings, on record.
//!
//! A row that a newer claim covers was there when that listing was read, although the row itself was
//! left alone because nothing in it had changed. Without that memory a late batch could bring an old
//! value back.

use jiff_sqlx::ToSqlx as _;
use shared::batch::{Batch, Coverage};
use shared::resource::Claim;
use sqlx::{FromRow, PgConnection};

use super::context::BatchContext;
use super::forgotten::STAMP_SQL;
use super::running_entries::LONGEST_SQL;
use super::sql::query;
use crate::postgres::schema::Schema;

/// Cuts a new range out of the older claims it covers, then stores what newer ones leave of it.
/// `$1` resource, `$2` workspace, `$3` user, `$4` fetched at, `$5` run, `$6` and `$7` the bounds.
fn record_sql(schema: &Schema, axis: &str, multirange: &str, range: &str) -> String {
    format!(
        "with cut as (
             delete from {schema}.toggl_track__claims
             where resource = $1 and workspace_id = $2 and {axis} && {range}
               and fetched_at < $4 and ($3::bigint is null or user_id = $3)
             returning *
         ), kept as (
             insert into {schema}.toggl_track__claims
                 (resource, workspace_id, user_id, {axis}, fetched_at, run_id)
             select resource, workspace_id, user_id, piece, fetched_at, run_id
             from cut, unnest({multirange}(cut.{axis}) - {multirange}({range})) as piece
         )
         insert into {schema}.toggl_track__claims
             (resource, workspace_id, user_id, {axis}, fetched_at, run_id)
         select $1, $2, $3, piece, $4, $5
         from unnest({multirange}({range}) - coalesce((
             select range_agg({axis}) from {schema}.toggl_track__claims
             where resource = $1 and workspace_id = $2 and {axis} && {range}
               and fetched_at >= $4 and (user_id is null or user_id = $3)
         ), '{{}}')) as piece"
    )
}

/// What is on record about the resource and workspace of a batch, and about whoever is forgotten: nearly
/// always nothing.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct OnRecord {
    /// A claim newer than the batch. Only then need the claims be looked at.
    pub(crate) newer_claims: bool,
    /// Dead letters, which the batch may have overtaken.
    pub(crate) letters: bool,
    /// The state of the list of whom nothing is written of.
    pub(crate) forgotten: i64,
}

/// The columns of a [`OnRecord`], given where resource, workspace and time of fetching are bound.
pub(crate) fn on_record_columns(
    schema: &Schema,
    resource: &str,
    workspace: &str,
    fetched_at: &str,
) -> String {
    format!(
        "exists (
             select from {schema}.toggl_track__claims
             where resource = {resource} and workspace_id = {workspace} and fetched_at > {fetched_at}
         ), exists (
             select from {schema}.toggl_track__dead_letters
             where resource = {resource} and workspace_id = {workspace}
         ), {STAMP_SQL}"
    )
}

/// Asks once for all of it.
pub(crate) async fn on_record(
    connection: &mut PgConnection,
    schema: &Schema,
    batch: &Batch,
) -> sqlx::Result<OnRecord> {
    let row = query(format!("select {}", on_record_columns(schema, "$1", "$2", "$3")))
        .bind(&batch.resource)
        .bind(batch.workspace_id)
        .bind(batch.fetched_at.to_sqlx())
        .fetch_one(connection)
        .await?;
    let (newer_claims, letters, forgotten) = FromRow::from_row(&row)?;
    Ok(OnRecord { newer_claims, letters, forgotten })
}

/// Records the batch's claim, if it makes one. Recording it again changes nothing.
pub(crate) async fn record(
    connection: &mut PgConnection,
    schema: &Schema,
    batch: &Batch,
) -> sqlx::Result<()> {
    let (sql, user_id) = match batch.coverage {
        Coverage::Partial => return Ok(()),
        Coverage::Ids { .. } => {
            (record_sql(schema, "ids", "int8multirange", "int8range($6, $7, '(]')"), None)
        }
        Coverage::Starts { user_id, .. } => {
            let sql = record_sql(schema, "starts", "tstzmultirange", "tstzrange($6, $7, '[)')");
            (sql, user_id)
        }
    };
    let query = query(sql)
        .bind(&batch.resource)
        .bind(batch.workspace_id)
        .bind(user_id)
        .bind(batch.fetched_at.to_sqlx())
        .bind(batch.run_id);
    let query = match batch.coverage {
        Coverage::Partial => return Ok(()),
        Coverage::Ids { after, through } => query.bind(after).bind(through),
        Coverage::Starts { from, to, .. } => query.bind(from.to_sqlx()).bind(to.to_sqlx()),
    };
    query.execute(connection).await.map(drop)
}

/// The newest claim after `$6` of resource `$7` and workspace `$8` that covers a row or a record.
pub(crate) fn newest_claim(context: BatchContext<'_>, row: &str) -> String {
    let BatchContext { schema, resource, .. } = context;
    let covers = match resource.claim {
        Claim::Nothing => "false".to_owned(),
        Claim::Ids | Claim::Gone => format!("c.ids @> {row}.source_id"),
        Claim::Starts => {
            let start = match (row, resource.running_unless) {
                ("i", Some(_)) => format!(
                    "c.starts @> coalesce(i.started_at, i.running_since)
                     and (i.started_at is not null or c.fetched_at > i.running_since + {LONGEST_SQL})"
                ),
                _ => format!("c.starts @> {row}.started_at"),
            };
            // An entry may be said to be gone by its id alone.
            format!(
                "({start} and (c.user_id is null or c.user_id = {row}.user_id)
                  or c.ids @> {row}.source_id)"
            )
        }
    };
    // The range alone is looked up, by its index. Postgres would rather go through all claims of the
    // resource, newest first, and a long history has thousands.
    format!(
        "select max(c.fetched_at) filter (
             where c.resource = $7 and c.workspace_id = $8 and c.fetched_at > $6
         ) as at
         from {schema}.toggl_track__claims c where {covers}"
    )
}
