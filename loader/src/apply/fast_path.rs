//! Batches that only add rows, or bring nothing new: they are applied beside others of the same
//! resource and workspace, over several connections at once.
//!
//! A batch that has to change a stored row takes the lock on its resource and workspace alone. One
//! that does not shares it: as long as it does, no stored row changes, so what was compared stays true
//! and what is inserted is nobody else's. Claims are looked at and recorded one batch at a time, under
//! a second lock: of two batches the later one sees the rows and the claims of the earlier one. Dead
//! letters that are overtaken go under that lock too.
//!
//! Whatever is not as simple as that is left to the batch's turn alone, with nothing done: a stored
//! row that differs or is newer, a newer claim, a row that the claim does not have.

use jiff_sqlx::ToSqlx as _;
use shared::batch::Coverage;
use sqlx::{PgConnection, Postgres, Transaction};

use super::checksum::{self, Sums};
use super::claims::{self, Standing};
use super::compare::{Comparison, compare};
use super::lock::{self, Turn};
use super::mark_deleted::Swept;
use super::rows::Row;
use super::upsert::{self, Moment, query, unconfirmed};
use super::{Applied, ApplyError, Job, commit, copy, count, history, loads, running_entries};
use crate::postgres::database::{Trouble, classify};

/// What the next batch of a table is taken for, by what the last one was: a wrong guess costs time and
/// nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Guess {
    /// Equal to what is stored, all of it: only the sums are compared.
    #[default]
    Same,
    /// In part equal to what is stored, in part not there yet.
    Grown,
    /// Not there yet, all of it: inserted without looking first.
    New,
    /// Something that changes stored rows.
    Changed,
}

impl Guess {
    pub(crate) fn by(compared: &Comparison<'_>, marked: usize) -> Self {
        if marked > 0 || compared.stale > 0 || compared.write.len() > compared.new {
            Self::Changed
        } else if compared.new == 0 {
            Self::Same
        } else if compared.unchanged.is_empty() {
            Self::New
        } else {
            Self::Grown
        }
    }
}

/// Applies a batch that changes no stored row. None, and nothing done, where it does or may.
pub(crate) async fn apply(
    job: Job<'_>,
    connection: &mut PgConnection,
    guess: &mut Guess,
) -> Result<Option<Applied>, ApplyError> {
    let Job { rules, batch, rows, dead, .. } = job;
    let is_plain = dead.is_empty() && batch.rejected.is_empty() && !rules.force;
    if !is_plain || *guess == Guess::Changed {
        return Ok(None);
    }
    let claims_all = batch.coverage != Coverage::Partial && rows.len() == batch.records.len();
    if *guess == Guess::Same && claims_all {
        if let Some(applied) = same(job, connection).await? {
            return Ok(Some(applied));
        }
        *guess = Guess::Grown;
    }
    grown(job, connection, guess).await
}

/// A listing of what is stored: one look at the sums of the rows it claims.
async fn same(job: Job<'_>, connection: &mut PgConnection) -> Result<Option<Applied>, ApplyError> {
    let Job { resource, batch, rows, .. } = job;
    let sums = Sums::of(resource, batch, rows);
    if usize::try_from(sums.rows) != Ok(rows.len()) {
        return Ok(None);
    }
    let mut transaction = job.begin(connection, Turn::Claiming).await?;
    let moment = job.moment(Standing::default());
    let stored = checksum::stored(&mut transaction, moment, batch).await?;
    job.check_forgotten(stored.standing)?;
    // What was fetched at the same moment or later is not confirmed by this batch.
    let is_older = stored.newest.is_none_or(|newest| newest < batch.fetched_at.to_sqlx());
    let compared = Comparison { unchanged: rows.to_vec(), ..Comparison::default() };
    let standing = stored.standing;
    let applied = (!standing.newer_claims && stored.sums == sums && is_older)
        .then(|| (count(job, Swept::Marked(0), &compared, 0, 0), standing));
    finish(job, transaction, applied).await
}

/// A batch that adds rows to those that are stored, of which some or none are its own.
async fn grown(
    job: Job<'_>,
    connection: &mut PgConnection,
    guess: &mut Guess,
) -> Result<Option<Applied>, ApplyError> {
    let Job { rules, resource, batch, rows, .. } = job;
    let schema = &rules.schema;
    let moment = job.moment(Standing::default());
    let mut transaction = job.begin(connection, Turn::Shared).await?;
    let compared = match add(&mut transaction, moment, rows, *guess).await {
        Ok(compared) => compared,
        // The bad record is found by who is alone, who also copies nothing.
        Err(error) if classify(&error) == Trouble::Data || copy::is_refused(&error) => None,
        Err(error) => return Err(error.into()),
    };
    let applied = match compared {
        Some(compared) if unconfirmed(batch, &compared.unchanged).is_empty() => {
            lock::claim(&mut transaction, schema, resource, batch.workspace_id).await?;
            let (standing, stored) = checksum::number(&mut transaction, moment, batch).await?;
            job.check_forgotten(standing)?;
            let written = u64::try_from(compared.write.len()).unwrap_or(u64::MAX);
            *guess = Guess::by(&compared, 0);
            // Every row of the batch is stored as it is by now: is there another one?
            (!standing.newer_claims && stored == Sums::of(resource, batch, rows).rows)
                .then(|| (count(job, Swept::Marked(0), &compared, written, 0), standing))
        }
        _ => None,
    };
    finish(job, transaction, applied).await
}

/// Records the claim and the ledger row, and commits; or leaves it to the turn alone.
async fn finish(
    job: Job<'_>,
    mut transaction: Transaction<'_, Postgres>,
    applied: Option<(Applied, Standing)>,
) -> Result<Option<Applied>, ApplyError> {
    let Job { rules, batch, origin, .. } = job;
    let moment = job.moment(Standing::default());
    let (applied, standing) = match applied {
        Some(applied)
            if running_entries::gone(&mut transaction, moment, batch).await?.is_empty() =>
        {
            applied
        }
        _ => {
            transaction.rollback().await?;
            return Ok(None);
        }
    };
    claims::record(&mut transaction, &rules.schema, batch).await?;
    if standing.letters {
        job.drop_overtaken(&mut transaction, applied).await?;
    }
    loads::write(&mut transaction, &rules.schema, batch, origin, &applied).await?;
    commit(transaction).await?;
    Ok(Some(applied))
}

/// Inserts what is new. None where something is not as simple as that; where somebody else has inserted
/// it meanwhile, or Postgres refuses it, an error of the data.
async fn add<'a>(
    connection: &mut PgConnection,
    moment: Moment<'_>,
    rows: &[Row<'a>],
    guess: Guess,
) -> sqlx::Result<Option<Comparison<'a>>> {
    let compared = match guess {
        Guess::New => Comparison { write: rows.to_vec(), new: rows.len(), ..Comparison::default() },
        Guess::Same | Guess::Grown | Guess::Changed => compare(connection, moment, rows).await?,
    };
    if compared.stale > 0 || compared.write.len() > compared.new {
        return Ok(None);
    }
    if compared.write.len() >= copy::MIN_ROWS {
        copy::copy(connection, moment, &compared.write).await?;
        history::record_created(connection, moment, &compared.write).await?;
    } else if !compared.write.is_empty() {
        insert(connection, moment, &compared.write).await?;
    }
    Ok(Some(compared))
}

/// In the order of the key, so that two loaders never wait for each other crosswise. A row that is there
/// already is an error of the data; while somebody else inserts it, this waits for the outcome.
async fn insert(
    connection: &mut PgConnection,
    moment: Moment<'_>,
    rows: &[Row<'_>],
) -> sqlx::Result<u64> {
    let insert = upsert::bind_rows(query(insert_sql(moment)), moment, rows);
    moment.history.run(connection, history::bind_insert(insert, moment)).await
}

/// Without `on conflict`, for which Postgres would write more and look twice.
fn insert_sql(moment: Moment<'_>) -> String {
    let Moment { schema, resource, history, .. } = moment;
    let table = resource.table();
    let (columns, input) = (upsert::columns(resource), upsert::input(resource));
    history.around_insert(resource, format!(
        "insert into {schema}.{table}
             (source_id, workspace_id, data, modified_at, deleted_at, content_hash{columns}, api_version, fetched_at)
         select source_id, workspace_id, data::jsonb, modified_at, deleted_at, content_hash{columns}, $7, $8
         from {input}"
    ))
}
