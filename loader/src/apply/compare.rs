//! Keys, versions and hashes of a batch against the stored ones: what differs, what is older.

use std::collections::HashMap;

use jiff_sqlx::{Timestamp as SqlTimestamp, ToSqlx as _};
use sqlx::{FromRow, PgConnection};

use super::context::BatchContext;
use super::damage;
use super::newer::{Incoming, is_newer};
use super::newer_claims::{ClaimTerms, joined};
use super::rows::Row;
use super::sql::{each, query, same_key, sql_time, unnested};

/// What a stored table says about the rows of a batch; their order is kept.
#[derive(Debug, Default)]
pub(crate) struct Comparison<'a> {
    /// Newer than what is stored, and different.
    pub(crate) write: Vec<Row<'a>>,
    /// How many of these are not stored at all.
    pub(crate) new: usize,
    /// Newer, but equal in content, start and deletion.
    pub(crate) unchanged: Vec<Row<'a>>,
    /// Whether any is not [newer](super::newer) than what is stored: older, or as old.
    pub(crate) has_stale: bool,
}

/// Compares keys, versions and hashes inside the server; nothing comes back for a row that is
/// unchanged, and no JSON travels unless the comparison is forced.
pub(crate) async fn compare<'a>(
    connection: &mut PgConnection,
    context: BatchContext<'_>,
    rows: &[Row<'a>],
) -> sqlx::Result<Comparison<'a>> {
    let mut differing = query(compare_sql(context))
        .bind(each(rows, |row| row.record.source_id))
        .bind(each(rows, |row| row.workspace_id))
        .bind(each(rows, |row| row.content_hash))
        .bind(each(rows, |row| sql_time(row.record.modified_at)))
        .bind(each(rows, |row| row.deleted_at.is_some()))
        .bind(context.fetched_at.to_sqlx());
    if context.newer_claims {
        differing = differing.bind(context.resource.name).bind(context.workspace_id);
    }
    if context.resource.is_time_entry() {
        differing = differing
            .bind(each(rows, |row| sql_time(row.record.started_at)))
            .bind(each(rows, |row| row.record.user_id));
    }
    if context.resource.running_unless.is_some() {
        differing = differing.bind(each(rows, |row| sql_time(row.running_since)));
    }
    if context.force {
        differing = differing
            .bind(each(rows, |row| row.data))
            .bind(each(rows, |row| sql_time(row.deleted_at)))
            .bind(context.api_version);
    }
    let mut comparison = Comparison::default();
    let mut verdicts = HashMap::new();
    for row in differing.fetch_all(connection).await? {
        let (place, stale, new, missing_since): (i32, bool, bool, Option<SqlTimestamp>) =
            FromRow::from_row(&row)?;
        comparison.new += usize::from(new);
        verdicts.insert(place, (stale, missing_since));
    }
    for (place, row) in (0_i32..).zip(rows) {
        match verdicts.get(&place) {
            Some((true, _)) => comparison.has_stale = true,
            Some((false, missing_since)) => {
                let missing_since = missing_since.map(SqlTimestamp::to_jiff);
                comparison.write.push(Row { deleted_at: row.deleted_at.or(missing_since), ..*row });
            }
            None => comparison.unchanged.push(*row),
        }
    }
    Ok(comparison)
}

/// `$1` ids, `$2` workspaces, `$3` hashes, `$4` modified, `$5` deleted, `$6` fetched at; with newer
/// claims `$7` resource and `$8` workspace of the batch; then for time entries starts, users and, where
/// these have no start while they run, the start they have then; at the end, if it is forced, the data,
/// the deletions and the version of the API.
fn compare_sql(context: BatchContext<'_>) -> String {
    let BatchContext { schema, resource, .. } = context;
    let table = resource.table();
    let same_key = same_key(resource);
    let Input { rows, same_start, same_whole } = Input::of(context);
    let ClaimTerms { confirmed_at, lacks_record, missing_since, same_deletion } =
        ClaimTerms::of(context);
    let is_live = format!("not i.is_deleted and not ({lacks_record})");
    let (is_live, is_deletion) = (is_live.as_str(), "i.is_deleted");
    let incoming = Incoming { row: "i", fetched_at: "$6", is_live, is_deletion };
    let is_newer = is_newer(context, &incoming, confirmed_at);
    let claims = joined(context);
    format!(
        "select place, stale, new, missing_since
         from (
             select i.place - 1 as place, t.source_id is null as new,
                    {missing_since} as missing_since, not ({is_newer}) as stale,
                    t.content_hash is not distinct from i.content_hash
                        and {same_deletion}{same_start}{same_whole} as same
             from {rows}
             left join {schema}.{table} t on {same_key}
             {claims}
         ) compared
         where stale or not same"
    )
}

/// The records of a batch as rows `i`, and what of them is compared beyond what is always.
struct Input {
    rows: String,
    same_start: &'static str,
    same_whole: String,
}

impl Input {
    fn of(context: BatchContext<'_>) -> Self {
        let BatchContext { resource, newer_claims, force, .. } = context;
        let mut arrays = vec![
            ("unnest($1::bigint[])".to_owned(), "source_id"),
            ("unnest($2::bigint[])".to_owned(), "workspace_id"),
            ("unnest($3::bigint[])".to_owned(), "content_hash"),
            ("unnest($4::timestamptz[])".to_owned(), "modified_at"),
            ("unnest($5::boolean[])".to_owned(), "is_deleted"),
        ];
        let mut next = if newer_claims { 9 } else { 7 };
        let mut bound = |kind: &str, name| {
            arrays.push((format!("unnest(${next}::{kind}[])"), name));
            next += 1;
        };
        let mut same_start = "";
        if resource.is_time_entry() {
            bound("timestamptz", "started_at");
            bound("bigint", "user_id");
            same_start = SAME_START;
        }
        if resource.running_unless.is_some() {
            bound("timestamptz", "running_since");
        }
        let mut same_whole = String::new();
        if force {
            bound("text", "data");
            bound("timestamptz", "told_deleted_at");
            same_whole = damage::same_whole(context, next);
        }
        arrays.push(("generate_subscripts($1::bigint[], 1)".to_owned(), "place"));
        Self { rows: unnested(&arrays), same_start, same_whole }
    }
}

const SAME_START: &str = " and t.started_at is not distinct from i.started_at";
