//! One batch, one transaction: sweep, compare, upsert, record the claim, write the ledger.
//!
//! The outcome depends on the set of batches applied, not on their order: a record replaces the
//! stored row only if its `(modified_at, fetched_at)` is greater than the row's `(modified_at,
//! confirmed at)`, where a row is confirmed at the later of its own `fetched_at` and, while it is
//! live, the newest claim covering it.

use std::fmt;

use shared::batch::{Batch, Coverage, EncodeError};
use shared::resource::Resource;
use shared::retry::Disposition;
use sqlx::{Connection as _, PgConnection};

use crate::claims::{self, Standing};
use crate::database::{Trouble, classify};
use crate::dead_letters::{self, DeadRecord, KeepError, Kind, Letter};
pub use crate::delivery::Origin;
use crate::isolate::bisect;
use crate::ledger;
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
    /// The dead letter to be applied again is no longer there.
    #[error("the dead letter is gone")]
    LetterGone,
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
            Self::Encode(_) | Self::ShapeChanged { .. } | Self::LetterGone => Disposition::Stop,
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
    Job { resource, batch, origin, letter: None, allow_mass_delete }.run(connection).await
}

/// Applies the batch of a dead letter by the same rules, and settles the letter in the same
/// transaction: it goes, or stays with its newest reason.
///
/// # Errors
/// As [`apply`]; the letter is as it was then.
pub(crate) async fn apply_again(
    connection: &mut PgConnection,
    resource: &'static Resource,
    batch: &Batch,
    origin: &Origin,
    letter: Letter,
    allow_mass_delete: bool,
) -> Result<Applied, ApplyError> {
    let letter = Some(letter);
    Job { resource, batch, origin, letter, allow_mass_delete }.run(connection).await
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
    /// The dead letter that the batch comes from, if it does not come from the stream.
    letter: Option<Letter>,
    allow_mass_delete: bool,
}

impl Job<'_> {
    async fn run(self, connection: &mut PgConnection) -> Result<Applied, ApplyError> {
        match self.attempt(connection, Isolation::None).await {
            Err(ApplyError::Database(error)) if classify(&error) == Trouble::Data => {
                self.attempt(connection, Isolation::Bisect).await
            }
            other => other,
        }
    }

    async fn attempt(
        self,
        connection: &mut PgConnection,
        isolation: Isolation,
    ) -> Result<Applied, ApplyError> {
        let Self { resource, batch, .. } = self;
        let mut transaction = connection.begin().await?;
        lock(&mut transaction, batch).await?;
        if let Some(letter) = self.letter
            && !letter.hold(&mut transaction).await?
        {
            return Err(ApplyError::LetterGone);
        }
        let standing = claims::standing(&mut transaction, batch).await?;
        let moment = Moment {
            resource,
            workspace_id: batch.workspace_id,
            api_version: &batch.api_version,
            fetched_at: batch.fetched_at,
            newer_claims: standing.newer_claims,
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
        self.settle(&mut transaction, &applied, &dead, standing).await?;
        // `commit` on an aborted transaction answers Ok and stores nothing; a statement does not.
        sqlx::query("select 1").execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(applied)
    }

    /// What was done, and what was not: dead letters and ledger row.
    async fn settle(
        self,
        connection: &mut PgConnection,
        applied: &Applied,
        dead: &[DeadRecord],
        standing: Standing,
    ) -> Result<(), ApplyError> {
        let Self { batch, origin, .. } = self;
        check_shape(batch, dead)?;
        let refused = applied.refused.map(|refused| refused.to_string());
        // What the letter itself stands for is not kept a second time.
        let mut stays = None;
        if let Some(letter) = self.letter
            && letter.settle(connection, dead, refused.as_deref()).await?
        {
            stays = Some(letter.kind);
        }
        if stays != Some(Kind::Record) {
            for dead in dead {
                dead_letters::keep_record(connection, batch, origin, dead).await?;
            }
            dead_letters::keep_rejected(connection, batch, origin).await?;
        }
        if let Some(reason) = refused
            && stays != Some(Kind::Claim)
        {
            dead_letters::keep_claim(connection, batch, origin, &reason).await?;
        }
        if standing.refused_claims && batch.coverage != Coverage::Partial {
            dead_letters::supersede(connection, batch).await?;
        }
        Ok(ledger::write(connection, batch, origin, applied).await?)
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
