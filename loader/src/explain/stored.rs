//! What Postgres knows of a key: the row, `loads`, claims, history, dead letters.

use jiff::Timestamp;
use jiff_sqlx::{Timestamp as SqlTimestamp, ToSqlx};
use shared::resource::{Claim, Key, Resource, Scope};
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgConnection, Row as _};
use uuid::Uuid;

/// So many changes and letters are shown, the newest ones.
const SHOWN: i64 = 10;

/// What is asked about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    pub(super) resource: &'static Resource,
    pub(super) id: i64,
    /// The row's workspace; none where it is not known.
    pub(super) workspace_id: Option<i64>,
}

/// A raw row.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) workspace_id: i64,
    pub(super) data: String,
    pub(super) modified_at: Option<Timestamp>,
    pub(super) fetched_at: Timestamp,
    pub(super) synced_at: Timestamp,
    pub(super) deleted_at: Option<Timestamp>,
    pub(super) content_hash: i64,
    pub(super) started_at: Option<Timestamp>,
    pub(super) user_id: Option<i64>,
}

/// A row of `loads`.
#[derive(Debug, Clone)]
pub(super) struct Load {
    pub(super) run_id: Uuid,
    pub(super) workspace_id: i64,
    pub(super) part: i32,
    pub(super) received: i32,
    pub(super) written: i32,
    pub(super) fetched_at: Timestamp,
    pub(super) loaded_at: Timestamp,
    pub(super) stream_sequence: i64,
}

/// A claim on record that covers the key.
#[derive(Debug)]
pub(super) struct Covering {
    pub(super) workspace_id: i64,
    pub(super) user_id: Option<i64>,
    pub(super) range: String,
    pub(super) fetched_at: Timestamp,
    pub(super) run_id: Uuid,
}

/// A change of the row, as its versions tell it.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) kind: String,
    pub(super) workspace_id: i64,
    pub(super) modified_at: Option<Timestamp>,
    pub(super) fetched_at: Timestamp,
    /// The run that brought it, where `loads` still has it.
    pub(super) run_id: Option<Uuid>,
}

/// A dead letter of the key, or of a listing that may concern it.
#[derive(Debug)]
pub(super) struct Letter {
    pub(super) dead_letter_id: i64,
    pub(super) kind: String,
    pub(super) source_id: Option<i64>,
    pub(super) reason: String,
    pub(super) stream_sequence: i64,
    pub(super) created_at: Timestamp,
}

impl Asked {
    /// The workspace that batches of it carry.
    pub(super) fn batch_workspace(&self) -> Option<i64> {
        match self.resource.scope {
            Scope::Account => Some(0),
            Scope::Workspace => self.workspace_id,
        }
    }

    /// Its rows: several where an id is of several workspaces.
    pub(super) async fn rows(&self, connection: &mut PgConnection) -> sqlx::Result<Vec<Stored>> {
        let entry = if self.resource.is_time_entry() {
            "started_at, user_id"
        } else {
            "null::timestamptz, null::bigint"
        };
        // A row has moved where only its id is its key.
        let workspace = match self.resource.key {
            Key::Source => "$2::bigint is not distinct from $2",
            Key::WorkspaceAndSource => "($2::bigint is null or workspace_id = $2)",
        };
        let sql = format!(
            "select workspace_id, data::text, modified_at, fetched_at, synced_at, deleted_at,
                    content_hash, {entry}
             from raw.{} where source_id = $1 and {workspace} order by workspace_id",
            self.resource.table()
        );
        let rows = sqlx::query(AssertSqlSafe(sql)).bind(self.id).bind(self.workspace_id);
        rows.fetch_all(connection).await?.iter().map(Stored::read).collect()
    }

    /// The newest loads of its workspace, and those that were fetched at one of these times. One more than
    /// `most` tells that there are others.
    pub(super) async fn loads(
        &self,
        connection: &mut PgConnection,
        most: i64,
        at: &[Timestamp],
    ) -> sqlx::Result<Vec<Load>> {
        // Without a workspace another index has the order.
        let newest = match self.batch_workspace() {
            Some(_) => "fetched_at desc, stream_sequence desc",
            None => "stream_sequence desc",
        };
        let sql = format!(
            "with known as (
                 select run_id, workspace_id, part, received, written, fetched_at, loaded_at, stream_sequence
                 from raw.toggl_track__loads
                 where resource = $1 and ($2::bigint is null or workspace_id = $2)
                 order by {newest} limit $3
             )
             select * from known
             union
             select run_id, workspace_id, part, received, written, fetched_at, loaded_at, stream_sequence
             from raw.toggl_track__loads
             where resource = $1 and workspace_id = $2 and fetched_at = any($4)
             order by loaded_at, stream_sequence"
        );
        let at: Vec<SqlTimestamp> = at.iter().copied().map(ToSqlx::to_sqlx).collect();
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(self.resource.name)
            .bind(self.batch_workspace())
            .bind(most)
            .bind(at)
            .fetch_all(connection)
            .await?;
        rows.iter().map(Load::read).collect()
    }

    /// The claims on record that cover it, the newest first. Of an entry that is not stored, when it starts
    /// is not known.
    pub(super) async fn claims(
        &self,
        connection: &mut PgConnection,
        stored: Option<&Stored>,
    ) -> sqlx::Result<Vec<Covering>> {
        let covers = match self.resource.claim {
            Claim::Nothing => return Ok(Vec::new()),
            Claim::Ids | Claim::Gone => {
                "ids @> $3::bigint and $4::timestamptz is null and $5::bigint is null"
            }
            Claim::Starts => {
                "starts @> $4::timestamptz and (user_id is null or user_id = $5) and $3::bigint is not null"
            }
        };
        let sql = format!(
            "select workspace_id, user_id, coalesce(ids::text, starts::text), fetched_at, run_id
             from raw.toggl_track__claims
             where resource = $1 and ($2::bigint is null or workspace_id = $2) and {covers}
             order by fetched_at desc limit {SHOWN}"
        );
        let start = stored.and_then(|stored| stored.started_at).map(ToSqlx::to_sqlx);
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(self.resource.name)
            .bind(self.batch_workspace())
            .bind(self.id)
            .bind(start)
            .bind(stored.and_then(|stored| stored.user_id))
            .fetch_all(connection)
            .await?;
        rows.iter().map(Covering::read).collect()
    }

    /// Its changes, the newest first.
    pub(super) async fn history(&self, connection: &mut PgConnection) -> sqlx::Result<Vec<Change>> {
        let own = self.workspace_id.filter(|_| self.resource.key == Key::WorkspaceAndSource);
        let rows = sqlx::query(
            "select kind, c.workspace_id, modified_at, fetched_at,
                    (select l.run_id from raw.toggl_track__loads l
                     where l.resource = c.resource and l.workspace_id = coalesce($5, c.workspace_id)
                         and l.fetched_at = c.fetched_at
                     limit 1)
             from raw.toggl_track__changes c
             where resource = $1 and source_id = $2 and ($3::bigint is null or c.workspace_id = $3)
             order by fetched_at desc limit $4",
        )
        .bind(self.resource.name)
        .bind(self.id)
        .bind(own)
        .bind(SHOWN)
        .bind(self.batch_workspace())
        .fetch_all(connection)
        .await?;
        rows.iter().map(Change::read).collect()
    }

    /// Its dead letters, and batches of its workspace that were kept whole; the newest first.
    pub(super) async fn letters(&self, connection: &mut PgConnection) -> sqlx::Result<Vec<Letter>> {
        let rows = sqlx::query(
            "select dead_letter_id, kind, source_id, reason, stream_sequence, created_at
             from raw.toggl_track__dead_letters
             where resource = $1 and (source_id = $2 or kind in ('claim', 'shape'))
                 and ($3::bigint is null or workspace_id = $3)
             order by created_at desc, dead_letter_id desc limit $4",
        )
        .bind(self.resource.name)
        .bind(self.id)
        .bind(self.batch_workspace())
        .bind(SHOWN)
        .fetch_all(connection)
        .await?;
        rows.iter().map(Letter::read).collect()
    }
}

fn at(row: &PgRow, column: usize) -> sqlx::Result<Timestamp> {
    row.try_get::<SqlTimestamp, _>(column).map(SqlTimestamp::to_jiff)
}

fn maybe_at(row: &PgRow, column: usize) -> sqlx::Result<Option<Timestamp>> {
    Ok(row.try_get::<Option<SqlTimestamp>, _>(column)?.map(SqlTimestamp::to_jiff))
}

impl Stored {
    fn read(row: &PgRow) -> sqlx::Result<Self> {
        Ok(Self {
            workspace_id: row.try_get(0)?,
            data: row.try_get(1)?,
            modified_at: maybe_at(row, 2)?,
            fetched_at: at(row, 3)?,
            synced_at: at(row, 4)?,
            deleted_at: maybe_at(row, 5)?,
            content_hash: row.try_get(6)?,
            started_at: maybe_at(row, 7)?,
            user_id: row.try_get(8)?,
        })
    }
}

impl Load {
    fn read(row: &PgRow) -> sqlx::Result<Self> {
        Ok(Self {
            run_id: row.try_get(0)?,
            workspace_id: row.try_get(1)?,
            part: row.try_get(2)?,
            received: row.try_get(3)?,
            written: row.try_get(4)?,
            fetched_at: at(row, 5)?,
            loaded_at: at(row, 6)?,
            stream_sequence: row.try_get(7)?,
        })
    }
}

impl Covering {
    fn read(row: &PgRow) -> sqlx::Result<Self> {
        Ok(Self {
            workspace_id: row.try_get(0)?,
            user_id: row.try_get(1)?,
            range: row.try_get(2)?,
            fetched_at: at(row, 3)?,
            run_id: row.try_get(4)?,
        })
    }
}

impl Change {
    fn read(row: &PgRow) -> sqlx::Result<Self> {
        Ok(Self {
            kind: row.try_get(0)?,
            workspace_id: row.try_get(1)?,
            modified_at: maybe_at(row, 2)?,
            fetched_at: at(row, 3)?,
            run_id: row.try_get(4)?,
        })
    }
}

impl Letter {
    /// Whether it holds a whole batch, whose claim was not taken.
    pub(super) fn is_of_batch(&self) -> bool {
        matches!(&*self.kind, "claim" | "shape")
    }

    fn read(row: &PgRow) -> sqlx::Result<Self> {
        Ok(Self {
            dead_letter_id: row.try_get(0)?,
            kind: row.try_get(1)?,
            source_id: row.try_get(2)?,
            reason: row.try_get(3)?,
            stream_sequence: row.try_get(4)?,
            created_at: at(row, 5)?,
        })
    }
}
