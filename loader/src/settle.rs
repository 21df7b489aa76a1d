//! The copy of the time entries, with columns instead of JSON, that the views read: bringing it up to date beside
//! the loading. Nothing waits for it, for what is not yet copied is read from the raw tables.

use std::time::Duration;

use shared::exit::chain;
use shared::telemetry::SETTLE;
use sqlx::{Connection as _, PgConnection};
use tracing::{debug, warn};

use crate::postgres::database::{ConnectError, Database};

/// Between two looks whether there is something to copy.
const INTERVAL: Duration = Duration::from_mins(1);
/// The same after trouble.
const INTERVAL_IN_TROUBLE: Duration = Duration::from_mins(10);
/// Copying waits until nothing has been written for so long, in seconds: loading comes first. The function
/// itself waits no longer than ten minutes.
const QUIET_SECONDS: f64 = 10.0;
/// From so many entries on Postgres should look anew how they are spread.
const MANY: i64 = 10_000;

/// Why the copy is not up to date.
#[derive(Debug, thiserror::Error)]
enum SettleError {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error(
        "could not copy time entries for the views, which go on reading them from the raw tables"
    )]
    Database(#[from] sqlx::Error),
}

/// Copies what was written, again and again, beside loading.
pub(crate) async fn forever(database: Database) {
    loop {
        let interval = match settle(&database).await {
            Ok(0) => INTERVAL,
            Ok(settled) => {
                debug!(target: SETTLE, settled, "Copied time entries for the views");
                INTERVAL
            }
            // Loading says it louder.
            Err(SettleError::Connect(error)) => {
                debug!(target: SETTLE, "{}", chain(&error));
                INTERVAL
            }
            Err(error) => {
                warn!(target: SETTLE, "{}", chain(&error));
                INTERVAL_IN_TROUBLE
            }
        };
        tokio::time::sleep(interval).await;
    }
}

/// Copies until nothing is left, and answers how many entries.
async fn settle(database: &Database) -> Result<i64, SettleError> {
    let mut connection = database.connect().await?;
    let mut settled = 0;
    loop {
        let began = tokio::time::Instant::now();
        let piece = piece(&mut connection).await?;
        if piece == 0 {
            break;
        }
        settled += piece;
        // Never more than half of a server's time.
        tokio::time::sleep(began.elapsed()).await;
    }
    if settled >= MANY {
        sqlx::query("analyze raw.toggl_track__typed_entries").execute(&mut connection).await?;
    }
    connection.close().await?;
    Ok(settled)
}

async fn piece(connection: &mut PgConnection) -> sqlx::Result<i64> {
    sqlx::query_scalar("select raw.toggl_track__settle(make_interval(secs => $1))")
        .bind(QUIET_SECONDS)
        .fetch_one(connection)
        .await
}
