//! The vault in Postgres: Supabase's, or the one that the loader's migrations install.
//!
//! A role without rights to it reads Toggl's secrets, and no others, by the functions that
//! `migrations/roles.sql` makes; storing takes rights to the vault itself.

use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use shared::postgres::{Postgres, Session, while_it_wakes};
use shared::telemetry::VAULT;
use sqlx::postgres::Postgres as Driver;
use sqlx::{Connection as _, PgConnection, Transaction};
use tracing::{debug, info};

mod error;

pub use self::error::VaultError;
use super::DEFAULT_ACCOUNT;

/// Name of the default account's secret; others have theirs behind a colon.
const SECRET_NAME: &str = "toggl_track";
const DESCRIPTION: &str = "Toggl Track API credentials";
/// Nothing is set for longer than a transaction: the session may be a pooler's.
const SESSION: Session = Session { application: "toggl-track-fetcher", settings: &[] };
const BEGIN: &str = "begin; set local statement_timeout = '10s'; set local lock_timeout = '5s'";

/// Name of an account's secret.
pub fn secret_name(account: &str) -> String {
    if account == DEFAULT_ACCOUNT {
        SECRET_NAME.to_owned()
    } else {
        format!("{SECRET_NAME}:{account}")
    }
}

/// What a person may want to know of the way to the server: the token comes by it.
pub(crate) async fn warning(url: Option<&SecretString>) -> Option<String> {
    Postgres::read(url, SESSION).ok()?.warning().await
}

/// Whether an address can be made of the settings. Nobody is asked.
pub(super) fn check_address(url: Option<&SecretString>) -> Result<(), VaultError> {
    Postgres::read(url, SESSION)?;
    Ok(())
}

/// A secret without its content.
#[derive(Debug)]
pub struct Stored {
    /// When it was last written.
    pub updated_at: Timestamp,
}

/// A connection to the vault.
#[derive(Debug)]
pub struct Vault {
    connection: PgConnection,
    /// Whether it is closed to this role, but for the functions of `roles.sql`.
    by_functions: bool,
}

impl Vault {
    /// A database that wakes up is waited for. Nothing here needs a session of its own: statements are not
    /// kept, and each question is a transaction.
    ///
    /// # Errors
    /// When the address is wrong or nobody answers there.
    pub async fn connect(url: Option<&SecretString>) -> Result<Self, VaultError> {
        let postgres = Postgres::read(url, SESSION)?;
        let mut connection = while_it_wakes(|| postgres.connect_plainly()).await?;
        let mut transaction = begin(&mut connection).await?;
        let by_functions = is_closed(&mut transaction).await?;
        transaction.commit().await?;
        Ok(Self { connection, by_functions })
    }

    /// The accounts that have a secret, the default one first.
    ///
    /// # Errors
    /// See [`VaultError`].
    pub async fn accounts(&mut self) -> Result<Vec<String>, VaultError> {
        let mut transaction = begin(&mut self.connection).await?;
        let names: Vec<String> = sqlx::query_scalar(if self.by_functions {
            "select name from toggl_track_vault.stored()
             where name = $1 or starts_with(name, $1 || ':') order by name"
        } else {
            "select name from vault.decrypted_secrets
             where name = $1 or starts_with(name, $1 || ':') order by name"
        })
        .bind(SECRET_NAME)
        .persistent(false)
        .fetch_all(&mut *transaction)
        .await?;
        transaction.commit().await?;
        let account = |name: &String| match name.split_once(':') {
            Some((_, account)) => account.to_owned(),
            None => DEFAULT_ACCOUNT.to_owned(),
        };
        Ok(names.iter().map(account).collect())
    }

    /// Looks that there is a vault that this role may store in, before anybody is asked for a secret.
    ///
    /// # Errors
    /// See [`VaultError`].
    pub async fn check_writable(&mut self) -> Result<(), VaultError> {
        if self.by_functions {
            return Err(VaultError::Forbidden);
        }
        self.accounts().await.map(drop)
    }

    /// The secret of an account in clear, or none.
    ///
    /// # Errors
    /// See [`VaultError`].
    pub async fn read(&mut self, account: &str) -> Result<Option<SecretString>, VaultError> {
        let mut transaction = begin(&mut self.connection).await?;
        // By name: one row that cannot be opened would fail a scan of the whole view.
        let secret: Option<Option<String>> = sqlx::query_scalar(if self.by_functions {
            "select toggl_track_vault.read($1)"
        } else {
            "select decrypted_secret from vault.decrypted_secrets where name = $1"
        })
        .bind(secret_name(account))
        .persistent(false)
        .fetch_optional(&mut *transaction)
        .await?;
        transaction.commit().await?;
        let secret = secret.flatten();
        debug!(target: VAULT, found = secret.is_some(), "Read the credentials of {account} from the vault");
        Ok(secret.map(SecretString::from))
    }

    /// Stores the secret, in place of an older one.
    ///
    /// # Errors
    /// See [`VaultError`].
    pub async fn write(mut self, account: &str, secret: &SecretString) -> Result<(), VaultError> {
        let name = secret_name(account);
        let mut transaction = begin(&mut self.connection).await?;
        let id: Option<sqlx::types::Uuid> =
            sqlx::query_scalar("select id from vault.decrypted_secrets where name = $1")
                .bind(&name)
                .persistent(false)
                .fetch_optional(&mut *transaction)
                .await?;
        let id = match id {
            Some(id) => id,
            // Empty first: Supabase's create_secret writes what it is given to the table and the WAL
            // in clear before it encrypts; update_secret does not.
            None => {
                sqlx::query_scalar("select vault.create_secret('', $1, $2)")
                    .bind(&name)
                    .bind(DESCRIPTION)
                    .persistent(false)
                    .fetch_one(&mut *transaction)
                    .await?
            }
        };
        sqlx::query("select vault.update_secret($1, $2)")
            .bind(id)
            .bind(secret.expose_secret())
            .persistent(false)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        info!(target: VAULT, "Stored the credentials as {name}");
        self.close().await;
        Ok(())
    }

    /// What is known of the secret without opening it.
    ///
    /// # Errors
    /// See [`VaultError`].
    pub async fn show(mut self, account: &str) -> Result<Option<Stored>, VaultError> {
        let mut transaction = begin(&mut self.connection).await?;
        let updated_at: Option<i64> = sqlx::query_scalar(if self.by_functions {
            "select (extract(epoch from updated_at) * 1000000)::bigint
             from toggl_track_vault.stored() where name = $1"
        } else {
            "select (extract(epoch from updated_at) * 1000000)::bigint
             from vault.decrypted_secrets where name = $1"
        })
        .bind(secret_name(account))
        .persistent(false)
        .fetch_optional(&mut *transaction)
        .await?;
        transaction.commit().await?;
        self.close().await;
        let updated_at = updated_at.and_then(|micros| Timestamp::from_microsecond(micros).ok());
        Ok(updated_at.map(|updated_at| Stored { updated_at }))
    }

    /// Deletes the secret; false if there was none.
    ///
    /// # Errors
    /// See [`VaultError`].
    pub async fn remove(mut self, account: &str) -> Result<bool, VaultError> {
        let mut transaction = begin(&mut self.connection).await?;
        let deleted = sqlx::query("delete from vault.secrets where name = $1")
            .bind(secret_name(account))
            .persistent(false)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        self.close().await;
        Ok(deleted.rows_affected() > 0)
    }

    /// A goodbye that fails changes nothing that was done.
    pub async fn close(self) {
        drop(self.connection.close().await);
    }
}

/// A transaction with its own limits.
async fn begin(connection: &mut PgConnection) -> sqlx::Result<Transaction<'_, Driver>> {
    connection.begin_with(BEGIN).await
}

async fn is_closed(connection: &mut PgConnection) -> sqlx::Result<bool> {
    sqlx::query_scalar(
        "select coalesce(has_schema_privilege(to_regnamespace('toggl_track_vault'), 'usage'), false)
            and not coalesce(has_schema_privilege(to_regnamespace('vault'), 'usage'), false)",
    )
    .persistent(false)
    .fetch_one(connection)
    .await
}
