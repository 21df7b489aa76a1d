//! Why it could not be looked whose the stream is, or what of it this database has.

use std::time::Duration;

use async_nats::jetstream::context::{ConsumerInfoError, GetStreamError};
use async_nats::jetstream::stream::{ConsumerError, DirectGetError, InfoError};
use shared::consumer::EnsureConsumerError;
use shared::stream::EnsureStreamError;

use super::NotMigrated;
use crate::postgres::database::ConnectError;

/// Longer than any statement may run; a peer that is silent for longer is dead.
const LIMIT: Duration = Duration::from_secs(30);

/// Nothing is changed by it; the next look begins anew.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LookError {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("Postgres is in trouble")]
    Postgres(#[from] sqlx::Error),
    #[error("Postgres did not answer in {} s", LIMIT.as_secs())]
    Silent,
    #[error(transparent)]
    NotMigrated(#[from] NotMigrated),
    #[error("could not look up the stream")]
    Stream(#[from] GetStreamError),
    #[error("could not look up the stream")]
    Info(#[from] InfoError),
    #[error("could not look up a consumer")]
    Lookup(#[from] ConsumerInfoError),
    #[error("could not look into the stream")]
    Read(#[from] DirectGetError),
    #[error("could not read the stream by a consumer")]
    Reader(#[from] ConsumerError),
    #[error("could not read the stream")]
    Lost(#[source] async_nats::Error),
    #[error(transparent)]
    Ensure(#[from] EnsureStreamError),
    #[error(transparent)]
    Consumer(#[from] EnsureConsumerError),
    #[error("the stream says a time that is none")]
    Time(#[from] jiff::Error),
}

/// What Postgres answers, within a limit: sqlx itself waits for a dead peer for ever.
pub(super) async fn answered<T, E: Into<LookError>>(
    question: impl Future<Output = Result<T, E>>,
) -> Result<T, LookError> {
    match tokio::time::timeout(LIMIT, question).await {
        Ok(answer) => answer.map_err(Into::into),
        Err(_) => Err(LookError::Silent),
    }
}
