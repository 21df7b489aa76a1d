//! One check: what was found is put on record, and what is missing is delivered again.

use std::time::Duration;

use async_nats::jetstream::Context;
use jiff::Timestamp;
use shared::consumer::{self, Notes, Owner, Readers};
use shared::telemetry::SUBSCRIBER;
use sqlx::PgConnection;
use tracing::{info, warn};

use super::absent_loads::{Examined, Table, examine};
use super::claimed::is_covered;
use super::error::{LookError, answered};
use super::gone::{Gone, commands};
use super::move_lock::lock_moves;
use super::positions;

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Redelivered {
    /// The first message of each table that is delivered again.
    pub(super) again: Vec<(&'static str, u64)>,
    /// Whether messages have left the stream that this database never had.
    pub(super) lacks: bool,
    /// How long the stream holds a message; zero for ever.
    pub(super) max_age: Duration,
}

/// Checks, records, and begins anew where something is missing.
///
/// # Errors
/// When either server is in trouble; what was begun anew stays so, and is found again.
pub(super) async fn redeliver_absent(
    context: &Context,
    readers: &Readers,
    owner: &Owner,
    connection: &mut PgConnection,
    redelivered: &[(&'static str, u64)],
) -> Result<Redelivered, LookError> {
    let mut transaction = lock_moves(connection).await?;
    let Examined { mut tables, max_age } =
        examine(context, readers, &mut transaction, redelivered).await?;
    for table in &mut tables {
        if let Some(gone) = &table.position.gone
            && table.newly_gone.is_none()
            && is_covered(&mut transaction, gone).await?
        {
            table.position.gone = None;
        }
        positions::write(&mut transaction, table.resource.name, &table.position).await?;
    }
    let again = begin_anew(context, readers, owner, &tables).await?;
    answered(transaction.commit()).await?;
    warn_of_gone(&tables);
    let lacks = tables.iter().any(|table| table.position.gone.is_some());
    Ok(Redelivered { again, lacks, max_age })
}

/// Makes the consumers of what is missing deliver it again.
async fn begin_anew(
    context: &Context,
    readers: &Readers,
    owner: &Owner,
    tables: &[Table],
) -> Result<Vec<(&'static str, u64)>, LookError> {
    let mut again = Vec::new();
    for table in tables {
        let Some(first) = table.first_absent else { continue };
        // Moved to another database meanwhile, it stays that one's.
        let owned = |notes: Notes| {
            let owner = notes.owner.unwrap_or_else(|| owner.clone());
            Notes { owner: Some(owner), trouble: notes.trouble }
        };
        consumer::begin_anew(context, readers, table.resource, Some(first), owned).await?;
        again.push((table.resource.name, first));
    }
    let absent: u64 = tables.iter().map(|table| table.absent).sum();
    if absent > 0 {
        let each = tables.iter().filter(|table| table.absent > 0);
        let each: Vec<_> =
            each.map(|table| format!("{} {}", table.absent, table.resource.name)).collect();
        info!(
            target: SUBSCRIBER,
            "{absent} batches were acknowledged and are not in this database, as after a restored \
             backup; they are loaded again: {}", each.join(", ")
        );
    }
    Ok(again)
}

fn warn_of_gone(tables: &[Table]) {
    let gone: Vec<Gone> = tables.iter().filter_map(|table| table.newly_gone.clone()).collect();
    if !gone.is_empty() {
        warn!(target: SUBSCRIBER, "{}", words(&gone, Timestamp::now()));
    }
}

/// What is gone, and what to do.
pub(crate) fn words(gone: &[Gone], now: Timestamp) -> String {
    let names: Vec<_> = gone.iter().map(|gone| gone.resource.as_str()).collect();
    let before = gone.iter().map(|gone| gone.before).max().unwrap_or(now);
    let after = gone.iter().filter_map(|gone| gone.after).min();
    let span = after.map_or_else(String::new, |after| format!("from {} ", day(after)));
    format!(
        "what was fetched {span}until {} is not in the stream any more, and this database may lack it \
         ({}): {} fetches it again; `loader adopt` says that it is not needed",
        day(before),
        names.join(", "),
        commands(gone, now).join(" and "),
    )
}

fn day(time: Timestamp) -> impl std::fmt::Display {
    time.strftime("%Y-%m-%d")
}
