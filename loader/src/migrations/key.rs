//! The vault's root key, made on the database server: it never crosses the wire.

use shared::telemetry::MIGRATIONS;
use sqlx::{AssertSqlSafe, PgConnection};
use tracing::warn;

use super::VaultArgs;
use super::vault::{DEFAULT_KEY_FILE, exists};

/// How it stands with the root key.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Key {
    /// It was made now, in this file on the server.
    Made(String),
    /// It is there, or this is a vault that has none of ours.
    Kept,
    /// There is none, and a warning has said why.
    Missing,
}

/// Makes the root key of the vault that is there or to be installed. Never in place of one that is lost while
/// secrets are sealed with it.
///
/// # Errors
/// When Postgres does not answer what it has.
pub(crate) async fn make_key(connection: &mut PgConnection, args: &VaultArgs) -> sqlx::Result<Key> {
    let is_ours = exists(connection, "vault.root_key").await?;
    if !is_ours && exists(connection, "vault.decrypted_secrets").await? {
        return Ok(Key::Kept);
    }
    let may: bool = sqlx::query_scalar(
        "select pg_has_role('pg_read_server_files', 'usage')
             and has_function_privilege('pg_catalog.pg_stat_file(text, boolean)', 'execute')",
    )
    .fetch_one(&mut *connection)
    .await?;
    if !may {
        warn!(target: MIGRATIONS, "No vault: this role may not read the server's files, as a superuser may");
        return Ok(Key::Missing);
    }
    let path = path(connection, args, is_ours).await?;
    let is_there = "select (pg_stat_file($1, true)).size is not null";
    if sqlx::query_scalar(is_there).bind(&path).fetch_one(&mut *connection).await? {
        return Ok(Key::Kept);
    }
    if is_ours && has_secrets(connection).await? {
        warn!(
            target: MIGRATIONS,
            "The vault holds secrets, and its root key is gone from {path} on the database server: put the \
             copy back that you kept; or store all secrets anew, after `delete from vault.secrets`"
        );
        return Ok(Key::Missing);
    }
    match write(connection, &path).await {
        Ok(()) => Ok(Key::Made(path)),
        // How to do it by hand is said when the vault is looked at.
        Err(sqlx::Error::Database(_)) => Ok(Key::Missing),
        Err(error) => Err(error),
    }
}

/// Whether there is one whose secrets this role can open.
pub(crate) async fn has_vault(connection: &mut PgConnection) -> sqlx::Result<bool> {
    if exists(connection, "vault.root_key").await? {
        return sqlx::query_scalar("select vault._has_key()").fetch_one(connection).await;
    }
    exists(connection, "vault.decrypted_secrets").await
}

async fn path(
    connection: &mut PgConnection,
    args: &VaultArgs,
    is_ours: bool,
) -> sqlx::Result<String> {
    if let Some(path) = args.vault_key_file.as_deref().and_then(std::path::Path::to_str) {
        return Ok(path.to_owned());
    }
    let stored: Option<String> = if is_ours {
        sqlx::query_scalar("select path from vault.root_key").fetch_optional(connection).await?
    } else {
        None
    };
    Ok(stored.unwrap_or_else(|| DEFAULT_KEY_FILE.to_owned()))
}

async fn has_secrets(connection: &mut PgConnection) -> sqlx::Result<bool> {
    sqlx::query_scalar("select exists (select from vault.secrets)").fetch_one(connection).await
}

/// By a program that the server runs as its own user, so that no other user of its system reads it.
async fn write(connection: &mut PgConnection, path: &str) -> sqlx::Result<()> {
    let path = path.replace('\'', r"'\''");
    let program = format!(
        "set -e; umask 077; mkdir -p \"$(dirname '{path}')\"; \
         od -An -vtx1 -N32 /dev/urandom | tr -d ' \\n' > '{path}.new'; \
         test \"$(wc -c < '{path}.new')\" -eq 64; mv '{path}.new' '{path}'"
    );
    let literal: String = sqlx::query_scalar("select quote_literal($1)")
        .bind(program)
        .fetch_one(&mut *connection)
        .await?;
    let copy = AssertSqlSafe(format!("copy (select 1 where false) to program {literal}"));
    sqlx::raw_sql(copy).execute(connection).await.map(drop)
}
