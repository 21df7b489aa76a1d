//! What is older than it is to be kept: history, ledger rows, dead letters. In pieces, with pauses, so that
//! loading goes on beside it.

mod history;
mod loads;
mod retention;

use std::time::Duration;

use clap::Args;
use jiff_sqlx::Timestamp as SqlTimestamp;
use shared::exit::{Exit, Failure, OrExit as _, chain};
use shared::output::{print, report};
use shared::telemetry::PRUNE;
use sqlx::{Connection as _, PgConnection};
use tracing::{info, warn};

pub(crate) use self::retention::RetentionArgs;
use crate::postgres::database::{ConnectError, Database};

pub(crate) const EXAMPLES: &str = "\
Examples:
  loader prune --keep-history 730d --dry-run
  loader prune --keep-history 730d --keep-loads 365d --keep-letters 90d";

/// Between two times that a resident loader prunes.
const INTERVAL: Duration = Duration::from_hours(24);
/// The same after trouble.
const INTERVAL_IN_TROUBLE: Duration = Duration::from_hours(1);
/// Rows that are deleted, or looked at, at a time: a fraction of a second.
const PIECE: i64 = 5_000;
/// The least pause after a piece; it is as long as the piece took.
const PAUSE: Duration = Duration::from_millis(20);

#[derive(Debug, Args)]
pub(crate) struct PruneArgs {
    /// Delete nothing, only say how much would be deleted.
    #[arg(long)]
    dry_run: bool,
}

/// Why nothing, or not everything, was deleted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PruneError {
    #[error(
        "everything is kept for ever: give --keep-history, --keep-loads or --keep-letters, or the setting"
    )]
    Nothing,
    #[error("another loader is pruning just now")]
    Busy,
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("could not prune; what is deleted stays deleted, and the next time goes on")]
    Database(#[from] sqlx::Error),
}

/// What was deleted, or would be; none where it is kept for ever.
#[derive(Debug, Clone, Copy, Default)]
struct Pruned {
    history: Option<u64>,
    loads: Option<u64>,
    letters: Option<u64>,
}

impl Pruned {
    fn words(&self) -> String {
        let parts = [
            ("versions in the history", self.history),
            ("ledger rows", self.loads),
            ("dead letters", self.letters),
        ];
        let parts = parts.iter().filter_map(|(name, count)| Some(format!("{} {name}", (*count)?)));
        parts.collect::<Vec<_>>().join(", ")
    }

    fn is_empty(&self) -> bool {
        [self.history, self.loads, self.letters].into_iter().flatten().sum::<u64>() == 0
    }
}

/// Prunes once.
///
/// # Errors
/// When nothing is said to be pruned, somebody else prunes, or Postgres does not let us.
pub(crate) async fn run(
    database: Database,
    retention: RetentionArgs,
    args: &PruneArgs,
) -> Result<Exit, Failure> {
    if !retention.is_set() {
        return Err(PruneError::Nothing).or_exit(Exit::Usage);
    }
    let pruned = prune(&database, retention, args.dry_run).await.map_err(|error| Failure {
        exit: if matches!(error, PruneError::Connect(_)) {
            Exit::Unreachable
        } else {
            Exit::Failed
        },
        error: error.into(),
    })?;
    if args.dry_run {
        print(format!("Would delete {}\n", pruned.words())).or_exit(Exit::Failed)?;
    } else {
        report(format!("Deleted {}\n", pruned.words()));
    }
    Ok(Exit::Done)
}

/// Prunes now and once a day, beside loading.
pub(crate) async fn daily(database: Database, retention: RetentionArgs) {
    loop {
        let interval = match prune(&database, retention, false).await {
            Ok(pruned) => {
                if !pruned.is_empty() {
                    info!(target: PRUNE, "Deleted {} that were older than they are to be", pruned.words());
                }
                INTERVAL
            }
            Err(PruneError::Busy) => INTERVAL,
            Err(error) => {
                warn!(target: PRUNE, "{}", chain(&error));
                INTERVAL_IN_TROUBLE
            }
        };
        tokio::time::sleep(interval).await;
    }
}

async fn prune(
    database: &Database,
    retention: RetentionArgs,
    dry_run: bool,
) -> Result<Pruned, PruneError> {
    let mut connection = database.connect_awake().await?;
    // Ends with the session.
    let is_mine: bool =
        sqlx::query_scalar("select pg_try_advisory_lock(hashtextextended('pruning', 0))")
            .fetch_one(&mut connection)
            .await?;
    if !is_mine {
        return Err(PruneError::Busy);
    }
    let mut pruned = Pruned::default();
    if let Some(horizon) = horizon(&mut connection, retention.history()).await? {
        pruned.history = Some(history::prune(&mut connection, horizon, dry_run).await?);
    }
    if let Some(horizon) = horizon(&mut connection, retention.loads()).await? {
        pruned.loads = Some(loads::prune(&mut connection, horizon, dry_run).await?);
    }
    if let Some(horizon) = horizon(&mut connection, retention.letters()).await? {
        pruned.letters = Some(letters(&mut connection, horizon, dry_run).await?);
    }
    connection.close().await?;
    Ok(pruned)
}

/// By the clock of the server, which has set the times of most of it.
async fn horizon(
    connection: &mut PgConnection,
    keep: Option<Duration>,
) -> sqlx::Result<Option<SqlTimestamp>> {
    let Some(keep) = keep else { return Ok(None) };
    sqlx::query_scalar("select now() - make_interval(secs => $1)")
        .bind(keep.as_secs_f64())
        .fetch_one(connection)
        .await
        .map(Some)
}

/// Those that a loader or a command is at work on are left for the next time.
async fn letters(
    connection: &mut PgConnection,
    horizon: SqlTimestamp,
    dry_run: bool,
) -> sqlx::Result<u64> {
    if dry_run {
        let count: i64 = sqlx::query_scalar(
            "select count(*) from raw.toggl_track__dead_letters where created_at < $1",
        )
        .bind(horizon)
        .fetch_one(connection)
        .await?;
        return Ok(count.unsigned_abs());
    }
    let mut deleted = 0;
    loop {
        let pause = Pause::begin();
        let piece = sqlx::query(
            "delete from raw.toggl_track__dead_letters where dead_letter_id in (
                 select dead_letter_id from raw.toggl_track__dead_letters where created_at < $1
                 limit $2 for update skip locked)",
        )
        .bind(horizon)
        .bind(PIECE)
        .execute(&mut *connection)
        .await?
        .rows_affected();
        deleted += piece;
        if piece == 0 {
            return Ok(deleted);
        }
        pause.end().await;
    }
}

/// As long as what came before it: pruning never takes more than half of a server's time.
struct Pause(tokio::time::Instant);

impl Pause {
    fn begin() -> Self {
        Self(tokio::time::Instant::now())
    }

    async fn end(self) {
        tokio::time::sleep(self.0.elapsed().max(PAUSE)).await;
    }
}
