//! Where applying begins: of a batch whole, of pieces of it, of the batch of a dead letter.

use std::time::{Duration, Instant};

use shared::batch::Batch;
use shared::resource::Resource;
use sqlx::PgConnection;

use super::{Applied, ApplyError, Job, Options, Origin};
use crate::beside::{self, Guess};
use crate::dead_letters::{DeadRecord, Letter};
use crate::pieces::{APPLY_TIMEOUT, Cutting, Fit, Fits, Piece};
use crate::rows::{Row, rows};
use crate::rules::Rules;

/// Applies a batch whole: all good records and their history, the dead letters of the bad ones, the
/// claim and the ledger row commit together. Applying it again changes nothing.
///
/// # Errors
/// See [`ApplyError`]; drop the connection unless the error is about the data.
pub async fn apply(
    connection: &mut PgConnection,
    resource: &'static Resource,
    batch: &Batch,
    origin: &Origin,
    options: Options,
) -> Result<Applied, ApplyError> {
    let rules = Rules::of(options);
    let piece = Piece::whole(batch, APPLY_TIMEOUT);
    apply_by(&rules, connection, resource, &piece, origin, &mut Guess::default()).await
}

/// The same in pieces of so many records, or of as many as a claim cannot tell apart: as a batch is
/// applied that does not fit into the time.
///
/// # Errors
/// As [`apply`]; pieces before the one that failed stay.
pub async fn apply_in_pieces(
    connection: &mut PgConnection,
    resource: &'static Resource,
    batch: &Batch,
    origin: &Origin,
    options: Options,
    most: usize,
) -> Result<Applied, ApplyError> {
    let rules = Rules::of(options);
    let (mut cutting, mut guess) = (Cutting::default(), Guess::default());
    loop {
        let piece = Piece::next(batch, &cutting, Fit::of_at_most(most));
        let applied = apply_by(&rules, connection, resource, &piece, origin, &mut guess).await?;
        if let Some(applied) = cutting.advance(&piece, applied) {
            return Ok(applied);
        }
    }
}

/// Applies a batch, or a piece of one, by other rules than those of running loaders. The guess is about what it brings, and
/// is mended by what it did.
///
/// # Errors
/// As [`apply`].
pub(crate) async fn apply_by(
    rules: &Rules,
    connection: &mut PgConnection,
    resource: &'static Resource,
    piece: &Piece<'_>,
    origin: &Origin,
    guess: &mut Guess,
) -> Result<Applied, ApplyError> {
    let (rows, dead) = rows_of(resource, piece);
    let job = Job::new(rules, resource, piece, origin, &rows, &dead);
    if piece.is_whole()
        && let Some(applied) = within(piece.limit, beside::apply(job, connection, guess)).await?
    {
        return Ok(applied);
    }
    let wrong = *guess;
    let applied = job.alone(connection, guess).await?;
    if *guess == wrong {
        *guess = Guess::Changed;
    }
    Ok(applied)
}

/// Applies the batch of a dead letter by the same rules, and settles the letter in the same
/// transaction, the last one if there are several: it goes, or stays with its newest reason.
///
/// # Errors
/// As [`apply`]; the letter is as it was then.
pub(crate) async fn apply_again(
    connection: &mut PgConnection,
    resource: &'static Resource,
    batch: &Batch,
    origin: &Origin,
    letter: Letter,
    options: Options,
    fits: &Fits,
) -> Result<Applied, ApplyError> {
    let (rules, letter) = (Rules::of(options), Some(letter));
    let mut cutting = Cutting::default();
    loop {
        let piece = Piece::next(batch, &cutting, fits.of(resource));
        let (rows, dead) = rows_of(resource, &piece);
        let job = Job { letter, ..Job::new(&rules, resource, &piece, origin, &rows, &dead) };
        let started = Instant::now();
        let applied = job.alone(connection, &mut Guess::default()).await;
        fits.learn(resource, &piece, &applied, started.elapsed());
        if let Some(applied) = cutting.advance(&piece, applied?) {
            return Ok(applied);
        }
    }
}

/// What a piece brings to its table, numbered as in the whole batch.
fn rows_of<'a>(resource: &Resource, piece: &Piece<'a>) -> (Vec<Row<'a>>, Vec<DeadRecord>) {
    let (mut rows, mut dead) = rows(resource, piece.whole);
    rows.retain(|row| piece.has(row.record_index));
    dead.retain(|dead| piece.has(dead.record_index));
    (rows, dead)
}

/// A limit on the time that something takes; the connection is in an unknown state past it.
pub(crate) async fn within<T, E: Into<ApplyError>>(
    limit: Duration,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, ApplyError> {
    match tokio::time::timeout(limit, work).await {
        Ok(result) => result.map_err(Into::into),
        Err(_) => Err(ApplyError::TimedOut(limit)),
    }
}
