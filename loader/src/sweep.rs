//! Marking what a complete listing does not have: the rows that are gone at Toggl.

use jiff_sqlx::ToSqlx as _;
use shared::batch::{Batch, Coverage};
use shared::resource::{Key, Resource, Scope};
use sqlx::{FromRow, PgConnection};

use crate::upsert::{Moment, newest_claim, query};

/// From this many live rows on, a claim that would delete more than half of them is not believed.
const GUARDED_ROWS: i64 = 20;

/// What a claim found among the stored rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Swept {
    /// So many rows were marked deleted.
    Marked(usize),
    /// Nothing was marked: more is missing than a person would delete.
    Refused {
        /// Live rows that the claim covers.
        covered: i64,
        /// Of these, the ones that it does not have.
        missing: i64,
    },
}

/// Marks the live rows that the batch's claim covers, that are not in the batch, and that were
/// confirmed before it was fetched. Costs in proportion to the claimed range.
pub(crate) async fn sweep(
    connection: &mut PgConnection,
    moment: Moment<'_>,
    batch: &Batch,
    allow_mass_delete: bool,
) -> sqlx::Result<Swept> {
    let Some(missing_sql) = missing_sql(moment.resource, batch, moment.newer_claims) else {
        return Ok(Swept::Marked(0));
    };
    let present: Vec<i64> = batch.records.iter().map(|record| record.source_id).collect();
    let mut missing = query(missing_sql);
    missing = match batch.coverage {
        Coverage::Partial => return Ok(Swept::Marked(0)),
        Coverage::Ids { after, through } => missing
            .bind(after.unwrap_or(i64::MIN))
            .bind(through.unwrap_or(i64::MAX))
            .bind(None::<i64>),
        Coverage::Starts { from, to, user_id } => {
            missing.bind(from.to_sqlx()).bind(to.to_sqlx()).bind(user_id)
        }
    };
    let row = missing
        .bind(batch.workspace_id)
        .bind(present)
        .bind(batch.fetched_at.to_sqlx())
        .bind(moment.resource.name)
        .bind(batch.workspace_id)
        .fetch_one(&mut *connection)
        .await?;
    let (covered, missing, ids): (i64, i64, Option<Vec<i64>>) = FromRow::from_row(&row)?;
    let Some(ids) = ids else { return Ok(Swept::Marked(0)) };
    if !allow_mass_delete && covered >= GUARDED_ROWS && missing * 2 > covered {
        return Ok(Swept::Refused { covered, missing });
    }
    let marked = query(mark_sql(moment.resource))
        .bind(ids)
        .bind(batch.workspace_id)
        .bind(batch.fetched_at.to_sqlx())
        .execute(connection)
        .await?;
    Ok(Swept::Marked(usize::try_from(marked.rows_affected()).unwrap_or(usize::MAX)))
}

/// `$1` and `$2` the bounds, `$3` the user, `$4` the workspace, `$5` the ids in the batch, `$6`
/// fetched at, `$7` and `$8` resource and workspace of the claims. None where nothing is claimed.
fn missing_sql(resource: &Resource, batch: &Batch, newer_claims: bool) -> Option<String> {
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
    let unconfirmed = if newer_claims {
        format!(
            "not exists (select from ({}) newer where newer.at is not null)",
            newest_claim(resource, "t")
        )
    } else {
        "$7::text is not null and $8::bigint is not null".to_owned()
    };
    let table = resource.table();
    Some(format!(
        "select count(*), count(*) filter (where missing),
                array_agg(source_id) filter (where missing)
         from (
             select t.source_id,
                    present.source_id is null and t.fetched_at < $6 and {unconfirmed} as missing
             from raw.{table} t
             left join unnest($5::bigint[]) as present(source_id) on present.source_id = t.source_id
             where t.deleted_at is null and {range} and {workspace}
         ) covered"
    ))
}

fn mark_sql(resource: &Resource) -> String {
    let table = resource.table();
    let workspace = match resource.key {
        Key::Source => "$2::bigint is not null",
        Key::WorkspaceAndSource => "workspace_id = $2::bigint",
    };
    format!(
        "update raw.{table} set deleted_at = $3, synced_at = now()
         where source_id = any($1::bigint[]) and {workspace}"
    )
}
