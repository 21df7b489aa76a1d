//! Keeping records that cannot be loaded, in the same transaction that loads their neighbours, and
//! with few statements however many they are.

use bytes::Bytes;
use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use serde_json::Value;
use shared::batch::{Batch, Coverage, EncodeError, Rejected, is_storable};
use shared::resource::{Claim, Resource};
use sqlx::PgConnection;

use super::whole::storable;
use crate::apply::applied::ApplyError;
use crate::apply::dead_record::DeadRecord;
use crate::apply::origin::Origin;
use crate::apply::sql::{query, sql_time};
use crate::postgres::schema::Schema;

/// Bytes that one statement carries at most, and a record more: little enough for a slow line within
/// the time that a statement has.
const MAX_BYTES: usize = 2 * 1024 * 1024;

/// What of a batch becomes no rows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NoRows<'a> {
    pub(crate) batch: &'a Batch,
    /// Records that Postgres refuses.
    pub(crate) dead: &'a [DeadRecord],
    /// What the fetcher could make no record of: all of it, or nothing as yet.
    pub(crate) rejected: &'a [Rejected],
}

/// What a letter about one record says.
#[derive(Debug)]
struct Kept {
    source_id: Option<i64>,
    record_index: i32,
    reason: String,
    sqlstate: Option<String>,
    payload: Bytes,
    /// The record as a batch of its own; none for what is no record.
    batch: Option<Bytes>,
    started_at: Option<Timestamp>,
    user_id: Option<i64>,
}

/// Keeps the records that Postgres refuses, both as their JSON bytes and as batches of their own that
/// can be applied again, and what the fetcher could make no record of, numbered after the batch's
/// records. A bad record comes with every sync until somebody mends it at Toggl: it is one dead letter,
/// which holds the newest form of it. What has no id is one for as long as it stays the same.
///
/// What something newer is known of is kept as well; [`overtaken`](super::overtaken) is asked next.
pub(crate) async fn keep_records(
    connection: &mut PgConnection,
    schema: &Schema,
    resource: &Resource,
    origin: &Origin,
    NoRows { batch, dead, rejected }: NoRows<'_>,
) -> Result<(), ApplyError> {
    let mut kept = Vec::with_capacity(dead.len() + rejected.len());
    for dead in dead {
        kept.extend(Kept::refused(batch, dead)?);
    }
    for (place, rejected) in (batch.records.len()..).zip(rejected) {
        kept.push(Kept::rejected(resource, place, rejected));
    }
    let (with_id, without): (Vec<_>, Vec<_>) =
        kept.into_iter().partition(|kept| kept.source_id.is_some());
    for (kept, same) in [(with_id, Same::ID), (without, Same::TEXT)] {
        let sql = keep_sql(schema, resource, same);
        for chunk in chunks(&kept) {
            keep_chunk(connection, &sql, batch, origin, chunk).await?;
        }
    }
    Ok(())
}

impl Kept {
    fn refused(batch: &Batch, dead: &DeadRecord) -> Result<Option<Self>, EncodeError> {
        let Some(record) = batch.records.get(dead.record_index) else {
            return Ok(None);
        };
        let alone = Batch {
            coverage: Coverage::Partial,
            records: vec![record.clone()],
            rejected: Vec::new(),
            resource: batch.resource.clone(),
            api_version: batch.api_version.clone(),
            ..*batch
        };
        Ok(Some(Self {
            source_id: Some(record.source_id),
            record_index: number(dead.record_index),
            reason: storable(&dead.reason),
            sqlstate: dead.sqlstate.clone(),
            payload: record.data.clone(),
            batch: Some(alone.encode()?),
            started_at: record.started_at.filter(|at| is_storable(*at)),
            user_id: record.user_id,
        }))
    }

    fn rejected(resource: &Resource, place: usize, rejected: &Rejected) -> Self {
        let (started_at, user_id) = start(resource, &rejected.data);
        Self {
            source_id: rejected.source_id,
            record_index: number(place),
            reason: storable(&rejected.reason),
            sqlstate: None,
            payload: rejected.data.clone(),
            batch: None,
            started_at,
            user_id,
        }
    }

    fn bytes(&self) -> usize {
        self.payload.len() + self.batch.as_ref().map_or(0, Bytes::len) + self.reason.len()
    }
}

fn number(place: usize) -> i32 {
    i32::try_from(place).unwrap_or(i32::MAX)
}

/// Start and user of what is no record, where it is an entry of which these can be read.
fn start(resource: &Resource, data: &[u8]) -> (Option<Timestamp>, Option<i64>) {
    let Some(Ok(Value::Object(entry))) =
        resource.started_field.map(|_| serde_json::from_slice::<Value>(data))
    else {
        return (None, None);
    };
    let field = |name: &str| entry.get(name).filter(|value| !value.is_null());
    let lacks = |name: &str| field(name).is_none_or(|value| value.as_str() == Some(""));
    let runs = resource.running_unless.is_some_and(lacks);
    let text = resource.started_field.and_then(field).and_then(Value::as_str);
    let started_at = text.filter(|_| !runs).and_then(|text| text.parse().ok());
    let user_id = resource.user_fields.iter().find_map(|name| field(name)?.as_i64());
    (started_at.filter(|at| is_storable(*at)), user_id)
}

/// In their order, each as large as a statement may be.
fn chunks(kept: &[Kept]) -> impl Iterator<Item = &[Kept]> {
    let mut bytes = 0;
    kept.chunk_by(move |one, next| {
        bytes += one.bytes();
        let fits = bytes + next.bytes() <= MAX_BYTES;
        if !fits {
            bytes = 0;
        }
        fits
    })
}

/// How a letter is known again.
#[derive(Debug, Clone, Copy)]
struct Same {
    /// Of which the input has one at most.
    unique: &'static str,
    /// That a letter `d` is about the same as the input `i`.
    condition: &'static str,
}

impl Same {
    const ID: Self = Self { unique: "source_id", condition: "d.source_id = i.source_id" };
    const TEXT: Self = Self {
        unique: "reason, payload",
        condition: "d.source_id is null and sha256(d.payload) = sha256(i.payload) and d.reason = i.reason",
    };
}

/// `$1` to `$7` what the message says, then an array for each column of the letters. Of two forms that
/// were seen at once the same one stays in every order.
fn keep_sql(schema: &Schema, resource: &Resource, Same { unique, condition }: Same) -> String {
    let (ids, starts) = match resource.claim {
        Claim::Nothing | Claim::Gone => (NO_IDS, NO_STARTS),
        Claim::Ids => (IDS, NO_STARTS),
        Claim::Starts => (NO_IDS, STARTS),
    };
    format!(
        "with input as (
             select distinct on ({unique}) *
             from (
                 select unnest($8::bigint[]) as source_id, unnest($9::integer[]) as record_index,
                        unnest($10::text[]) as reason, unnest($11::text[]) as sqlstate,
                        unnest($12::bytea[]) as payload, unnest($13::bytea[]) as batch,
                        unnest($14::timestamptz[]) as started_at, unnest($15::bigint[]) as user_id
             ) unnested
             order by {unique}, record_index desc
         ), placed as (
             select i.*, {ids} as ids, {starts} as starts, known.letter, known.newer
             from input i
             cross join lateral (
                 select min(d.dead_letter_id) as letter,
                        coalesce(bool_or((d.fetched_at, d.payload) >= ($3, i.payload)), false) as newer
                 from {schema}.toggl_track__dead_letters d
                 where d.resource = $1 and d.workspace_id = $2 and d.record_index is not null
                   and {condition}
             ) known
         ), renewed as (
             update {schema}.toggl_track__dead_letters d
             set fetched_at = $3, run_id = $4, subject = $5, stream_sequence = $6,
                 published_at = $7, record_index = i.record_index, reason = i.reason,
                 sqlstate = i.sqlstate, payload = i.payload, batch = i.batch, user_id = i.user_id,
                 ids = i.ids, starts = i.starts
             from placed i
             where d.dead_letter_id = i.letter and not i.newer
         )
         insert into {schema}.toggl_track__dead_letters
             (resource, workspace_id, fetched_at, run_id, subject, stream_sequence, published_at,
              source_id, record_index, reason, sqlstate, payload, batch, user_id, ids, starts)
         select $1, $2, $3, $4, $5, $6, $7, source_id, record_index, reason, sqlstate, payload,
                batch, user_id, ids, starts
         from placed
         where letter is null
         order by record_index
         on conflict do nothing"
    )
}

/// Without an id it may be any.
const IDS: &str = "int8range(i.source_id, nullif(i.source_id, 9223372036854775807) + 1)";
const STARTS: &str =
    "case when i.started_at is not null then tstzrange(i.started_at, i.started_at, '[]') end";
const NO_IDS: &str = "null::int8range";
const NO_STARTS: &str = "null::tstzrange";

async fn keep_chunk(
    connection: &mut PgConnection,
    sql: &str,
    batch: &Batch,
    origin: &Origin,
    kept: &[Kept],
) -> sqlx::Result<()> {
    query(sql.to_owned())
        .bind(&batch.resource)
        .bind(batch.workspace_id)
        .bind(batch.fetched_at.to_sqlx())
        .bind(batch.run_id)
        .bind(&origin.subject)
        .bind(origin.stream_sequence)
        .bind(origin.published_at.to_sqlx())
        .bind(each(kept, |kept| kept.source_id))
        .bind(each(kept, |kept| kept.record_index))
        .bind(each(kept, |kept| kept.reason.as_str()))
        .bind(each(kept, |kept| kept.sqlstate.as_deref()))
        .bind(each(kept, |kept| kept.payload.as_ref()))
        .bind(each(kept, |kept| kept.batch.as_deref()))
        .bind(each(kept, |kept| sql_time(kept.started_at)))
        .bind(each(kept, |kept| kept.user_id))
        .execute(connection)
        .await
        .map(drop)
}

fn each<'a, T>(kept: &'a [Kept], column: impl FnMut(&'a Kept) -> T) -> Vec<T> {
    kept.iter().map(column).collect()
}

/// How many letters hold what came with this message by itself.
pub(crate) async fn number_kept(
    connection: &mut PgConnection,
    schema: &Schema,
    batch: &Batch,
    origin: &Origin,
) -> sqlx::Result<usize> {
    let row = query(format!(
        "select count(*) from {schema}.toggl_track__dead_letters
         where stream_sequence = $1 and published_at = $2 and record_index is not null
           and resource = $3"
    ))
    .bind(origin.stream_sequence)
    .bind(origin.published_at.to_sqlx())
    .bind(&batch.resource)
    .fetch_one(connection)
    .await?;
    let kept: i64 = sqlx::Row::try_get(&row, 0)?;
    Ok(usize::try_from(kept).unwrap_or_default())
}
