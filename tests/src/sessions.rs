//! Sessions of a database that wait for a lock, which a test holds to stop a worker at a known place.

use anyhow::Result;
use sqlx::PgConnection;
use tokio::sync::Mutex;

use crate::servers::{DEADLINE, wait_for};

const WAITING: &str = "select pid from pg_stat_activity
    where datname = current_database() and backend_type = 'client backend'
      and wait_event_type = 'Lock'";

/// Waits until at least so many sessions of the watcher's database wait for a lock; their process ids.
/// The watcher is to hold no lock, and no transaction, which would see the same sessions for ever.
///
/// # Errors
/// When they do not before [`DEADLINE`].
pub async fn waiting_sessions(watcher: &mut PgConnection, at_least: usize) -> Result<Vec<i32>> {
    let watcher = Mutex::new(watcher);
    wait_for("sessions to wait for a lock", DEADLINE, || async {
        let pids = sqlx::query_scalar(WAITING).fetch_all(&mut **watcher.lock().await).await.ok()?;
        (pids.len() >= at_least).then_some(pids)
    })
    .await
}

/// Ends those that wait, once one does, and returns once they are gone: one that was ended before may still seem to
/// wait, and does not count.
///
/// # Errors
/// When none does before [`DEADLINE`].
pub async fn end_waiting_sessions(watcher: &mut PgConnection) -> Result<()> {
    let watcher = Mutex::new(watcher);
    let end = format!("select bool_or(pg_terminate_backend(pid, 60000)) from ({WAITING}) waiting");
    wait_for("a session that waits to be ended", DEADLINE, || async {
        let ended = sqlx::query_scalar::<_, Option<bool>>(sqlx::AssertSqlSafe(end.as_str()));
        let ended = ended.fetch_one(&mut **watcher.lock().await).await.ok()?;
        (ended == Some(true)).then_some(())
    })
    .await
}
