//! Where applying begins: of a batch whole, of pieces of it, of the batch of a dead letter.

use std::time::{Duration, Instant};

use shared::batch::Batch;
use shared::resource::Resource;
use sqlx::PgConnection;

use super::dead_letters::letter::Letter;
use super::dead_record::DeadRecord;
use super::fast_path::{self, Guess};
use super::pieces::{Cutting, Fit, Fits, Piece};
use super::rows::{Row, rows};
use super::settings::Rules;
use super::{Applied, ApplyError, Job, Options, Origin, fetch_time};

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
    apply_by_fit(connection, resource, batch, origin, options, Fit::default()).await
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
    apply_by_fit(connection, resource, batch, origin, options, Fit::of_at_most(most)).await
}

async fn apply_by_fit(
    connection: &mut PgConnection,
    resource: &'static Resource,
    batch: &Batch,
    origin: &Origin,
    options: Options,
    fit: Fit,
) -> Result<Applied, ApplyError> {
    let rules = Rules::of(options);
    let (mut guess, mut cutting) = (Guess::default(), Cutting::default());
    loop {
        // Nothing is learnt from piece to piece.
        let fits = Fits::with(resource, fit);
        let course = Course { guess: &mut guess, cutting: &mut cutting, fits: &fits };
        if let Some(applied) = apply_by(&rules, connection, resource, batch, origin, course).await?
        {
            return Ok(applied);
        }
    }
}

/// What is known beforehand of how a batch is applied, and learnt from it.
#[derive(Debug)]
pub(crate) struct Course<'a> {
    /// About what it brings.
    pub(crate) guess: &'a mut Guess,
    /// How far it has been applied.
    pub(crate) cutting: &'a mut Cutting,
    /// How much of each table fits into the time.
    pub(crate) fits: &'a Fits,
}

/// Applies a batch, or as much of it as fits into the time, by other rules than those of running loaders.
/// None where there is more to come.
///
/// # Errors
/// As [`apply`].
pub(crate) async fn apply_by(
    rules: &Rules,
    connection: &mut PgConnection,
    resource: &'static Resource,
    batch: &Batch,
    origin: &Origin,
    course: Course<'_>,
) -> Result<Option<Applied>, ApplyError> {
    let Course { guess, cutting, fits } = course;
    let (batch, clock_ahead) = fetch_time::believed(batch, origin);
    let mut known = rules.forgotten.known();
    let mut is_read = false;
    loop {
        let batch = known.without(resource, &batch);
        let piece = Piece::next(&batch, cutting, fits.of(resource)).of(clock_ahead, known.stamp);
        let started = Instant::now();
        let applied = apply_piece(rules, connection, resource, &piece, origin, guess).await;
        if matches!(applied, Err(ApplyError::ForgottenChanged)) && !is_read {
            known = rules.forgotten.read(connection).await?;
            // Its records are other ones now.
            *cutting = Cutting::default();
            is_read = true;
            continue;
        }
        fits.learn(resource, &piece, &applied, started.elapsed());
        return Ok(cutting.advance(&piece, applied?));
    }
}

async fn apply_piece(
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
        && let Some(applied) = within(piece.limit, fast_path::apply(job, connection, guess)).await?
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
    let (batch, clock_ahead) = fetch_time::believed(batch, origin);
    let known = rules.forgotten.read(connection).await?;
    let batch = known.without(resource, &batch);
    let mut cutting = Cutting::default();
    loop {
        let piece = Piece::next(&batch, &cutting, fits.of(resource)).of(clock_ahead, known.stamp);
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
