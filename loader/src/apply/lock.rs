//! Advisory locks: every batch begins by taking one on its resource and workspace.
//!
//! Before that it shares the one lock that forgetting takes alone, so that no batch in flight brings back
//! what is being deleted.
//!
//! Claims of these have a lock of their own, so that batches that only add rows do that at the same
//! time and look at each other's rows and claims one after the other. It is always the second one. Listings that
//! bring nothing share it, for they add nothing that another one would have to see, and record their claims one after
//! the other under a third.

use std::time::Duration;

use shared::resource::Resource;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Postgres, Transaction};

use super::touched::NOTES_ITSELF;
use crate::postgres::schema::Schema;

/// The lock that is every batch's; no resource has this name.
const FORGETTING: &str = "hashtextextended('forgetting somebody', 0)";

/// How a batch locks its resource and workspace among all batches of them, however many loaders there
/// are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BatchLock {
    /// While no other is applied.
    Exclusive,
    /// Beside others that only add rows; see [`fast_path`](super::fast_path).
    Shared,
    /// Beside others that bring nothing: while it is held, no row is added, and of claims only theirs.
    SharedStill,
}

/// Begins a transaction that holds the locks to its end, in one round trip. A time limit is given where
/// its statements may take another time than the session's. Its commit does not wait until it is on disk, for others
/// wait for the locks: whoever commits makes sure of that afterwards, as [`loads`](super::loads) does.
pub(crate) async fn begin<'c>(
    connection: &'c mut PgConnection,
    schema: &Schema,
    resource: &Resource,
    workspace_id: i64,
    batch_lock: BatchLock,
    statement_timeout: Option<Duration>,
) -> sqlx::Result<Transaction<'c, Postgres>> {
    // Names of schemas and resources have no quotes in them; see `sql`.
    let lock = schema.lock_name(resource.name);
    let key = format!("hashtextextended('{lock}', {workspace_id})");
    let take = match batch_lock {
        BatchLock::Exclusive => format!("pg_advisory_xact_lock({key})"),
        BatchLock::Shared => format!("pg_advisory_xact_lock_shared({key})"),
        BatchLock::SharedStill => {
            let claims = claims_key(schema, resource, workspace_id);
            format!("pg_advisory_xact_lock_shared({key}), pg_advisory_xact_lock_shared({claims})")
        }
    };
    let limit = statement_timeout.map_or_else(String::new, |timeout| {
        let timeout = timeout.as_millis();
        // While a slow line carries a statement, the session is idle.
        format!(
            "set local statement_timeout = {timeout}; \
             set local idle_in_transaction_session_timeout = {timeout}; "
        )
    });
    let take = format!("select pg_advisory_xact_lock_shared({FORGETTING}); select {take}");
    let begin = format!("begin; set local synchronous_commit = off; {NOTES_ITSELF}; {limit}{take}");
    connection.begin_with(AssertSqlSafe(begin)).await
}

/// From now on no batch of any schema is applied until the transaction ends.
pub(crate) async fn stop_all(connection: &mut PgConnection) -> sqlx::Result<()> {
    let lock = format!("select pg_advisory_xact_lock({FORGETTING})");
    sqlx::query(AssertSqlSafe(lock)).execute(connection).await.map(drop)
}

/// From now on this is the only batch that claims. What is read afterwards is what the others left.
pub(crate) async fn claim(
    connection: &mut PgConnection,
    schema: &Schema,
    resource: &Resource,
    workspace_id: i64,
) -> sqlx::Result<()> {
    take(connection, &claims_key(schema, resource, workspace_id)).await
}

/// From now on this is the only one of the batches that bring nothing that records its claim.
pub(crate) async fn record(
    connection: &mut PgConnection,
    schema: &Schema,
    resource: &Resource,
    workspace_id: i64,
) -> sqlx::Result<()> {
    let lock = schema.lock_name(resource.name);
    take(connection, &format!("hashtextextended('{lock} records', {workspace_id})")).await
}

async fn take(connection: &mut PgConnection, key: &str) -> sqlx::Result<()> {
    let take = format!("select pg_advisory_xact_lock({key})");
    sqlx::query(AssertSqlSafe(take)).persistent(false).execute(connection).await.map(drop)
}

fn claims_key(schema: &Schema, resource: &Resource, workspace_id: i64) -> String {
    let lock = schema.lock_name(resource.name);
    format!("hashtextextended('{lock} claims', {workspace_id})")
}
