//! Where applying begins: of a batch whole, of pieces of it, of the batch of a dead letter.

use std::time::Instant;

use shared::batch::Batch;
use shared::resource::Resource;
use sqlx::PgConnection;

use super::applied::{Applied, ApplyError};
use super::dead_letters::letter::Letter;
use super::dead_record::DeadRecord;
use super::expectation::Expectation;
use super::fits::{Fit, Fits};
use super::job::Job;
use super::origin::Origin;
use super::pieces::{Cutting, Done, Piece};
use super::rows::{Row, rows};
use super::settings::{ApplySettings, Options};
use super::time_limit::within;
use super::{fast_path, fetch_time};

/// Applies a batch whole: all good records and their history, the dead letters of the bad ones, the
/// claim and the row of `loads` commit together; of a batch that brings nothing new, the row of `loads` follows its
/// claim. All of it is on disk then. Applying it again changes nothing.
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
    let settings = ApplySettings::of(options);
    let (mut expected, mut cutting) = (Expectation::default(), Cutting::default());
    loop {
        // Nothing is learnt from piece to piece.
        let fits = Fits::with(resource, fit);
        let course = Course { expected: &mut expected, cutting: &mut cutting, fits: &fits };
        if let Some(applied) =
            apply_by(&settings, connection, resource, batch, origin, course).await?
        {
            return Ok(applied);
        }
    }
}

/// What is known beforehand of how a batch is applied, and learnt from it.
#[derive(Debug)]
pub(crate) struct Course<'a> {
    /// About what it brings.
    pub(crate) expected: &'a mut Expectation,
    /// How far it has been applied.
    pub(crate) cutting: &'a mut Cutting,
    /// How much of each table fits into the time.
    pub(crate) fits: &'a Fits,
}

/// Applies a batch, or as much of it as fits into the time, with other settings than those of running loaders.
/// None where there is more to come.
///
/// # Errors
/// As [`apply`].
pub(crate) async fn apply_by(
    settings: &ApplySettings,
    connection: &mut PgConnection,
    resource: &'static Resource,
    batch: &Batch,
    origin: &Origin,
    course: Course<'_>,
) -> Result<Option<Applied>, ApplyError> {
    let Course { expected, cutting, fits } = course;
    let (batch, clock_ahead) = fetch_time::believed(batch, origin);
    let mut known = settings.forgotten.known();
    let mut is_read = false;
    loop {
        let batch = known.without(resource, &batch);
        let piece = Piece::next(&batch, cutting, fits.of(resource)).of(clock_ahead, known.stamp);
        let started = Instant::now();
        let done = apply_piece(settings, connection, resource, &piece, origin, expected).await;
        if matches!(done, Err(ApplyError::ForgottenChanged)) && !is_read {
            known = settings.forgotten.read(connection).await?;
            // Its records are other ones now.
            *cutting = Cutting::default();
            is_read = true;
            continue;
        }
        fits.learn(resource, piece.size(), done.as_ref().err(), started.elapsed());
        return Ok(cutting.advance(&piece, done?));
    }
}

async fn apply_piece(
    settings: &ApplySettings,
    connection: &mut PgConnection,
    resource: &'static Resource,
    piece: &Piece<'_>,
    origin: &Origin,
    expected: &mut Expectation,
) -> Result<Done, ApplyError> {
    let (rows, dead) = rows_of(resource, piece);
    let job = Job::new(settings, resource, piece, origin, &rows, &dead);
    if piece.is_whole()
        && let Some(applied) =
            within(piece.limit, fast_path::apply(job, connection, expected)).await?
    {
        return Ok(Done::Piece(applied));
    }
    let wrong = *expected;
    let done = job.exclusively(connection, expected).await?;
    if *expected == wrong {
        *expected = Expectation::Changed;
    }
    Ok(done)
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
    let (settings, letter) = (ApplySettings::of(options), Some(letter));
    let (batch, clock_ahead) = fetch_time::believed(batch, origin);
    let known = settings.forgotten.read(connection).await?;
    let batch = known.without(resource, &batch);
    let mut cutting = Cutting::default();
    loop {
        let piece = Piece::next(&batch, &cutting, fits.of(resource)).of(clock_ahead, known.stamp);
        let (rows, dead) = rows_of(resource, &piece);
        let job = Job { letter, ..Job::new(&settings, resource, &piece, origin, &rows, &dead) };
        let started = Instant::now();
        let done = job.exclusively(connection, &mut Expectation::default()).await;
        fits.learn(resource, piece.size(), done.as_ref().err(), started.elapsed());
        if let Some(applied) = cutting.advance(&piece, done?) {
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
