//! What is kept of a batch beside its rows: dead letters and row of `loads`, in the transaction that applies
//! it. Of a batch whose shape has changed that is all.

use shared::batch::{Batch, Rejected};
use shared::listing::MAX_RECORDS;
use shared::telemetry::RAW_CLIENT;
use sqlx::PgConnection;
use tracing::error;

use super::applied::{Applied, ApplyError, ShapeChanged};
use super::claims::OnRecord;
use super::dead_letters::letter::Kind;
use super::dead_letters::records::{self, NoRows};
use super::dead_letters::{overtaken, whole};
use super::dead_record::DeadRecord;
use super::job::{Job, commit};
use super::loads;
use super::lock::BatchLock;
use super::pieces::Piece;

/// More refused records than this, and more than a tenth of the batch, mean a changed shape.
const MAX_DEAD: usize = 50;

impl Job<'_> {
    /// The letter that the batch comes from is this transaction's from now on.
    pub(crate) async fn hold_letter(self, connection: &mut PgConnection) -> Result<(), ApplyError> {
        match self.letter {
            Some(letter) if !letter.hold(connection).await? => Err(ApplyError::LetterGone),
            _ => Ok(()),
        }
    }

    /// What was done, and what was not: dead letters and row of `loads`.
    pub(crate) async fn settle(
        self,
        connection: &mut PgConnection,
        applied: &mut Applied,
        dead: &[DeadRecord],
        on_record: OnRecord,
    ) -> Result<(), ApplyError> {
        let Self { resource, piece, origin, .. } = self;
        let schema = &self.settings.schema;
        // Dead letters are of the batch that came, and so are the places of their records.
        let whole = piece.whole;
        let refused = applied.refused.map(|refused| refused.to_string());
        // What the letter itself stands for is not kept a second time.
        let mut stays = None;
        if let Some(letter) = self.letter
            && piece.is_last()
            && letter.settle(connection, dead, refused.as_deref()).await?
        {
            stays = Some(letter.kind);
        }
        if applied.dead > 0 && stays != Some(Kind::Record) {
            let rejected = if piece.is_last() { &*whole.rejected } else { &[] };
            let refused = NoRows { batch: whole, dead, rejected };
            records::keep_records(connection, schema, resource, origin, refused).await?;
        }
        if let Some(reason) = &refused
            && piece.is_last()
            && stays != Some(Kind::Claim)
        {
            whole::keep_claim(connection, schema, whole, origin, reason).await?;
        }
        if on_record.letters || applied.dead > 0 || refused.is_some() {
            self.drop_overtaken(connection, *applied).await?;
        }
        if applied.dead > 0 {
            // The others are older than what is known of them, as a stale record is.
            let kept = records::number_kept(connection, schema, whole, origin).await?;
            let overtaken = applied.dead.saturating_sub(kept.saturating_sub(piece.before.dead));
            applied.dead -= overtaken;
            applied.stale += overtaken;
        }
        if piece.is_last() {
            let applied = piece.before.and(*applied);
            loads::write(connection, schema, whole, origin, &applied).await?;
        }
        Ok(())
    }

    /// Of the letters about what the batch is about too. Answers how many came with the batch itself.
    pub(crate) async fn drop_overtaken(
        self,
        connection: &mut PgConnection,
        applied: Applied,
    ) -> sqlx::Result<usize> {
        let Self { settings, resource, piece: Piece { whole, .. }, origin, .. } = self;
        let has_news = applied.dead < applied.received;
        overtaken::drop_overtaken(connection, &settings.schema, resource, whole, origin, has_news)
            .await
    }

    /// Keeps the batch as one dead letter, and applies nothing of it.
    pub(crate) async fn keep_whole(
        self,
        connection: &mut PgConnection,
        shape: &ShapeChanged,
    ) -> Result<Applied, ApplyError> {
        let Self { settings, resource, piece: Piece { whole: batch, .. }, origin, .. } = self;
        let (schema, reason) = (&settings.schema, shape.to_string());
        let received = batch.records.len() + batch.rejected.len();
        let mut applied =
            Applied { received, dead: received, kept_whole: true, ..Applied::default() };
        let mut transaction = self.begin(connection, BatchLock::Exclusive).await?;
        self.hold_letter(&mut transaction).await?;
        let stays = match self.letter {
            Some(letter) => letter.settle_shape(&mut transaction, &reason).await?,
            None => false,
        };
        if !stays {
            whole::keep_shape(&mut transaction, schema, batch, origin, &reason).await?;
        }
        if self.drop_overtaken(&mut transaction, applied).await? > 0 {
            applied = Applied { received, stale: received, ..Applied::default() };
        }
        loads::write(&mut transaction, schema, batch, origin, &applied).await?;
        commit(transaction).await?;
        self.wait_for_disk(connection).await?;
        if applied.kept_whole {
            error!(
                target: RAW_CLIENT,
                "Kept a whole batch of raw.{} as a dead letter, its shape must have changed: {reason}",
                resource.table()
            );
        }
        Ok(applied)
    }
}

/// How many bad records a batch may have whose shape has not changed.
pub(crate) fn most_dead(batch: &Batch) -> usize {
    MAX_DEAD.max(batch.records.len() / 10)
}

/// Whether so many of these records are refused that the batch is kept whole.
///
/// What the fetcher could make no record of keeps nothing else from being loaded, up to as much as a
/// fetcher sends at once.
pub(crate) fn check_shape(batch: &Batch, dead: &[DeadRecord]) -> Result<(), ShapeChanged> {
    let (records, rejected) = (batch.records.len(), batch.rejected.len());
    match (dead.first(), batch.rejected.first()) {
        (Some(DeadRecord { reason: first, .. }), _) if dead.len() > most_dead(batch) => {
            Err(ShapeChanged { dead: dead.len(), received: records, first: first.clone() })
        }
        (_, Some(Rejected { reason: first, .. })) if rejected > MAX_RECORDS => {
            Err(ShapeChanged { dead: rejected, received: records + rejected, first: first.clone() })
        }
        _ => Ok(()),
    }
}
