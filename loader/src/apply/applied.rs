//! What became of a batch: what applying it did, or why it was not applied.

use std::fmt;
use std::time::Duration;

use jiff::SignedDuration;
use shared::batch::EncodeError;
use shared::retry::Disposition;

use crate::postgres::trouble::{Trouble, classify, is_out_of_time};

/// What applying a batch did, in records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Applied {
    /// In the batch, usable or not.
    pub received: usize,
    /// Inserted or updated.
    pub written: usize,
    /// Newer than the stored row, and equal to it in content, start and deletion: not written.
    pub unchanged: usize,
    /// The rest: not newer than the stored row, by the rule in `newer`. It is older, or just as old, as when a
    /// batch comes again; or the batch has its key in a newer form, too. Not counted, but what is left of
    /// `received`.
    pub stale: usize,
    /// Rows newly marked deleted.
    pub deleted: usize,
    /// Kept as dead letters.
    pub dead: usize,
    /// Set if all of it was kept as one dead letter and nothing was applied: so many records are refused
    /// that their shape must have changed.
    pub kept_whole: bool,
    /// Set if the batch's claim was not believed.
    pub refused: Option<Refused>,
    /// Set if its time of fetching was not believed: how far ahead that clock was.
    pub clock_ahead: Option<SignedDuration>,
}

impl Applied {
    /// Both together, of pieces of one batch.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            received: self.received + other.received,
            written: self.written + other.written,
            unchanged: self.unchanged + other.unchanged,
            stale: self.stale + other.stale,
            deleted: self.deleted + other.deleted,
            dead: self.dead + other.dead,
            kept_whole: self.kept_whole || other.kept_whole,
            refused: self.refused.or(other.refused),
            clock_ahead: self.clock_ahead.or(other.clock_ahead),
        }
    }
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

/// So many records are refused that their shape must have changed; nothing of the batch is applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ShapeChanged {
    /// Records refused; where it is not all of them, the others were not all looked at.
    pub(crate) dead: usize,
    /// Records in the batch.
    pub(crate) received: usize,
    /// Why the first of them is refused.
    pub(crate) first: String,
}

impl fmt::Display for ShapeChanged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { dead, received, first } = self;
        let at_least = if dead < received { "at least " } else { "" };
        write!(f, "{at_least}{dead} of {received} records are refused, the first because: {first}")
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
    /// Somebody was forgotten meanwhile, or no longer is, and the batch still holds them or lacks them.
    #[error("whom nothing is written of has changed; the batch is to be applied anew")]
    ForgottenChanged,
    /// The dead letter to be applied again is no longer there.
    #[error("the dead letter is gone")]
    LetterGone,
}

impl ApplyError {
    /// Whether Postgres ended a statement because of the time that it took.
    pub(crate) fn is_out_of_time(&self) -> bool {
        matches!(self, Self::Database(error) if is_out_of_time(error))
    }

    /// Whether trying again is enough, or somebody has to mend something first.
    pub fn disposition(&self) -> Disposition {
        match self {
            Self::Database(error) => match classify(error) {
                // Records are isolated here; a data error that gets out is a bug.
                Trouble::Data => Disposition::Stop,
                trouble => trouble.disposition(),
            },
            Self::TimedOut(_) | Self::ForgottenChanged => Disposition::Retry(None),
            Self::Encode(_) | Self::LetterGone => Disposition::Stop,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_add_up_and_the_first_word_about_the_whole_stays() {
        let refused = |missing| Some(Refused { covered: 40, missing });
        let one = Applied {
            received: 10,
            written: 1,
            unchanged: 2,
            stale: 3,
            deleted: 4,
            dead: 4,
            kept_whole: false,
            refused: refused(30),
            clock_ahead: None,
        };
        let ahead = Some(SignedDuration::from_hours(2));
        let other = Applied { kept_whole: true, refused: refused(31), clock_ahead: ahead, ..one };
        let both = Applied {
            received: 20,
            written: 2,
            unchanged: 4,
            stale: 6,
            deleted: 8,
            dead: 8,
            kept_whole: true,
            refused: refused(30),
            clock_ahead: ahead,
        };
        assert_eq!(one.and(other), both);
        assert_eq!(other.and(one), Applied { refused: refused(31), ..both });
        assert!(!one.and(one).kept_whole);
    }

    #[test]
    fn where_not_all_were_looked_at_the_number_of_refused_records_is_a_least_one() {
        let words = |dead| ShapeChanged { dead, received: 9, first: "no id".into() }.to_string();
        assert_eq!(words(9), "9 of 9 records are refused, the first because: no id");
        assert_eq!(words(8), "at least 8 of 9 records are refused, the first because: no id");
    }

    #[test]
    fn what_is_tried_again_is_what_time_heals() {
        for error in [ApplyError::TimedOut(Duration::ZERO), ApplyError::ForgottenChanged] {
            assert_eq!(error.disposition(), Disposition::Retry(None), "{error}");
        }
        assert_eq!(ApplyError::LetterGone.disposition(), Disposition::Stop);
        let gone = ApplyError::Database(sqlx::Error::PoolTimedOut);
        assert!(matches!(gone.disposition(), Disposition::Retry(_)));
        assert!(!gone.is_out_of_time());
    }
}
