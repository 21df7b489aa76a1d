//! The record of what complete listings vouched for.
//!
//! A row that a newer claim covers was there when that listing was read, although the row itself was
//! left alone because nothing in it had changed. Without that memory a late batch could bring an old
//! value back.

use jiff_sqlx::ToSqlx as _;
use shared::batch::{Batch, Coverage};
use sqlx::PgConnection;

/// Cuts a new range out of the older claims it covers, then stores what newer ones leave of it.
/// `$1` resource, `$2` workspace, `$3` user, `$4` fetched at, `$5` run, `$6` and `$7` the bounds.
macro_rules! record_sql {
    ($axis:literal, $multirange:literal, $range:literal) => {
        concat!(
            "with cut as (
                 delete from raw.toggl_track__claims
                 where resource = $1 and workspace_id = $2 and ",
            $axis,
            " && ",
            $range,
            "
                   and fetched_at < $4 and ($3::bigint is null or user_id = $3)
                 returning *
             ), kept as (
                 insert into raw.toggl_track__claims (resource, workspace_id, user_id, ",
            $axis,
            ", fetched_at, run_id)
                 select resource, workspace_id, user_id, piece, fetched_at, run_id
                 from cut, unnest(",
            $multirange,
            "(cut.",
            $axis,
            ") - ",
            $multirange,
            "(",
            $range,
            ")) as piece
             )
             insert into raw.toggl_track__claims (resource, workspace_id, user_id, ",
            $axis,
            ", fetched_at, run_id)
             select $1, $2, $3, piece, $4, $5
             from unnest(",
            $multirange,
            "(",
            $range,
            ") - coalesce((
                 select range_agg(",
            $axis,
            ") from raw.toggl_track__claims
                 where resource = $1 and workspace_id = $2 and ",
            $axis,
            " && ",
            $range,
            "
                   and fetched_at >= $4 and (user_id is null or user_id = $3)
             ), '{}')) as piece"
        )
    };
}

/// What is on record about the resource and workspace of a batch: nearly always neither.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Standing {
    /// A claim newer than the batch. Only then need the claims be looked at.
    pub(crate) newer_claims: bool,
    /// A claim that was not believed, kept as a dead letter.
    pub(crate) refused_claims: bool,
}

/// Asks once for both.
pub(crate) async fn standing(
    connection: &mut PgConnection,
    batch: &Batch,
) -> sqlx::Result<Standing> {
    let (newer_claims, refused_claims) = sqlx::query_as(
        "select exists (
             select from raw.toggl_track__claims
             where resource = $1 and workspace_id = $2 and fetched_at > $3
         ), exists (
             select from raw.toggl_track__dead_letters
             where resource = $1 and workspace_id = $2 and kind = 'claim'
         )",
    )
    .bind(&batch.resource)
    .bind(batch.workspace_id)
    .bind(batch.fetched_at.to_sqlx())
    .fetch_one(connection)
    .await?;
    Ok(Standing { newer_claims, refused_claims })
}

/// Records the batch's claim, if it makes one. Recording it again changes nothing.
pub(crate) async fn record(connection: &mut PgConnection, batch: &Batch) -> sqlx::Result<()> {
    let (sql, user_id) = match batch.coverage {
        Coverage::Partial => return Ok(()),
        Coverage::Ids { .. } => {
            (record_sql!("ids", "int8multirange", "int8range($6, $7, '(]')"), None)
        }
        Coverage::Starts { user_id, .. } => {
            (record_sql!("starts", "tstzmultirange", "tstzrange($6, $7, '[)')"), user_id)
        }
    };
    let query = sqlx::query(sql)
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
