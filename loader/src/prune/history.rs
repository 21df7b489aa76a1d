//! The versions in the history that ended before a horizon.

use jiff_sqlx::Timestamp as SqlTimestamp;
use sqlx::PgConnection;

use super::{PIECE, Pause};

/// `$1` to `$4` the key to go on behind, `$5` the horizon, `$6` how many to look at.
///
/// What a table held at a moment, the versions that were valid then tell. One that had ended by the horizon
/// tells nothing of any later moment.
macro_rules! piece {
    ($gone:literal) => {
        concat!(
            "with piece as materialized (
                 select resource, source_id, valid_from, workspace_id, valid_to
                 from raw.toggl_track__history
                 where (resource, source_id, valid_from, workspace_id) > ($1, $2, $3, $4)
                 order by resource, source_id, valid_from, workspace_id
                 limit $6
             ), doomed as materialized (
                 select * from piece where valid_to <= $5
             ), gone as (",
            $gone,
            ")
             select piece.resource, piece.source_id, piece.valid_from, piece.workspace_id,
                    (select count(*) from gone), (select count(*) from piece)
             from piece
             order by piece.resource desc, piece.source_id desc, piece.valid_from desc, piece.workspace_id desc
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
                 and h.valid_from = doomed.valid_from and h.workspace_id = doomed.workspace_id
             returning 1"
        )
    };
    let mut deleted = 0;
    let mut after = (String::new(), i64::MIN, horizon, i64::MIN);
    loop {
        let pause = Pause::begin();
        let last: Option<(String, i64, SqlTimestamp, i64, i64, i64)> = sqlx::query_as(sql)
            .bind(&after.0)
            .bind(after.1)
            .bind(after.2)
            .bind(after.3)
            .bind(horizon)
            .bind(PIECE)
            .fetch_optional(&mut *connection)
            .await?;
        let Some((resource, source_id, valid_from, workspace_id, gone, looked_at)) = last else {
            return Ok(deleted);
        };
        deleted += gone.unsigned_abs();
        if looked_at < PIECE {
            return Ok(deleted);
        }
        after = (resource, source_id, valid_from, workspace_id);
        pause.end().await;
    }
}
