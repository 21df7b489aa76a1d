//! How the tables stand to this binary: a look that needs few rights and changes nothing.

use std::collections::BTreeSet;

use sqlx::PgConnection;
use sqlx::migrate::Migration;

use super::error::Strangers;
use super::made::{Made, What, made};
use super::views::{Outdated, outdated};
use super::{MIGRATOR, MigrationError, actor, rights};

/// How the tables stand to this binary, if it can do something about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SchemaState {
    /// Every migration is there, and every view in its present form.
    Current,
    /// Something is to come, and this role may apply it.
    Pending,
}

/// What stands in `raw.toggl_track__migrations`, as far as the catalogues tell.
#[derive(sqlx::FromRow)]
struct List {
    is_readable: bool,
    is_ours: bool,
    owner: String,
}

/// Looks, and changes nothing.
///
/// # Errors
/// When there is something that this binary does not know or whose name it needs, or when this role may
/// not do what is to be done: [`MigrationError::Views`] where that is about views alone.
pub(crate) async fn state(connection: &mut PgConnection) -> Result<SchemaState, MigrationError> {
    let applied = applied(connection).await?;
    for (version, checksum) in &applied {
        let known = MIGRATOR.iter().find(|migration| migration.version == *version);
        let known = known.ok_or(MigrationError::Newer)?;
        if *known.checksum != **checksum {
            return Err(MigrationError::Altered(*version));
        }
    }
    let is_applied =
        |migration: &&Migration| applied.iter().any(|(version, _)| *version == migration.version);
    let before = all_made(MIGRATOR.iter().filter(is_applied));
    let pending = all_made(MIGRATOR.iter().filter(|migration| !is_applied(migration)));
    let is_migrated = applied.len() == MIGRATOR.iter().count();
    let views = outdated(connection).await?;
    if is_migrated && views.is_empty() {
        return Ok(SchemaState::Current);
    }
    let new_views = views.iter().filter(|view| !view.is_noted).map(Outdated::made);
    let to_come: BTreeSet<Made> = pending.into_iter().chain(new_views).collect();
    let strangers = there(connection, to_come.difference(&before)).await?;
    if !strangers.is_empty() {
        return Err(MigrationError::Taken(Strangers(strangers)));
    }
    match actor::check(connection, &before).await {
        Err(MigrationError::Forbidden(reason)) if is_migrated => {
            Err(MigrationError::Views(format!("some views are of an earlier loader: {reason}")))
        }
        checked => checked.map(|()| SchemaState::Pending),
    }
}

/// Everything that these migrations make.
pub(super) fn all_made<'a>(migrations: impl Iterator<Item = &'a Migration>) -> BTreeSet<Made> {
    migrations.flat_map(|migration| made(migration.sql.as_str())).collect()
}

/// The migrations that were applied, with their checksums.
async fn applied(connection: &mut PgConnection) -> Result<Vec<(i64, Vec<u8>)>, MigrationError> {
    let list: Option<List> = sqlx::query_as(
        "select has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select')
                    as is_readable,
                relkind = 'r' and (select count(*) = 3 from pg_attribute
                    where attrelid = c.oid and attname in ('version', 'success', 'checksum'))
                    as is_ours,
                quote_ident(pg_get_userbyid(relowner)) as owner
         from pg_class c join pg_namespace n on n.oid = relnamespace
         where nspname = 'raw' and relname = 'toggl_track__migrations'",
    )
    .fetch_optional(&mut *connection)
    .await?;
    let Some(list) = list else { return Ok(Vec::new()) };
    if !list.is_ours {
        let name = "raw.toggl_track__migrations".to_owned();
        return Err(MigrationError::Taken(Strangers(vec![(name, list.owner)])));
    }
    if !list.is_readable
        && let Some(refusal) = rights::look(&mut *connection).await?
    {
        return Err(MigrationError::Refused(refusal));
    }
    Ok(sqlx::query_as("select version, checksum from raw.toggl_track__migrations where success")
        .fetch_all(connection)
        .await?)
}

/// Those of these names that are taken, each with its owner.
async fn there(
    connection: &mut PgConnection,
    names: impl Iterator<Item = &Made>,
) -> sqlx::Result<Vec<(String, String)>> {
    let (mut functions, mut schemas, mut all) = (Vec::new(), Vec::new(), Vec::new());
    for made in names {
        functions.push(made.what == What::Function);
        schemas.push(made.schema.as_str());
        all.push(made.name.as_str());
    }
    sqlx::query_as(
        "select format('%I.%I', schema, name),
                quote_ident(pg_get_userbyid(coalesce(relowner, proowner)))
         from unnest($1::bool[], $2::text[], $3::text[]) wanted (is_function, schema, name)
         join pg_namespace n on nspname = schema
         left join pg_class on relnamespace = n.oid and relname = name and not is_function
         left join pg_proc on pronamespace = n.oid and proname = name and is_function
         where coalesce(relowner, proowner) is not null
         order by 1",
    )
    .bind(functions)
    .bind(schemas)
    .bind(all)
    .fetch_all(connection)
    .await
}
