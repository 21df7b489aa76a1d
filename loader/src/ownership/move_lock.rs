//! One at a time of this database moves consumers.

use std::time::Duration;

use sqlx::{Connection as _, PgConnection, Postgres, Transaction};

use super::error::{LookError, answered};

const LOCK: i64 = 0x0074_6f67_676c_0011;
const PAUSE: Duration = Duration::from_millis(250);

/// Waits for those who check or adopt now. Others wait until the transaction ends: where a consumer
/// begins is read, and changed by what was read, and what it delivered in between would be passed over.
pub(super) async fn lock_moves(
    connection: &mut PgConnection,
) -> Result<Transaction<'_, Postgres>, LookError> {
    let mut transaction = answered(connection.begin()).await?;
    let lock = || sqlx::query_scalar("select pg_try_advisory_xact_lock($1)").bind(LOCK);
    while !answered(lock().fetch_one(&mut *transaction)).await? {
        tokio::time::sleep(PAUSE).await;
    }
    Ok(transaction)
}
