//! What the rows became: one row of `raw.toggl_track__history` for every change.
//!
//! Its SQL stands around the statements that change the rows, so that both happen or neither, and no
//! JSON is sent a second time. It is generated as theirs is, and safe for the same reason: identifiers
//! come from the catalogue's names, everything else is bound.

use jiff_sqlx::ToSqlx as _;
use shared::resource::Resource;
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

    /// Around a write of `$1` ids and `$2` workspaces, fetched at `$8`; see [`bind_write`] for the rest.
    pub(crate) fn around_write(self, resource: &Resource, write: String) -> String {
        match self {
            Self::On => written_sql(resource, &write),
            Self::Off => write,
        }
    }

    /// Around an insert of rows that were not there, fetched at `$8`; see [`bind_insert`] for the rest.
    pub(crate) fn around_insert(self, resource: &Resource, insert: String) -> String {
        match self {
            Self::On => inserted_sql(resource, &insert),
            Self::Off => insert,
        }
    }

    /// Around marking rows deleted at `$3`: `$4` resource, `$5` run.
    pub(crate) fn around_mark(self, mark: String) -> String {
        match self {
            Self::On => format!(
                "with marked as (
                     {mark}
                     returning source_id, workspace_id, data, modified_at
                 ), recorded as (
                     insert into raw.toggl_track__history
                         (resource, source_id, workspace_id, kind, data, modified_at, fetched_at, run_id)
                     select $4, source_id, workspace_id, 'deleted', data, modified_at, $3, $5 from marked
                 )
                 select count(*) from marked"
            ),
            Self::Off => mark,
        }
    }

    /// Runs a statement that one of these made, and answers how many rows it changed.
    pub(crate) async fn run(
        self,
        connection: &mut PgConnection,
        statement: Query<'_, Postgres, PgArguments>,
    ) -> sqlx::Result<u64> {
        match self {
            Self::On => {
                let row = statement.fetch_one(connection).await?;
                let (changed,): (i64,) = <_>::from_row(&row)?;
                Ok(changed.unsigned_abs())
            }
            Self::Off => Ok(statement.execute(connection).await?.rows_affected()),
        }
    }
}

/// The rows are read before they are written, and held, in the order of the key: a batch of another
/// workspace may be changing the same ones, and then what that one leaves is what the change is from.
///
/// What a newer listing lacked before it came, is gone from that listing on, which is later than `$8`.
fn written_sql(resource: &Resource, write: &str) -> String {
    let [name, run, volatile] = binds(resource);
    let (table, key, same_key) = (resource.table(), key(resource), same_key(resource));
    format!(
        "with before as (
             select t.source_id, t.workspace_id, t.data - {volatile}::text[] as data, t.modified_at,
                    t.deleted_at is not null as is_deleted
             from unnest($1::bigint[], $2::bigint[]) as i(source_id, workspace_id)
             join raw.{table} t on {same_key}
             order by {key}
             for no key update of t
         ), written as (
             {write}
             returning t.source_id, t.workspace_id, t.data, t.modified_at, t.deleted_at
         ), recorded as (
             insert into raw.toggl_track__history
                 (resource, source_id, workspace_id, kind, data, modified_at, fetched_at, run_id)
             select {name}, t.source_id, t.workspace_id,
                    case
                        when t.deleted_at is not null then 'deleted'
                        when i.source_id is null then 'created'
                        when i.is_deleted then 'restored'
                        else 'updated'
                    end,
                    t.data, t.modified_at,
                    greatest($8, case when t.deleted_at <= now() then t.deleted_at end), {run}
             from written t
             left join before i on {same_key}
             where (i.data, i.workspace_id, i.modified_at, i.is_deleted)
                 is distinct from
                   (t.data - {volatile}::text[], t.workspace_id, t.modified_at, t.deleted_at is not null)
         )
         select count(*) from written"
    )
}

/// What is inserted had no row before, which nothing needs to be read for.
fn inserted_sql(resource: &Resource, insert: &str) -> String {
    let [name, run, _] = binds(resource);
    let created = created_sql(&name, &run, "$8", "written t");
    format!(
        "with written as (
             {insert}
             returning source_id, workspace_id, data, modified_at, deleted_at
         ), recorded as (
             {created}
         )
         select count(*) from written"
    )
}

/// Records rows `t` that had none before, given where resource, run and time of fetching are bound.
fn created_sql(name: &str, run: &str, fetched_at: &str, rows: &str) -> String {
    format!(
        "insert into raw.toggl_track__history
             (resource, source_id, workspace_id, kind, data, modified_at, fetched_at, run_id)
         select {name}, t.source_id, t.workspace_id,
                case when t.deleted_at is not null then 'deleted' else 'created' end,
                t.data, t.modified_at,
                greatest({fetched_at}, case when t.deleted_at <= now() then t.deleted_at end), {run}
         from {rows}"
    )
}

/// Records rows that this transaction has inserted in a way that records nothing.
pub(crate) async fn record_created(
    connection: &mut PgConnection,
    context: BatchContext<'_>,
    rows: &[Row<'_>],
) -> sqlx::Result<()> {
    if context.history == History::Off {
        return Ok(());
    }
    let same_key = same_key(context.resource);
    let stored = format!(
        "unnest($1::bigint[], $2::bigint[]) as i(source_id, workspace_id)
         join raw.{} t on {same_key}",
        context.resource.table()
    );
    query(created_sql("$3", "$4", "$5::timestamptz", &stored))
        .bind(each(rows, |row| row.record.source_id))
        .bind(each(rows, |row| row.workspace_id))
        .bind(context.resource.name)
        .bind(context.run_id)
        .bind(context.fetched_at.to_sqlx())
        .execute(connection)
        .await
        .map(drop)
}

/// The numbers of resource, run and volatile fields, which come after the columns of the rows.
fn binds(resource: &Resource) -> [String; 3] {
    let first = if resource.is_time_entry() { 11 } else { 9 };
    [0, 1, 2].map(|place| format!("${}", first + place))
}

/// Binds what a write's history needs.
pub(crate) fn bind_write<'q>(
    write: Query<'q, Postgres, PgArguments>,
    context: BatchContext<'q>,
) -> Query<'q, Postgres, PgArguments> {
    match context.history {
        History::On => bind_insert(write, context).bind(context.resource.volatile_fields),
        History::Off => write,
    }
}

/// Binds what an insert's history needs.
pub(crate) fn bind_insert<'q>(
    insert: Query<'q, Postgres, PgArguments>,
    context: BatchContext<'q>,
) -> Query<'q, Postgres, PgArguments> {
    match context.history {
        History::On => insert.bind(context.resource.name).bind(context.run_id),
        History::Off => insert,
    }
}
