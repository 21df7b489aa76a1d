//! Keys, versions and hashes of a batch against the stored ones: what differs, what is older.

use std::collections::HashMap;

use jiff_sqlx::{Timestamp as SqlTimestamp, ToSqlx as _};
use shared::resource::Claim;
use sqlx::{FromRow, PgConnection};

use super::damage;
use super::rows::Row;
use super::running_entries::LONGEST_SQL;
use super::upsert::{Moment, each, query, same_key, sql_time, unnested};

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
    if moment.resource.running_unless.is_some() {
        differing = differing.bind(each(rows, |row| sql_time(row.running_since)));
    }
    if moment.force {
        differing = differing
            .bind(each(rows, |row| row.data))
            .bind(each(rows, |row| sql_time(row.deleted_at)))
            .bind(moment.api_version);
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
/// claims `$7` resource and `$8` workspace of the batch; then for time entries starts, users and, where
/// these have no start while they run, the start they have then; at the end, if it is forced, the data,
/// the deletions and the version of the API.
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
        same_whole = damage::same_whole(moment, next);
    }
    arrays.push(("generate_subscripts($1::bigint[], 1)".to_owned(), "place"));
    let input = unnested(&arrays);
    let Deletion { confirmed_at, denied, gone_at, same } = deletion(moment);
    let stale = stale(moment, confirmed_at, denied);
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
                    {stale} as stale,
                    t.content_hash is not distinct from i.content_hash and {same}{same_start}{same_whole} as same
             from {input}
             left join {schema}.{table} t on {same_key}
             {claims}
         ) compared
         where stale or not same"
    )
}

/// Whether what is stored stays. What was asked for when a deletion had happened and was known, and is
/// there, was brought back since, even if that brought back its old time of change: seen live last, it is
/// live. A deletion older than that is as stale, in whatever order they come.
fn stale(moment: Moment<'_>, confirmed_at: &str, denied: &str) -> String {
    let (older, damaged) = if moment.force {
        let damaged = damage::is_damaged(moment, "i", "$6");
        ("<", format!("when {damaged} then false"))
    } else {
        ("<=", String::new())
    };
    format!(
        "case when t.source_id is null then false {damaged}
              when t.deleted_at is not null and not i.is_deleted and not ({denied})
                  and $6 > greatest(t.modified_at, t.fetched_at) then false
              when t.deleted_at is null and i.is_deleted
                  and {confirmed_at} > greatest(i.modified_at, $6) then true
              else (coalesce(i.modified_at, '-infinity'), $6)
                  {older} (coalesce(t.modified_at, '-infinity'), {confirmed_at}) end"
    )
}

/// SQL about a stored row and a record of it.
struct Deletion {
    /// When the row is confirmed.
    confirmed_at: &'static str,
    /// Whether a newer claim does not have the record.
    denied: &'static str,
    /// Since when.
    gone_at: &'static str,
    /// Whether both are deleted or neither.
    same: &'static str,
}

fn deletion(moment: Moment<'_>) -> Deletion {
    match moment {
        Moment { newer_claims: false, .. } => ON_TOP,
        Moment { force: false, .. } => AMID_NEWER_CLAIMS,
        Moment { force: true, .. } => FORCED_AMID_NEWER_CLAIMS,
    }
}

/// Where no newer claim is on record.
const ON_TOP: Deletion = Deletion {
    confirmed_at: "t.fetched_at",
    denied: "false",
    gone_at: "null::timestamptz",
    same: "(t.deleted_at is not null) = i.is_deleted",
};

/// Where there are some. Only the newest claims are on record: a row whose deletion is known
/// to lie between the record and these was deleted then. A row that was deleted before the record was
/// seen, and is gone now, was deleted a second time.
const AMID_NEWER_CLAIMS: Deletion = Deletion {
    confirmed_at: "greatest(t.fetched_at, case when t.deleted_at is null then confirming.at end)",
    denied: "denying.at is not null",
    gone_at: "case when denying.at is not null
          then least(denying.at, case when t.deleted_at > $6 then t.deleted_at end) end",
    same: "case when i.is_deleted then t.deleted_at is not null
          when denying.at is not null then coalesce(t.deleted_at > $6, false)
          else t.deleted_at is null end",
};

/// The same for a record that may be older than what confirmed the row: a live row that newer claims cover
/// is none that they do not have.
const FORCED_AMID_NEWER_CLAIMS: Deletion = Deletion {
    denied: "denying.at is not null and (t.source_id is null or t.deleted_at is not null or confirming.at is null)",
    gone_at: "case when denying.at is not null
               and (t.source_id is null or t.deleted_at is not null or confirming.at is null)
          then least(denying.at, case when t.deleted_at > $6 then t.deleted_at end) end",
    same: "case when i.is_deleted then t.deleted_at is not null
          when denying.at is not null and (t.deleted_at is not null or confirming.at is null)
              then coalesce(t.deleted_at > $6, false)
          else t.deleted_at is null end",
    ..AMID_NEWER_CLAIMS
};

const SAME_START: &str = " and t.started_at is not distinct from i.started_at";

/// The newest claim after `$6` of resource `$7` and workspace `$8` that covers a row or a record.
pub(crate) fn newest_claim(moment: Moment<'_>, row: &str) -> String {
    let Moment { schema, resource, .. } = moment;
    let covers = match resource.claim {
        Claim::Nothing => "false".to_owned(),
        Claim::Ids | Claim::Gone => format!("c.ids @> {row}.source_id"),
        Claim::Starts => {
            let start = match (row, resource.running_unless) {
                ("i", Some(_)) => format!(
                    "c.starts @> coalesce(i.started_at, i.running_since)
                     and (i.started_at is not null or c.fetched_at > i.running_since + {LONGEST_SQL})"
                ),
                _ => format!("c.starts @> {row}.started_at"),
            };
            format!("{start} and (c.user_id is null or c.user_id = {row}.user_id)")
        }
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
