//! Applying what is to come, one transaction for each migration and each view.

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::{Connection as _, PgConnection};

use super::error::is_locked;
use super::{MIGRATOR, MigrationError, actor, views};

/// As the role that [`actor`] chooses; whoever calls has the turn.
pub(super) async fn apply(connection: &mut PgConnection) -> Result<(), MigrationError> {
    let became = actor::become_actor(connection).await?;
    prepare(connection).await?;
    let migrated = migrate(connection).await;
    let migrated = match migrated {
        Err(MigrateError::ExecuteMigration(error, version)) if is_locked(&error) => {
            // Asks the server anew, for the transaction is over.
            let holders = holders(connection).await?;
            Err(MigrationError::Locked { version, holders })
        }
        Err(error) => Err(error.into()),
        Ok(()) => views::apply(connection).await,
    };
    if migrated.as_ref().err().is_none_or(MigrationError::is_of_views) {
        for setting in ["statement_timeout", "lock_timeout"] {
            let reset = sqlx::AssertSqlSafe(format!("reset {setting}"));
            sqlx::query(reset).execute(&mut *connection).await?;
        }
        if became {
            sqlx::query("reset role").execute(connection).await?;
        }
    }
    migrated
}

/// A change of a large table takes as long as it takes. Waiting for one, though, keeps all who come
/// after from it: a minute outlasts every batch, and not a report that reads for an hour.
async fn prepare(connection: &mut PgConnection) -> sqlx::Result<()> {
    for statement in ["set statement_timeout = 0", "set lock_timeout = '1min'"] {
        sqlx::query(statement).execute(&mut *connection).await?;
    }
    // A server whose system cannot tell that a client is gone ends the work of one only at its end.
    let mut transaction = connection.begin().await?;
    let notice = sqlx::query("set client_connection_check_interval = '2s'");
    if notice.execute(&mut *transaction).await.is_ok() {
        return transaction.commit().await;
    }
    transaction.rollback().await
}

async fn migrate(connection: &mut PgConnection) -> Result<(), MigrateError> {
    let mut migrator = Migrator::with_migrations(MIGRATOR.iter().cloned().collect());
    // The turn is taken already, in a way that can be ended and speaks.
    migrator.set_locking(false);
    // In our own schema: the user's database may well have sqlx migrations of its own. Where it is
    // there, nobody is asked for it: `create schema if not exists` needs the right to create one.
    let exists: bool =
        sqlx::query_scalar("select exists (select from pg_namespace where nspname = 'raw')")
            .fetch_one(&mut *connection)
            .await?;
    if !exists {
        migrator.create_schema("raw");
    }
    migrator.dangerous_set_table_name("raw.toggl_track__migrations");
    migrator.run(connection).await
}

/// Who has used our tables for the longest time, in words to be read after "others use".
pub(super) async fn holders(connection: &mut PgConnection) -> sqlx::Result<String> {
    let holders: Vec<String> = sqlx::query_scalar(
        "select format('session %s (%s%s) holds %s', pid, usename,
                       coalesce(', ' || nullif(application_name, ''), ''),
                       (array_agg(format('%I.%I', nspname, relname) order by relkind, relname))[1])
         from pg_locks join pg_stat_activity using (pid)
         join pg_class c on c.oid = relation join pg_namespace n on n.oid = relnamespace
         where granted and pg_locks.database = (select oid from pg_database where datname = current_database())
             and pid <> pg_backend_pid() and nspname in ('raw', 'staging')
             and (starts_with(relname::text, 'toggl_track__') or starts_with(relname::text, 'stg_toggl_track__'))
         group by pid, usename, application_name, xact_start
         order by xact_start nulls last, pid
         limit 3",
    )
    .fetch_all(connection)
    .await?;
    if holders.is_empty() {
        return Ok(String::new());
    }
    Ok(format!(" ({}; `select pg_terminate_backend(…)` ends one)", holders.join(", ")))
}
