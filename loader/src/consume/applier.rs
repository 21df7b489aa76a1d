//! The connection that batches are applied on.

use std::collections::HashMap;

use shared::batch::Batch;
use shared::digest::Digest;
use shared::exit::chain;
use shared::resource::Resource;
use shared::retry::Disposition;
use sqlx::{Connection as _, PgConnection};

use crate::apply::applied::{Applied, ApplyError};
use crate::apply::begin::{Course, apply_by};
use crate::apply::dead_letters::whole::{Undecodable, keep_message};
use crate::apply::expectation::Expectation;
use crate::apply::fits::{APPLY_TIMEOUT, Fits};
use crate::apply::origin::Origin;
use crate::apply::pieces::Cutting;
use crate::apply::settings::ApplySettings;
use crate::apply::time_limit::within;
use crate::apply::unread;
use crate::ownership::Ownership;
use crate::postgres::database::{ConnectError, Database};
use crate::postgres::trouble::{advice, is_of_connection};

/// Owns one connection and makes it anew when it is needed.
#[derive(Debug)]
pub(crate) struct Applier {
    line: Line,
    settings: ApplySettings,
    /// What the next batch of a table is likely to bring.
    expectations: HashMap<&'static str, Expectation>,
    fits: Fits,
}

/// The connection, and how to make it anew.
#[derive(Debug)]
struct Line {
    database: Database,
    /// None after trouble: a connection in an unknown state is dropped, never reused.
    connection: Option<PgConnection>,
    /// Told when a connection that was lost is made anew: the database may not be what it was.
    ownership: Ownership,
    was_lost: bool,
}

impl Line {
    async fn connected(&mut self) -> Result<&mut PgConnection, ConnectError> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(self.database.connect().await?),
        };
        if std::mem::take(&mut self.was_lost) {
            self.ownership.doubt();
        }
        Ok(connection)
    }
}

impl Applier {
    pub(crate) fn new(database: Database, settings: ApplySettings, fits: Fits) -> Self {
        let ownership = Ownership::default();
        let line = Line { database, connection: None, ownership, was_lost: false };
        Self { line, settings, expectations: HashMap::new(), fits }
    }

    /// Has doubts about the database told.
    pub(crate) fn telling(self, ownership: Ownership) -> Self {
        Self { line: Line { ownership, ..self.line }, ..self }
    }

    /// Applies the batch, or as much of it as fits into the time; then there is more to come, and the
    /// answer is none.
    ///
    /// # Errors
    /// See [`WriteError`]; nothing more of the batch is stored then, or its commit was not heard of.
    pub(crate) async fn apply(
        &mut self,
        resource: &'static Resource,
        batch: &Batch,
        origin: &Origin,
        cutting: &mut Cutting,
    ) -> Result<Option<Applied>, WriteError> {
        let Self { line, settings, expectations, fits } = self;
        let connection = line.connected().await?;
        let expected = expectations.entry(resource.name).or_default();
        let course = Course { expected, cutting, fits };
        Ok(apply_by(settings, connection, resource, batch, origin, course).await?)
    }

    /// Applies the batch by its digest, if it is expected to bring nothing new and does not. None, and nothing
    /// done, where it has to be [applied](Self::apply).
    ///
    /// # Errors
    /// As there.
    pub(crate) async fn apply_unread(
        &mut self,
        resource: &'static Resource,
        digest: &Digest,
        origin: &Origin,
        cutting: &mut Cutting,
    ) -> Result<Option<Applied>, WriteError> {
        let Self { line, settings, expectations, fits } = self;
        let connection = line.connected().await?;
        let expected = expectations.entry(resource.name).or_default();
        let course = Course { expected, cutting, fits };
        Ok(unread::apply_by(settings, connection, resource, digest, origin, course).await?)
    }

    /// Keeps a message that cannot be decoded as a dead letter.
    ///
    /// # Errors
    /// As [`apply`](Self::apply).
    pub(crate) async fn keep_message(
        &mut self,
        message: &Undecodable<'_>,
        reason: &str,
    ) -> Result<(), WriteError> {
        let connection = self.line.connected().await?;
        let keeping = keep_message(connection, &self.settings.schema, message, reason);
        within(APPLY_TIMEOUT, keeping).await?;
        // A letter can be discarded: that the message was here is put on record before.
        self.line.ownership.doubt();
        Ok(())
    }

    /// After an error: the next attempt has a new connection.
    pub(crate) fn forget_connection(&mut self) {
        self.line.connection = None;
        self.line.was_lost = true;
    }

    /// Takes leave of the server.
    pub(crate) async fn close(self) {
        if let Some(connection) = self.line.connection {
            drop(connection.close().await);
        }
    }
}

/// Why a delivery was not written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error(transparent)]
    Apply(#[from] ApplyError),
}

impl WriteError {
    /// What it asks for. Connecting may be refused for any reason, and will not be for ever.
    pub(crate) fn disposition(&self) -> Disposition {
        match self {
            Self::Apply(error) => error.disposition(),
            Self::Connect(_) => Disposition::Retry(None),
        }
    }

    /// Whether there was no connection to begin with.
    pub(crate) const fn is_unconnected(&self) -> bool {
        matches!(self, Self::Connect(_))
    }

    /// Whether it is the connection's, and no table's.
    pub(crate) fn is_of_connection(&self) -> bool {
        match self {
            Self::Apply(ApplyError::Database(error)) => is_of_connection(error),
            Self::Apply(_) => false,
            Self::Connect(_) => true,
        }
    }

    /// In one line, with what to do.
    pub(crate) fn words(&self) -> String {
        let advice = match self {
            Self::Apply(ApplyError::Database(error)) => advice(error),
            Self::Apply(ApplyError::TimedOut(_)) => {
                "is the line slow, or Postgres overloaded, or is there a slow trigger?"
            }
            _ => "mend that",
        };
        format!("{}; {advice}", chain(self))
    }
}
