//! Rows of `loads` up to a horizon, without those by which freshness is told and acknowledgements are checked.

use jiff_sqlx::Timestamp as SqlTimestamp;
use sqlx::{FromRow, PgConnection};

use super::{PIECE, Pause};

/// A resource and a workspace, and the rows that say how current they are.
#[derive(Debug, FromRow)]
struct Newest {
    resource: String,
    workspace_id: i64,
    fetched_at: SqlTimestamp,
    loaded_at: SqlTimestamp,
    changed_at: Option<SqlTimestamp>,
}

/// `$1` resource, `$2` workspace, `$3` horizon, `$4` to `$6` the newest times, `$7` the last place in the stream
/// up to which nothing is checked any more.
macro_rules! older {
    ($before:literal, $after:literal) => {
        concat!(
            $before,
            " from raw.toggl_track__loads
              where resource = $1 and workspace_id = $2 and loaded_at < $3
                and fetched_at <> $4 and loaded_at <> $5 and loaded_at is distinct from $6
                and stream_sequence <= $7 ",
            $after
        )
    };
}

pub(super) async fn prune(
    connection: &mut PgConnection,
    horizon: SqlTimestamp,
    dry_run: bool,
) -> sqlx::Result<u64> {
    let is_checked: bool =
        sqlx::query_scalar("select to_regclass('raw.toggl_track__positions') is not null")
            .fetch_one(&mut *connection)
            .await?;
    let mut deleted = 0;
    for newest in newest(connection).await? {
        let through = if is_checked {
            complete_through(connection, &newest.resource).await?
        } else {
            i64::MAX
        };
        deleted += older(connection, &newest, horizon, through, dry_run).await?;
    }
    Ok(deleted)
}

/// Looked up from one to the next, however long `loads` is.
async fn newest(connection: &mut PgConnection) -> sqlx::Result<Vec<Newest>> {
    sqlx::query_as(
        "with recursive known (resource, workspace_id) as (
             (select resource, workspace_id from raw.toggl_track__loads
              order by resource, workspace_id limit 1)
             union all
             select next.resource, next.workspace_id
             from known
             cross join lateral (
                 select l.resource, l.workspace_id from raw.toggl_track__loads l
                 where (l.resource, l.workspace_id) > (known.resource, known.workspace_id)
                 order by l.resource, l.workspace_id limit 1
             ) next
         )
         select resource, workspace_id,
                (select max(l.fetched_at) from raw.toggl_track__loads l
                 where l.resource = known.resource and l.workspace_id = known.workspace_id) as fetched_at,
                (select max(l.loaded_at) from raw.toggl_track__loads l
                 where l.resource = known.resource and l.workspace_id = known.workspace_id) as loaded_at,
                (select max(l.loaded_at) from raw.toggl_track__loads l
                 where l.resource = known.resource and l.workspace_id = known.workspace_id
                     and (l.written > 0 or l.deleted > 0)) as changed_at
         from known",
    )
    .fetch_all(connection)
    .await
}

/// Nothing of a resource whose position is not on record.
async fn complete_through(connection: &mut PgConnection, resource: &str) -> sqlx::Result<i64> {
    let through: Option<i64> = sqlx::query_scalar(
        "select complete_through from raw.toggl_track__positions where resource = $1",
    )
    .bind(resource)
    .fetch_optional(connection)
    .await?;
    Ok(through.unwrap_or(-1))
}

async fn older(
    connection: &mut PgConnection,
    newest: &Newest,
    horizon: SqlTimestamp,
    through: i64,
    dry_run: bool,
) -> sqlx::Result<u64> {
    let sql = if dry_run {
        older!("select count(*)", "and $8::bigint is not null")
    } else {
        concat!(
            "with gone as (
                 delete from raw.toggl_track__loads where ctid = any (array(",
            older!("select ctid", "order by loaded_at limit $8::bigint for update skip locked"),
            ")) returning 1)
             select count(*) from gone"
        )
    };
    let mut deleted = 0;
    loop {
        let pause = Pause::begin();
        let piece: i64 = sqlx::query_scalar(sql)
            .bind(&newest.resource)
            .bind(newest.workspace_id)
            .bind(horizon)
            .bind(newest.fetched_at)
            .bind(newest.loaded_at)
            .bind(newest.changed_at)
            .bind(through)
            .bind(PIECE)
            .fetch_one(&mut *connection)
            .await?;
        deleted += piece.unsigned_abs();
        if dry_run || piece < PIECE {
            return Ok(deleted);
        }
        pause.end().await;
    }
}
