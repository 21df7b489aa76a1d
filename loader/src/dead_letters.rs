//! What cannot be loaded is kept, with its bytes and the reason, in the same transaction that loads
//! its neighbours.

use bytes::Bytes;
use jiff_sqlx::ToSqlx as _;
use shared::batch::{Batch, Coverage, EncodeError, Rejected, ZSTD};
use sqlx::PgConnection;

use crate::delivery::{Delivery, Origin};
use crate::rows::Row;

/// A record that Postgres refuses.
#[derive(Debug)]
pub(crate) struct DeadRecord {
    /// Place of the record in its batch.
    pub(crate) record_index: usize,
    /// Postgres' words, or ours.
    pub(crate) reason: String,
    /// Postgres' code, where it was Postgres that refused.
    pub(crate) sqlstate: Option<String>,
}

impl DeadRecord {
    /// The record with the error that Postgres answered.
    pub(crate) fn refused(row: &Row<'_>, error: &sqlx::Error) -> Self {
        let database = error.as_database_error();
        Self {
            record_index: row.record_index,
            reason: database.map_or_else(|| error.to_string(), |error| error.message().to_owned()),
            sqlstate: database.and_then(sqlx::error::DatabaseError::code).map(Into::into),
        }
    }
}

/// Keeps a record, both as its JSON bytes and as a batch of its own that can be applied again.
pub(crate) async fn keep_record(
    connection: &mut PgConnection,
    batch: &Batch,
    origin: &Origin,
    dead: &DeadRecord,
) -> Result<(), KeepError> {
    let Some(record) = batch.records.get(dead.record_index) else {
        return Ok(());
    };
    let alone = Batch {
        coverage: Coverage::Partial,
        records: vec![record.clone()],
        rejected: Vec::new(),
        resource: batch.resource.clone(),
        api_version: batch.api_version.clone(),
        ..*batch
    };
    let letter = Letter {
        record_index: dead.record_index,
        source_id: Some(record.source_id),
        reason: &dead.reason,
        sqlstate: dead.sqlstate.as_deref(),
        payload: &record.data,
        batch: Some(alone.encode()?),
    };
    Ok(letter.keep(connection, batch, origin).await?)
}

/// Keeps what the fetcher could make no record of. Numbered after the batch's records.
pub(crate) async fn keep_rejected(
    connection: &mut PgConnection,
    batch: &Batch,
    origin: &Origin,
) -> sqlx::Result<()> {
    for (record_index, rejected) in (batch.records.len()..).zip(&batch.rejected) {
        let Rejected { source_id, reason, data } = rejected;
        let letter = Letter {
            record_index,
            source_id: *source_id,
            reason,
            sqlstate: None,
            payload: data,
            batch: None,
        };
        letter.keep(connection, batch, origin).await?;
    }
    Ok(())
}

/// One record that is kept.
struct Letter<'a> {
    record_index: usize,
    source_id: Option<i64>,
    reason: &'a str,
    sqlstate: Option<&'a str>,
    payload: &'a [u8],
    batch: Option<Bytes>,
}

impl Letter<'_> {
    /// A bad record comes with every sync until somebody mends it at Toggl; while it stays the same
    /// and is refused for the same reason it is one dead letter.
    async fn keep(
        self,
        connection: &mut PgConnection,
        batch: &Batch,
        origin: &Origin,
    ) -> sqlx::Result<()> {
        sqlx::query(
            "insert into raw.toggl_track__dead_letters
                 (resource, subject, stream_sequence, published_at, record_index, source_id,
                  run_id, reason, sqlstate, payload, batch)
             select $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11
             where not exists (
                 select from raw.toggl_track__dead_letters
                 where resource = $1 and source_id is not distinct from $6 and reason = $8
                   and payload = $10
             )
             on conflict do nothing",
        )
        .bind(&batch.resource)
        .bind(&origin.subject)
        .bind(origin.stream_sequence)
        .bind(origin.published_at.to_sqlx())
        .bind(i32::try_from(self.record_index).unwrap_or(i32::MAX))
        .bind(self.source_id)
        .bind(batch.run_id)
        .bind(storable(self.reason))
        .bind(self.sqlstate)
        .bind(self.payload)
        .bind(self.batch.as_deref())
        .execute(connection)
        .await
        .map(drop)
    }
}

/// Keeps a batch whose claim was not believed, whole, so that a person can have it applied.
pub(crate) async fn keep_claim(
    connection: &mut PgConnection,
    batch: &Batch,
    origin: &Origin,
    reason: &str,
) -> Result<(), KeepError> {
    let whole = batch.encode()?;
    sqlx::query(
        "insert into raw.toggl_track__dead_letters
             (resource, subject, stream_sequence, published_at, run_id, reason, payload, encoding,
              batch)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $7)
         on conflict do nothing",
    )
    .bind(&batch.resource)
    .bind(&origin.subject)
    .bind(origin.stream_sequence)
    .bind(origin.published_at.to_sqlx())
    .bind(batch.run_id)
    .bind(reason)
    .bind(whole.as_ref())
    .bind(ZSTD)
    .execute(connection)
    .await?;
    Ok(())
}

/// Keeps a whole message that cannot be decoded.
pub(crate) async fn keep_message(
    connection: &mut PgConnection,
    delivery: &Delivery,
    reason: &str,
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into raw.toggl_track__dead_letters
             (resource, subject, stream_sequence, published_at, reason, payload, encoding)
         values ($1, $2, $3, $4, $5, $6, $7)
         on conflict do nothing",
    )
    .bind(delivery.resource.name)
    .bind(&delivery.origin.subject)
    .bind(delivery.origin.stream_sequence)
    .bind(delivery.origin.published_at.to_sqlx())
    .bind(storable(reason))
    .bind(delivery.payload().as_ref())
    .bind(delivery.encoding().map(storable))
    .execute(connection)
    .await
    .map(drop)
}

/// Reasons repeat what they are about, and Postgres' text holds every character but one.
fn storable(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// Why a dead letter could not be kept.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeepError {
    /// Postgres refused.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    /// The record could not be encoded again.
    #[error(transparent)]
    Encode(#[from] EncodeError),
}
