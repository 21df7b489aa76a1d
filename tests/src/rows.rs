//! Looking at the raw tables.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use anyhow::Result;
use serde_json::Value;
use shared::resource::Resource;
use sqlx::{AssertSqlSafe, PgConnection, Row as _};

/// A row of a raw table, with what tells whether it was written again.
#[derive(Debug, Clone, PartialEq)]
pub struct RawRow {
    /// `workspace_id`.
    pub workspace_id: i64,
    /// `data`.
    pub data: Value,
    /// `api_version`.
    pub api_version: String,
    /// `modified_at`, as Postgres prints it.
    pub modified_at: Option<String>,
    /// `deleted_at`, as Postgres prints it.
    pub deleted_at: Option<String>,
    /// `started_at`, as Postgres prints it; none where the table has no such column.
    pub started_at: Option<String>,
    /// `user_id`; none where the table has no such column.
    pub user_id: Option<i64>,
    /// `synced_at`, as Postgres prints it.
    pub synced_at: String,
    /// The transaction that wrote the row version.
    pub xmin: String,
}

/// All rows of a raw table by id. Two rows of one id (users of several workspaces) are an error.
///
/// # Errors
/// When the query fails.
pub async fn raw_rows(
    connection: &mut PgConnection,
    resource: &Resource,
) -> Result<BTreeMap<i64, RawRow>> {
    let entry = if resource.is_time_entry() {
        "started_at::text, user_id"
    } else {
        "null::text, null::bigint"
    };
    let sql = format!(
        "select source_id, workspace_id, data::text, modified_at::text, deleted_at::text,
                synced_at::text, xmin::text, api_version, {entry}
         from raw.{} order by source_id",
        resource.table()
    );
    let mut rows = BTreeMap::new();
    for row in sqlx::query(AssertSqlSafe(sql)).fetch_all(connection).await? {
        let data: String = row.try_get(2)?;
        let raw = RawRow {
            workspace_id: row.try_get(1)?,
            data: serde_json::from_str(&data)?,
            modified_at: row.try_get(3)?,
            deleted_at: row.try_get(4)?,
            synced_at: row.try_get(5)?,
            xmin: row.try_get(6)?,
            api_version: row.try_get(7)?,
            started_at: row.try_get(8)?,
            user_id: row.try_get(9)?,
        };
        let id: i64 = row.try_get(0)?;
        anyhow::ensure!(rows.insert(id, raw).is_none(), "{} holds {id} twice", resource.name);
    }
    Ok(rows)
}

/// How many rows a raw table holds.
///
/// # Errors
/// When the query fails.
pub async fn count(connection: &mut PgConnection, resource: &Resource) -> Result<i64> {
    let sql = format!("select count(*) from raw.{}", resource.table());
    Ok(sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(connection).await?)
}

/// Sums of the ledger for a resource: received, written, unchanged, stale, deleted, dead.
///
/// # Errors
/// When the query fails.
pub async fn ledger(connection: &mut PgConnection, resource: &str) -> Result<Vec<[i64; 6]>> {
    let sql =
        "select sum(received), sum(written), sum(unchanged), sum(stale), sum(deleted), sum(dead)
               from raw.toggl_track__loads where resource = $1 group by run_id order by run_id";
    let mut runs = Vec::new();
    for row in sqlx::query(sql).bind(resource).fetch_all(connection).await? {
        let mut sums = [0; 6];
        for (place, sum) in sums.iter_mut().enumerate() {
            *sum = row.try_get(place)?;
        }
        runs.push(sums);
    }
    Ok(runs)
}

/// Every row of a table of the schema `raw` as text, each with the transaction that wrote it, so that
/// a row that was written again differs even if nothing in it does.
///
/// # Errors
/// When the query fails.
pub async fn snapshot(connection: &mut PgConnection, table: &str) -> Result<Vec<String>> {
    let sql = format!("select t::text || ' xmin ' || t.xmin from raw.{table} t order by 1");
    Ok(sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(connection).await?)
}

/// In what the live rows of a raw table differ from the newest answer of its history, volatile fields
/// aside; nothing, unless changes went unrecorded.
///
/// # Errors
/// When the query fails.
pub async fn unrecorded(
    connection: &mut PgConnection,
    resource: &Resource,
    ids: RangeInclusive<i64>,
) -> Result<Vec<String>> {
    let sql = format!(
        "with live as (
             select source_id, workspace_id, data - $2::text[] as data, modified_at
             from raw.{}
             where deleted_at is null and source_id between $3 and $4
         ), known as (
             select source_id, workspace_id, data - $2::text[] as data, modified_at
             from raw.toggl_track__as_of($1, 'infinity')
             where source_id between $3 and $4
         )
         select 'live: ' || l::text from (table live except all table known) l
         union all
         select 'known: ' || k::text from (table known except all table live) k",
        resource.table()
    );
    let query = sqlx::query_scalar(AssertSqlSafe(sql))
        .bind(resource.name)
        .bind(resource.volatile_fields)
        .bind(*ids.start())
        .bind(*ids.end());
    Ok(query.fetch_all(connection).await?)
}
