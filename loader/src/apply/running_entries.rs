//! Entries that were running when a report showed them.
//!
//! Reports do not show running entries dependably, so that a report that lacks one proves nothing, and
//! their rows have no start that a claim could cover. Once it is stopped, every report of its day shows
//! an entry; only one that was discarded never comes again. After [`LONGEST`] that is what is left: a
//! complete report of the day on which it was started, fetched later than that and without it, says that
//! it is gone. Where that is wrong, for a timer that was forgotten for longer, the next report that shows
//! it brings it back.

use jiff::{SignedDuration, Timestamp};
use jiff_sqlx::ToSqlx as _;
use serde_json::Value;
use shared::batch::{Batch, Coverage, Record, is_storable};
use shared::resource::{Resource, Scope};
use sqlx::{FromRow as _, PgConnection};

use super::upsert::{Moment, query};

/// A timer may be forgotten over long holidays' weekends, hardly for longer.
const LONGEST: SignedDuration = SignedDuration::from_hours(7 * 24);

/// [`LONGEST`], in SQL.
pub(crate) const LONGEST_SQL: &str = "interval '168 hours'";

/// Whether a record is of an entry that runs, where claims say nothing of such.
pub(crate) fn is_running(resource: &Resource, record: &Record) -> bool {
    resource.running_unless.is_some() && record.started_at.is_none()
}

/// The start that such a record has in its JSON alone, if it can be read.
pub(crate) fn since(resource: &Resource, record: &Record) -> Option<Timestamp> {
    let start = resource.started_field.filter(|_| is_running(resource, record))?;
    let fields: Value = serde_json::from_slice(&record.data).ok()?;
    moment(fields.get(start)?.as_str()?)
}

fn moment(text: &str) -> Option<Timestamp> {
    text.parse().ok().filter(|start| is_storable(*start))
}

/// The rows of running entries that the batch's claim says are gone, and that are not known to be.
pub(crate) async fn gone(
    connection: &mut PgConnection,
    moment: Moment<'_>,
    batch: &Batch,
) -> sqlx::Result<Vec<i64>> {
    let (Some(_), Some(start), &Coverage::Starts { from, to, user_id }) =
        (moment.resource.running_unless, moment.resource.started_field, &batch.coverage)
    else {
        return Ok(Vec::new());
    };
    let present: Vec<i64> = batch.records.iter().map(|record| record.source_id).collect();
    let rows = query(stored_sql(moment, start))
        .bind(batch.workspace_id)
        .bind(batch.fetched_at.to_sqlx())
        .bind(user_id)
        .bind(present)
        .fetch_all(connection)
        .await?;
    let mut gone = Vec::new();
    for row in &rows {
        let (id, start): (i64, Option<String>) = <_>::from_row(row)?;
        let start = start.as_deref().and_then(self::moment);
        let is_claimed = start.is_some_and(|start| {
            from <= start && start < to && batch.fetched_at.duration_since(start) > LONGEST
        });
        if is_claimed {
            gone.push(id);
        }
    }
    Ok(gone)
}

/// `$1` workspace, `$2` fetched at, `$3` user, `$4` the ids in the batch.
fn stored_sql(moment: Moment<'_>, start: &str) -> String {
    let Moment { schema, resource, .. } = moment;
    let table = resource.table();
    let workspace = match resource.scope {
        Scope::Account => "$1::bigint is not null",
        Scope::Workspace => "workspace_id = $1::bigint",
    };
    format!(
        "select source_id, data->>'{start}' from {schema}.{table}
         where started_at is null and {workspace} and fetched_at < $2
             and (deleted_at is null or deleted_at > $2)
             and ($3::bigint is null or user_id = $3) and source_id <> all($4::bigint[])"
    )
}
