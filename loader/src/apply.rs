//! One batch, one transaction: sweep, compare, upsert, record the claim, write the ledger.
//!
//! The outcome depends on the set of batches applied, not on their order: a record replaces the
//! stored row only if its `(modified_at, fetched_at)` is greater than the row's `(modified_at,
//! confirmed at)`, where a row is confirmed at the later of its own `fetched_at` and, while it is
//! live, the newest claim covering it.

mod begin;
mod bisect;
mod bookkeeping;
mod checksum;
mod claims;
mod compare;
mod copy;
mod damage;
pub(crate) mod dead_letters;
mod dead_record;
pub(crate) mod fast_path;
pub(crate) mod fetch_time;
pub(crate) mod forgotten;
pub(crate) mod history;
mod loads;
pub(crate) mod lock;
mod mark_deleted;
pub(crate) mod origin;
mod outcome;
pub(crate) mod pieces;
pub(crate) mod rows;
mod running_entries;
pub(crate) mod settings;
pub(crate) mod upsert;

use std::time::Duration;

use shared::batch::{Batch, Coverage};
use shared::fault_point;
use shared::resource::Resource;
use sqlx::{PgConnection, Postgres, Transaction};

pub(crate) use self::begin::{Course, apply_again, apply_by, within};
pub use self::begin::{apply, apply_in_pieces};
use self::bisect::bisect;
use self::bookkeeping::{check_shape, most_dead};
use self::claims::Standing;
use self::compare::{Comparison, compare};
use self::dead_letters::letter::Letter;
use self::dead_record::DeadRecord;
use self::fast_path::Guess;
pub use self::history::History;
use self::lock::Turn;
use self::mark_deleted::{Swept, sweep_piece};
pub use self::origin::Origin;
use self::outcome::ShapeChanged;
pub use self::outcome::{Applied, ApplyError, Refused};
pub(crate) use self::pieces::APPLY_TIMEOUT;
use self::pieces::Piece;
use self::rows::Row;
use self::settings::Rules;
use self::upsert::Moment;
use crate::postgres::database::{Trouble, classify};

/// The longest time for looking for bad records one by one: 250 of 2,500, as many as a shape may have
/// that has not changed, take about 6,000 round trips.
const ISOLATE_TIMEOUT: Duration = Duration::from_mins(10);

/// In what a batch may be applied differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Options {
    /// Believe a claim that would delete more than half of 20 or more live rows; else it is kept as a
    /// dead letter.
    pub allow_mass_delete: bool,
    /// Whether changes are recorded.
    pub history: History,
}

/// Savepoints cost round trips, so they are taken only once a batch is known to hold a bad record.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Isolation {
    None,
    Bisect,
}

/// A batch to be applied, with what is known of it before.
#[derive(Clone, Copy)]
pub(crate) struct Job<'a> {
    pub(crate) rules: &'a Rules,
    pub(crate) resource: &'static Resource,
    pub(crate) piece: &'a Piece<'a>,
    /// The piece's records and claim, with the time of fetching that is believed.
    pub(crate) batch: &'a Batch,
    pub(crate) origin: &'a Origin,
    /// The dead letter that the batch comes from, if it does not come from the stream.
    pub(crate) letter: Option<Letter>,
    /// What the batch brings to its table.
    pub(crate) rows: &'a [Row<'a>],
    /// The records that no row can be made of.
    pub(crate) dead: &'a [DeadRecord],
}

impl<'a> Job<'a> {
    fn new(
        rules: &'a Rules,
        resource: &'static Resource,
        piece: &'a Piece<'a>,
        origin: &'a Origin,
        rows: &'a [Row<'a>],
        dead: &'a [DeadRecord],
    ) -> Self {
        Self { rules, resource, piece, batch: &piece.batch, origin, letter: None, rows, dead }
    }

    /// Applies any batch, while no other of its resource and workspace is applied; or keeps it whole.
    async fn alone(
        self,
        connection: &mut PgConnection,
        guess: &mut Guess,
    ) -> Result<Applied, ApplyError> {
        let limit = self.piece.limit;
        let mut attempt = match check_shape(self.batch, self.dead) {
            Ok(()) => within(limit, self.attempt(connection, Isolation::None, guess)).await,
            Err(shape) => Ok(Err(shape)),
        };
        if let Err(ApplyError::Database(error)) = &attempt
            && classify(error) == Trouble::Data
        {
            let isolating = self.attempt(connection, Isolation::Bisect, guess);
            attempt = within(ISOLATE_TIMEOUT.max(limit), isolating).await;
        }
        match attempt? {
            Ok(applied) => Ok(applied),
            Err(shape) => within(limit, self.keep_whole(connection, &shape)).await,
        }
    }

    /// Begins a transaction in its turn, in which a statement may take as long as the piece.
    pub(crate) async fn begin(
        self,
        connection: &mut PgConnection,
        turn: Turn,
    ) -> sqlx::Result<Transaction<'_, Postgres>> {
        let Self { rules, resource, batch, piece, .. } = self;
        let workspace_id = batch.workspace_id;
        let timeout = piece.statement_timeout();
        lock::begin(connection, &rules.schema, resource, workspace_id, turn, timeout).await
    }

    pub(crate) fn moment(&self, standing: Standing) -> Moment<'_> {
        let Self { rules, resource, batch, .. } = self;
        Moment {
            schema: &rules.schema,
            resource,
            workspace_id: batch.workspace_id,
            api_version: &batch.api_version,
            fetched_at: batch.fetched_at,
            run_id: batch.run_id,
            newer_claims: standing.newer_claims,
            force: rules.force,
            whole: rules.whole,
            history: rules.history,
        }
    }

    /// Whether the batch is without everybody of whom nothing may be written, and without nobody else.
    pub(crate) const fn check_forgotten(&self, standing: Standing) -> Result<(), ApplyError> {
        if standing.forgotten == self.piece.forgotten {
            Ok(())
        } else {
            Err(ApplyError::ForgottenChanged)
        }
    }

    async fn attempt(
        self,
        connection: &mut PgConnection,
        isolation: Isolation,
        guess: &mut Guess,
    ) -> Result<Result<Applied, ShapeChanged>, ApplyError> {
        let Self { rules, batch, rows, .. } = self;
        let schema = &rules.schema;
        let mut transaction = self.begin(connection, Turn::Alone).await?;
        self.hold_letter(&mut transaction).await?;
        let standing = claims::standing(&mut transaction, schema, batch).await?;
        self.check_forgotten(standing)?;
        let moment = self.moment(standing);
        let swept =
            sweep_piece(&mut transaction, moment, self.piece, rules.allow_mass_delete).await?;
        let compared = compare(&mut transaction, moment, rows).await?;
        let mut dead = self.dead.to_vec();
        let written = match isolation {
            Isolation::None if compared.write.is_empty() => 0,
            Isolation::None => upsert::write(&mut transaction, moment, &compared.write).await?,
            Isolation::Bisect => {
                let most = most_dead(batch);
                bisect(&mut transaction, moment, &compared.write, &mut dead, most).await?
            }
        };
        if let Err(shape) = check_shape(batch, &dead) {
            transaction.rollback().await?;
            return Ok(Err(shape));
        }
        if batch.coverage != Coverage::Partial && matches!(swept, Swept::Marked(_)) {
            claims::record(&mut transaction, schema, batch).await?;
            let running = upsert::unconfirmed(batch, &compared.unchanged);
            upsert::confirm(&mut transaction, moment, &running).await?;
        } else {
            upsert::confirm(&mut transaction, moment, &compared.unchanged).await?;
        }
        let mut applied = count(self, swept, &compared, written, dead.len());
        self.settle(&mut transaction, &mut applied, &dead, standing).await?;
        commit(transaction).await?;
        *guess = Guess::by(&compared, applied.deleted);
        Ok(Ok(applied))
    }
}

/// What came of it, in records.
pub(crate) fn count(
    Job { batch, piece, .. }: Job<'_>,
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
        kept_whole: false,
        deleted: marked + compared.write.iter().filter(|row| row.deleted_at.is_some()).count(),
        dead,
        refused,
        clock_ahead: piece.clock_ahead,
    }
}

/// `commit` on an aborted transaction answers Ok and stores nothing. A statement does not, and the
/// ledger row was one.
pub(crate) async fn commit(transaction: Transaction<'_, Postgres>) -> sqlx::Result<()> {
    fault_point::reach(fault_point::BEFORE_COMMIT);
    transaction.commit().await
}
