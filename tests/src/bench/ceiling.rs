//! The ceiling: Postgres' own binary COPY of the same rows into a table like the raw one, with its
//! primary key and its index.

use std::ops::Range;
use std::time::Instant;

use anyhow::Result;
use jiff::Timestamp;
use shared::batch::Record;
use sqlx::{Executor as _, PgConnection};

use super::entries::{self, Version};
use super::usage;
use crate::world::World;

/// Rows sent at a time.
const CHUNK: usize = 2_000;
/// Microseconds between 1970 and Postgres' epoch, 2000.
const EPOCH: i64 = 946_684_800_000_000;
const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";

/// What it took.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Copied {
    pub(super) seconds: f64,
    /// CPU seconds of Postgres.
    pub(super) cpu: f64,
}

/// Makes the table anew, and copies `rows` into it over so many connections.
pub(super) async fn copy(world: &World, rows: u32, connections: u32) -> Result<Copied> {
    let mut connection = world.connect().await?;
    for statement in [
        "drop schema if exists bench cascade",
        "create schema bench",
        "create table bench.copied (like raw.toggl_track__time_entries including all)",
        "checkpoint",
    ] {
        connection.execute(statement).await?;
    }
    let mut sessions = Vec::new();
    for _ in 0..connections {
        sessions.push(world.connect().await?);
    }
    let share = rows.div_ceil(connections);
    let parts: Vec<Vec<Vec<u8>>> =
        (0..connections).map(|part| chunks(part * share..rows.min((part + 1) * share))).collect();
    let before = usage::cpu_of_family(world.postgres().pid())?;
    let started = Instant::now();
    let copies: Vec<_> =
        sessions.into_iter().zip(parts).map(|(s, part)| tokio::spawn(copy_part(s, part))).collect();
    // Kept open until the CPU of their processes has been read.
    let mut sessions = Vec::new();
    for copy in copies {
        sessions.push(copy.await??);
    }
    let elapsed = started.elapsed();
    let cpu = usage::cpu_of_family(world.postgres().pid())? - before;
    drop(sessions);
    let count = "select count(*) from bench.copied";
    let copied: i64 = sqlx::query_scalar(count).fetch_one(&mut connection).await?;
    anyhow::ensure!(copied == i64::from(rows), "COPY stored {copied} of {rows} rows");
    connection.execute("drop schema bench cascade").await?;
    Ok(Copied { seconds: elapsed.as_secs_f64(), cpu })
}

/// The rows in COPY's form, ready to be sent.
fn chunks(places: Range<u32>) -> Vec<Vec<u8>> {
    let fetched_at = Timestamp::now();
    let starts = places.clone().step_by(CHUNK);
    let chunk = |at: u32| {
        let end = places.end.min(at + u32::try_from(CHUNK).unwrap());
        let mut buffer = Vec::with_capacity(CHUNK * 700);
        for place in at..end {
            write_row(&mut buffer, &entries::record(place, Version::First), fetched_at);
        }
        buffer
    };
    starts.map(chunk).collect()
}

async fn copy_part(mut connection: PgConnection, chunks: Vec<Vec<u8>>) -> Result<PgConnection> {
    let sql =
        "copy bench.copied (source_id, workspace_id, data, api_version, modified_at, fetched_at,
             content_hash, started_at, user_id) from stdin (format binary)";
    let mut copy = connection.copy_in_raw(sql).await?;
    copy.send(SIGNATURE).await?;
    for chunk in chunks {
        copy.send(chunk.as_slice()).await?;
    }
    copy.send((-1_i16).to_be_bytes().as_slice()).await?;
    copy.finish().await?;
    Ok(connection)
}

fn write_row(buffer: &mut Vec<u8>, record: &Record, fetched_at: Timestamp) {
    buffer.extend(9_i16.to_be_bytes());
    let integer = |buffer: &mut Vec<u8>, value: Option<i64>| match value {
        Some(value) => field(buffer, &value.to_be_bytes()),
        None => buffer.extend((-1_i32).to_be_bytes()),
    };
    let time = |at: Timestamp| at.as_microsecond() - EPOCH;
    integer(buffer, Some(record.source_id));
    integer(buffer, record.workspace_id);
    buffer.extend(i32::try_from(record.data.len() + 1).unwrap().to_be_bytes());
    // The version of jsonb's binary form, in which the text follows.
    buffer.push(1);
    buffer.extend(&record.data);
    field(buffer, b"v9");
    integer(buffer, record.modified_at.map(time));
    integer(buffer, Some(time(fetched_at)));
    integer(buffer, Some(record.source_id));
    integer(buffer, record.started_at.map(time));
    integer(buffer, record.user_id);
}

fn field(buffer: &mut Vec<u8>, bytes: &[u8]) {
    buffer.extend(i32::try_from(bytes.len()).unwrap().to_be_bytes());
    buffer.extend(bytes);
}
