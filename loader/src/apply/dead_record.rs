//! A record of a batch that cannot be stored.

use sqlx::error::DatabaseError;

/// A record that Postgres refuses.
#[derive(Debug, Clone)]
pub(crate) struct DeadRecord {
    /// Place of the record in its batch.
    pub(crate) record_index: usize,
    /// Postgres' words, or ours.
    pub(crate) reason: String,
    /// Postgres' code, where it was Postgres that refused.
    pub(crate) sqlstate: Option<String>,
}

impl DeadRecord {
    /// The record at this place, with the error that Postgres answered.
    pub(crate) fn refused(record_index: usize, error: &sqlx::Error) -> Self {
        let database = error.as_database_error();
        Self {
            record_index,
            reason: database.map_or_else(|| error.to_string(), |error| error.message().to_owned()),
            sqlstate: database.and_then(DatabaseError::code).map(Into::into),
        }
    }
}
