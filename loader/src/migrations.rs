//! Schema changes: the raw tables, the views over them, and a vault where there is none.

use std::path::PathBuf;

use clap::Args;
use shared::catalogue::CATALOGUE;
use shared::resource::Resource;
use shared::telemetry::MIGRATIONS;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::{Connection as _, PgConnection};
use tracing::{debug, info, warn};

/// Every numbered file of `migrations/`, forward only.
static MIGRATOR: Migrator = sqlx::migrate!("../migrations");

/// Not numbered, for it is installed whenever it is missing and possible: a server where the
/// loader's role may not install it today may allow it tomorrow.
const VAULT: &str = include_str!("../../migrations/vault.sql");

/// Where the root key lies if nothing else is said: beside the data folder of Debian's packages and
/// of the official image, not inside it, so that a base backup does not carry key and secrets both.
const DEFAULT_KEY_FILE: &str = "/var/lib/postgresql/vault/root.key";

/// Serialises vault installations of loaders that start together.
const VAULT_LOCK: i64 = 0x0074_6f67_676c_0001;

/// Settings of the vault that is installed on plain Postgres.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Vault")]
pub struct VaultArgs {
    /// File with the vault's root key, on the database server.
    /// [default: /var/lib/postgresql/vault/root.key]
    #[arg(long, env = "VAULT_KEY_FILE", global = true)]
    pub vault_key_file: Option<PathBuf>,
}

/// What the loader keeps in `raw` beside the tables of the catalogue.
const BOOKKEEPING: [&str; 4] = [
    "toggl_track__loads",
    "toggl_track__claims",
    "toggl_track__dead_letters",
    "toggl_track__history",
];

/// What a database has for itself: no replay fills another schema with it.
const OF_THE_DATABASE: [&str; 2] = ["toggl_track__installation", "toggl_track__positions"];

/// The names of all tables in `raw` that loaders write.
pub(crate) fn all_tables() -> impl Iterator<Item = String> {
    tables().chain(OF_THE_DATABASE.map(str::to_owned))
}

/// The names of the tables in `raw` that batches are applied to.
pub(crate) fn tables() -> impl Iterator<Item = String> {
    CATALOGUE.iter().map(Resource::table).chain(BOOKKEEPING.map(str::to_owned))
}

/// Brings the schema up to date, installs the vault if there is none, and says what the vault still
/// lacks. Trouble with the vault is reported, never an error: everything else works without it.
///
/// # Errors
/// When a migration fails, or the database holds newer ones than this binary knows.
pub async fn migrate(connection: &mut PgConnection, args: &VaultArgs) -> Result<(), MigrateError> {
    migrate_tables(connection).await?;
    info!(target: MIGRATIONS, "The raw tables and their views are up to date");
    match ensure_vault(connection, args).await {
        Ok(vault) => vault.report(),
        Err(error) => warn!(
            target: MIGRATIONS,
            %error,
            "No vault installed: give credentials by TOGGL_API_TOKEN or --api-token-file, or run \
             `loader migrate` once as a superuser of a server that has pgcrypto"
        ),
    }
    Ok(())
}

async fn migrate_tables(connection: &mut PgConnection) -> Result<(), MigrateError> {
    let owner = become_owner(connection).await?;
    // A change of a large table takes as long as it takes.
    sqlx::query("set statement_timeout = 0").execute(&mut *connection).await?;
    let migrated = migrate_as_owner(connection).await;
    sqlx::query("reset statement_timeout").execute(&mut *connection).await?;
    if owner {
        sqlx::query("reset role").execute(connection).await?;
    }
    migrated
}

/// How the tables stand to this binary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Every migration is there.
    Current,
    /// Some are to come.
    Pending {
        /// Whether this role may apply them.
        may_migrate: bool,
    },
    /// There are some that this binary does not know.
    Newer,
}

/// Looks, and changes nothing.
pub(crate) async fn standing(connection: &mut PgConnection) -> sqlx::Result<Standing> {
    let may_migrate: bool = sqlx::query_scalar(
        "select coalesce(
             (select pg_has_role(nspowner, 'member') from pg_namespace where nspname = 'raw'),
             has_database_privilege(current_database(), 'create'))",
    )
    .fetch_one(&mut *connection)
    .await?;
    if !exists(connection, "raw.toggl_track__migrations").await? {
        return Ok(Standing::Pending { may_migrate });
    }
    let applied: Vec<i64> =
        sqlx::query_scalar("select version from raw.toggl_track__migrations where success")
            .fetch_all(connection)
            .await?;
    let known: Vec<i64> = MIGRATOR.iter().map(|migration| migration.version).collect();
    Ok(if applied.iter().any(|version| !known.contains(version)) {
        Standing::Newer
    } else if known.iter().all(|version| applied.contains(version)) {
        Standing::Current
    } else {
        Standing::Pending { may_migrate }
    })
}

/// What a superuser migrates belongs to the role that owns what is there, which else could not load
/// into it (see `roles.sql`). True if that is another role than this one.
async fn become_owner(connection: &mut PgConnection) -> sqlx::Result<bool> {
    let role: Option<String> = sqlx::query_scalar(
        "select set_config('role', rolname, false) from pg_roles
         where oid = coalesce(
                 (select relowner from pg_class where oid = to_regclass('raw.toggl_track__migrations')),
                 (select nspowner from pg_namespace where nspname = 'raw'))
             and rolname <> current_user and pg_has_role(oid, 'member')",
    )
    .fetch_optional(connection)
    .await?;
    Ok(role.is_some())
}

async fn migrate_as_owner(connection: &mut PgConnection) -> Result<(), MigrateError> {
    let mut migrator = Migrator::with_migrations(MIGRATOR.iter().cloned().collect());
    // In our own schema: the user's database may well have sqlx migrations of its own. Where it is
    // there, nobody is asked for it: `create schema if not exists` needs the right to create one.
    if !schema_exists(connection, "raw").await? {
        migrator.create_schema("raw");
    }
    migrator.dangerous_set_table_name("raw.toggl_track__migrations");
    migrator.run(connection).await
}

async fn schema_exists(connection: &mut PgConnection, schema: &str) -> sqlx::Result<bool> {
    sqlx::query_scalar("select to_regnamespace($1) is not null")
        .bind(schema)
        .fetch_one(connection)
        .await
}

#[derive(Debug, PartialEq, Eq)]
enum Vault {
    Foreign,
    /// There is one, and this role has no right to it, as it should be.
    Closed,
    Ready,
    NoKey {
        path: String,
    },
}

impl Vault {
    fn report(&self) {
        match self {
            Self::Foreign => info!(target: MIGRATIONS, "Using the vault that is already there"),
            Self::Closed => debug!(target: MIGRATIONS, "The vault is closed to this role"),
            Self::Ready => info!(target: MIGRATIONS, "The vault is ready"),
            Self::NoKey { path } => warn!(
                target: MIGRATIONS,
                "The vault has no root key yet. To make one, run on the database server, as the \
                 user that runs Postgres: `umask 077; mkdir -p \"$(dirname '{path}')\"; \
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
    if !exists(&mut transaction, "vault.decrypted_secrets").await? {
        sqlx::raw_sql(VAULT).execute(&mut *transaction).await?;
        set_key_file(&mut transaction, DEFAULT_KEY_FILE).await?;
        info!(target: MIGRATIONS, "Installed a vault");
    }
    let vault = if exists(&mut transaction, "vault.root_key").await? {
        if let Some(path) = args.vault_key_file.as_deref().and_then(std::path::Path::to_str) {
            set_key_file(&mut transaction, path).await?;
        }
        state(&mut transaction).await?
    } else {
        Vault::Foreign
    };
    transaction.commit().await?;
    Ok(vault)
}

/// Whether there is none, or one that is open to this role.
async fn may_use_vault(connection: &mut PgConnection) -> sqlx::Result<bool> {
    sqlx::query_scalar(
        "select coalesce(has_schema_privilege(to_regnamespace('vault'), 'usage'), true)",
    )
    .fetch_one(connection)
    .await
}

async fn exists(connection: &mut PgConnection, relation: &str) -> sqlx::Result<bool> {
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

async fn state(connection: &mut PgConnection) -> sqlx::Result<Vault> {
    let (path, has_key): (String, bool) =
        sqlx::query_as("select path, vault._has_key() from vault.root_key")
            .fetch_one(connection)
            .await?;
    Ok(if has_key { Vault::Ready } else { Vault::NoKey { path } })
}
