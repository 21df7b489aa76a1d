//! Keys, versions and hashes of a batch against the stored ones: what differs, what is older.

use std::collections::HashMap;

use jiff_sqlx::{Timestamp as SqlTimestamp, ToSqlx as _};
use shared::resource::Claim;
use sqlx::{FromRow, PgConnection};

use crate::rows::Row;
use crate::upsert::{Moment, each, query, same_key, sql_time, unnested};

/// What a stored table says about the rows of a batch; their order is kept.
#[derive(Debug, Default)]
pub(crate) struct Comparison<'a> {
    /// Newer than what is stored, and different.
    pub(crate) write: Vec<Row<'a>>,
    /// How many of these are not stored at all.
    pub(crate) new: usize,
    /// Newer, but equal in content, start and deletion.
    pub(crate) unchanged: Vec<Row<'a>>,
    /// Not newer than what is stored.
    pub(crate) stale: usize,
}

/// Compares keys, versions and hashes inside the server; nothing comes back for a row that is
/// unchanged, and no JSON travels unless the comparison is forced.
pub(crate) async fn compare<'a>(
    connection: &mut PgConnection,
    moment: Moment<'_>,
    rows: &[Row<'a>],
) -> sqlx::Result<Comparison<'a>> {
    let mut differing = query(compare_sql(moment))
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
    if moment.force {
        differing = differing.bind(each(rows, |row| row.data)).bind(moment.api_version);
    }
    let mut comparison = Comparison::default();
    let mut verdicts = HashMap::new();
    for row in differing.fetch_all(connection).await? {
        let (place, stale, new, gone_at): (i32, bool, bool, Option<SqlTimestamp>) =
            FromRow::from_row(&row)?;
        comparison.new += usize::from(new);
        verdicts.insert(place, (stale, gone_at));
    }
    for (place, row) in (0_i32..).zip(rows) {
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

/// `$1` ids, `$2` workspaces, `$3` hashes, `$4` modified, `$5` deleted, `$6` fetched at; with newer
/// claims `$7` resource and `$8` workspace of the batch; then for time entries starts and users; at
/// the end, if it is forced, the data and the version of the API.
fn compare_sql(moment: Moment<'_>) -> String {
    let Moment { schema, resource, newer_claims, force, .. } = moment;
    let table = resource.table();
    let same_key = same_key(resource);
    let mut arrays = vec![
        ("unnest($1::bigint[])".to_owned(), "source_id"),
        ("unnest($2::bigint[])".to_owned(), "workspace_id"),
        ("unnest($3::bigint[])".to_owned(), "content_hash"),
        ("unnest($4::timestamptz[])".to_owned(), "modified_at"),
        ("unnest($5::boolean[])".to_owned(), "is_deleted"),
    ];
    let mut next = if newer_claims { 9 } else { 7 };
    let mut same_start = "";
    if resource.is_time_entry() {
        arrays.push((format!("unnest(${next}::timestamptz[])"), "started_at"));
        arrays.push((format!("unnest(${}::bigint[])", next + 1), "user_id"));
        same_start = SAME_START;
        next += 2;
    }
    let mut same_whole = String::new();
    if force {
        arrays.push((format!("unnest(${next}::text[])"), "data"));
        let user = if resource.is_time_entry() { SAME_USER } else { "" };
        same_whole = format!(" and {SAME_WHOLE} and t.api_version = ${}{user}", next + 1);
    }
    arrays.push(("generate_subscripts($1::bigint[], 1)".to_owned(), "place"));
    let input = unnested(&arrays);
    let older = if force { "<" } else { "<=" };
    let (confirmed_at, gone_at, same_deletion) =
        if newer_claims { AMID_NEWER_CLAIMS } else { ON_TOP };
    let claims = if newer_claims {
        let (confirming, denying) = (newest_claim(moment, "t"), newest_claim(moment, "i"));
        format!(
            "left join lateral ({confirming}) confirming on true
             left join lateral ({denying}) denying on true"
        )
    } else {
        String::new()
    };
    format!(
        "select place, stale, new, gone_at
         from (
             select i.place - 1 as place, t.source_id is null as new, {gone_at} as gone_at,
                    coalesce((coalesce(i.modified_at, '-infinity'), $6)
                          {older} (coalesce(t.modified_at, '-infinity'), {confirmed_at}), false) as stale,
                    t.content_hash is not distinct from i.content_hash and {same_deletion}{same_start}{same_whole} as same
             from {input}
             left join {schema}.{table} t on {same_key}
             {claims}
         ) compared
         where stale or not same"
    )
}

/// When a stored row is confirmed, when the record is gone, and whether both are deleted or neither:
/// where no newer claim is on record.
const ON_TOP: (&str, &str, &str) =
    ("t.fetched_at", "null::timestamptz", "(t.deleted_at is not null) = i.is_deleted");

/// The same where there are some. Only the newest claims are on record: a row whose deletion is known
/// to lie between the record and these was deleted then. A row that was deleted before the record was
/// seen, and is gone now, was deleted a second time.
const AMID_NEWER_CLAIMS: (&str, &str, &str) = (
    "greatest(t.fetched_at, case when t.deleted_at is null then confirming.at end)",
    "case when denying.at is not null
          then least(denying.at, case when t.deleted_at > $6 then t.deleted_at end) end",
    "case when i.is_deleted then t.deleted_at is not null
          when denying.at is not null then coalesce(t.deleted_at > $6, false)
          else t.deleted_at is null end",
);

const SAME_START: &str = " and t.started_at is not distinct from i.started_at";
const SAME_USER: &str = " and t.user_id is not distinct from i.user_id";

/// Where the hash is the same, Postgres has taken the same text before, so that it can be cast again.
const SAME_WHOLE: &str =
    "case when t.content_hash = i.content_hash then t.data = i.data::jsonb else false end
    and t.modified_at is not distinct from i.modified_at and t.workspace_id = i.workspace_id";

/// The newest claim after `$6` of resource `$7` and workspace `$8` that covers a row or a record.
pub(crate) fn newest_claim(moment: Moment<'_>, row: &str) -> String {
    let Moment { schema, resource, .. } = moment;
    let covers = match resource.claim {
        Claim::Nothing => "false".to_owned(),
        Claim::Ids => format!("c.ids @> {row}.source_id"),
        Claim::Starts => format!(
            "c.starts @> {row}.started_at and (c.user_id is null or c.user_id = {row}.user_id)"
        ),
    };
    // The range alone is looked up, by its index. Postgres would rather go through all claims of the
    // resource, newest first, and a long history has thousands.
    format!(
        "select max(c.fetched_at) filter (
             where c.resource = $7 and c.workspace_id = $8 and c.fetched_at > $6
         ) as at
         from {schema}.toggl_track__claims c where {covers}"
    )
}
