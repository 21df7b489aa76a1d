//! A listing that is known to bring nothing new by its digest alone: its message is not unpacked.
//!
//! The sums of the stored rows come from the table, as they do for a batch that was read, and everything
//! else is done as [`fast_path`] does it. Whatever is not as simple as that is left to who reads the batch,
//! with nothing done.

use std::time::Instant;

use shared::digest::Digest;
use shared::resource::Resource;
use sqlx::PgConnection;

use super::applied::{Applied, ApplyError};
use super::begin::Course;
use super::expectation::Expectation;
use super::fast_path;
use super::fetch_time;
use super::fits::{Fits, Size};
use super::job::Job;
use super::origin::Origin;
use super::pieces::{Cutting, Piece};
use super::settings::{ApplySettings, Options};
use super::time_limit::within;

/// Applies a batch by its digest, if it brings nothing new. None, and nothing done, where it has to be read
/// and [applied](super::apply) as usual.
///
/// # Errors
/// As [`apply`](super::apply).
pub async fn apply_unread(
    connection: &mut PgConnection,
    resource: &'static Resource,
    digest: &Digest,
    origin: &Origin,
    options: Options,
) -> Result<Option<Applied>, ApplyError> {
    let settings = ApplySettings::of(options);
    let course = Course {
        expected: &mut Expectation::default(),
        cutting: &mut Cutting::default(),
        fits: &Fits::default(),
    };
    apply_by(&settings, connection, resource, digest, origin, course).await
}

/// The same with other settings than those of running loaders.
///
/// # Errors
/// As [`apply_unread`].
pub(crate) async fn apply_by(
    settings: &ApplySettings,
    connection: &mut PgConnection,
    resource: &'static Resource,
    digest: &Digest,
    origin: &Origin,
    course: Course<'_>,
) -> Result<Option<Applied>, ApplyError> {
    let Course { expected, cutting, fits } = course;
    let records = usize::try_from(digest.sums.rows).unwrap_or(usize::MAX);
    let fit = fits.of(resource);
    let known = settings.forgotten.known();
    let is_plain = *expected == Expectation::Same && !settings.force && !cutting.has_begun();
    // Whether a record tells of somebody who is forgotten, its text says.
    if !is_plain || !known.is_empty() || !fit.holds(records) {
        return Ok(None);
    }
    let (envelope, clock_ahead) = fetch_time::believed(&digest.envelope, origin);
    let piece = Piece::whole(&envelope, fit.limit).of(clock_ahead, known.stamp);
    let job = Job::new(settings, resource, &piece, origin, &[], &[]);
    let started = Instant::now();
    let done = within(piece.limit, fast_path::same(job, connection, digest.sums)).await;
    let size = Size { records, can_be_cut: records > 1 };
    match done {
        Err(ApplyError::ForgottenChanged) => Ok(None),
        Ok(None) => {
            // Nor would it be when it has been read.
            *expected = Expectation::Grown;
            Ok(None)
        }
        done => {
            fits.learn(resource, size, done.as_ref().err(), started.elapsed());
            done
        }
    }
}
