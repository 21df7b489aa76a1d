//! One transaction that deletes them everywhere in the schema `raw`, and notes that they are forgotten.

use shared::catalogue::CATALOGUE;
use sqlx::{Connection as _, Executor as _, PgConnection};

use super::Whom;
use super::error::ForgetError;
use super::letters::letters;
use super::rows::{history, table};
use crate::apply::lock;

/// What was deleted and cleaned.
#[derive(Debug, Default)]
pub(super) struct Erased {
    /// By what it was, in the order in which it was done; without what holds nothing of them.
    pub(super) places: Vec<(String, Counts)>,
    /// Dead letters that nobody can read, and that may hold them.
    pub(super) unreadable: Vec<i64>,
}

/// In rows.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    pub(super) deleted: u64,
    /// Rows about something else, kept without them.
    pub(super) cleaned: u64,
}

impl Erased {
    fn add(&mut self, place: impl Into<String>, counts: Counts) {
        if counts.deleted + counts.cleaned > 0 {
            self.places.push((place.into(), counts));
        }
    }

    pub(super) fn unreadable_words(&self) -> Option<String> {
        let ids: Vec<_> = self.unreadable.iter().map(i64::to_string).collect();
        (!ids.is_empty()).then(|| {
            let ids = ids.join(",");
            format!(
                "dead letters that cannot be read may hold them: look by `loader dead-letters show`, and \
                 discard them by `loader dead-letters discard --id {ids}`"
            )
        })
    }
}

/// Deletes them while no batch is applied, so that none in flight brings them back. A dry run does the
/// same and takes it back.
///
/// # Errors
/// Nothing was deleted then.
pub(super) async fn erase(
    connection: &mut PgConnection,
    whom: Whom,
    dry_run: bool,
) -> Result<Erased, ForgetError> {
    let mut transaction = connection.begin().await?;
    // All texts of all tables are read once: that takes as long as it takes. A batch in flight may take
    // half a minute, and others wait behind this one, for no longer than their own limit at a time.
    transaction
        .execute(
            "set local statement_timeout = 0; set local lock_timeout = '40s';
             set local enable_seqscan = on",
        )
        .await?;
    lock::stop_all(&mut transaction).await?;
    let mut erased = Erased::default();
    sqlx::query(
        "insert into raw.toggl_track__forgotten (user_id, workspace_id) values ($1, $2)
         on conflict do nothing",
    )
    .bind(whom.user_id())
    .bind(whom.workspace_id())
    .execute(&mut *transaction)
    .await?;
    for resource in CATALOGUE {
        erased.add(resource.name, table(&mut transaction, whom, resource).await?);
    }
    erased.add("history", history(&mut transaction, whom).await?);
    erased.add("claims", claims(&mut transaction, whom).await?);
    erased.add("time zones", day_zones(&mut transaction, whom).await?);
    let (counts, unreadable) = letters(&mut transaction, whom).await?;
    erased.add("dead letters", counts);
    erased.unreadable = unreadable;
    if dry_run {
        transaction.rollback().await?;
    } else {
        transaction.commit().await?;
    }
    Ok(erased)
}

/// The claims of listings that were only theirs.
async fn claims(connection: &mut PgConnection, whom: Whom) -> sqlx::Result<Counts> {
    theirs(
        connection,
        whom,
        "delete from raw.toggl_track__claims where user_id = $1 or workspace_id = $2",
    )
    .await
}

/// In which zone their local days were reckoned. The copy of their entries went with the entries; should one be left, as
/// of a workspace that its raw row names otherwise, its zone stays, too.
async fn day_zones(connection: &mut PgConnection, whom: Whom) -> sqlx::Result<Counts> {
    theirs(
        connection,
        whom,
        "delete from raw.toggl_track__day_zones zone
         where (zone.user_id = $1 or zone.workspace_id = $2) and not exists (
             select from raw.toggl_track__typed_entries typed
             where typed.workspace_id = zone.workspace_id and typed.user_id = zone.user_id
         )",
    )
    .await
}

/// A statement that deletes whole rows, by a user's id and a workspace's.
async fn theirs(
    connection: &mut PgConnection,
    whom: Whom,
    statement: &'static str,
) -> sqlx::Result<Counts> {
    let deleted = sqlx::query(statement)
        .bind(whom.user_id())
        .bind(whom.workspace_id())
        .execute(connection)
        .await?
        .rows_affected();
    Ok(Counts { deleted, cleaned: 0 })
}
