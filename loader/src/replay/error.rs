//! Why a replay cannot go on.

use async_nats::jetstream::context::{GetStreamError, GetStreamErrorKind};
use shared::exit::Exit;
use shared::retry::Disposition;
use shared::stream::STREAM;

use crate::consume::applier::WriteError;
use crate::postgres::database::ConnectError;
use crate::postgres::schema::Schema;
use crate::postgres::trouble::{Trouble, classify};

#[derive(Debug, thiserror::Error)]
pub(crate) enum ReplayError {
    #[error("--until lies before --from-time: nothing was published after it was fetched before")]
    Times,
    #[error(
        "--until wants --into SCHEMA: newer listings are on record for the live tables, by which all that \
         they lack would be marked deleted"
    )]
    PastIntoLive,
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error(transparent)]
    Prepare(#[from] PrepareError),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(
        "could not apply message {sequence} of the stream ({resource}); nothing was skipped, replay again once that is mended"
    )]
    Apply {
        sequence: i64,
        resource: &'static str,
        #[source]
        source: WriteError,
    },
    #[error(
        "everything was replayed, but the ledger could not be asked for what the stream no longer holds"
    )]
    Compare(#[source] sqlx::Error),
    #[error("interrupted; what was replayed stays, and the same command replays everything")]
    Interrupted,
    #[error("a task of the replay died")]
    Died(#[source] tokio::task::JoinError),
}

/// The stream cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    #[error("could not look up stream {STREAM}; fetchers and loaders make it")]
    Stream(#[from] GetStreamError),
    #[error("could not read the stream, in spite of many attempts")]
    Lost(#[source] async_nats::Error),
}

/// The tables to fill are not there, or not those of a replay.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PrepareError {
    #[error(
        "the tables of this database are missing or older than this loader; run `loader migrate`"
    )]
    NotMigrated,
    #[error("schema {} holds tables of that name that no replay made; choose another", .0.name())]
    Taken(Schema),
    #[error("{}.{table} is of another shape than raw.{table} is by now; drop the schema, or choose another", schema.name())]
    Shape { schema: Schema, table: String },
    #[error("schema {} holds batches that were fetched after --until; drop it, or choose another", .0.name())]
    Later(Schema),
    #[error("this database role may not make it; have it made: create schema {} authorization …", .0)]
    Forbidden(Schema, #[source] sqlx::Error),
    #[error("Postgres does not do it")]
    Database(#[from] sqlx::Error),
}

impl ReplayError {
    pub(crate) fn exit(&self) -> Exit {
        let unreachable = match self {
            Self::Times
            | Self::PastIntoLive
            | Self::Prepare(PrepareError::Taken(_) | PrepareError::Later(_)) => {
                return Exit::Usage;
            }
            Self::Connect(_) | Self::Read(ReadError::Lost(_)) => true,
            Self::Read(ReadError::Stream(error)) => {
                !matches!(error.kind(), GetStreamErrorKind::JetStream(_))
            }
            Self::Prepare(PrepareError::Database(error)) | Self::Compare(error) => {
                classify(error) == Trouble::Passing
            }
            Self::Apply { source, .. } => source.disposition() != Disposition::Stop,
            Self::Prepare(_) | Self::Interrupted | Self::Died(_) => false,
        };
        if unreachable { Exit::Unreachable } else { Exit::Failed }
    }
}
