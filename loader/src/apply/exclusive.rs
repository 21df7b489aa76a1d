//! Any batch, applied while no other of its resource and workspace is: it may change stored rows, and
//! its bad records are looked for.

use std::time::Duration;

use shared::batch::Coverage;
use sqlx::PgConnection;

use super::applied::{Applied, ApplyError, ShapeChanged};
use super::bisect::bisect;
use super::bookkeeping::{check_shape, most_dead};
use super::claims;
use super::compare::compare;
use super::expectation::Expectation;
use super::job::{Job, commit, count};
use super::lock::BatchLock;
use super::mark_deleted::{MarkOutcome, mark_piece};
use super::pieces::Done;
use super::time_limit::within;
use super::upsert;
use crate::postgres::trouble::{Trouble, classify};

/// The longest time for looking for bad records one by one: 250 of 2,500, as many as a shape may have
/// that has not changed, take about 6,000 round trips.
const ISOLATE_TIMEOUT: Duration = Duration::from_mins(10);

/// Savepoints cost round trips, so they are taken only once a batch is known to hold a bad record.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Isolation {
    None,
    Bisect,
}

impl Job<'_> {
    /// Applies any batch, while no other of its resource and workspace is applied; or keeps it whole.
    pub(super) async fn exclusively(
        self,
        connection: &mut PgConnection,
        expected: &mut Expectation,
    ) -> Result<Done, ApplyError> {
        let limit = self.piece.limit;
        let mut attempt = match check_shape(self.batch, self.dead) {
            Ok(()) => within(limit, self.attempt(connection, Isolation::None, expected)).await,
            Err(shape) => Ok(Err(shape)),
        };
        if let Err(ApplyError::Database(error)) = &attempt
            && classify(error) == Trouble::Data
        {
            let isolating = self.attempt(connection, Isolation::Bisect, expected);
            attempt = within(ISOLATE_TIMEOUT.max(limit), isolating).await;
        }
        match attempt? {
            Ok(applied) => Ok(Done::Piece(applied)),
            Err(shape) => within(limit, self.keep_whole(connection, &shape)).await.map(Done::Whole),
        }
    }

    async fn attempt(
        self,
        connection: &mut PgConnection,
        isolation: Isolation,
        expected: &mut Expectation,
    ) -> Result<Result<Applied, ShapeChanged>, ApplyError> {
        let Self { settings, batch, rows, .. } = self;
        let schema = &settings.schema;
        let mut transaction = self.begin(connection, BatchLock::Exclusive).await?;
        self.hold_letter(&mut transaction).await?;
        let on_record = claims::on_record(&mut transaction, schema, batch).await?;
        self.check_forgotten(on_record)?;
        let context = self.context(on_record);
        let marked =
            mark_piece(&mut transaction, context, self.piece, settings.allow_mass_delete).await?;
        let compared = compare(&mut transaction, context, rows).await?;
        let mut dead = self.dead.to_vec();
        let written = match isolation {
            Isolation::None if compared.write.is_empty() => 0,
            Isolation::None => upsert::write(&mut transaction, context, &compared.write).await?,
            Isolation::Bisect => {
                let most = most_dead(batch);
                bisect(&mut transaction, context, &compared.write, &mut dead, most).await?
            }
        };
        if let Err(shape) = check_shape(batch, &dead) {
            transaction.rollback().await?;
            return Ok(Err(shape));
        }
        if batch.coverage != Coverage::Partial && matches!(marked, MarkOutcome::Marked(_)) {
            claims::record(&mut transaction, schema, batch).await?;
            let running = upsert::unconfirmed(batch, &compared.unchanged);
            upsert::confirm(&mut transaction, context, &running).await?;
        } else {
            upsert::confirm(&mut transaction, context, &compared.unchanged).await?;
        }
        let mut applied = count(self, marked, &compared, written, dead.len());
        self.settle(&mut transaction, &mut applied, &dead, on_record).await?;
        commit(transaction).await?;
        self.wait_for_disk(connection).await?;
        *expected = Expectation::by(&compared, applied.deleted);
        Ok(Ok(applied))
    }
}
