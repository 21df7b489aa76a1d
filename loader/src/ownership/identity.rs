//! Whether it is still the same database that answers: a backup that is restored under an idle loader, or
//! a standby that is promoted, tells nobody.

use jiff_sqlx::Timestamp as SqlTimestamp;
use sqlx::{FromRow, PgConnection};

use super::error::{LookError, answered};

/// What is another one where the database, its `loads` or its server was made anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    database: i64,
    /// None where it is missing.
    loads: Option<i64>,
    server_started: i64,
}

#[derive(FromRow)]
struct Row {
    database: i64,
    loads: Option<i64>,
    started_at: SqlTimestamp,
}

/// # Errors
/// When Postgres does not answer.
pub(super) async fn identity(connection: &mut PgConnection) -> Result<Identity, LookError> {
    let sql = "select oid::bigint as database,
                      to_regclass('raw.toggl_track__loads')::oid::bigint as loads,
                      pg_postmaster_start_time() as started_at
               from pg_database where datname = current_database()";
    let row: Row = answered(sqlx::query_as(sql).fetch_one(connection)).await?;
    let server_started = row.started_at.to_jiff().as_microsecond();
    Ok(Identity { database: row.database, loads: row.loads, server_started })
}
