//! Rows of a raw table and of the history that are theirs, or that tell of them.

use futures::TryStreamExt as _;
use shared::digest::content_hash;
use shared::resource::Resource;
use sqlx::{FromRow, PgConnection};

use super::Whom;
use super::erase::Counts;
use crate::apply::forgotten::person::{Verdict, judge};
use crate::apply::sql::query;

/// Rows that are judged one by one, by their keys.
#[derive(Debug, Default)]
struct Judged {
    dropped: Vec<i64>,
    /// The second half of the keys.
    dropped_of: Vec<i64>,
    cleaned: Vec<i64>,
    cleaned_of: Vec<i64>,
    texts: Vec<String>,
    hashes: Vec<i64>,
}

impl Judged {
    fn add(&mut self, verdict: Verdict, key: (i64, i64)) {
        match verdict {
            Verdict::Keep => {}
            Verdict::Drop => {
                self.dropped.push(key.0);
                self.dropped_of.push(key.1);
            }
            Verdict::Cleaned(text) => {
                self.cleaned.push(key.0);
                self.cleaned_of.push(key.1);
                self.hashes.push(content_hash(text.as_bytes()));
                self.texts.push(text);
            }
        }
    }

    const fn counts(&self, more: u64) -> Counts {
        let [deleted, cleaned] = [self.dropped.len() as u64, self.cleaned.len() as u64];
        Counts { deleted: deleted + more, cleaned }
    }
}

/// Of a table that somebody dropped there is nothing to delete.
pub(super) async fn table(
    connection: &mut PgConnection,
    whom: Whom,
    resource: &'static Resource,
) -> sqlx::Result<Counts> {
    let name = format!("raw.{}", resource.table());
    let is_there: bool = sqlx::query_scalar("select to_regclass($1) is not null")
        .bind(&name)
        .fetch_one(&mut *connection)
        .await?;
    if !is_there {
        return Ok(Counts::default());
    }
    let id = match whom {
        Whom::User(id) => id,
        Whom::Workspace(id) => {
            let own = if resource.name == "workspaces" { " or source_id = $1" } else { "" };
            let sql = format!("delete from {name} where workspace_id = $1{own}");
            return plain(connection, sql, id).await;
        }
    };
    // Most of what there is of a person is found by an index.
    let entries = if resource.is_time_entry() {
        plain(connection, format!("delete from {name} where user_id = $1"), id).await?.deleted
    } else {
        0
    };
    let mut judged = Judged::default();
    {
        let mut rows = query(format!(
            "select source_id, workspace_id, data::text from {name}
             where source_id = $1 or position($1::text in data::text) > 0"
        ))
        .bind(id)
        .fetch(&mut *connection);
        while let Some(row) = rows.try_next().await? {
            let (source_id, workspace_id, data): (i64, i64, String) = FromRow::from_row(&row)?;
            let verdict = judge(&whom.list(), resource, Some(source_id), data.as_bytes());
            judged.add(verdict, (source_id, workspace_id));
        }
    }
    write(connection, &name, &judged).await?;
    Ok(judged.counts(entries))
}

/// The hash is that of the new text, so that after an undoing the old one is taken for a change.
async fn write(connection: &mut PgConnection, name: &str, judged: &Judged) -> sqlx::Result<()> {
    query(format!(
        "with dropped as (
             delete from {name} t using unnest($1::bigint[], $2::bigint[]) as i(source_id, workspace_id)
             where t.source_id = i.source_id and t.workspace_id = i.workspace_id
         )
         update {name} t set data = i.data::jsonb, content_hash = i.content_hash, synced_at = now()
         from unnest($3::bigint[], $4::bigint[], $5::text[], $6::bigint[])
             as i(source_id, workspace_id, data, content_hash)
         where t.source_id = i.source_id and t.workspace_id = i.workspace_id"
    ))
    .bind(&judged.dropped)
    .bind(&judged.dropped_of)
    .bind(&judged.cleaned)
    .bind(&judged.cleaned_of)
    .bind(&judged.texts)
    .bind(&judged.hashes)
    .execute(connection)
    .await
    .map(drop)
}

/// All versions there ever were: of what is theirs whole, of the rest without them.
pub(super) async fn history(connection: &mut PgConnection, whom: Whom) -> sqlx::Result<Counts> {
    let id = match whom {
        Whom::User(id) => id,
        Whom::Workspace(id) => {
            let sql = "delete from raw.toggl_track__history
                       where workspace_id = $1 or resource = 'workspaces' and source_id = $1";
            return plain(connection, sql.to_owned(), id).await;
        }
    };
    let mut judged = Judged::default();
    {
        let mut rows = sqlx::query_as::<_, (String, i64, i64, String)>(
            "select resource, source_id, history_id, data::text from raw.toggl_track__history
             where source_id = $1 or position($1::text in data::text) > 0",
        )
        .bind(id)
        .fetch(&mut *connection);
        while let Some((name, source_id, history_id, data)) = rows.try_next().await? {
            // A newer loader's resource is not known here.
            let Some(resource) = shared::catalogue::find(&name) else { continue };
            let verdict = judge(&whom.list(), resource, Some(source_id), data.as_bytes());
            judged.add(verdict, (source_id, history_id));
        }
    }
    sqlx::query(
        "with dropped as (
             delete from raw.toggl_track__history t using unnest($1::bigint[], $2::bigint[]) as i(source_id, history_id)
             where t.source_id = i.source_id and t.history_id = i.history_id
         )
         update raw.toggl_track__history t set data = i.data::jsonb
         from unnest($3::bigint[], $4::bigint[], $5::text[]) as i(source_id, history_id, data)
         where t.source_id = i.source_id and t.history_id = i.history_id",
    )
    .bind(&judged.dropped)
    .bind(&judged.dropped_of)
    .bind(&judged.cleaned)
    .bind(&judged.cleaned_of)
    .bind(&judged.texts)
    .execute(connection)
    .await?;
    Ok(judged.counts(0))
}

/// A deletion by one id.
async fn plain(connection: &mut PgConnection, sql: String, id: i64) -> sqlx::Result<Counts> {
    let deleted = query(sql).bind(id).execute(connection).await?.rows_affected();
    Ok(Counts { deleted, cleaned: 0 })
}
