//! A batch to be applied, and what every way of applying it needs: the transaction, its context, counts.

use shared::batch::Batch;
use shared::fault_point;
use shared::resource::Resource;
use sqlx::{PgConnection, Postgres, Transaction};

use super::applied::{Applied, ApplyError, Refused};
use super::claims::OnRecord;
use super::compare::Comparison;
use super::context::BatchContext;
use super::dead_letters::letter::Letter;
use super::dead_record::DeadRecord;
use super::loads;
use super::lock::{self, BatchLock};
use super::mark_deleted::MarkOutcome;
use super::origin::Origin;
use super::pieces::Piece;
use super::rows::Row;
use super::settings::ApplySettings;

/// A batch to be applied, with what is known of it before.
#[derive(Clone, Copy)]
pub(crate) struct Job<'a> {
    pub(crate) settings: &'a ApplySettings,
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
    pub(super) fn new(
        settings: &'a ApplySettings,
        resource: &'static Resource,
        piece: &'a Piece<'a>,
        origin: &'a Origin,
        rows: &'a [Row<'a>],
        dead: &'a [DeadRecord],
    ) -> Self {
        Self { settings, resource, piece, batch: &piece.batch, origin, letter: None, rows, dead }
    }

    /// Begins a transaction with this lock, in which a statement may take as long as the piece.
    pub(crate) async fn begin(
        self,
        connection: &mut PgConnection,
        batch_lock: BatchLock,
    ) -> sqlx::Result<Transaction<'_, Postgres>> {
        let Self { settings, resource, batch, piece, .. } = self;
        let workspace_id = batch.workspace_id;
        let timeout = piece.statement_timeout();
        lock::begin(connection, &settings.schema, resource, workspace_id, batch_lock, timeout).await
    }

    pub(crate) fn context(&self, on_record: OnRecord) -> BatchContext<'_> {
        let Self { settings, resource, batch, .. } = self;
        BatchContext {
            schema: &settings.schema,
            resource,
            workspace_id: batch.workspace_id,
            api_version: &batch.api_version,
            fetched_at: batch.fetched_at,
            newer_claims: on_record.newer_claims,
            force: settings.force,
            whole: settings.whole,
            history: settings.history,
        }
    }

    /// Waits until what was committed is on disk, now that others have the locks. Of a batch in pieces the last one
    /// waits for all.
    pub(crate) async fn wait_for_disk(&self, connection: &mut PgConnection) -> sqlx::Result<()> {
        if self.piece.is_last() {
            loads::wait_for_disk(connection, &self.settings.schema, self.piece.whole).await?;
        }
        Ok(())
    }

    /// Whether the batch is without everybody of whom nothing may be written, and without nobody else.
    pub(crate) const fn check_forgotten(&self, on_record: OnRecord) -> Result<(), ApplyError> {
        if on_record.forgotten == self.piece.forgotten {
            Ok(())
        } else {
            Err(ApplyError::ForgottenChanged)
        }
    }
}

/// What came of it, in records.
pub(crate) fn count(
    Job { batch, piece, .. }: Job<'_>,
    marked: MarkOutcome,
    compared: &Comparison<'_>,
    written: u64,
    dead: usize,
) -> Applied {
    let (marked, refused) = match marked {
        MarkOutcome::Marked(marked) => (marked, None),
        MarkOutcome::Refused { covered, missing } => (0, Some(Refused { covered, missing })),
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
/// row of `loads` was one.
pub(crate) async fn commit(transaction: Transaction<'_, Postgres>) -> sqlx::Result<()> {
    fault_point::reach(fault_point::BEFORE_COMMIT);
    transaction.commit().await
}
