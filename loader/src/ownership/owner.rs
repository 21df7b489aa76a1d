//! Which database this is.

use shared::consumer::Owner;
use sqlx::PgConnection;

use super::error::{LookError, answered};
use crate::postgres::trouble::{Lack, lack};

/// Its migrations have not given it a name yet.
#[derive(Debug, thiserror::Error)]
#[error(
    "this database has no installation id (raw.toggl_track__installation is missing or empty): run \
     `loader migrate`, and if that does not make it, restore the table from a backup"
)]
pub(crate) struct NotMigrated;

/// The installation, and where it is: a dump that is restored elsewhere is another database.
pub(crate) async fn owner(connection: &mut PgConnection) -> Result<Owner, LookError> {
    let sql = "select installation_id from raw.toggl_track__installation";
    let found = answered(sqlx::query_scalar(sql).fetch_optional(&mut *connection)).await;
    let installation = match found {
        Err(LookError::Postgres(error)) if lack(&error) == Some(Lack::Tables) => {
            return Err(NotMigrated.into());
        }
        found => found?.ok_or(NotMigrated)?,
    };
    // A server that may not be asked refuses even a query that would not come to it.
    let may_ask = "select has_function_privilege('pg_catalog.pg_control_system()', 'execute')";
    let database = if answered(sqlx::query_scalar(may_ask).fetch_one(&mut *connection)).await? {
        let sql = "select system_identifier || '/' || current_database() from pg_control_system()";
        answered(sqlx::query_scalar(sql).fetch_one(connection)).await?
    } else {
        String::new()
    };
    Ok(Owner { installation, database })
}
