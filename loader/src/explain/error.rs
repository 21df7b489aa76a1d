//! Why nothing can be explained.

use async_nats::jetstream::context::GetStreamError;
use async_nats::jetstream::stream::DirectGetError;
use shared::exit::Exit;
use shared::output::OutputError;
use shared::stream::STREAM;

use crate::postgres::database::ConnectError;
use crate::postgres::trouble::{Lack, Trouble, classify, lack};

#[derive(Debug, thiserror::Error)]
pub(super) enum ExplainError {
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
    #[error("this id is in several workspaces ({0}); say which one by --workspace")]
    Several(String),
    #[error(transparent)]
    Stream(#[from] StreamError),
    #[error("message {sequence} is no longer in the stream, which begins at sequence {first}")]
    Left { sequence: u64, first: u64 },
    #[error("message {0} was deleted from the stream")]
    Deleted(u64),
    #[error("there is no message {sequence} yet: the stream ends at sequence {last}")]
    Ahead { sequence: u64, last: u64 },
    #[error(transparent)]
    Output(#[from] OutputError),
}

/// The stream cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum StreamError {
    #[error("could not look up stream {STREAM}; fetchers and loaders make it")]
    Lookup(#[from] GetStreamError),
    #[error(
        "could not read message {sequence}; this NATS user needs the right to publish to \
         $JS.API.DIRECT.GET.{STREAM}"
    )]
    Read {
        sequence: u64,
        #[source]
        source: DirectGetError,
    },
}

impl ExplainError {
    pub(super) fn exit(&self) -> Exit {
        match self {
            Self::Several(_) => Exit::Usage,
            Self::Connect(_) | Self::Stream(_) => Exit::Unreachable,
            Self::Database(error) if classify(error) == Trouble::Passing => Exit::Unreachable,
            _ => Exit::Failed,
        }
    }
}

impl From<sqlx::Error> for ExplainError {
    fn from(error: sqlx::Error) -> Self {
        match lack(&error) {
            Some(Lack::Tables) => Self::NotMigrated(error),
            Some(Lack::Rights) => Self::Forbidden(error),
            None => Self::Database(error),
        }
    }
}
