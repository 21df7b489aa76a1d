//! Schema changes: the raw tables, the views over them, and a vault where there is none.

mod actor;
mod apply;
mod encoding;
mod error;
mod key;
mod made;
#[cfg(test)]
mod released;
pub(crate) mod rights;
mod state;
mod turn;
mod vault;
mod views;

use std::path::PathBuf;

use clap::Args;
use clap::builder::PathBufValueParser;
use shared::catalogue::CATALOGUE;
use shared::resource::Resource;
use shared::settings::plain;
use shared::telemetry::MIGRATIONS;
use sqlx::PgConnection;
use sqlx::migrate::Migrator;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

pub(crate) use self::encoding::check_encoding;
pub use self::error::MigrationError;
pub(crate) use self::key::{Key, has_vault, make_key};
use self::made::What;
use self::rights::{Need, Reach};
pub(crate) use self::state::{SchemaState, state};

/// Every numbered file of `migrations/`, forward only.
static MIGRATOR: Migrator = sqlx::migrate!("../migrations");

/// Settings of the vault that is installed on plain Postgres.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Vault")]
pub struct VaultArgs {
    /// File with the vault's root key, on the database server.
    /// [default: /var/lib/postgresql/vault/root.key]
    #[arg(long, env = "VAULT_KEY_FILE", value_parser = plain(PathBufValueParser::new()), global = true)]
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
const OF_THE_DATABASE: [&str; 7] = [
    "toggl_track__installation",
    "toggl_track__positions",
    "toggl_track__forgotten",
    "toggl_track__touched",
    "toggl_track__typed_entries",
    "toggl_track__day_zones",
    NOTES,
];

/// Which text of each view is there. Who only loads need not read it.
const NOTES: &str = "toggl_track__views";

/// The names of all tables in `raw` that loaders write.
pub(crate) fn all_tables() -> impl Iterator<Item = String> {
    tables().chain(OF_THE_DATABASE.map(str::to_owned))
}

/// The names of the tables in `raw` that batches are applied to.
pub(crate) fn tables() -> impl Iterator<Item = String> {
    CATALOGUE.iter().map(Resource::table).chain(BOOKKEEPING.map(str::to_owned))
}

/// What `loader status` and `loader verify` read beside the tables.
const STATUS_VIEWS: [&str; 4] = [
    "stg_toggl_track__freshness",
    "stg_toggl_track__people",
    "stg_toggl_track__verification",
    "stg_toggl_track__verified_entries",
];

/// What a loader does, once it has migrated: with a table of the catalogue, with its own bookkeeping,
/// and with the views by which it says how it is.
pub(crate) fn needs() -> Vec<Need> {
    let is_table = |name: &str| CATALOGUE.iter().any(|resource| resource.table() == name);
    let is_read_only =
        |name: &str| matches!(name, "toggl_track__installation" | "toggl_track__forgotten");
    // Written by functions, with their owner's rights.
    let is_copy = |name: &str| {
        matches!(
            name,
            "toggl_track__touched" | "toggl_track__typed_entries" | "toggl_track__day_zones"
        )
    };
    let mut needs = vec![("raw", "toggl_track__migrations".to_owned(), "select")];
    for made in state::all_made(MIGRATOR.iter()) {
        match made.what {
            What::Table if is_table(&made.name) => {
                needs.push(("raw", made.name, "select, insert, update"));
            }
            What::Table if made.name == NOTES || is_copy(&made.name) => {}
            // Whom to forget is an administrator's to say, and the id is given once.
            What::Table if is_read_only(&made.name) => needs.push(("raw", made.name, "select")),
            What::Table => {
                let keeps = made.name == "toggl_track__positions";
                let rights =
                    if keeps { "select, insert, update" } else { "select, insert, update, delete" };
                needs.push(("raw", made.name, rights));
            }
            What::View if STATUS_VIEWS.contains(&made.name.as_str()) => {
                needs.push(("staging", made.name, "select"));
            }
            What::View | What::Relation | What::Function => {}
        }
    }
    needs
}

/// The oldest major version that the migrations run on.
const OLDEST_SERVER: u32 = 14;

/// Looks whether the server is new enough; one that does not say its version is.
///
/// # Errors
/// When it is too old.
pub(crate) fn check_version(connection: &PgConnection) -> Result<(), MigrationError> {
    let major = connection.server_version_num().map(|number| number / 10_000);
    match major {
        Some(major) if major < OLDEST_SERVER => Err(MigrationError::Old(major)),
        _ => Ok(()),
    }
}

/// Brings the schema up to date where it is not, installs the vault if there is none, and says what the
/// vault still lacks. While another session migrates, however long, it waits.
///
/// # Errors
/// See [`MigrationError`]: when this role may not, the tables are not ours or newer, or `stop` was
/// cancelled. When it is of views alone, everything else was done.
pub async fn migrate(
    connection: &mut PgConnection,
    args: &VaultArgs,
    stop: &CancellationToken,
) -> Result<(), MigrationError> {
    check_version(connection)?;
    check_encoding(connection).await?;
    let updated = match state(connection).await {
        Ok(SchemaState::Current) => Ok(()),
        // What is in the way may be the half of what another loader is about to make.
        Err(error) if error.may_pass() => in_turn(connection, stop).await,
        Err(error) => Err(error),
        Ok(SchemaState::Pending) => in_turn(connection, stop).await,
    };
    match &updated {
        Ok(()) => info!(target: MIGRATIONS, "The raw tables and their views are up to date"),
        Err(error) if error.is_of_views() => {
            info!(target: MIGRATIONS, "The raw tables are up to date");
        }
        Err(_) => return updated,
    }
    vault::ensure(connection, args).await;
    updated
}

/// Applies what is to come when no other session does.
async fn in_turn(
    connection: &mut PgConnection,
    stop: &CancellationToken,
) -> Result<(), MigrationError> {
    turn::take(connection, stop).await?;
    let applied = match state(connection).await {
        Ok(SchemaState::Current) => Ok(()),
        Ok(SchemaState::Pending) => {
            let applied = stop.run_until_cancelled(apply::apply(connection)).await;
            applied.ok_or(MigrationError::Interrupted)?
        }
        Err(error) => Err(error),
    };
    if applied.as_ref().err().is_none_or(MigrationError::is_of_views) {
        turn::leave(connection).await?;
    }
    applied
}

/// Looks what this role lacks to load. A table of the catalogue that is closed to it waits, as it says,
/// and the others are loaded.
///
/// # Errors
/// When it can load nothing.
pub async fn check_rights(connection: &mut PgConnection) -> Result<(), MigrationError> {
    let Some(refusal) = rights::look(connection).await? else { return Ok(()) };
    let is_table = |name: &str| CATALOGUE.iter().any(|resource| resource.table() == name);
    match refusal.reach(is_table) {
        Reach::Everything => return Err(MigrationError::Refused(refusal)),
        Reach::Tables => error!(target: MIGRATIONS, "Not every table can be loaded: {refusal}"),
        Reach::Views => warn!(
            target: MIGRATIONS,
            "Everything is loaded, and `loader status` cannot tell how old it is: {refusal}"
        ),
    }
    Ok(())
}
