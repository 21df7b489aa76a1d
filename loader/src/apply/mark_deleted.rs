//! Marking what a complete listing does not have: the rows that are gone at Toggl.

use jiff_sqlx::ToSqlx as _;
use shared::batch::Batch;
use shared::resource::Scope;
use sqlx::{FromRow, PgConnection};

use super::applied::Refused;
use super::checksum::{bind_range, range};
use super::claims::newest_claim;
use super::context::BatchContext;
use super::pieces::Piece;
use super::sql::query;
use super::{gone_running_entries, touched};

/// From this many live rows on, a claim that would delete more than half of them is not believed.
const GUARDED_ROWS: i64 = 20;

/// What a claim found among the stored rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MarkOutcome {
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

/// Marks for a batch or a piece of one. Whether a claim is believed is decided by all that the batch
/// claims, before the first piece of it marks anything: half of a cut batch deletes half as much.
pub(crate) async fn mark_piece(
    connection: &mut PgConnection,
    context: BatchContext<'_>,
    piece: &Piece<'_>,
    allow_mass_delete: bool,
) -> sqlx::Result<MarkOutcome> {
    if piece.is_whole() {
        return mark(connection, context, &piece.batch, allow_mass_delete).await;
    }
    let refused = if piece.is_first() && !allow_mass_delete {
        missing(&mut *connection, context, piece.whole).await?.and_then(|missing| missing.refused())
    } else {
        piece.before.refused
    };
    match refused {
        Some(Refused { covered, missing }) => Ok(MarkOutcome::Refused { covered, missing }),
        None => mark(connection, context, &piece.batch, true).await,
    }
}

/// Marks the live rows that the batch's claim covers, that are not in the batch, and that were
/// confirmed before it was fetched. Rows that are marked by a later claim only because this one comes
/// late were gone at this one already. Costs in proportion to the claimed range.
async fn mark(
    connection: &mut PgConnection,
    context: BatchContext<'_>,
    batch: &Batch,
    allow_mass_delete: bool,
) -> sqlx::Result<MarkOutcome> {
    let Some(missing) = missing(&mut *connection, context, batch).await? else {
        return Ok(MarkOutcome::Marked(0));
    };
    if !allow_mass_delete && let Some(Refused { covered, missing }) = missing.refused() {
        return Ok(MarkOutcome::Refused { covered, missing });
    }
    let marked = query(mark_sql(context))
        .bind(&missing.ids)
        .bind(batch.workspace_id)
        .bind(batch.fetched_at.to_sqlx())
        .execute(&mut *connection)
        .await?
        .rows_affected();
    touched::note(connection, context, missing.ids).await?;
    Ok(MarkOutcome::Marked(usize::try_from(marked).unwrap_or(usize::MAX)))
}

/// What a claim lacks of the rows that it covers.
struct Missing {
    covered: i64,
    number: i64,
    ids: Vec<i64>,
}

impl Missing {
    /// Set if that is more than is believed.
    const fn refused(&self) -> Option<Refused> {
        let Self { covered, number: missing, .. } = *self;
        if covered >= GUARDED_ROWS && missing * 2 > covered {
            Some(Refused { covered, missing })
        } else {
            None
        }
    }
}

/// None where nothing is missing.
async fn missing(
    connection: &mut PgConnection,
    context: BatchContext<'_>,
    batch: &Batch,
) -> sqlx::Result<Option<Missing>> {
    let Some(missing_sql) = missing_sql(context, batch) else { return Ok(None) };
    let present: Vec<i64> = batch.records.iter().map(|record| record.source_id).collect();
    let row = bind_range(query(missing_sql), batch)
        .bind(batch.workspace_id)
        .bind(present)
        .bind(batch.fetched_at.to_sqlx())
        .bind(context.resource.name)
        .bind(batch.workspace_id)
        .fetch_one(&mut *connection)
        .await?;
    let (covered, missing, ids): (i64, i64, Option<Vec<i64>>) = FromRow::from_row(&row)?;
    let mut ids = ids.unwrap_or_default();
    ids.extend(gone_running_entries::gone(connection, context, batch).await?);
    Ok((!ids.is_empty()).then_some(Missing { covered, number: missing, ids }))
}

/// `$1` to `$4` as in [`range`], `$5` the ids in the batch, `$6`
/// fetched at, `$7` and `$8` resource and workspace of the claims. None where nothing is claimed.
/// `not in` is looked up in a hash table; a join of as few rows as Postgres expects would be made by
/// comparing all with all.
fn missing_sql(context: BatchContext<'_>, batch: &Batch) -> Option<String> {
    let BatchContext { schema, resource, newer_claims, .. } = context;
    let range = range(resource, batch)?;
    let (live, unconfirmed) = if newer_claims {
        let newest = newest_claim(context, "t");
        (
            "(t.deleted_at is null or t.deleted_at > $6)",
            format!(
                "(t.deleted_at is not null
                  or not exists (select from ({newest}) newer where newer.at is not null))"
            ),
        )
    } else {
        ("t.deleted_at is null", "$7::text is not null and $8::bigint is not null".to_owned())
    };
    let table = resource.table();
    Some(format!(
        "select count(*), count(*) filter (where missing),
                array_agg(source_id) filter (where missing)
         from (
             select t.source_id,
                    t.source_id not in (select unnest($5::bigint[]))
                        and t.fetched_at < $6 and {unconfirmed} as missing
             from {schema}.{table} t
             where {live} and {range}
         ) covered"
    ))
}

/// `$1` the ids, `$2` workspace, `$3` fetched at. What another workspace's batch, which has a lock of its
/// own, has moved there or brought anew since the rows were looked at is left as it is.
fn mark_sql(context: BatchContext<'_>) -> String {
    let BatchContext { schema, resource, .. } = context;
    let table = resource.table();
    let workspace = match resource.scope {
        Scope::Account => "$2::bigint is not null",
        Scope::Workspace => "workspace_id = $2::bigint",
    };
    format!(
        "update {schema}.{table} set deleted_at = $3, synced_at = now()
         where source_id = any($1::bigint[]) and {workspace} and fetched_at < $3
             and (deleted_at is null or deleted_at > $3)"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_half_of_twenty_rows_is_not_believed_to_be_deleted() {
        let refused = |covered, number| Missing { covered, number, ids: Vec::new() }.refused();
        assert_eq!(refused(20, 11), Some(Refused { covered: 20, missing: 11 }));
        assert_eq!(refused(20, 10), None);
        assert_eq!(refused(19, 19), None);
        assert_eq!(refused(21, 11), Some(Refused { covered: 21, missing: 11 }));
    }
}
