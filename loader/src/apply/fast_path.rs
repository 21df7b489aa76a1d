//! Batches that only add rows, or bring nothing new: they are applied beside others of the same
//! resource and workspace, over several connections at once.
//!
//! A batch that has to change a stored row takes an exclusive lock on its resource and workspace. One
//! that does not takes a shared one: as long as it does, no stored row changes, so what was compared stays true
//! and what is inserted is nobody else's. Claims are looked at and recorded one batch at a time, under
//! a second lock: of two batches the later one sees the rows and the claims of the earlier one. Dead
//! letters that are overtaken go under that lock too. Listings that bring nothing sum up what is stored beside each
//! other, for none of them adds a row, and record their claims one at a time.
//!
//! Whatever is not as simple as that is left to the [exclusive](super::exclusive) way, with nothing done: a stored
//! row that differs or is newer, a newer claim, a row that the claim does not have.

use jiff_sqlx::ToSqlx as _;
use shared::batch::Coverage;
use shared::digest::Sums;
use shared::fault_point;
use sqlx::PgConnection;

use super::applied::{Applied, ApplyError};
use super::checksum;
use super::claims::{self, OnRecord};
use super::compare::{Comparison, compare};
use super::context::BatchContext;
use super::expectation::Expectation;
use super::job::{Job, commit, count};
use super::lock::{self, BatchLock};
use super::mark_deleted::MarkOutcome;
use super::rows::{Row, sums};
use super::sql::{bind_rows, columns, input, query};
use super::upsert::unconfirmed;
use super::{copy, gone_running_entries, loads, touched};
use crate::postgres::trouble::{Trouble, classify};

/// Applies a batch that changes no stored row. None, and nothing done, where it does or may.
pub(crate) async fn apply(
    job: Job<'_>,
    connection: &mut PgConnection,
    expected: &mut Expectation,
) -> Result<Option<Applied>, ApplyError> {
    let Job { settings, resource, batch, rows, dead, .. } = job;
    let is_plain = dead.is_empty() && batch.rejected.is_empty() && !settings.force;
    if !is_plain || *expected == Expectation::Changed {
        return Ok(None);
    }
    let claims_all = batch.coverage != Coverage::Partial && rows.len() == batch.records.len();
    if *expected == Expectation::Same && claims_all {
        let listed = sums(resource, batch, rows);
        if usize::try_from(listed.rows) == Ok(rows.len())
            && let Some(applied) = same(job, connection, listed).await?
        {
            return Ok(Some(applied));
        }
        *expected = Expectation::Grown;
    }
    grown(job, connection, expected).await
}

/// A listing of what is stored: one look at the sums of the rows it claims. It may come without its
/// records.
pub(crate) async fn same(
    job: Job<'_>,
    connection: &mut PgConnection,
    listed: Sums,
) -> Result<Option<Applied>, ApplyError> {
    let Job { settings, resource, batch, origin, .. } = job;
    let schema = &settings.schema;
    let mut transaction = job.begin(connection, BatchLock::SharedStill).await?;
    let context = job.context(OnRecord::default());
    let stored = checksum::stored(&mut transaction, context, batch).await?;
    job.check_forgotten(stored.on_record)?;
    // What was fetched at the same moment or later is not confirmed by this batch.
    let is_older = stored.newest.is_none_or(|newest| newest < batch.fetched_at.to_sqlx());
    let on_record = stored.on_record;
    let is_same = !on_record.newer_claims && stored.sums == listed && is_older;
    let applied = is_same.then(|| (nothing_new(job, listed), on_record));
    if is_same {
        lock::record(&mut transaction, schema, resource, batch.workspace_id).await?;
    }
    let Some(applied) = claim(job, &mut transaction, applied).await? else {
        transaction.rollback().await?;
        return Ok(None);
    };
    commit(transaction).await?;
    fault_point::reach(fault_point::BEFORE_LEDGER);
    // Nobody waits for the disk but this one. Once its row of `loads` is there, so is the claim, which was written
    // before it.
    loads::write(connection, schema, batch, origin, &applied).await?;
    Ok(Some(applied))
}

/// All that is listed is stored as it is.
fn nothing_new(Job { piece, .. }: Job<'_>, listed: Sums) -> Applied {
    let rows = usize::try_from(listed.rows).unwrap_or_default();
    let clock_ahead = piece.clock_ahead;
    Applied { received: rows, unchanged: rows, clock_ahead, ..Applied::default() }
}

/// A batch that adds rows to those that are stored, of which some or none are its own.
async fn grown(
    job: Job<'_>,
    connection: &mut PgConnection,
    expected: &mut Expectation,
) -> Result<Option<Applied>, ApplyError> {
    let Job { settings, resource, batch, rows, .. } = job;
    let schema = &settings.schema;
    let context = job.context(OnRecord::default());
    let mut transaction = job.begin(connection, BatchLock::Shared).await?;
    let compared = match add(&mut transaction, context, rows, *expected).await {
        Ok(compared) => compared,
        // The bad record is found in the exclusive way, which also copies nothing.
        Err(error) if classify(&error) == Trouble::Data || copy::is_refused(&error) => None,
        Err(error) => return Err(error.into()),
    };
    let applied = match compared {
        Some(compared) if unconfirmed(batch, &compared.unchanged).is_empty() => {
            lock::claim(&mut transaction, schema, resource, batch.workspace_id).await?;
            let (on_record, stored) = checksum::number(&mut transaction, context, batch).await?;
            job.check_forgotten(on_record)?;
            let written = u64::try_from(compared.write.len()).unwrap_or(u64::MAX);
            *expected = Expectation::by(&compared, 0);
            // Every row of the batch is stored as it is by now: is there another one?
            (!on_record.newer_claims && stored == sums(resource, batch, rows).rows)
                .then(|| (count(job, MarkOutcome::Marked(0), &compared, written, 0), on_record))
        }
        _ => None,
    };
    let Some(applied) = claim(job, &mut transaction, applied).await? else {
        transaction.rollback().await?;
        return Ok(None);
    };
    loads::write(&mut transaction, schema, batch, job.origin, &applied).await?;
    commit(transaction).await?;
    job.wait_for_disk(connection).await?;
    Ok(Some(applied))
}

/// Records the claim; or leaves it to the exclusive way.
async fn claim(
    job: Job<'_>,
    connection: &mut PgConnection,
    applied: Option<(Applied, OnRecord)>,
) -> Result<Option<Applied>, ApplyError> {
    let Job { settings, batch, .. } = job;
    let context = job.context(OnRecord::default());
    let Some((applied, on_record)) = applied else { return Ok(None) };
    if !gone_running_entries::gone(connection, context, batch).await?.is_empty() {
        return Ok(None);
    }
    claims::record(connection, &settings.schema, batch).await?;
    if on_record.letters {
        job.drop_overtaken(connection, applied).await?;
    }
    Ok(Some(applied))
}

/// Inserts what is new. None where something is not as simple as that; where somebody else has inserted
/// it meanwhile, or Postgres refuses it, an error of the data.
async fn add<'a>(
    connection: &mut PgConnection,
    context: BatchContext<'_>,
    rows: &[Row<'a>],
    expected: Expectation,
) -> sqlx::Result<Option<Comparison<'a>>> {
    let compared = match expected {
        Expectation::New => {
            Comparison { write: rows.to_vec(), new: rows.len(), ..Comparison::default() }
        }
        Expectation::Same | Expectation::Grown | Expectation::Changed => {
            compare(connection, context, rows).await?
        }
    };
    if compared.has_stale || compared.write.len() > compared.new {
        return Ok(None);
    }
    if compared.write.len() >= copy::MIN_ROWS {
        copy::copy(connection, context, &compared.write).await?;
    } else if !compared.write.is_empty() {
        insert(connection, context, &compared.write).await?;
    }
    touched::note_rows(connection, context, &compared.write).await?;
    Ok(Some(compared))
}

/// In the order of the key, so that two loaders never wait for each other crosswise. A row that is there
/// already is an error of the data; while somebody else inserts it, this waits for the outcome.
async fn insert(
    connection: &mut PgConnection,
    context: BatchContext<'_>,
    rows: &[Row<'_>],
) -> sqlx::Result<u64> {
    let insert = bind_rows(query(insert_sql(context)), context, rows);
    Ok(insert.execute(connection).await?.rows_affected())
}

/// Without `on conflict`, for which Postgres would write more and look twice.
fn insert_sql(context: BatchContext<'_>) -> String {
    let BatchContext { schema, resource, .. } = context;
    let table = resource.table();
    let (columns, input) = (columns(resource), input(resource));
    format!(
        "insert into {schema}.{table}
             (source_id, workspace_id, data, modified_at, deleted_at, content_hash, valid_from{columns}, api_version, fetched_at)
         select source_id, workspace_id, data::jsonb, modified_at, deleted_at, content_hash, valid_from{columns}, $7, $8
         from {input}"
    )
}
