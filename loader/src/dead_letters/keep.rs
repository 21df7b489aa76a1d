//! Keeping what cannot be loaded, in the same transaction that loads its neighbours.

use jiff_sqlx::ToSqlx as _;
use shared::batch::{Batch, Coverage, EncodeError, Rejected, ZSTD};
use shared::telemetry::RAW_CLIENT;
use sqlx::PgConnection;
use tracing::info;

use crate::delivery::{Delivery, Origin};
use crate::rows::Row;
use crate::rules::Schema;
use crate::upsert::query;

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

/// Keeps a record, both as its JSON bytes and as a batch of its own that can be applied again. A bad
/// record comes with every sync until somebody mends it at Toggl: it is one dead letter, which holds
/// the newest form of it. An old form would be taken for a record that a later listing did not have.
pub(crate) async fn keep_record(
    connection: &mut PgConnection,
    schema: &Schema,
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
    query(format!(
        "with same as (
             select dead_letter_id, fetched_at, payload from {schema}.toggl_track__dead_letters
             where resource = $1 and workspace_id = $2 and kind = 'record' and source_id = $8
         ), known as (
             select from same where fetched_at > $3 or (fetched_at = $3 and payload = $12)
         ), renewed as (
             update {schema}.toggl_track__dead_letters
             set fetched_at = $3, run_id = $4, subject = $5, stream_sequence = $6,
                 published_at = $7, record_index = $9, reason = $10, sqlstate = $11,
                 payload = $12, batch = $13
             where dead_letter_id = (select min(dead_letter_id) from same where fetched_at < $3)
               and not exists (select from known)
             returning dead_letter_id
         )
         insert into {schema}.toggl_track__dead_letters
             (resource, workspace_id, fetched_at, run_id, subject, stream_sequence, published_at,
              source_id, record_index, reason, sqlstate, payload, batch)
         select $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13
         where not exists (select from known) and not exists (select from renewed)
         on conflict do nothing"
    ))
    .bind(&batch.resource)
    .bind(batch.workspace_id)
    .bind(batch.fetched_at.to_sqlx())
    .bind(batch.run_id)
    .bind(&origin.subject)
    .bind(origin.stream_sequence)
    .bind(origin.published_at.to_sqlx())
    .bind(record.source_id)
    .bind(i32::try_from(dead.record_index).unwrap_or(i32::MAX))
    .bind(storable(&dead.reason))
    .bind(dead.sqlstate.as_deref())
    .bind(record.data.as_ref())
    .bind(alone.encode()?.as_ref())
    .execute(connection)
    .await?;
    Ok(())
}

/// Keeps what the fetcher could make no record of. Numbered after the batch's records. It too is one
/// dead letter for as long as it stays the same.
pub(crate) async fn keep_rejected(
    connection: &mut PgConnection,
    schema: &Schema,
    batch: &Batch,
    origin: &Origin,
) -> sqlx::Result<()> {
    for (record_index, rejected) in (batch.records.len()..).zip(&batch.rejected) {
        let Rejected { source_id, reason, data } = rejected;
        query(format!(
            "insert into {schema}.toggl_track__dead_letters
                 (resource, workspace_id, fetched_at, run_id, subject, stream_sequence,
                  published_at, source_id, record_index, reason, payload)
             select $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11
             where not exists (
                 select from {schema}.toggl_track__dead_letters
                 where resource = $1 and source_id is not distinct from $8 and reason = $10
                   and payload = $11
             )
             on conflict do nothing"
        ))
        .bind(&batch.resource)
        .bind(batch.workspace_id)
        .bind(batch.fetched_at.to_sqlx())
        .bind(batch.run_id)
        .bind(&origin.subject)
        .bind(origin.stream_sequence)
        .bind(origin.published_at.to_sqlx())
        .bind(*source_id)
        .bind(i32::try_from(record_index).unwrap_or(i32::MAX))
        .bind(storable(reason))
        .bind(data.as_ref())
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

/// Keeps a batch whose claim was not believed, whole, so that a person can have it applied.
pub(crate) async fn keep_claim(
    connection: &mut PgConnection,
    schema: &Schema,
    batch: &Batch,
    origin: &Origin,
    reason: &str,
) -> Result<(), KeepError> {
    let whole = batch.encode()?;
    let (ids, starts, user_id) = match batch.coverage {
        Coverage::Partial => return Ok(()),
        Coverage::Ids { after, through } => (Some((after, through)), None, None),
        Coverage::Starts { from, to, user_id } => (None, Some((from, to)), user_id),
    };
    query(format!(
        "insert into {schema}.toggl_track__dead_letters
             (resource, workspace_id, fetched_at, run_id, subject, stream_sequence, published_at,
              reason, payload, encoding, batch, user_id, ids, starts)
         select $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $9, $11,
                case when $12 then int8range($13, $14, '(]') end,
                case when not $12 then tstzrange($15, $16, '[)') end
         on conflict do nothing"
    ))
    .bind(&batch.resource)
    .bind(batch.workspace_id)
    .bind(batch.fetched_at.to_sqlx())
    .bind(batch.run_id)
    .bind(&origin.subject)
    .bind(origin.stream_sequence)
    .bind(origin.published_at.to_sqlx())
    .bind(reason)
    .bind(whole.as_ref())
    .bind(ZSTD)
    .bind(user_id)
    .bind(ids.is_some())
    .bind(ids.and_then(|(after, _)| after))
    .bind(ids.and_then(|(_, through)| through))
    .bind(starts.map(|(from, _)| from.to_sqlx()))
    .bind(starts.map(|(_, to)| to.to_sqlx()))
    .execute(connection)
    .await?;
    Ok(())
}

/// Deletes the refused claims of the batch's resource and workspace that newer listings, believed or
/// not, cover whole. To apply such a claim would change nothing, or is asked anew by the newer one;
/// and they would come with every sync.
pub(crate) async fn supersede(
    connection: &mut PgConnection,
    schema: &Schema,
    batch: &Batch,
) -> sqlx::Result<()> {
    let superseded = query(format!(
        "with listings as (
             select ids, starts, user_id, fetched_at, null::bigint as dead_letter_id
             from {schema}.toggl_track__claims
             where resource = $1 and workspace_id = $2
             union all
             select ids, starts, user_id, fetched_at, dead_letter_id
             from {schema}.toggl_track__dead_letters
             where resource = $1 and workspace_id = $2 and kind = 'claim'
         )
         delete from {schema}.toggl_track__dead_letters d
         where d.resource = $1 and d.workspace_id = $2 and d.kind = 'claim'
           and (
               select int8multirange(d.ids) <@ range_agg(l.ids)
                   or tstzmultirange(d.starts) <@ range_agg(l.starts)
               from listings l
               where (l.ids && d.ids or l.starts && d.starts)
                 and (l.user_id is null or l.user_id = d.user_id)
                 and (l.fetched_at > d.fetched_at
                   or l.fetched_at = d.fetched_at
                     and (l.dead_letter_id is null or l.dead_letter_id > d.dead_letter_id))
           )"
    ))
    .bind(&batch.resource)
    .bind(batch.workspace_id)
    .execute(connection)
    .await?
    .rows_affected();
    if superseded > 0 {
        info!(
            target: RAW_CLIENT,
            "Dropped {superseded} older listings of {} that were not believed: a newer one covers them",
            batch.resource
        );
    }
    Ok(())
}

/// Keeps a whole message that cannot be decoded.
pub(crate) async fn keep_message(
    connection: &mut PgConnection,
    schema: &Schema,
    delivery: &Delivery,
    reason: &str,
) -> sqlx::Result<()> {
    query(format!(
        "insert into {schema}.toggl_track__dead_letters
             (resource, subject, stream_sequence, published_at, reason, payload, encoding, run_id)
         values ($1, $2, $3, $4, $5, $6, $7, $8)
         on conflict do nothing"
    ))
    .bind(delivery.resource.name)
    .bind(&delivery.origin.subject)
    .bind(delivery.origin.stream_sequence)
    .bind(delivery.origin.published_at.to_sqlx())
    .bind(storable(reason))
    .bind(delivery.payload().as_ref())
    .bind(delivery.encoding().map(storable))
    .bind(delivery.run_id())
    .execute(connection)
    .await
    .map(drop)
}

/// Reasons repeat what they are about, and Postgres' text holds every character but one.
pub(super) fn storable(text: &str) -> String {
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
