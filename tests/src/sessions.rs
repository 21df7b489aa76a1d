//! Sessions of a database that wait for a lock, which a test holds to stop a worker at a known place.

use anyhow::{Result, ensure};
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
/// When they do not within a minute.
pub async fn waiting_sessions(watcher: &mut PgConnection, at_least: usize) -> Result<Vec<i32>> {
    let watcher = Mutex::new(watcher);
    wait_for("sessions to wait for a lock", DEADLINE, || async {
        let pids = sqlx::query_scalar(WAITING).fetch_all(&mut **watcher.lock().await).await.ok()?;
        (pids.len() >= at_least).then_some(pids)
    })
    .await
}

/// Ends those that wait, once one does.
///
/// # Errors
/// When none does within a minute, or one has ended by itself.
pub async fn end_waiting_sessions(watcher: &mut PgConnection) -> Result<()> {
    let pids = waiting_sessions(watcher, 1).await?;
    let end = "select bool_and(pg_terminate_backend(pid)) from unnest($1) pid";
    let ended: bool = sqlx::query_scalar(end).bind(pids).fetch_one(watcher).await?;
    ensure!(ended, "a session that waited has ended by itself");
    Ok(())
}
