//! Whether newer listings have brought what was gone from the stream.

use jiff_sqlx::ToSqlx;
use shared::catalogue;
use shared::resource::Claim;
use sqlx::PgConnection;

use super::error::{LookError, answered};
use super::gone::Gone;

/// True once everything that was in the gone batches is in the table as it was later: a complete listing
/// is newer, or has the days from which they were. What claims nothing was fetched whole since.
pub(super) async fn is_covered(
    connection: &mut PgConnection,
    gone: &Gone,
) -> Result<bool, LookError> {
    let Some(resource) = catalogue::find(&gone.resource) else { return Ok(true) };
    let sql = match resource.claim {
        Claim::Nothing | Claim::Gone => {
            "select exists (select from raw.toggl_track__loads
                            where resource = $1 and fetched_at > $2 and $3::timestamptz is not distinct from $3)"
        }
        Claim::Ids => {
            "select coalesce(bool_and(complete_at > $2), false)
                    and $3::timestamptz is not distinct from $3
             from staging.stg_toggl_track__freshness where resource = $1"
        }
        Claim::Starts => {
            "select coalesce(range_agg(starts) @> tstzrange($3, $2), false) and $3 is not null
             from raw.toggl_track__claims
             where resource = $1 and starts is not null and fetched_at > $2"
        }
    };
    let query = sqlx::query_scalar(sql)
        .bind(resource.name)
        .bind(gone.before.to_sqlx())
        .bind(gone.after.map(ToSqlx::to_sqlx))
        .fetch_one(connection);
    answered(query).await
}
