//! New rows in the binary form of `COPY`: of all ways into a table the one that costs Postgres least.

use bytes::{BufMut as _, BytesMut};
use jiff::Timestamp;
use sqlx::PgConnection;
use sqlx::error::DatabaseError;

use super::context::BatchContext;
use super::rows::Row;
use super::sql::columns;

/// From so many rows on it is quicker than an `insert`, for it takes a round trip more.
pub(crate) const MIN_ROWS: usize = 500;

/// Sent at a time: Postgres reads on meanwhile.
const CHUNK: usize = 256 * 1024;

const FEATURE_NOT_SUPPORTED: &str = "0A000";

const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
const END: i16 = -1;
const NULL: i32 = -1;
/// The version of jsonb's binary form, in which the text follows.
const JSONB: u8 = 1;
/// Microseconds from 1970 to Postgres' epoch, 2000.
const EPOCH: i64 = 946_684_800_000_000;

/// Inserts rows of which none may be there yet, and answers how many. The connection can go on after an
/// error of the data, in an aborted transaction.
pub(crate) async fn copy(
    connection: &mut PgConnection,
    context: BatchContext<'_>,
    rows: &[Row<'_>],
) -> sqlx::Result<u64> {
    let mut copy = connection.copy_in_raw(&copy_sql(context)).await?;
    let mut buffer = BytesMut::with_capacity(CHUNK + CHUNK / 4);
    buffer.put_slice(SIGNATURE);
    for row in rows {
        put_row(&mut buffer, context, row);
        if buffer.len() >= CHUNK {
            copy.send(&*buffer).await?;
            buffer.clear();
        }
    }
    buffer.put_i16(END);
    copy.send(&*buffer).await?;
    copy.finish().await
}

/// Whether Postgres copies nothing into this table, as under row-level security, where it inserts
/// nevertheless.
pub(crate) fn is_refused(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(DatabaseError::code);
    code.is_some_and(|code| code == FEATURE_NOT_SUPPORTED)
}

fn copy_sql(context: BatchContext<'_>) -> String {
    let BatchContext { schema, resource, .. } = context;
    let (table, columns) = (resource.table(), columns(resource));
    format!(
        "copy {schema}.{table}
             (source_id, workspace_id, data, modified_at, deleted_at, content_hash, valid_from{columns}, api_version, fetched_at)
         from stdin (format binary)"
    )
}

fn put_row(buffer: &mut BytesMut, context: BatchContext<'_>, row: &Row<'_>) {
    let is_time_entry = context.resource.is_time_entry();
    buffer.put_i16(if is_time_entry { 11 } else { 9 });
    put_integer(buffer, Some(row.record.source_id));
    put_integer(buffer, Some(row.workspace_id));
    put_length(buffer, row.data.len() + 1);
    buffer.put_u8(JSONB);
    buffer.put_slice(row.data.as_bytes());
    put_time(buffer, row.record.modified_at);
    put_time(buffer, row.deleted_at);
    put_integer(buffer, Some(row.content_hash));
    put_time(buffer, Some(row.valid_from(context.fetched_at)));
    if is_time_entry {
        put_time(buffer, row.record.started_at);
        put_integer(buffer, row.record.user_id);
    }
    put_length(buffer, context.api_version.len());
    buffer.put_slice(context.api_version.as_bytes());
    put_time(buffer, Some(context.fetched_at));
}

fn put_integer(buffer: &mut BytesMut, value: Option<i64>) {
    match value {
        Some(value) => {
            buffer.put_i32(8);
            buffer.put_i64(value);
        }
        None => buffer.put_i32(NULL),
    }
}

fn put_time(buffer: &mut BytesMut, time: Option<Timestamp>) {
    put_integer(buffer, time.map(|time| time.as_microsecond() - EPOCH));
}

/// What is longer than Postgres takes at all is refused by it as too long.
fn put_length(buffer: &mut BytesMut, length: usize) {
    buffer.put_i32(i32::try_from(length).unwrap_or(i32::MAX));
}
