//! Where the API token comes from: a file, the environment, or the vault in Postgres.
//!
//! It is loaded once and kept in a zeroizing type; no error, log line or `Debug` output holds it.

use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use clap::builder::PathBufValueParser;
use secrecy::SecretString;
use shared::postgres::AddressError;
use shared::settings::{plain, secret};

mod error;
mod stored;
mod token;
pub mod vault;

pub use self::error::CredentialsError;
pub use self::stored::Credentials;
pub(crate) use self::token::token;
pub use self::token::{NotAToken, ask_for_token};
use self::token::{from_environment, read_file};
use self::vault::{Vault, VaultError};
use crate::account::Workspaces;

/// Where credentials may be.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Credentials")]
pub struct CredentialArgs {
    /// File that holds the API token; wins over the environment and the vault. The token itself is
    /// read from the environment variable TOGGL_API_TOKEN, never from an argument.
    #[arg(long, env = "TOGGL_API_TOKEN_FILE", value_parser = plain(PathBufValueParser::new()), global = true)]
    pub api_token_file: Option<PathBuf>,
    /// Account in the vault: a name, or `all`, which are read beside each other. Without it, `default`: that is the token of
    /// the file or the environment if there is one.
    #[arg(long, env = "TOGGL_ACCOUNT", value_parser = plain(AccountName::from_str), global = true)]
    pub account: Option<AccountName>,
    /// Workspaces to read: ids separated by commas, or `all`. Without it, the one stored with the
    /// credentials, else your default workspace.
    #[arg(long = "workspace", env = "TOGGL_WORKSPACE_ID", value_parser = plain(Workspaces::from_str), global = true)]
    pub workspaces: Option<Workspaces>,
    /// Database with the vault, as psql takes it: `postgres://user:password@host:5432/database`, or `host=…
    /// dbname=…`. What it leaves out comes from libpq's environment (`PGHOST`, `PGUSER`, `PGSSLMODE`, …).
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, value_parser = plain(secret), global = true)]
    pub database_url: Option<SecretString>,
}

/// Name of the account that is meant where none is named.
pub const DEFAULT_ACCOUNT: &str = "default";

/// An account in the vault, or all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccountName {
    /// Every account in the vault.
    All,
    /// This one.
    Name(String),
}

impl FromStr for AccountName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        match text {
            _ if text.eq_ignore_ascii_case("all") => Ok(Self::All),
            _ if (1..=64).contains(&text.len()) && text.chars().all(is_plain) => {
                Ok(Self::Name(text.to_owned()))
            }
            _ => Err("must be 1 to 64 letters, digits, dots, dashes or underscores".to_owned()),
        }
    }
}

/// An account and what opens it.
#[derive(Debug, Clone)]
pub struct Login {
    /// Its name in the vault.
    pub account: String,
    /// What opens it.
    pub credentials: Credentials,
}

impl CredentialArgs {
    /// Looks in the file, the environment and the vault, in this order; a named account is the vault's.
    /// There is at least one.
    ///
    /// # Errors
    /// See [`CredentialsError`].
    pub async fn load(&self) -> Result<Vec<Login>, CredentialsError> {
        match self.token()? {
            Some(api_token) => {
                let credentials = Credentials { api_token, workspace_id: None, owner: None };
                Ok(vec![Login { account: DEFAULT_ACCOUNT.to_owned(), credentials }])
            }
            None => self.load_from_vault().await.map_err(|error| self.beside_token(error)),
        }
    }

    /// Whether settings alone say that nothing can be loaded, however often it is tried: for who waits before that.
    ///
    /// # Errors
    /// As [`load`](Self::load) would answer.
    pub(crate) fn check_settings(&self) -> Result<(), CredentialsError> {
        if self.token()?.is_some() {
            return Ok(());
        }
        let address = vault::check_address(self.database_url.as_ref());
        address.map_err(|error| self.beside_token(without_address(error)))
    }

    /// The token of the file or the environment; none where the vault's is meant.
    fn token(&self) -> Result<Option<SecretString>, CredentialsError> {
        if let Some(words) = self.contradiction() {
            return Err(CredentialsError::Contradiction { words });
        }
        match &self.api_token_file {
            Some(path) => read_file(path).map(Some),
            None if self.is_default_account() => from_environment(),
            None => Ok(None),
        }
    }

    /// A named account is the vault's; the token is left alone then.
    fn beside_token(&self, error: CredentialsError) -> CredentialsError {
        let is_missing =
            matches!(error, CredentialsError::Missing | CredentialsError::NotStored { .. });
        if is_missing
            && !self.is_default_account()
            && from_environment().is_ok_and(|token| token.is_some())
        {
            let account = self.account_name().unwrap_or("all").to_owned();
            return CredentialsError::BesideToken { account };
        }
        error
    }

    fn is_default_account(&self) -> bool {
        match &self.account {
            None => true,
            Some(AccountName::Name(name)) => name == DEFAULT_ACCOUNT,
            Some(AccountName::All) => false,
        }
    }

    /// What was set and cannot be meant together, in words.
    pub(crate) fn contradiction(&self) -> Option<&'static str> {
        (self.api_token_file.is_some() && !self.is_default_account()).then_some(
            "--account (TOGGL_ACCOUNT) excludes --api-token-file (TOGGL_API_TOKEN_FILE): the token of \
             a file is of no account in the vault",
        )
    }

    async fn load_from_vault(&self) -> Result<Vec<Login>, CredentialsError> {
        let mut vault = self.vault().await.map_err(without_address)?;
        let accounts = match &self.account {
            Some(AccountName::All) => vault.accounts().await?,
            _ => vec![self.account_name()?.to_owned()],
        };
        let mut logins = Vec::new();
        for account in accounts {
            let secret = vault.read(&account).await?;
            let secret =
                secret.ok_or_else(|| CredentialsError::NotStored { account: account.clone() })?;
            logins
                .push(Login { credentials: Credentials::from_secret(&secret, &account)?, account });
        }
        vault.close().await;
        if logins.is_empty() {
            return Err(CredentialsError::NotStored { account: DEFAULT_ACCOUNT.to_owned() });
        }
        Ok(logins)
    }

    /// The one account that is meant.
    ///
    /// # Errors
    /// When all are.
    pub fn account_name(&self) -> Result<&str, CredentialsError> {
        match &self.account {
            None => Ok(DEFAULT_ACCOUNT),
            Some(AccountName::Name(name)) => Ok(name),
            Some(AccountName::All) => Err(CredentialsError::OneAccount),
        }
    }

    /// The one workspace that is to be stored with credentials, if any.
    ///
    /// # Errors
    /// When several are named.
    pub fn stored_workspace_id(&self) -> Result<Option<i64>, CredentialsError> {
        match &self.workspaces {
            None => Ok(None),
            Some(Workspaces::Ids(ids)) if ids.len() == 1 => Ok(ids.first().copied()),
            Some(_) => Err(CredentialsError::OneWorkspace),
        }
    }

    /// The vault, for storing and removing.
    ///
    /// # Errors
    /// When `DATABASE_URL` is missing, wrong or out of reach.
    pub async fn vault(&self) -> Result<Vault, VaultError> {
        Vault::connect(self.database_url.as_ref()).await
    }
}

/// Where nobody says where the vault is, nobody says where a token is.
fn without_address(error: VaultError) -> CredentialsError {
    match error {
        VaultError::Address(AddressError::Missing) => CredentialsError::Missing,
        error => error.into(),
    }
}
