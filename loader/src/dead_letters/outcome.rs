//! What became of the dead letters that were applied again, in words.

use std::fmt;

use shared::exit::Exit;

use super::text::escaped;
use crate::apply::applied::{Applied, Refused};
use crate::apply::dead_letters::letter::Kind;

#[derive(Debug)]
pub(super) enum Outcome {
    /// It is loaded and the letter is gone. Of a message, some may be kept as letters of their own.
    Applied(Applied),
    /// Its claim was refused again.
    NotBelieved(Refused),
    /// Refused again, for this reason.
    Stays(String),
    /// There is nothing that could be applied.
    NoRecord,
    /// Somebody else settled it first.
    Gone,
}

impl Outcome {
    pub(super) fn of(kind: Kind, applied: Applied) -> Self {
        match applied.refused {
            Some(refused) if kind == Kind::Claim => Self::NotBelieved(refused),
            _ => Self::Applied(applied),
        }
    }

    /// The claim that somebody has to decide about.
    const fn refused(&self) -> Option<Refused> {
        match self {
            Self::Applied(applied) => applied.refused,
            Self::NotBelieved(refused) => Some(*refused),
            Self::Stays(_) | Self::NoRecord | Self::Gone => None,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Applied(applied) if is_stale(applied) => {
                f.write_str("stale: it is not newer than what is stored; the letter is gone")
            }
            Self::Applied(applied) => write!(f, "applied: {}", Counts(applied)),
            Self::NotBelieved(refused) => write!(f, "stays: {refused}"),
            Self::Stays(reason) => write!(f, "stays: {}", escaped(reason)),
            Self::NoRecord => f.write_str(
                "stays: no record can be made of it; mend it at Toggl, then discard the letter",
            ),
            Self::Gone => f.write_str("gone: it was settled meanwhile"),
        }
    }
}

fn is_stale(applied: &Applied) -> bool {
    applied.received > 0 && applied.stale == applied.received && applied.deleted == 0
}

/// `8 unchanged, 12 marked deleted`.
struct Counts<'a>(&'a Applied);

impl fmt::Display for Counts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Applied { written, unchanged, stale, deleted, dead, kept_whole, refused, .. } = *self.0;
        if kept_whole {
            return write!(f, "{dead} kept as one dead letter of its own");
        }
        let counts = [
            (written, "written"),
            (unchanged, "unchanged"),
            (stale, "stale"),
            (deleted, "marked deleted"),
            (dead, "kept as dead letters of their own"),
        ];
        let mut words: Vec<_> = counts
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        if let Some(refused) = refused {
            words.push(format!("its claim kept as a dead letter of its own ({refused})"));
        }
        if words.is_empty() {
            words.push("nothing to change".to_owned());
        }
        f.write_str(&words.join(", "))
    }
}

/// The sum of it.
#[derive(Debug, Default)]
pub(super) struct Tally {
    selected: usize,
    applied: usize,
    /// Of these, the ones that changed nothing because something newer is stored.
    stale: usize,
    /// Of these, the messages that were loaded in part.
    partly: usize,
    stays: usize,
    gone: usize,
    /// Letters that `--allow-mass-delete` would have applied.
    refused: usize,
}

impl Tally {
    /// Of so many letters.
    pub(super) fn of(selected: usize) -> Self {
        Self { selected, ..Self::default() }
    }

    pub(super) fn add(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Applied(applied) => {
                self.applied += 1;
                self.stale += usize::from(is_stale(applied));
                self.partly += usize::from(applied.dead > 0 || applied.refused.is_some());
            }
            Outcome::NotBelieved(_) | Outcome::Stays(_) | Outcome::NoRecord => self.stays += 1,
            Outcome::Gone => self.gone += 1,
        }
        self.refused += usize::from(outcome.refused().is_some());
    }

    pub(super) const fn exit(&self) -> Exit {
        if self.stays > 0 || self.partly > 0 { Exit::Incomplete } else { Exit::Done }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { selected, applied, stale, partly, stays, gone, refused } = self;
        write!(f, "Applied {applied} of {selected} dead letters")?;
        for (count, what) in [
            (stale, "stale"),
            (partly, "only in part"),
            (gone, "settled meanwhile"),
            (stays, "stay"),
        ] {
            if *count > 0 {
                write!(f, ", {count} {what}")?;
            }
        }
        writeln!(f)?;
        if *refused > 0 {
            writeln!(
                f,
                "If it is true that these rows are gone at Toggl, add --allow-mass-delete"
            )?;
        }
        Ok(())
    }
}
