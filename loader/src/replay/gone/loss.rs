//! What it means that batches are gone.
//!
//! That they are gone is no trouble as long as the tables hold what they brought. It is where a table
//! misses rows: one that was emptied, or one of another schema. Whether it does is told by
//!
//! * the schema: another than `raw` holds only what replays brought;
//! * what was applied: over tables that miss nothing, batches that were loaded before change nothing;
//! * the rows: none at all, or none that is as old as the newest of those batches, though they wrote some.
//!
//! And even then nothing of it stays missing where the stream still holds a newer word on everything: a
//! whole listing, or the claims on all starts that were ever claimed.

use jiff_sqlx::{Timestamp as SqlTimestamp, ToSqlx};
use shared::resource::{Claim, Resource};
use sqlx::{AssertSqlSafe, PgConnection};
use uuid::Uuid;

use super::{Found, Group, Loss, Search};
use crate::postgres::schema::Schema;

impl Search<'_> {
    pub(super) async fn loss(
        &self,
        connection: &mut PgConnection,
        resource: &'static Resource,
        found: &Found,
    ) -> sqlx::Result<Loss> {
        let changing: Vec<_> =
            found.groups.iter().filter(|group| group.changed_to.is_some()).collect();
        let Some(loaded_at) = changing.iter().filter_map(|group| group.changed_loaded).max() else {
            return Ok(Loss::None);
        };
        let is_short = self.is_short(connection, resource).await?;
        if !is_short && !self.is_refilled(connection, resource, loaded_at).await? {
            return Ok(Loss::None);
        }
        for group in &changing {
            if !self.is_covered(connection, resource, group, &found.runs).await? {
                return Ok(Loss::Rows);
            }
        }
        let deleted = is_short && self.lacks_deleted(connection, resource).await?;
        Ok(if deleted { Loss::Deleted } else { Loss::None })
    }

    /// Whether the table missed rows when the replay began, or holds none now.
    async fn is_short(
        &self,
        connection: &mut PgConnection,
        resource: &'static Resource,
    ) -> sqlx::Result<bool> {
        if *self.schema != Schema::RAW {
            return Ok(true);
        }
        let mut changing = self.seen.changing(resource.name);
        // What `--force` has mended was not missing.
        if self.force {
            changing = &[];
        }
        let sql = format!(
            "select not exists (select from raw.{}) or exists (
                 select from unnest($2::uuid[], $3::bigint[], $4::integer[]) as i(run_id, workspace_id, part)
                 join raw.toggl_track__loads l on l.run_id = i.run_id and l.resource = $1
                     and l.workspace_id = i.workspace_id and l.part = i.part
                 where l.loaded_at < $5)",
            resource.table()
        );
        sqlx::query_scalar(AssertSqlSafe(sql))
            .bind(resource.name)
            .bind(changing.iter().map(|key| key.run_id).collect::<Vec<_>>())
            .bind(changing.iter().map(|key| key.workspace_id).collect::<Vec<_>>())
            .bind(changing.iter().map(|key| key.part.cast_signed()).collect::<Vec<_>>())
            .bind(self.started_at)
            .fetch_one(connection)
            .await
    }

    /// Whether no row is as old as what is gone: the table was emptied and filled again since. Records that
    /// change at every look, as those of an account do, tell nothing.
    async fn is_refilled(
        &self,
        connection: &mut PgConnection,
        resource: &'static Resource,
        loaded_at: SqlTimestamp,
    ) -> sqlx::Result<bool> {
        if !resource.claim.is_by_listing() {
            return Ok(false);
        }
        let table = resource.table();
        let sql = format!("select not exists (select from raw.{table} where synced_at <= $1)");
        sqlx::query_scalar(AssertSqlSafe(sql)).bind(loaded_at).fetch_one(connection).await
    }

    /// Whether what was replayed has a newer word on all that the batches of this workspace may have
    /// brought. A claim counts if its run was read and no part of that is gone.
    async fn is_covered(
        &self,
        connection: &mut PgConnection,
        resource: &'static Resource,
        group: &Group,
        gone_runs: &[Uuid],
    ) -> sqlx::Result<bool> {
        let (schema, word) = match resource.claim {
            Claim::Nothing | Claim::Gone => return Ok(false),
            // Of ids there is one listing, which is whole or not.
            Claim::Ids => (
                self.schema,
                "coalesce(range_agg(ids) filter (where is_read and fetched_at > $6) = '{(,)}', false)",
            ),
            // The tables of a moment have no record of what was claimed by then.
            Claim::Starts if self.selection.until.is_some() => return Ok(false),
            Claim::Starts => {
                (&Schema::RAW, "coalesce(bool_and(is_read and $6::timestamptz is not null), false)")
            }
        };
        let sql = format!(
            "select {word} from (
                 select c.ids, c.fetched_at,
                        c.run_id = any($3) and c.run_id <> all($4) and not exists (
                            select from raw.toggl_track__loads l
                            where l.run_id = c.run_id and l.resource = $1 and l.workspace_id = $2
                                and l.stream_sequence < $5
                        ) as is_read
                 from {schema}.toggl_track__claims c
                 where c.resource = $1 and c.workspace_id = $2
             ) claim"
        );
        sqlx::query_scalar(AssertSqlSafe(sql))
            .bind(resource.name)
            .bind(group.workspace_id)
            .bind(self.seen.runs())
            .bind(gone_runs)
            .bind(self.beginning.sequence.cast_signed())
            .bind(group.changed_to)
            .fetch_one(connection)
            .await
    }

    /// Whether more rows were marked deleted, ever, than the table has deleted ones.
    async fn lacks_deleted(
        &self,
        connection: &mut PgConnection,
        resource: &'static Resource,
    ) -> sqlx::Result<bool> {
        let sql = format!(
            "select (select coalesce(sum(deleted), 0) from raw.toggl_track__loads
                     where resource = $1 and ($2::timestamptz is null or fetched_at <= $2))
                  > (select count(*) from {}.{} where deleted_at is not null)",
            self.schema,
            resource.table()
        );
        sqlx::query_scalar(AssertSqlSafe(sql))
            .bind(resource.name)
            .bind(self.selection.until.map(ToSqlx::to_sqlx))
            .fetch_one(connection)
            .await
    }
}
