//! Keeping what cannot be loaded as a whole: a claim, a batch of another shape, a message.

use std::time::Duration;

use jiff_sqlx::{Timestamp as SqlTimestamp, ToSqlx as _};
use shared::batch::{Batch, Coverage, ZSTD};
use shared::resource::Resource;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::apply::applied::ApplyError;
use crate::apply::origin::Origin;
use crate::apply::sql::query;
use crate::postgres::schema::Schema;

/// What a whole batch is about: bounds of ids, `(after, through]`, or of starts, `[from, to)`.
#[derive(Debug, Clone, Copy, Default)]
struct Range {
    ids: Option<(Option<i64>, Option<i64>)>,
    starts: Option<(SqlTimestamp, SqlTimestamp)>,
    user_id: Option<i64>,
    /// Whether what lies in it and is not in the batch is gone.
    is_complete: bool,
}

impl Range {
    /// What the batch claims, or else the range that its records lie in, where all have a place: of
    /// what newer listings say of that, nothing is left to be learnt from the batch.
    fn of(batch: &Batch) -> Self {
        match batch.coverage {
            Coverage::Ids { after, through } => {
                Self { ids: Some((after, through)), is_complete: true, ..Self::default() }
            }
            Coverage::Starts { from, to, user_id } => Self {
                starts: Some((from.to_sqlx(), to.to_sqlx())),
                user_id,
                is_complete: true,
                ..Self::default()
            },
            Coverage::Partial => Self::of_records(batch),
        }
    }

    fn of_records(batch: &Batch) -> Self {
        let records = &batch.records;
        let is_entry = match batch.known_resource() {
            Ok(resource) if batch.rejected.is_empty() => resource.is_time_entry(),
            _ => return Self::default(),
        };
        if !is_entry {
            let ids = || records.iter().map(|record| record.source_id);
            let before = ids().min().map(|first| first.checked_sub(1));
            let last = ids().max().map(|last| Some(last).filter(|last| *last < i64::MAX));
            return Self { ids: before.zip(last), ..Self::default() };
        }
        let starts: Option<Vec<_>> = records.iter().map(|record| record.started_at).collect();
        let starts = starts.unwrap_or_default();
        let last = starts.iter().max();
        let after_last = last.and_then(|last| last.checked_add(Duration::from_micros(1)).ok());
        let starts = starts.iter().min().zip(after_last);
        let user_id = records.first().and_then(|record| record.user_id);
        Self {
            starts: starts.map(|(from, to)| (from.to_sqlx(), to.to_sqlx())),
            user_id: user_id.filter(|_| records.iter().all(|record| record.user_id == user_id)),
            ..Self::default()
        }
    }
}

/// Keeps a batch whose claim was not believed, whole, so that a person can have it applied.
pub(crate) async fn keep_claim(
    connection: &mut PgConnection,
    schema: &Schema,
    batch: &Batch,
    origin: &Origin,
    reason: &str,
) -> Result<(), ApplyError> {
    let range = Range::of(batch);
    if range.is_complete {
        keep_batch(connection, schema, batch, origin, reason, range, None).await?;
    }
    Ok(())
}

/// Keeps a batch of which most is refused, whole, so that it can be applied once that is mended.
pub(crate) async fn keep_shape(
    connection: &mut PgConnection,
    schema: &Schema,
    batch: &Batch,
    origin: &Origin,
    reason: &str,
) -> Result<(), ApplyError> {
    let range = Range::of(batch);
    let kept_whole = if range.is_complete { "complete" } else { "partial" };
    keep_batch(connection, schema, batch, origin, reason, range, Some(kept_whole)).await
}

/// A batch that was published twice is one letter.
async fn keep_batch(
    connection: &mut PgConnection,
    schema: &Schema,
    batch: &Batch,
    origin: &Origin,
    reason: &str,
    range: Range,
    kept_whole: Option<&str>,
) -> Result<(), ApplyError> {
    let whole = batch.encode()?;
    query(format!(
        "insert into {schema}.toggl_track__dead_letters
             (resource, workspace_id, fetched_at, run_id, subject, stream_sequence, published_at,
              reason, payload, encoding, batch, user_id, ids, starts, kept_whole)
         select $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $9, $11,
                case when $12 then int8range($13, $14, '(]') end,
                case when $15::timestamptz is not null then tstzrange($15, $16, '[)') end, $17
         where $17::text is null or not exists (
             select from {schema}.toggl_track__dead_letters
             where resource = $1 and workspace_id = $2 and source_id is null and kind = 'shape'
               and sha256(payload) = sha256($9) and fetched_at = $3
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
    .bind(storable(reason))
    .bind(whole.as_ref())
    .bind(ZSTD)
    .bind(range.user_id)
    .bind(range.ids.is_some())
    .bind(range.ids.and_then(|(after, _)| after))
    .bind(range.ids.and_then(|(_, through)| through))
    .bind(range.starts.map(|(from, _)| from))
    .bind(range.starts.map(|(_, to)| to))
    .bind(kept_whole)
    .execute(connection)
    .await?;
    Ok(())
}

/// A message that cannot be decoded, as it came.
#[derive(Debug)]
pub(crate) struct Undecodable<'a> {
    /// The table whose consumer delivered it.
    pub(crate) resource: &'static Resource,
    pub(crate) origin: &'a Origin,
    pub(crate) payload: &'a [u8],
    /// How that is compressed, by the message's own word.
    pub(crate) encoding: Option<&'a str>,
    /// The run that sent it, where that is known.
    pub(crate) run_id: Option<Uuid>,
}

/// Keeps a whole message that cannot be decoded.
pub(crate) async fn keep_message(
    connection: &mut PgConnection,
    schema: &Schema,
    message: &Undecodable<'_>,
    reason: &str,
) -> sqlx::Result<()> {
    let Undecodable { resource, origin, payload, encoding, run_id } = *message;
    query(format!(
        "insert into {schema}.toggl_track__dead_letters
             (resource, subject, stream_sequence, published_at, reason, payload, encoding, run_id)
         values ($1, $2, $3, $4, $5, $6, $7, $8)
         on conflict do nothing"
    ))
    .bind(resource.name)
    .bind(&origin.subject)
    .bind(origin.stream_sequence)
    .bind(origin.published_at.to_sqlx())
    .bind(storable(reason))
    .bind(payload)
    .bind(encoding.map(storable))
    .bind(run_id)
    .execute(connection)
    .await
    .map(drop)
}

/// Reasons repeat what they are about, and Postgres' text holds every character but one.
pub(super) fn storable(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}
