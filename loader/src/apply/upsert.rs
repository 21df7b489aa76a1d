//! The SQL that writes a raw table, and what all statements about its rows share.
//!
//! Statements are generated from the catalogue. Identifiers come from its names, which a test holds
//! to `^[a-z][a-z0-9_]*$`, and from [`Schema`], which quotes; everything else is bound.

use std::fmt;

use jiff::Timestamp;
use jiff_sqlx::{Timestamp as SqlTimestamp, ToSqlx};
use shared::batch::{Batch, Coverage};
use shared::resource::{Key, Resource};
use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, PgConnection, Postgres};
use uuid::Uuid;

use super::damage;
use super::history::{self, History};
use super::rows::Row;
use crate::postgres::schema::Schema;

/// What a batch brings to all its rows, whether newer claims are on record, so that they must be
/// asked, and whether changes are recorded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment<'a> {
    pub(crate) schema: &'a Schema,
    pub(crate) resource: &'static Resource,
    /// Workspace of the batch, which claims are recorded for.
    pub(crate) workspace_id: i64,
    pub(crate) api_version: &'a str,
    pub(crate) fetched_at: Timestamp,
    pub(crate) run_id: Uuid,
    pub(crate) newer_claims: bool,
    /// Whether rows of the same version are compared whole, and written where they differ.
    pub(crate) force: bool,
    /// Whether that is done with all there is in the stream.
    pub(crate) whole: bool,
    pub(crate) history: History,
}

/// Inserts or updates the rows in the order of the key, so that two loaders never lock the same rows
/// crosswise. Answers how many it wrote: fewer than it was given where another workspace's batch was
/// newer.
pub(crate) async fn write(
    connection: &mut PgConnection,
    moment: Moment<'_>,
    rows: &[Row<'_>],
) -> sqlx::Result<u64> {
    let upsert = bind_rows(query(write_sql(moment)), moment, rows);
    moment.history.run(connection, history::bind_write(upsert, moment)).await
}

/// Binds `$1` ids, `$2` workspaces, `$3` data, `$4` modified, `$5` deleted, `$6` hashes, `$7` version of
/// the API, `$8` fetched at; for time entries `$9` starts and `$10` users.
pub(crate) fn bind_rows<'q>(
    statement: Query<'q, Postgres, PgArguments>,
    moment: Moment<'q>,
    rows: &'q [Row<'_>],
) -> Query<'q, Postgres, PgArguments> {
    let statement = statement
        .bind(each(rows, |row| row.record.source_id))
        .bind(each(rows, |row| row.workspace_id))
        .bind(each(rows, |row| row.data))
        .bind(each(rows, |row| sql_time(row.record.modified_at)))
        .bind(each(rows, |row| sql_time(row.deleted_at)))
        .bind(each(rows, |row| row.content_hash))
        .bind(moment.api_version)
        .bind(moment.fetched_at.to_sqlx());
    if moment.resource.is_time_entry() {
        statement
            .bind(each(rows, |row| sql_time(row.record.started_at)))
            .bind(each(rows, |row| row.record.user_id))
    } else {
        statement
    }
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
    moment: Moment<'_>,
    rows: &[Row<'_>],
) -> sqlx::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    query(confirm_sql(moment))
        .bind(each(rows, |row| row.record.source_id))
        .bind(each(rows, |row| row.workspace_id))
        .bind(moment.fetched_at.to_sqlx())
        .execute(connection)
        .await
        .map(drop)
}

pub(crate) fn query(sql: String) -> Query<'static, Postgres, PgArguments> {
    // The only generated SQL there is; see the head of this file for why it is safe.
    sqlx::query(AssertSqlSafe(sql))
}

pub(crate) fn each<'a, T>(rows: &[Row<'a>], column: impl FnMut(&Row<'a>) -> T) -> Vec<T> {
    rows.iter().map(column).collect()
}

pub(crate) fn sql_time(time: Option<Timestamp>) -> Option<SqlTimestamp> {
    time.map(ToSqlx::to_sqlx)
}

pub(crate) fn key(resource: &Resource) -> &'static str {
    match resource.key {
        Key::Source => "source_id",
        Key::WorkspaceAndSource => "workspace_id, source_id",
    }
}

pub(crate) fn same_key(resource: &Resource) -> &'static str {
    match resource.key {
        Key::Source => "t.source_id = i.source_id",
        Key::WorkspaceAndSource => "t.workspace_id = i.workspace_id and t.source_id = i.source_id",
    }
}

const START_COLUMNS: &str = ", started_at, user_id";

/// The columns that only time entries have.
pub(crate) const fn columns(resource: &Resource) -> &'static str {
    if resource.is_time_entry() { START_COLUMNS } else { "" }
}

/// What [`bind_rows`] binds, as rows `i`, in the order of the arrays.
pub(crate) fn input(resource: &Resource) -> String {
    let mut arrays = vec![
        ("unnest($1::bigint[])", "source_id"),
        ("unnest($2::bigint[])", "workspace_id"),
        ("unnest($3::text[])", "data"),
        ("unnest($4::timestamptz[])", "modified_at"),
        ("unnest($5::timestamptz[])", "deleted_at"),
        ("unnest($6::bigint[])", "content_hash"),
    ];
    if resource.is_time_entry() {
        arrays.extend([
            ("unnest($9::timestamptz[])", "started_at"),
            ("unnest($10::bigint[])", "user_id"),
        ]);
    }
    unnested(&arrays)
}

/// Unnested arrays as the columns of rows `i`. In the list of a `select` their elements are read where they are;
/// in a `from` each array would be copied first.
pub(crate) fn unnested(arrays: &[(impl fmt::Display, &str)]) -> String {
    let columns: Vec<_> = arrays.iter().map(|(array, name)| format!("{array} as {name}")).collect();
    format!("(select {}) as i", columns.join(", "))
}

fn write_sql(moment: Moment<'_>) -> String {
    let Moment { schema, resource, force, history, .. } = moment;
    let (newer, damaged) = if force {
        let damaged = damage::is_damaged(moment, "excluded", "excluded.fetched_at");
        (">=", format!("or {damaged}"))
    } else {
        (">", String::new())
    };
    let table = resource.table();
    let key = key(resource);
    let read_first = history.read_first();
    let (columns, input) = (columns(resource), input(resource));
    let updates = if resource.is_time_entry() {
        ", started_at = excluded.started_at, user_id = excluded.user_id"
    } else {
        ""
    };
    let write = format!(
        "insert into {schema}.{table} as t
             (source_id, workspace_id, data, modified_at, deleted_at, content_hash{columns}, api_version, fetched_at)
         select source_id, workspace_id, data::jsonb, modified_at, deleted_at, content_hash{columns}, $7, $8
         from {input}{read_first}
         order by {key}
         on conflict ({key}) do update set
             workspace_id = excluded.workspace_id, data = excluded.data, api_version = excluded.api_version,
             modified_at = excluded.modified_at, fetched_at = excluded.fetched_at,
             deleted_at = excluded.deleted_at, content_hash = excluded.content_hash,
             synced_at = now(){updates}
         where (coalesce(excluded.modified_at, '-infinity'), excluded.fetched_at)
             {newer} (coalesce(t.modified_at, '-infinity'), t.fetched_at)
             or (excluded.deleted_at is null and t.deleted_at is not null
                 and excluded.fetched_at > greatest(t.modified_at, t.fetched_at))
             {damaged}"
    );
    history.around_write(resource, write)
}

fn confirm_sql(moment: Moment<'_>) -> String {
    let Moment { schema, resource, .. } = moment;
    let table = resource.table();
    let same_key = same_key(resource);
    format!(
        "update {schema}.{table} t set fetched_at = $3
         from unnest($1::bigint[], $2::bigint[]) as i(source_id, workspace_id)
         where {same_key} and t.fetched_at < $3"
    )
}
