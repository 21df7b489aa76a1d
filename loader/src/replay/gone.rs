//! What a replay cannot bring: batches that were loaded once and have left the stream.

mod loss;

use futures::TryStreamExt as _;
use jiff::Timestamp;
use jiff_sqlx::{Timestamp as SqlTimestamp, ToSqlx};
use shared::resource::Resource;
use sqlx::{AssertSqlSafe, FromRow, PgConnection};
use uuid::Uuid;

use super::reader::Beginning;
use super::seen::{BatchKey, Seen};
use super::selection::Selection;
use crate::postgres::schema::Schema;

/// Batches of a resource that are gone, and what that means.
#[derive(Debug)]
pub(super) struct Gone {
    pub(super) resource: &'static Resource,
    pub(super) batches: i64,
    /// When the oldest and the newest were fetched.
    pub(super) fetched: (Timestamp, Timestamp),
    pub(super) loss: Loss,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Loss {
    /// Nothing shows that anything is missing.
    None,
    /// What lives is back by a newer listing; rows that had been deleted before are not.
    Deleted,
    /// Rows that only they brought.
    Rows,
}

/// What is needed to tell.
pub(super) struct Search<'a> {
    pub(super) schema: &'a Schema,
    /// Whether rows were rewritten that were not missing.
    pub(super) force: bool,
    pub(super) selection: &'a Selection,
    pub(super) seen: &'a Seen,
    pub(super) beginning: Beginning,
    /// Sequence of the first message read, if there was one.
    pub(super) first: Option<u64>,
    /// What `loads` has since is of this replay, or came meanwhile.
    pub(super) started_at: SqlTimestamp,
}

/// What is gone of one workspace.
#[derive(Debug, Clone, FromRow)]
struct Group {
    workspace_id: i64,
    batches: i64,
    fetched_from: SqlTimestamp,
    fetched_to: SqlTimestamp,
    /// When the newest of those that changed something was fetched and loaded.
    changed_to: Option<SqlTimestamp>,
    changed_loaded: Option<SqlTimestamp>,
}

#[derive(Debug, FromRow)]
struct Load {
    run_id: Uuid,
    workspace_id: i64,
    part: i32,
    fetched_at: SqlTimestamp,
    loaded_at: SqlTimestamp,
    changed: bool,
}

/// Groups with the runs that are known to be gone in part at least.
struct Found {
    groups: Vec<Group>,
    runs: Vec<Uuid>,
}

impl Search<'_> {
    /// Looks for each selected resource; those of which nothing is gone are left out. Reads `loads`
    /// once, by its index.
    pub(super) async fn look(&self, connection: &mut PgConnection) -> sqlx::Result<Vec<Gone>> {
        // `loads` of many years takes longer than any statement of a loader.
        sqlx::query("set statement_timeout = 0").execute(&mut *connection).await?;
        let mut all = Vec::new();
        for resource in self.selection.resources() {
            let mut found = self.left_behind(connection, resource).await?;
            self.compare(connection, resource, &mut found).await?;
            let ends = |pick: fn(&Group) -> SqlTimestamp| {
                found.groups.iter().map(move |group| pick(group).to_jiff())
            };
            let from = ends(|group| group.fetched_from).min();
            let Some(fetched) = from.zip(ends(|group| group.fetched_to).max()) else { continue };
            let batches = found.groups.iter().map(|group| group.batches).sum();
            let loss = self.loss(connection, resource, &found).await?;
            all.push(Gone { resource, batches, fetched, loss });
        }
        Ok(all)
    }

    /// The condition on loads `l` that this replay should have brought: `$1` resource, `$2` the stream's
    /// first sequence, `$3` the least sequence, `$4` and `$5` the times of fetching, `$6` its own start.
    /// What an earlier replay into another schema brought is there already.
    fn wanted(&self) -> String {
        let elsewhere = if *self.schema == Schema::RAW {
            String::new()
        } else {
            format!(
                "and not exists (
                     select from {}.toggl_track__loads x
                     where x.run_id = l.run_id and x.resource = l.resource
                         and x.workspace_id = l.workspace_id and x.part = l.part)",
                self.schema
            )
        };
        format!(
            "from raw.toggl_track__loads l
             where l.resource = $1 and l.stream_sequence >= $3
                 and ($4::timestamptz is null or l.fetched_at >= $4)
                 and ($5::timestamptz is null or l.fetched_at <= $5) and l.loaded_at < $6 {elsewhere}"
        )
    }

    /// What stood before the stream's first message.
    async fn left_behind(
        &self,
        connection: &mut PgConnection,
        resource: &Resource,
    ) -> sqlx::Result<Found> {
        let sql = format!(
            "select workspace_id, count(*) as batches, min(fetched_at) as fetched_from,
                    max(fetched_at) as fetched_to,
                    max(fetched_at) filter (where written + deleted > 0) as changed_to,
                    max(loaded_at) filter (where written + deleted > 0) as changed_loaded
             {} and l.stream_sequence < $2 group by workspace_id",
            self.wanted()
        );
        let groups = sqlx::query_as(AssertSqlSafe(sql))
            .bind(resource.name)
            .bind(self.beginning.sequence.cast_signed())
            .bind(self.selection.least_sequence().cast_signed())
            .bind(self.selection.begin_time().map(ToSqlx::to_sqlx))
            .bind(self.selection.until.map(ToSqlx::to_sqlx))
            .bind(self.started_at)
            .fetch_all(connection)
            .await?;
        Ok(Found { groups, runs: Vec::new() })
    }

    /// Adds what should stand where the stream is now, and does not: what was deleted from its middle, and
    /// batches of an earlier stream, whose sequences others have by now.
    async fn compare(
        &self,
        connection: &mut PgConnection,
        resource: &'static Resource,
        found: &mut Found,
    ) -> sqlx::Result<()> {
        let sql = format!(
            "select run_id, workspace_id, part, fetched_at, loaded_at, written + deleted > 0 as changed
             {} and l.stream_sequence >= $2",
            self.wanted()
        );
        // Where it begins with a time, that of the first message read bounds what was to be read.
        let least = match self.selection.begin_time() {
            Some(_) => self.first.unwrap_or(u64::MAX >> 1),
            None => self.beginning.sequence,
        };
        let mut loads = sqlx::query_as::<_, Load>(AssertSqlSafe(sql))
            .bind(resource.name)
            .bind(least.max(self.beginning.sequence).cast_signed())
            .bind(self.selection.least_sequence().cast_signed())
            .bind(self.selection.begin_time().map(ToSqlx::to_sqlx))
            .bind(self.selection.until.map(ToSqlx::to_sqlx))
            .bind(self.started_at)
            .fetch(connection);
        while let Some(load) = loads.try_next().await? {
            let (run_id, workspace_id) = (load.run_id, load.workspace_id);
            let key = BatchKey { run_id, workspace_id, part: load.part.cast_unsigned() };
            if !self.seen.holds(resource.name, key) {
                found.add(&load);
            }
        }
        Ok(())
    }
}

impl Found {
    fn add(&mut self, load: &Load) {
        let Load { run_id, workspace_id, fetched_at, loaded_at, changed, .. } = *load;
        if self.runs.last() != Some(&run_id) {
            self.runs.push(run_id);
        }
        let one = Group {
            workspace_id,
            batches: 1,
            fetched_from: fetched_at,
            fetched_to: fetched_at,
            changed_to: changed.then_some(fetched_at),
            changed_loaded: changed.then_some(loaded_at),
        };
        match self.groups.iter_mut().find(|group| group.workspace_id == workspace_id) {
            Some(group) => group.join(&one),
            None => self.groups.push(one),
        }
    }
}

impl Group {
    fn join(&mut self, other: &Self) {
        self.batches += other.batches;
        self.fetched_from = self.fetched_from.min(other.fetched_from);
        self.fetched_to = self.fetched_to.max(other.fetched_to);
        self.changed_to = self.changed_to.max(other.changed_to);
        self.changed_loaded = self.changed_loaded.max(other.changed_loaded);
    }
}
