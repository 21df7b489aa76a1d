//! One loader migrates, the others wait.

use std::time::{Duration, Instant};

use shared::telemetry::MIGRATIONS;
use sqlx::PgConnection;
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::MigrationError;

/// A session that waited inside Postgres would hold up what a migration itself waits for.
const POLL: Duration = Duration::from_millis(500);
/// Between two lines about the waiting.
const SAY: Duration = Duration::from_secs(30);

/// Returns when no other session migrates this database, however long one does: a large table takes
/// its time, and starting anew would not make it shorter.
pub(super) async fn take(
    connection: &mut PgConnection,
    stop: &CancellationToken,
) -> Result<(), MigrationError> {
    let lock = lock(connection).await?;
    let started = Instant::now();
    let mut said = None;
    while !try_lock(connection, lock).await? {
        if said.is_none_or(|said: Instant| said.elapsed() >= SAY) {
            said = Some(Instant::now());
            info!(
                target: MIGRATIONS,
                "Waiting for another loader, or another program, that migrates this database ({} s so far)",
                started.elapsed().as_secs()
            );
        }
        if stop.run_until_cancelled(tokio::time::sleep(POLL)).await.is_none() {
            return Err(MigrationError::Interrupted);
        }
    }
    Ok(())
}

/// Lets the next one migrate.
pub(super) async fn leave(connection: &mut PgConnection) -> sqlx::Result<()> {
    let lock = lock(connection).await?;
    sqlx::query("select pg_advisory_unlock($1)").bind(lock).execute(connection).await.map(drop)
}

async fn try_lock(connection: &mut PgConnection, lock: i64) -> sqlx::Result<bool> {
    sqlx::query_scalar("select pg_try_advisory_lock($1)").bind(lock).fetch_one(connection).await
}

/// The lock that sqlx's migrator takes, so that loaders which leave the waiting to it wait as well.
async fn lock(connection: &mut PgConnection) -> sqlx::Result<i64> {
    let database: String =
        sqlx::query_scalar("select current_database()::text").fetch_one(connection).await?;
    Ok(0x3d32_ad9e * i64::from(crc32(database.as_bytes())))
}

/// CRC-32 as in ISO 3309, bit by bit: it is for one short name.
fn crc32(bytes: &[u8]) -> u32 {
    let whole = bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 }
        })
    });
    !whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_usual_one() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }
}
