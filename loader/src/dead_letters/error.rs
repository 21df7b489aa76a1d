//! Why a command about dead letters cannot go on.

use std::io;
use std::time::Duration;

use shared::exit::Exit;
use shared::output::OutputError;
use shared::retry::Delays;

use crate::apply::applied::ApplyError;
use crate::postgres::database::ConnectError;
use crate::postgres::trouble::{Lack, Trouble, classify, lack};

/// Waits while Postgres is in trouble or loaders hold the same rows: a minute in all, as somebody may
/// be watching.
pub(super) fn patience() -> Delays {
    Delays::within(Duration::from_millis(100), Duration::from_secs(5), Duration::from_mins(1))
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum LettersError {
    #[error(
        "the tables of this database are missing or older than this loader; run `loader migrate`"
    )]
    NotMigrated(#[source] sqlx::Error),
    #[error("this database role may not do that; grant it what loaders have on schema raw")]
    Forbidden(#[source] sqlx::Error),
    #[error("Postgres does not do it")]
    Database(#[source] sqlx::Error),
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("no answer from Postgres in time")]
    TimedOut,
    #[error("could not apply a dead letter")]
    Apply(#[source] ApplyError),
    #[error("there is no dead letter {0}")]
    NoSuchLetter(i64),
    #[error("standard input is no terminal to ask on; add --yes to discard without being asked")]
    NobodyToAsk,
    #[error("could not read the answer")]
    Input(#[source] io::Error),
    #[error(transparent)]
    Output(#[from] OutputError),
}

impl LettersError {
    /// Whether the same may work a little later.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::Database(error) => classify(error) == Trouble::Passing,
            Self::Connect(error) => error.may_pass(),
            Self::TimedOut => true,
            _ => false,
        }
    }

    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::NobodyToAsk => Exit::Usage,
            Self::Connect(_) => Exit::Unreachable,
            error if error.is_passing() => Exit::Unreachable,
            _ => Exit::Failed,
        }
    }
}

impl From<sqlx::Error> for LettersError {
    fn from(error: sqlx::Error) -> Self {
        match lack(&error) {
            Some(Lack::Tables) => Self::NotMigrated(error),
            Some(Lack::Rights) => Self::Forbidden(error),
            None => Self::Database(error),
        }
    }
}

impl From<ApplyError> for LettersError {
    fn from(error: ApplyError) -> Self {
        match error {
            ApplyError::Database(error) => error.into(),
            ApplyError::TimedOut(_) => Self::TimedOut,
            error => Self::Apply(error),
        }
    }
}
