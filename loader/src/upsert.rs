//! Keys and hashes first, then only what differs: the SQL that reads and writes a raw table.
//!
//! Statements are generated from the catalogue. Identifiers come from its names, which a test holds
//! to `^[a-z][a-z0-9_]*$`; everything else is bound.

use std::collections::HashMap;

use jiff::Timestamp;
use jiff_sqlx::{Timestamp as SqlTimestamp, ToSqlx};
use shared::resource::{Claim, Key, Resource};
use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, FromRow, PgConnection, Postgres};

use crate::rows::Row;

/// What a stored table says about the rows of a batch; their order is kept.
#[derive(Debug, Default)]
pub(crate) struct Comparison<'a> {
    /// Newer than what is stored, and different.
    pub(crate) write: Vec<Row<'a>>,
    /// Newer, but equal in content, start and deletion.
    pub(crate) unchanged: Vec<Row<'a>>,
    /// Not newer than what is stored.
    pub(crate) stale: usize,
}

/// When a batch was fetched, and whether newer claims are on record, so that they must be asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment<'a> {
    pub(crate) resource: &'static Resource,
    /// Workspace of the batch, which claims are recorded for.
    pub(crate) workspace_id: i64,
    pub(crate) api_version: &'a str,
    pub(crate) fetched_at: Timestamp,
    pub(crate) newer_claims: bool,
}

/// Compares keys, versions and hashes inside the server; no JSON travels, and nothing comes back
/// for a row that is unchanged.
pub(crate) async fn compare<'a>(
    connection: &mut PgConnection,
    moment: Moment<'_>,
    rows: &[Row<'a>],
) -> sqlx::Result<Comparison<'a>> {
    let mut differing = query(compare_sql(moment.resource, moment.newer_claims))
        .bind(each(rows, |row| row.record.source_id))
        .bind(each(rows, |row| row.workspace_id))
        .bind(each(rows, |row| row.content_hash))
        .bind(each(rows, |row| sql_time(row.record.modified_at)))
        .bind(each(rows, |row| row.deleted_at.is_some()))
        .bind(moment.fetched_at.to_sqlx());
    if moment.newer_claims {
        differing = differing.bind(moment.resource.name).bind(moment.workspace_id);
    }
    if moment.resource.is_time_entry() {
        differing = differing
            .bind(each(rows, |row| sql_time(row.record.started_at)))
            .bind(each(rows, |row| row.record.user_id));
    }
    let mut verdicts = HashMap::new();
    for row in differing.fetch_all(connection).await? {
        let (place, stale, gone_at): (i64, bool, Option<SqlTimestamp>) = FromRow::from_row(&row)?;
        verdicts.insert(place, (stale, gone_at));
    }
    let mut comparison = Comparison::default();
    for (place, row) in (0_i64..).zip(rows) {
        match verdicts.get(&place) {
            Some((true, _)) => comparison.stale += 1,
            Some((false, gone_at)) => {
                let gone_at = gone_at.map(SqlTimestamp::to_jiff);
                comparison.write.push(Row { deleted_at: row.deleted_at.or(gone_at), ..*row });
            }
            None => comparison.unchanged.push(*row),
        }
    }
    Ok(comparison)
}

/// Inserts or updates the rows in the order of the key, so that two loaders never lock the same rows
/// crosswise. Answers how many it wrote: fewer than it was given where another workspace's batch was
/// newer.
pub(crate) async fn write(
    connection: &mut PgConnection,
    moment: Moment<'_>,
    rows: &[Row<'_>],
) -> sqlx::Result<u64> {
    let mut upsert = query(write_sql(moment.resource))
        .bind(each(rows, |row| row.record.source_id))
        .bind(each(rows, |row| row.workspace_id))
        .bind(each(rows, |row| row.data))
        .bind(each(rows, |row| sql_time(row.record.modified_at)))
        .bind(each(rows, |row| sql_time(row.deleted_at)))
        .bind(each(rows, |row| row.content_hash))
        .bind(moment.api_version)
        .bind(moment.fetched_at.to_sqlx());
    if moment.resource.is_time_entry() {
        upsert = upsert
            .bind(each(rows, |row| sql_time(row.record.started_at)))
            .bind(each(rows, |row| row.record.user_id));
    }
    Ok(upsert.execute(connection).await?.rows_affected())
}

/// Notes that unchanged rows were seen again. Only for batches without a claim: elsewhere the claim
/// carries that news, and the rows are left alone.
pub(crate) async fn confirm(
    connection: &mut PgConnection,
    moment: Moment<'_>,
    rows: &[Row<'_>],
) -> sqlx::Result<()> {
    query(confirm_sql(moment.resource))
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

fn each<'a, T>(rows: &[Row<'a>], column: impl FnMut(&Row<'a>) -> T) -> Vec<T> {
    rows.iter().map(column).collect()
}

fn sql_time(time: Option<Timestamp>) -> Option<SqlTimestamp> {
    time.map(ToSqlx::to_sqlx)
}

fn key(resource: &Resource) -> &'static str {
    match resource.key {
        Key::Source => "source_id",
        Key::WorkspaceAndSource => "workspace_id, source_id",
    }
}

fn same_key(resource: &Resource) -> &'static str {
    match resource.key {
        Key::Source => "t.source_id = i.source_id",
        Key::WorkspaceAndSource => "t.workspace_id = i.workspace_id and t.source_id = i.source_id",
    }
}

/// `$1` ids, `$2` workspaces, `$3` hashes, `$4` modified, `$5` deleted, `$6` fetched at; with newer
/// claims `$7` resource and `$8` workspace of the batch; for time entries starts and users at the end.
fn compare_sql(resource: &Resource, newer_claims: bool) -> String {
    let table = resource.table();
    let same_key = same_key(resource);
    let (start_arrays, start_columns, same_start) = match (resource.is_time_entry(), newer_claims) {
        (false, _) => ("", "", ""),
        (true, false) => (", $7::timestamptz[], $8::bigint[]", START_COLUMNS, SAME_START),
        (true, true) => (", $9::timestamptz[], $10::bigint[]", START_COLUMNS, SAME_START),
    };
    let (confirmed_at, gone_at, claims) = if newer_claims {
        let confirming = newest_claim(resource, "t");
        let denying = newest_claim(resource, "i");
        (
            "greatest(t.fetched_at, case when t.deleted_at is null then confirming.at end)",
            "denying.at",
            format!(
                "left join lateral ({confirming}) confirming on true
                 left join lateral ({denying}) denying on true"
            ),
        )
    } else {
        ("t.fetched_at", "null::timestamptz", String::new())
    };
    format!(
        "select place - 1, stale, gone_at
         from (
             select i.place, {gone_at} as gone_at,
                    coalesce((coalesce(i.modified_at, '-infinity'), $6)
                          <= (coalesce(t.modified_at, '-infinity'), {confirmed_at}), false) as stale,
                    t.content_hash is not distinct from i.content_hash
                        and (t.deleted_at is not null) = (i.is_deleted or {gone_at} is not null){same_start} as same
             from unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::timestamptz[], $5::boolean[]{start_arrays})
                  with ordinality as i(source_id, workspace_id, content_hash, modified_at, is_deleted{start_columns}, place)
             left join raw.{table} t on {same_key}
             {claims}
         ) compared
         where stale or not same"
    )
}

const START_COLUMNS: &str = ", started_at, user_id";
const SAME_START: &str = " and t.started_at is not distinct from i.started_at";

/// The newest claim after `$6` of resource `$7` and workspace `$8` that covers a row or a record.
pub(crate) fn newest_claim(resource: &Resource, row: &str) -> String {
    let covers = match resource.claim {
        Claim::Nothing => "false".to_owned(),
        Claim::Ids => format!("c.ids @> {row}.source_id"),
        Claim::Starts => format!(
            "c.starts @> {row}.started_at and (c.user_id is null or c.user_id = {row}.user_id)"
        ),
    };
    format!(
        "select max(c.fetched_at) as at from raw.toggl_track__claims c
         where c.resource = $7 and c.workspace_id = $8 and c.fetched_at > $6 and {covers}"
    )
}

fn write_sql(resource: &Resource) -> String {
    let table = resource.table();
    let key = key(resource);
    let (arrays, columns, updates) = if resource.is_time_entry() {
        (
            ", $9::timestamptz[], $10::bigint[]",
            ", started_at, user_id",
            ", started_at = excluded.started_at, user_id = excluded.user_id",
        )
    } else {
        ("", "", "")
    };
    format!(
        "insert into raw.{table} as t
             (source_id, workspace_id, data, modified_at, deleted_at, content_hash{columns}, api_version, fetched_at)
         select source_id, workspace_id, data::jsonb, modified_at, deleted_at, content_hash{columns}, $7, $8
         from unnest($1::bigint[], $2::bigint[], $3::text[], $4::timestamptz[], $5::timestamptz[], $6::bigint[]{arrays})
              as i(source_id, workspace_id, data, modified_at, deleted_at, content_hash{columns})
         order by {key}
         on conflict ({key}) do update set
             workspace_id = excluded.workspace_id, data = excluded.data, api_version = excluded.api_version,
             modified_at = excluded.modified_at, fetched_at = excluded.fetched_at,
             deleted_at = excluded.deleted_at, content_hash = excluded.content_hash,
             synced_at = now(){updates}
         where (coalesce(excluded.modified_at, '-infinity'), excluded.fetched_at)
             > (coalesce(t.modified_at, '-infinity'), t.fetched_at)"
    )
}

fn confirm_sql(resource: &Resource) -> String {
    let table = resource.table();
    let same_key = same_key(resource);
    format!(
        "update raw.{table} t set fetched_at = $3
         from unnest($1::bigint[], $2::bigint[]) as i(source_id, workspace_id)
         where {same_key} and t.fetched_at < $3"
    )
}
