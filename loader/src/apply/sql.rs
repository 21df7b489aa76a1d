//! What all statements about the rows of a raw table share.
//!
//! Statements are generated from the catalogue. Identifiers come from its names, which a test holds
//! to `^[a-z][a-z0-9_]*$`, and from [`Schema`](crate::postgres::schema::Schema), which quotes; everything
//! else is bound.

use std::fmt;

use jiff::Timestamp;
use jiff_sqlx::{Timestamp as SqlTimestamp, ToSqlx};
use shared::resource::{Key, Resource};
use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Postgres};

use super::context::BatchContext;
use super::rows::Row;

/// Binds `$1` ids, `$2` workspaces, `$3` data, `$4` modified, `$5` deleted, `$6` hashes, `$7` version of
/// the API, `$8` fetched at, `$9` valid from; for time entries `$10` starts and `$11` users.
pub(crate) fn bind_rows<'q>(
    statement: Query<'q, Postgres, PgArguments>,
    context: BatchContext<'q>,
    rows: &'q [Row<'_>],
) -> Query<'q, Postgres, PgArguments> {
    let statement = statement
        .bind(each(rows, |row| row.record.source_id))
        .bind(each(rows, |row| row.workspace_id))
        .bind(each(rows, |row| row.data))
        .bind(each(rows, |row| sql_time(row.record.modified_at)))
        .bind(each(rows, |row| sql_time(row.deleted_at)))
        .bind(each(rows, |row| row.content_hash))
        .bind(context.api_version)
        .bind(context.fetched_at.to_sqlx())
        .bind(each(rows, |row| row.valid_from(context.fetched_at).to_sqlx()));
    if context.resource.is_time_entry() {
        statement
            .bind(each(rows, |row| sql_time(row.record.started_at)))
            .bind(each(rows, |row| row.record.user_id))
    } else {
        statement
    }
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
        ("unnest($9::timestamptz[])", "valid_from"),
    ];
    if resource.is_time_entry() {
        arrays.extend([
            ("unnest($10::timestamptz[])", "started_at"),
            ("unnest($11::bigint[])", "user_id"),
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
