//! A vault where there is none, and what it lacks.

use shared::exit::chain;
use shared::telemetry::MIGRATIONS;
use sqlx::{Connection as _, PgConnection};
use tracing::{debug, info, warn};

use super::VaultArgs;

/// Not numbered, for it is installed whenever it is missing and possible: a server where the
/// loader's role may not install it today may allow it tomorrow.
const VAULT: &str = include_str!("../../../migrations/vault.sql");

/// Where the root key lies if nothing else is said: beside the data folder of Debian's packages and
/// of the official image, not inside it, so that a base backup does not carry key and secrets both.
pub(super) const DEFAULT_KEY_FILE: &str = "/var/lib/postgresql/vault/root.key";

/// Serialises vault installations of loaders that start together.
const VAULT_LOCK: i64 = 0x0074_6f67_676c_0001;

#[derive(Debug, PartialEq, Eq)]
enum Vault {
    Foreign,
    /// There is one, and this role has no right to it, as it should be.
    Closed,
    /// There is none, and this role could not install it.
    NotOurs,
    Ready {
        installed: bool,
    },
    NoKey {
        installed: bool,
        path: String,
    },
}

/// Installs one where there is none and this role may, and says what it still lacks. Trouble with it
/// is reported, never an error: everything else works without it.
pub(super) async fn ensure(connection: &mut PgConnection, args: &VaultArgs) {
    match ensure_vault(connection, args).await {
        Ok(vault) => vault.report(),
        Err(error) => warn!(
            target: MIGRATIONS,
            "No vault installed ({}): give credentials by TOGGL_API_TOKEN or --api-token-file, or run \
             `loader setup --vault` once as a superuser of a server that has pgcrypto",
            chain(&error)
        ),
    }
}

impl Vault {
    /// Told when it is over: what is rolled back was not installed.
    fn report(&self) {
        if let Self::Ready { installed: true } | Self::NoKey { installed: true, .. } = self {
            info!(target: MIGRATIONS, "Installed a vault");
        }
        match self {
            Self::Foreign => info!(target: MIGRATIONS, "Using the vault that is already there"),
            Self::Closed => debug!(target: MIGRATIONS, "The vault is closed to this role"),
            Self::NotOurs => debug!(
                target: MIGRATIONS,
                "There is no vault, and this role may not make one: `loader setup --vault` as a superuser \
                 does, for whoever wants to keep credentials in Postgres"
            ),
            Self::Ready { .. } => info!(target: MIGRATIONS, "The vault is ready"),
            Self::NoKey { path, .. } => warn!(
                target: MIGRATIONS,
                "The vault has no root key yet. `loader setup --vault` as a superuser makes one; or run on the \
                 database server, as the user that runs Postgres: `umask 077; mkdir -p \"$(dirname '{path}')\"; \
                 od -An -vtx1 -N32 /dev/urandom | tr -d ' \\n' > '{path}'`, and keep a copy \
                 apart from the backups; another place is set by VAULT_KEY_FILE"
            ),
        }
    }
}

async fn ensure_vault(connection: &mut PgConnection, args: &VaultArgs) -> sqlx::Result<Vault> {
    if !may_use_vault(connection).await? {
        return Ok(Vault::Closed);
    }
    let mut transaction = connection.begin().await?;
    sqlx::query("select pg_advisory_xact_lock($1)")
        .bind(VAULT_LOCK)
        .execute(&mut *transaction)
        .await?;
    let installed = !exists(&mut transaction, "vault.decrypted_secrets").await?;
    if installed {
        if !may_install(&mut transaction).await? {
            return Ok(Vault::NotOurs);
        }
        sqlx::raw_sql(VAULT).execute(&mut *transaction).await?;
        set_key_file(&mut transaction, DEFAULT_KEY_FILE).await?;
    }
    let vault = if exists(&mut transaction, "vault.root_key").await? {
        if let Some(path) = args.vault_key_file.as_deref().and_then(std::path::Path::to_str) {
            set_key_file(&mut transaction, path).await?;
        }
        state(&mut transaction, installed).await?
    } else {
        Vault::Foreign
    };
    transaction.commit().await?;
    Ok(vault)
}

/// Whether there is none, or one that is open to this role.
async fn may_use_vault(connection: &mut PgConnection) -> sqlx::Result<bool> {
    sqlx::query_scalar(
        "select coalesce(
             (select has_schema_privilege(oid, 'usage') from pg_namespace where nspname = 'vault'), true)",
    )
    .fetch_one(connection)
    .await
}

/// Its functions read the key file with the rights of the role that makes them, wherever it lies.
async fn may_install(connection: &mut PgConnection) -> sqlx::Result<bool> {
    sqlx::query_scalar(
        "select has_database_privilege(current_database(), 'create')
             and pg_has_role('pg_read_server_files', 'usage')
             and has_function_privilege('pg_catalog.pg_read_file(text, bigint, bigint, boolean)', 'execute')
             and has_function_privilege('pg_catalog.pg_stat_file(text, boolean)', 'execute')",
    )
    .fetch_one(connection)
    .await
}

pub(super) async fn exists(connection: &mut PgConnection, relation: &str) -> sqlx::Result<bool> {
    sqlx::query_scalar("select to_regclass($1) is not null")
        .bind(relation)
        .fetch_one(connection)
        .await
}

async fn set_key_file(connection: &mut PgConnection, path: &str) -> sqlx::Result<()> {
    sqlx::query(
        "insert into vault.root_key as k (path) values ($1)
         on conflict (only_one) do update set path = excluded.path where k.path <> excluded.path",
    )
    .bind(path)
    .execute(connection)
    .await
    .map(drop)
}

async fn state(connection: &mut PgConnection, installed: bool) -> sqlx::Result<Vault> {
    let (path, has_key): (String, bool) =
        sqlx::query_as("select path, vault._has_key() from vault.root_key")
            .fetch_one(connection)
            .await?;
    Ok(if has_key { Vault::Ready { installed } } else { Vault::NoKey { installed, path } })
}
