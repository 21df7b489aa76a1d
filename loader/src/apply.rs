//! One batch, one transaction: compare, upsert, record the claim, write the ledger.
//!
//! The outcome depends on the set of batches applied, not on their order: a record replaces the
//! stored row only if its `(modified_at, fetched_at)` is greater than the row's `(modified_at,
//! confirmed at)`, where a row is confirmed at the later of its own `fetched_at` and, while it is
//! live, the newest claim covering it.

use std::collections::HashMap;

use jiff_sqlx::ToSqlx as _;
use shared::batch::{Batch, Coverage, EncodeError};
use shared::resource::{Key, Resource};
use shared::retry::Disposition;
use sqlx::{Connection as _, PgConnection};
use xxhash_rust::xxh3::xxh3_64;

use crate::claims;
use crate::database::{Trouble, classify};
use crate::dead_letters::{self, DeadRecord, KeepError};
pub use crate::delivery::Origin;
use crate::upsert::{self, Comparison, Moment, Row};

/// More refused records than this, and more than a tenth of the batch, mean a changed shape.
const MAX_DEAD: usize = 50;

/// What applying a batch did, in records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Applied {
    /// In the batch.
    pub received: usize,
    /// Inserted or updated.
    pub written: usize,
    /// Equal to the stored row.
    pub unchanged: usize,
    /// Older than the stored row.
    pub stale: usize,
    /// Rows newly marked deleted.
    pub deleted: usize,
    /// Kept as dead letters.
    pub dead: usize,
}

/// Why a batch was not applied. Nothing of it is stored then.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// Postgres, or the connection to it.
    #[error("Postgres refused the batch")]
    Database(#[from] sqlx::Error),
    /// A bug: what was decoded cannot be encoded.
    #[error("could not keep a dead letter")]
    Encode(#[from] EncodeError),
    /// So many records are refused that their shape must have changed.
    #[error("{dead} of {received} records are refused, the first because: {first}")]
    ShapeChanged {
        /// Records refused.
        dead: usize,
        /// Records in the batch.
        received: usize,
        /// Postgres' words about the first.
        first: String,
    },
}

impl From<KeepError> for ApplyError {
    fn from(error: KeepError) -> Self {
        match error {
            KeepError::Database(error) => Self::Database(error),
            KeepError::Encode(error) => Self::Encode(error),
        }
    }
}

impl ApplyError {
    /// Whether to try the batch again or to stop its table.
    pub fn disposition(&self) -> Disposition {
        match self {
            Self::Database(error) => match classify(error) {
                // Records are isolated here; a data error that gets out is a bug.
                Trouble::Data => Disposition::Stop,
                trouble => trouble.disposition(),
            },
            Self::Encode(_) | Self::ShapeChanged { .. } => Disposition::Stop,
        }
    }
}

/// Applies a batch whole: all good records, the dead letters of the bad ones, the claim and the
/// ledger row commit together. Applying it again changes nothing.
///
/// # Errors
/// See [`ApplyError`]; drop the connection unless the error is about the data.
pub async fn apply(
    connection: &mut PgConnection,
    resource: &'static Resource,
    batch: &Batch,
    origin: &Origin,
) -> Result<Applied, ApplyError> {
    match attempt(connection, resource, batch, origin, Isolation::None).await {
        Err(ApplyError::Database(error)) if classify(&error) == Trouble::Data => {
            attempt(connection, resource, batch, origin, Isolation::Bisect).await
        }
        other => other,
    }
}

/// Savepoints cost round trips, so they are taken only once a batch is known to hold a bad record.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Isolation {
    None,
    Bisect,
}

async fn attempt(
    connection: &mut PgConnection,
    resource: &'static Resource,
    batch: &Batch,
    origin: &Origin,
    isolation: Isolation,
) -> Result<Applied, ApplyError> {
    let mut transaction = connection.begin().await?;
    lock(&mut transaction, batch).await?;

    let moment = Moment {
        resource,
        workspace_id: batch.workspace_id,
        api_version: &batch.api_version,
        fetched_at: batch.fetched_at,
        newer_claims: claims::any_newer(&mut transaction, batch).await?,
    };
    let (rows, mut dead) = rows(resource, batch);
    let Comparison { write, unchanged, .. } =
        upsert::compare(&mut transaction, moment, &rows).await?;
    let written = match isolation {
        Isolation::None if write.is_empty() => 0,
        Isolation::None => upsert::write(&mut transaction, moment, &write).await?,
        Isolation::Bisect => bisect(&mut transaction, moment, &write, &mut dead).await?,
    };
    if batch.coverage == Coverage::Partial && !unchanged.is_empty() {
        upsert::confirm(&mut transaction, moment, &unchanged).await?;
    }
    check_shape(batch, &dead)?;
    for dead in &dead {
        dead_letters::keep_record(&mut transaction, batch, origin, dead).await?;
    }
    claims::record(&mut transaction, batch).await?;

    let written = usize::try_from(written).unwrap_or(usize::MAX);
    let received = batch.records.len();
    let applied = Applied {
        received,
        written,
        unchanged: unchanged.len(),
        stale: received.saturating_sub(written + unchanged.len() + dead.len()),
        deleted: write.iter().filter(|row| row.record.deleted_at.is_some()).count(),
        dead: dead.len(),
    };
    write_ledger(&mut transaction, batch, origin, &applied).await?;
    // `commit` on an aborted transaction answers Ok and stores nothing; a statement does not.
    sqlx::query("select 1").execute(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(applied)
}

/// One batch of a resource and workspace at a time, however many loaders there are.
async fn lock(connection: &mut PgConnection, batch: &Batch) -> sqlx::Result<()> {
    sqlx::query("select pg_advisory_xact_lock(hashtextextended($1, $2))")
        .bind(&batch.resource)
        .bind(batch.workspace_id)
        .execute(connection)
        .await
        .map(drop)
}

/// The newest form of each key in the batch. Records that are not text cannot even be sent to
/// Postgres and come back as dead.
fn rows<'a>(resource: &Resource, batch: &'a Batch) -> (Vec<Row<'a>>, Vec<DeadRecord>) {
    let mut dead = Vec::new();
    let mut newest: HashMap<(i64, i64), Row<'a>> = HashMap::with_capacity(batch.records.len());
    for (record_index, record) in batch.records.iter().enumerate() {
        let data = match std::str::from_utf8(&record.data) {
            Ok(data) => data,
            Err(error) => {
                let reason = format!("the record is not UTF-8: {error}");
                dead.push(DeadRecord { record_index, reason, sqlstate: None });
                continue;
            }
        };
        let workspace_id = record.workspace_id.unwrap_or(batch.workspace_id);
        let content_hash = xxh3_64(&record.data).cast_signed();
        let row = Row { record_index, record, data, workspace_id, content_hash };
        let key = match resource.key {
            Key::Source => (0, record.source_id),
            Key::WorkspaceAndSource => (workspace_id, record.source_id),
        };
        newest
            .entry(key)
            .and_modify(|other| {
                if other.record.modified_at <= record.modified_at {
                    *other = row;
                }
            })
            .or_insert(row);
    }
    let mut rows: Vec<_> = newest.into_values().collect();
    rows.sort_unstable_by_key(|row| row.record_index);
    (rows, dead)
}

/// Writes what can be written: a range that holds a refused record is halved until the record stands
/// alone. Each range has a savepoint, so that what was written before it stays.
async fn bisect(
    connection: &mut PgConnection,
    moment: Moment<'_>,
    rows: &[Row<'_>],
    dead: &mut Vec<DeadRecord>,
) -> sqlx::Result<u64> {
    let mut written = 0;
    let mut ranges = vec![rows];
    while let Some(range) = ranges.pop() {
        if range.is_empty() {
            continue;
        }
        let mut savepoint = connection.begin().await?;
        match upsert::write(&mut savepoint, moment, range).await {
            Ok(count) => {
                savepoint.commit().await?;
                written += count;
            }
            Err(error) if classify(&error) == Trouble::Data => {
                savepoint.rollback().await?;
                if let [row] = range {
                    dead.push(DeadRecord::refused(row, &error));
                } else {
                    let (left, right) = range.split_at(range.len() / 2);
                    ranges.extend([right, left]);
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(written)
}

fn check_shape(batch: &Batch, dead: &[DeadRecord]) -> Result<(), ApplyError> {
    let received = batch.records.len();
    match dead.first() {
        Some(first) if dead.len() > MAX_DEAD && dead.len() * 10 > received => {
            Err(ApplyError::ShapeChanged {
                dead: dead.len(),
                received,
                first: first.reason.clone(),
            })
        }
        _ => Ok(()),
    }
}

async fn write_ledger(
    connection: &mut PgConnection,
    batch: &Batch,
    origin: &Origin,
    applied: &Applied,
) -> sqlx::Result<()> {
    let count = |n: usize| i32::try_from(n).unwrap_or(i32::MAX);
    sqlx::query(
        "insert into raw.toggl_track__loads
             (run_id, resource, workspace_id, part, received, written, unchanged, stale, deleted,
              dead, fetched_at, stream_sequence)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
         on conflict do nothing",
    )
    .bind(batch.run_id)
    .bind(&batch.resource)
    .bind(batch.workspace_id)
    .bind(i32::try_from(batch.part).unwrap_or(i32::MAX))
    .bind(count(applied.received))
    .bind(count(applied.written))
    .bind(count(applied.unchanged))
    .bind(count(applied.stale))
    .bind(count(applied.deleted))
    .bind(count(applied.dead))
    .bind(batch.fetched_at.to_sqlx())
    .bind(origin.stream_sequence)
    .execute(connection)
    .await
    .map(drop)
}
