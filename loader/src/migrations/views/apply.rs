//! Applying the present text of views, one transaction for each.

use sqlx::postgres::PgDatabaseError;
use sqlx::{Connection as _, PgConnection};

use super::View;
use super::replace::replace;
use super::state::{VERSION, outdated};
use crate::migrations::MigrationError;
use crate::migrations::apply::holders;
use crate::migrations::error::is_locked;
use crate::migrations::rights::ROLES;
use crate::postgres::trouble::{Trouble, classify};

/// Replaces every view that is outdated. One that cannot be replaced, as where somebody's own view reads it,
/// keeps its former text.
///
/// # Errors
/// [`MigrationError::Views`] when one kept its text; any other has ended the work.
pub(in crate::migrations) async fn apply(
    connection: &mut PgConnection,
) -> Result<(), MigrationError> {
    let mut kept = Vec::new();
    let mut made: Vec<&'static View> = Vec::new();
    for outdated in outdated(connection).await? {
        // It may have been made together with one that it reads.
        if made.contains(&outdated.view) {
            continue;
        }
        let name = outdated.view.path();
        match apply_one(connection, outdated.view).await {
            Ok(all) => made.extend(all),
            Err(error) if is_locked(&error) => {
                let holders = holders(connection).await?;
                return Err(MigrationError::LockedView { name, holders });
            }
            Err(error) => match reason(&error) {
                Some(reason) => kept.push(format!("{name} ({reason})")),
                None => return Err(error.into()),
            },
        }
    }
    if !made.is_empty() {
        sqlx::raw_sql(verdict_rights()).execute(connection).await?;
    }
    if kept.is_empty() { Ok(()) } else { Err(MigrationError::Views(words(&kept))) }
}

/// The block of `migrations/roles.sql` that lets the fetcher's role read the verdict: roles that were made before the
/// views still lack that. Does nothing where there is no such role, or it has the right.
fn verdict_rights() -> &'static str {
    let (before, after) = ("do $verdict$", "end $verdict$;");
    let start = ROLES.find(before).unwrap_or(ROLES.len());
    let end = ROLES.find(after).map_or(start, |end| end + after.len());
    ROLES.get(start..end).unwrap_or_default()
}

async fn apply_one(
    connection: &mut PgConnection,
    view: &'static View,
) -> sqlx::Result<Vec<&'static View>> {
    let mut transaction = connection.begin().await?;
    let made = replace(&mut transaction, view).await?;
    for view in &made {
        note(&mut transaction, view).await?;
    }
    transaction.commit().await?;
    Ok(made)
}

/// Remembers which text the database holds now.
async fn note(connection: &mut PgConnection, view: &View) -> sqlx::Result<()> {
    sqlx::query(
        "insert into raw.toggl_track__views (view_name, checksum, loader_version) values ($1, $2, $3)
         on conflict (view_name) do update set checksum = excluded.checksum,
             loader_version = excluded.loader_version, applied_at = now()",
    )
    .bind(view.name)
    .bind(view.checksum())
    .bind(VERSION)
    .execute(connection)
    .await
    .map(drop)
}

/// Why a view cannot be replaced, such as what depends on it, as Postgres says it. None of trouble that passes.
fn reason(error: &sqlx::Error) -> Option<String> {
    if classify(error) == Trouble::Passing {
        return None;
    }
    let error: &PgDatabaseError = error.as_database_error()?.try_downcast_ref()?;
    let mut lines = vec![error.message()];
    lines.extend(error.detail().into_iter().flat_map(str::lines));
    Some(lines.join("; "))
}

fn words(kept: &[String]) -> String {
    format!(
        "not every view has its present form: {}. Nothing of them was changed, and everything is loaded; \
         drop what depends on them, run `loader migrate`, and make it anew",
        kept.join("; ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rights_to_the_verdict_are_one_block_of_the_file_of_roles() {
        let block = verdict_rights();
        assert!(block.starts_with("do $verdict$") && block.ends_with("end $verdict$;"), "{block}");
        assert!(block.contains("verification") && !block.contains("do $roles$"), "{block}");
    }
}
