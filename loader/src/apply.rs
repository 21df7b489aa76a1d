//! One batch, one transaction: sweep, compare, upsert, record the claim, write the ledger.
//!
//! The outcome depends on the set of batches applied, not on their order: a record replaces the
//! stored row only if its `(modified_at, fetched_at)` is greater than the row's `(modified_at,
//! confirmed at)`, where a row is confirmed at the later of its own `fetched_at` and, while it is
//! live, the newest claim covering it.

use std::fmt;

use jiff_sqlx::ToSqlx as _;
use shared::batch::{Batch, Coverage, EncodeError};
use shared::resource::Resource;
use shared::retry::Disposition;
use sqlx::{Connection as _, PgConnection};

use crate::claims;
use crate::database::{Trouble, classify};
use crate::dead_letters::{self, DeadRecord, KeepError};
pub use crate::delivery::Origin;
use crate::isolate::bisect;
use crate::rows::rows;
use crate::sweep::{Swept, sweep};
use crate::upsert::{self, Comparison, Moment};

/// More refused records than this, and more than a tenth of the batch, mean a changed shape.
const MAX_DEAD: usize = 50;

/// What applying a batch did, in records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Applied {
    /// In the batch, usable or not.
    pub received: usize,
    /// Inserted or updated.
    pub written: usize,
    /// Equal to the stored row.
    pub unchanged: usize,
    /// Older than the stored row.
    pub stale: usize,
    /// Rows newly marked deleted.
    pub deleted: usize,
    /// Kept as dead letters.
    pub dead: usize,
    /// Set if the batch's claim was not believed.
    pub refused: Option<Refused>,
}

/// A claim that was kept as a dead letter instead of being applied; the records were.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    /// Live rows that the claim covers.
    pub covered: i64,
    /// Of these, the ones that it would have deleted.
    pub missing: i64,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { covered, missing } = self;
        write!(
            f,
            "mass delete: {missing} of {covered} live rows are missing from a complete listing"
        )
    }
}

/// Why a batch was not applied. Nothing of it is stored then.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// Postgres, or the connection to it.
    #[error("Postgres refused the batch")]
    Database(#[from] sqlx::Error),
    /// A bug: what was decoded cannot be encoded.
    #[error("could not keep a dead letter")]
    Encode(#[from] EncodeError),
    /// So many records are refused that their shape must have changed.
    #[error("{dead} of {received} records are refused, the first because: {first}")]
    ShapeChanged {
        /// Records refused.
        dead: usize,
        /// Records in the batch.
        received: usize,
        /// Postgres' words about the first.
        first: String,
    },
}

impl From<KeepError> for ApplyError {
    fn from(error: KeepError) -> Self {
        match error {
            KeepError::Database(error) => Self::Database(error),
            KeepError::Encode(error) => Self::Encode(error),
        }
    }
}

impl ApplyError {
    /// Whether to try the batch again or to stop its table.
    pub fn disposition(&self) -> Disposition {
        match self {
            Self::Database(error) => match classify(error) {
                // Records are isolated here; a data error that gets out is a bug.
                Trouble::Data => Disposition::Stop,
                trouble => trouble.disposition(),
            },
            Self::Encode(_) | Self::ShapeChanged { .. } => Disposition::Stop,
        }
    }
}

/// Applies a batch whole: all good records, the dead letters of the bad ones, the claim and the
/// ledger row commit together. Applying it again changes nothing. Unless `allow_mass_delete`, a claim
/// that would delete more than half of 20 or more live rows is kept as a dead letter.
///
/// # Errors
/// See [`ApplyError`]; drop the connection unless the error is about the data.
pub async fn apply(
    connection: &mut PgConnection,
    resource: &'static Resource,
    batch: &Batch,
    origin: &Origin,
    allow_mass_delete: bool,
) -> Result<Applied, ApplyError> {
    let job = Job { resource, batch, origin, allow_mass_delete };
    match job.attempt(connection, Isolation::None).await {
        Err(ApplyError::Database(error)) if classify(&error) == Trouble::Data => {
            job.attempt(connection, Isolation::Bisect).await
        }
        other => other,
    }
}

/// Savepoints cost round trips, so they are taken only once a batch is known to hold a bad record.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Isolation {
    None,
    Bisect,
}

#[derive(Clone, Copy)]
struct Job<'a> {
    resource: &'static Resource,
    batch: &'a Batch,
    origin: &'a Origin,
    allow_mass_delete: bool,
}

impl Job<'_> {
    async fn attempt(
        self,
        connection: &mut PgConnection,
        isolation: Isolation,
    ) -> Result<Applied, ApplyError> {
        let Self { resource, batch, .. } = self;
        let mut transaction = connection.begin().await?;
        lock(&mut transaction, batch).await?;
        let moment = Moment {
            resource,
            workspace_id: batch.workspace_id,
            api_version: &batch.api_version,
            fetched_at: batch.fetched_at,
            newer_claims: claims::any_newer(&mut transaction, batch).await?,
        };
        let swept = sweep(&mut transaction, moment, batch, self.allow_mass_delete).await?;
        let (rows, mut dead) = rows(resource, batch);
        let compared = upsert::compare(&mut transaction, moment, &rows).await?;
        let written = match isolation {
            Isolation::None if compared.write.is_empty() => 0,
            Isolation::None => upsert::write(&mut transaction, moment, &compared.write).await?,
            Isolation::Bisect => {
                bisect(&mut transaction, moment, &compared.write, &mut dead).await?
            }
        };
        if batch.coverage != Coverage::Partial && matches!(swept, Swept::Marked(_)) {
            claims::record(&mut transaction, batch).await?;
        } else if !compared.unchanged.is_empty() {
            upsert::confirm(&mut transaction, moment, &compared.unchanged).await?;
        }
        let applied = count(batch, swept, &compared, written, dead.len());
        self.write_ledger(&mut transaction, &applied, &dead).await?;
        // `commit` on an aborted transaction answers Ok and stores nothing; a statement does not.
        sqlx::query("select 1").execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(applied)
    }

    /// What was done, and what was not: ledger row and dead letters.
    async fn write_ledger(
        self,
        connection: &mut PgConnection,
        applied: &Applied,
        dead: &[DeadRecord],
    ) -> Result<(), ApplyError> {
        let Self { batch, origin, .. } = self;
        check_shape(batch, dead)?;
        for dead in dead {
            dead_letters::keep_record(connection, batch, origin, dead).await?;
        }
        dead_letters::keep_rejected(connection, batch, origin).await?;
        if let Some(refused) = applied.refused {
            let reason = refused.to_string();
            dead_letters::keep_claim(connection, batch, origin, &reason).await?;
        }
        write_load(connection, batch, origin, applied).await?;
        Ok(())
    }
}

fn count(
    batch: &Batch,
    swept: Swept,
    compared: &Comparison<'_>,
    written: u64,
    dead: usize,
) -> Applied {
    let (marked, refused) = match swept {
        Swept::Marked(marked) => (marked, None),
        Swept::Refused { covered, missing } => (0, Some(Refused { covered, missing })),
    };
    let received = batch.records.len() + batch.rejected.len();
    let dead = dead + batch.rejected.len();
    let written = usize::try_from(written).unwrap_or(usize::MAX);
    let unchanged = compared.unchanged.len();
    Applied {
        received,
        written,
        unchanged,
        stale: received.saturating_sub(written + unchanged + dead),
        deleted: marked + compared.write.iter().filter(|row| row.deleted_at.is_some()).count(),
        dead,
        refused,
    }
}

/// One batch of a resource and workspace at a time, however many loaders there are.
async fn lock(connection: &mut PgConnection, batch: &Batch) -> sqlx::Result<()> {
    sqlx::query("select pg_advisory_xact_lock(hashtextextended($1, $2))")
        .bind(&batch.resource)
        .bind(batch.workspace_id)
        .execute(connection)
        .await
        .map(drop)
}

fn check_shape(batch: &Batch, dead: &[DeadRecord]) -> Result<(), ApplyError> {
    let received = batch.records.len();
    match dead.first() {
        Some(first) if dead.len() > MAX_DEAD && dead.len() * 10 > received => {
            Err(ApplyError::ShapeChanged {
                dead: dead.len(),
                received,
                first: first.reason.clone(),
            })
        }
        _ => Ok(()),
    }
}

async fn write_load(
    connection: &mut PgConnection,
    batch: &Batch,
    origin: &Origin,
    applied: &Applied,
) -> sqlx::Result<()> {
    let count = |n: usize| i32::try_from(n).unwrap_or(i32::MAX);
    sqlx::query(
        "insert into raw.toggl_track__loads
             (run_id, resource, workspace_id, part, received, written, unchanged, stale, deleted,
              dead, fetched_at, stream_sequence)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
         on conflict do nothing",
    )
    .bind(batch.run_id)
    .bind(&batch.resource)
    .bind(batch.workspace_id)
    .bind(i32::try_from(batch.part).unwrap_or(i32::MAX))
    .bind(count(applied.received))
    .bind(count(applied.written))
    .bind(count(applied.unchanged))
    .bind(count(applied.stale))
    .bind(count(applied.deleted))
    .bind(count(applied.dead))
    .bind(batch.fetched_at.to_sqlx())
    .bind(origin.stream_sequence)
    .execute(connection)
    .await
    .map(drop)
}
