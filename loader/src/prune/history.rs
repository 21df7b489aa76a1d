//! The history up to a horizon, of which the last word on each key is enough.

use jiff_sqlx::Timestamp as SqlTimestamp;
use sqlx::PgConnection;

use super::{PIECE, Pause};

/// `$1` to `$3` the key to go on behind, `$4` the horizon, `$5` how many to look at.
///
/// What a table held at a moment is the change of each key that was applied last, of those fetched until
/// then. For a moment at or after the horizon a change cannot be that one where a later one was fetched by
/// the horizon too. A deletion says what nothing would say, unless it speaks of an earlier change that was
/// fetched after the horizon.
macro_rules! piece {
    ($gone:literal) => {
        concat!(
            "with piece as materialized (
                 select resource, source_id, history_id, workspace_id, kind, fetched_at
                 from raw.toggl_track__history
                 where (resource, source_id, history_id) > ($1, $2, $3)
                 order by resource, source_id, history_id
                 limit $5
             ), doomed as materialized (
                 select piece.resource, piece.source_id, piece.history_id
                 from piece
                 cross join lateral (
                     select bool_or(other.history_id > piece.history_id and other.fetched_at <= $4)
                                as is_replaced,
                            bool_or(other.history_id < piece.history_id and other.fetched_at > $4)
                                as speaks
                     from raw.toggl_track__history other
                     where other.resource = piece.resource and other.source_id = piece.source_id
                         and (piece.resource not in ('users', 'workspace_users')
                             or other.workspace_id = piece.workspace_id)
                 ) others
                 where piece.fetched_at <= $4
                     and (others.is_replaced or piece.kind = 'deleted' and not others.speaks)
             ), gone as (",
            $gone,
            ")
             select piece.resource, piece.source_id, piece.history_id,
                    (select count(*) from gone), (select count(*) from piece)
             from piece
             order by piece.resource desc, piece.source_id desc, piece.history_id desc
             limit 1"
        )
    };
}

/// Goes through all of it in the order of its key; answers how many rows went.
pub(super) async fn prune(
    connection: &mut PgConnection,
    horizon: SqlTimestamp,
    dry_run: bool,
) -> sqlx::Result<u64> {
    let sql = if dry_run {
        piece!("select from doomed")
    } else {
        piece!(
            "delete from raw.toggl_track__history h using doomed
             where h.resource = doomed.resource and h.source_id = doomed.source_id
                 and h.history_id = doomed.history_id
             returning 1"
        )
    };
    let mut deleted = 0;
    let mut after = (String::new(), i64::MIN, i64::MIN);
    loop {
        let pause = Pause::begin();
        let last: Option<(String, i64, i64, i64, i64)> = sqlx::query_as(sql)
            .bind(&after.0)
            .bind(after.1)
            .bind(after.2)
            .bind(horizon)
            .bind(PIECE)
            .fetch_optional(&mut *connection)
            .await?;
        let Some((resource, source_id, history_id, gone, looked_at)) = last else {
            return Ok(deleted);
        };
        deleted += gone.unsigned_abs();
        if looked_at < PIECE {
            return Ok(deleted);
        }
        after = (resource, source_id, history_id);
        pause.end().await;
    }
}
