//! What became of a batch: what applying it did, or why it was not applied.

use std::fmt;
use std::time::Duration;

use shared::batch::EncodeError;
use shared::retry::Disposition;

use crate::database::{Trouble, classify};
use crate::dead_letters::KeepError;

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
    /// Postgres did not answer.
    #[error("no answer from Postgres within {} s", .0.as_secs())]
    TimedOut(Duration),
    /// A bug: what was decoded cannot be encoded.
    #[error("could not keep a dead letter")]
    Encode(#[from] EncodeError),
    /// So many records are refused that their shape must have changed; the others were not looked at.
    #[error("at least {dead} of {received} records are refused, the first because: {first}")]
    ShapeChanged {
        /// Records refused.
        dead: usize,
        /// Records in the batch.
        received: usize,
        /// Postgres' words about the first.
        first: String,
    },
    /// Somebody was forgotten meanwhile, or no longer is, and the batch still holds them or lacks them.
    #[error("whom nothing is written of has changed; the batch is to be applied anew")]
    ForgottenChanged,
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
            Self::TimedOut(_) | Self::ForgottenChanged => Disposition::Retry(None),
            Self::Encode(_) | Self::ShapeChanged { .. } | Self::LetterGone => Disposition::Stop,
        }
    }
}
