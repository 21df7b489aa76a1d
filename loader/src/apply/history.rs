//! What rows were before: one row of `raw.toggl_track__history` for every version that was superseded.
//!
//! A raw row knows since when it is as it is (`valid_from`). A change of meaning moves the version that it
//! replaces to the history, with the time at which that ended; a first load moves nothing. A row that is
//! marked deleted stays, for `deleted_at` says until when it was valid, and moves when it is replaced. Of
//! one key the intervals never overlap, the raw row's included:
//!
//! * a version ends where its successor begins, or where it was deleted, whichever is earlier; one that
//!   ends before it began was never valid, and goes;
//! * what is on record of a time already stays as it is: raw tables may be emptied, or restored, and
//!   filled again;
//! * a successor that was fetched before its predecessor, which is newer by Toggl's own time, is what there
//!   was since then: what is on record of later times goes.
//!
//! The SQL stands around the statement that writes the rows, so that both happen or neither. It is generated
//! as that is, and safe for the same reason: identifiers come from the catalogue's names, everything else
//! is bound.

use shared::resource::{Key, Resource};
use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use sqlx::{FromRow as _, PgConnection, Postgres};

use super::context::BatchContext;
use super::rows::Row;
use super::settings::History;
use super::sql::{each, key, query, same_key};

impl History {
    /// Joined to what a write reads, so that `before` has been read to its end when the first row is
    /// written; afterwards its rows could no longer be held.
    pub(crate) const fn read_first(self) -> &'static str {
        match self {
            Self::On => ", (select count(*) from before) as before_all",
            Self::Off => "",
        }
    }

    /// Around a write of `$1` ids and `$2` workspaces.
    pub(crate) fn around_write(self, resource: &Resource, write: String) -> String {
        match self {
            Self::On => written_sql(resource, &write),
            Self::Off => write,
        }
    }
}

/// Runs a statement made by [`History::around_write`], and answers how many rows it wrote.
pub(crate) async fn run_write(
    connection: &mut PgConnection,
    context: BatchContext<'_>,
    rows: &[Row<'_>],
    write: Query<'_, Postgres, PgArguments>,
) -> sqlx::Result<u64> {
    if context.history == History::Off {
        return Ok(write.execute(connection).await?.rows_affected());
    }
    let row = write.fetch_one(&mut *connection).await?;
    let (written, earlier): (i64, i64) = <_>::from_row(&row)?;
    if earlier > 0 {
        cut(connection, context.resource, rows).await?;
    }
    Ok(written.unsigned_abs())
}

/// In SQL, whether the version of the stored row `t` goes on in the new row `excluded`, fetched at `$8`: it
/// says the same, fields aside that move without meaning anything, and the stored one was not gone before the
/// new one was fetched, or the new one was deleted no later. What a forced replay repairs is no other version.
pub(crate) fn goes_on(context: BatchContext<'_>) -> String {
    let [stored, new] = ["t", "excluded"].map(|row| meaning(context.resource, row));
    let repaired = if context.force {
        "t.fetched_at = $8 or t.content_hash = excluded.content_hash or "
    } else {
        ""
    };
    format!(
        "{repaired}{stored} is not distinct from {new}
         and (t.deleted_at is null or t.deleted_at >= $8 or excluded.deleted_at <= t.deleted_at)"
    )
}

fn meaning(resource: &Resource, row: &str) -> String {
    let data = match resource.volatile_fields {
        [] => format!("{row}.data"),
        // Names of the catalogue, which a test holds to letters and underscores.
        fields => format!("{row}.data - '{{{}}}'::text[]", fields.join(",")),
    };
    format!("({data}, {row}.workspace_id, {row}.modified_at)")
}

/// The rows are read before they are written, and held, in the order of the key: a batch of another
/// workspace may be changing the same ones, and then what that one leaves is what is superseded.
fn written_sql(resource: &Resource, write: &str) -> String {
    let (name, table, key) = (resource.name, resource.table(), key(resource));
    let same_key = same_key(resource);
    let same_row = same_row(resource, "s");
    format!(
        "with before as (
             select t.source_id, t.workspace_id, t.data, t.modified_at, t.valid_from, t.deleted_at
             from unnest($1::bigint[], $2::bigint[]) as i(source_id, workspace_id)
             join raw.{table} t on {same_key}
             order by {key}
             for no key update of t
         ), written as (
             {write}
             returning t.source_id, t.workspace_id, t.valid_from, t.deleted_at
         ), superseded as (
             select i.*, least(i.deleted_at, t.valid_from, t.deleted_at) as valid_to,
                    coalesce(i.deleted_at <= least(t.valid_from, t.deleted_at), false)
                        or coalesce(t.deleted_at <= t.valid_from, false) as is_deleted,
                    least(t.valid_from, t.deleted_at) < i.valid_from as is_earlier
             from before i
             join written t on {same_key}
         ), recorded as (
             insert into raw.toggl_track__history
                 (resource, source_id, workspace_id, valid_from, valid_to, is_deleted, data, modified_at)
             select '{name}', s.source_id, s.workspace_id, greatest(s.valid_from, known.valid_to), s.valid_to,
                    s.is_deleted, s.data, s.modified_at
             from superseded s
             left join lateral (
                 select h.valid_to
                 from raw.toggl_track__history h
                 where {same_row} and h.valid_from < s.valid_to
                 order by h.valid_from desc
                 limit 1
             ) known on true
             where greatest(s.valid_from, known.valid_to) < s.valid_to
         )
         select (select count(*) from written), (select count(*) from superseded where is_earlier)"
    )
}

/// The rows `h` of the history that are of the key of such a row.
fn same_row(resource: &Resource, row: &str) -> String {
    let name = resource.name;
    let workspace = match resource.key {
        Key::Source => String::new(),
        Key::WorkspaceAndSource => format!(" and h.workspace_id = {row}.workspace_id"),
    };
    format!("h.resource = '{name}' and h.source_id = {row}.source_id{workspace}")
}

/// Ends what is on record of these rows where their present versions begin.
async fn cut(
    connection: &mut PgConnection,
    resource: &Resource,
    rows: &[Row<'_>],
) -> sqlx::Result<()> {
    let (table, same_key, same_row) =
        (resource.table(), same_key(resource), same_row(resource, "t"));
    let present = format!(
        "unnest($1::bigint[], $2::bigint[]) as i(source_id, workspace_id)
         join raw.{table} t on {same_key}"
    );
    for sql in [
        format!(
            "delete from raw.toggl_track__history h using {present}
             where {same_row} and h.valid_from >= least(t.valid_from, t.deleted_at)"
        ),
        format!(
            "update raw.toggl_track__history h
             set valid_to = least(t.valid_from, t.deleted_at),
                 is_deleted = coalesce(t.deleted_at <= t.valid_from, false)
             from {present}
             where {same_row} and h.valid_to > least(t.valid_from, t.deleted_at)"
        ),
    ] {
        query(sql)
            .bind(each(rows, |row| row.record.source_id))
            .bind(each(rows, |row| row.workspace_id))
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}
