//! Why nobody could be forgotten.

use std::io;
use std::time::Duration;

use shared::batch::EncodeError;
use shared::exit::Exit;
use shared::output::OutputError;
use shared::retry::Delays;

use crate::postgres::trouble::{Lack, Trouble, classify, lack};

/// Waits while loaders are in the middle of batches: two minutes in all, as somebody may be watching.
pub(super) fn patience() -> Delays {
    Delays::within(Duration::from_millis(100), Duration::from_secs(5), Duration::from_mins(2))
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum ForgetError {
    #[error(
        "the tables of this database are missing or older than this loader; run `loader migrate`"
    )]
    NotMigrated(#[source] sqlx::Error),
    #[error("this database role may not do that; grant it what loaders have on schema raw")]
    Forbidden(#[source] sqlx::Error),
    #[error("Postgres does not do it; nothing was deleted")]
    Database(#[source] sqlx::Error),
    #[error("could not keep a dead letter without them; nothing was deleted")]
    Encode(#[from] EncodeError),
    #[error("standard input is no terminal to ask on; add --yes to delete without being asked")]
    NobodyToAsk,
    #[error("nobody to forget: give --user or --workspace")]
    Nobody,
    #[error("could not read the answer")]
    Input(#[source] io::Error),
    #[error(transparent)]
    Output(#[from] OutputError),
}

impl ForgetError {
    /// Whether the same may work a little later.
    pub(super) fn is_passing(&self) -> bool {
        matches!(self, Self::Database(error) if classify(error) == Trouble::Passing)
    }

    pub(super) fn exit(&self) -> Exit {
        match self {
            Self::NobodyToAsk | Self::Nobody => Exit::Usage,
            error if error.is_passing() => Exit::Unreachable,
            _ => Exit::Failed,
        }
    }
}

impl From<sqlx::Error> for ForgetError {
    fn from(error: sqlx::Error) -> Self {
        match lack(&error) {
            Some(Lack::Tables) => Self::NotMigrated(error),
            Some(Lack::Rights) => Self::Forbidden(error),
            None => Self::Database(error),
        }
    }
}
