//! Where the API token comes from: a file, the environment, or the vault in Postgres.
//!
//! It is loaded once and kept in a zeroizing type; no error, log line or `Debug` output holds it.

use std::io::{IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::Args;
use clap::builder::PathBufValueParser;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use shared::postgres::AddressError;
use shared::settings::{plain, secret};

pub mod vault;

use crate::account::Workspaces;
use vault::{Vault, VaultError};

/// More than any token; a larger file is not one.
const MAX_FILE_BYTES: u64 = 64 * 1024;

/// Where credentials may be.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Credentials")]
pub struct CredentialArgs {
    /// File that holds the API token; wins over the environment and the vault. The token itself is
    /// read from the environment variable TOGGL_API_TOKEN, never from an argument.
    #[arg(long, env = "TOGGL_API_TOKEN_FILE", value_parser = plain(PathBufValueParser::new()), global = true)]
    pub api_token_file: Option<PathBuf>,
    /// Account in the vault: a name, or `all` for each in turn. Without it, `default`: that is the token of
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

/// What opens Toggl.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The API token of a Toggl profile.
    pub api_token: SecretString,
    /// Workspace to read, if one was set.
    pub workspace_id: Option<i64>,
    /// Whose it is, in words, as far as Toggl was asked when it was stored.
    pub owner: Option<String>,
}

/// Why there are no credentials.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// Nothing was given.
    #[error(
        "no Toggl credentials: set TOGGL_API_TOKEN, pass --api-token-file, or store them in the \
         vault with `fetcher credentials set` (which needs DATABASE_URL)"
    )]
    Missing,
    /// The vault is there, and empty.
    #[error(
        "no Toggl credentials in the vault for the account {account}: store them with `fetcher \
         credentials set`, or set TOGGL_API_TOKEN"
    )]
    NotStored {
        /// Whose.
        account: String,
    },
    /// Settings that exclude each other.
    #[error("{words}")]
    Contradiction {
        /// Which, and why.
        words: &'static str,
    },
    /// An account that is not there, and a token that is not of it.
    #[error(
        "TOGGL_API_TOKEN is set, and the account {account} (--account, TOGGL_ACCOUNT) is in no vault: leave \
         out TOGGL_ACCOUNT to read by that token, or store the account's own with `fetcher credentials set` \
         (which needs DATABASE_URL)"
    )]
    BesideToken {
        /// Whose, or `all`.
        account: String,
    },
    /// A command for one account was given all.
    #[error("name one account with --account (TOGGL_ACCOUNT), not all of them")]
    OneAccount,
    /// Several workspaces cannot be stored.
    #[error("one workspace can be stored with credentials; name the others when syncing")]
    OneWorkspace,
    /// The file cannot be read.
    #[error("cannot read the API token from {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// The file or the input holds no token.
    #[error("{place} holds no API token: {reason}")]
    NoToken {
        /// Where it was looked for.
        place: String,
        /// What it is instead.
        reason: NotAToken,
    },
    /// The secret in the vault is not ours.
    #[error(
        "the secret {} in the vault is not {{\"api_token\": …}}; store it anew with `fetcher credentials set`",
        vault::secret_name(account)
    )]
    Form {
        /// Whose.
        account: String,
    },
    /// The vault cannot be used.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

impl CredentialArgs {
    /// Looks in the file, the environment and the vault, in this order; a named account is the vault's.
    /// There is at least one.
    ///
    /// # Errors
    /// See [`CredentialsError`].
    pub async fn load(&self) -> Result<Vec<Login>, CredentialsError> {
        let one = |api_token| {
            let credentials = Credentials { api_token, workspace_id: None, owner: None };
            Ok(vec![Login { account: DEFAULT_ACCOUNT.to_owned(), credentials }])
        };
        if let Some(words) = self.contradiction() {
            return Err(CredentialsError::Contradiction { words });
        }
        match &self.api_token_file {
            Some(path) => one(read_file(path)?),
            None if self.is_default_account() => match from_environment()? {
                Some(api_token) => one(api_token),
                None => self.load_from_vault().await,
            },
            None => {
                // A named account is the vault's; the token is left alone then.
                let beside_token = from_environment().is_ok_and(|token| token.is_some());
                self.load_from_vault().await.map_err(|error| match error {
                    CredentialsError::Missing | CredentialsError::NotStored { .. }
                        if beside_token =>
                    {
                        let account = self.account_name().unwrap_or("all").to_owned();
                        CredentialsError::BesideToken { account }
                    }
                    error => error,
                })
            }
        }
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
        let mut vault = match self.vault().await {
            Err(VaultError::Address(AddressError::Missing)) => {
                return Err(CredentialsError::Missing);
            }
            vault => vault?,
        };
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

#[derive(Deserialize)]
struct Stored {
    api_token: SecretString,
    workspace_id: Option<i64>,
    owner: Option<String>,
}

impl Credentials {
    /// Reads the JSON of the vault's secret. What it says of itself stays out of the error: serde
    /// would quote the value it stumbles over.
    pub(crate) fn from_secret(
        secret: &SecretString,
        account: &str,
    ) -> Result<Self, CredentialsError> {
        let stored: Stored = serde_json::from_str(secret.expose_secret())
            .map_err(|_| CredentialsError::Form { account: account.to_owned() })?;
        let api_token = token(stored.api_token.expose_secret(), "the vault")?;
        Ok(Self { api_token, workspace_id: stored.workspace_id, owner: stored.owner })
    }

    /// The JSON that the vault keeps.
    pub fn to_secret(&self) -> SecretString {
        let mut json = serde_json::json!({
            "api_token": self.api_token.expose_secret(),
            "_auth_type": "api_key",
        });
        if let Some(object) = json.as_object_mut() {
            let workspace_id = self.workspace_id.map(|id| ("workspace_id".to_owned(), id.into()));
            let owner = self.owner.clone().map(|owner| ("owner".to_owned(), owner.into()));
            object.extend(workspace_id.into_iter().chain(owner));
        }
        json.to_string().into()
    }
}

/// Reads a token from a prompt, or from standard input where that is no terminal.
///
/// # Errors
/// When there is none.
pub fn ask_for_token() -> Result<SecretString, CredentialsError> {
    let place = "standard input";
    let text = if std::io::stdin().is_terminal() {
        rpassword::prompt_password("Toggl API token (on your Toggl profile page): ")
    } else {
        let mut text = String::new();
        std::io::stdin().take(MAX_FILE_BYTES).read_to_string(&mut text).map(|_| text)
    };
    let text = text.map_err(|source| CredentialsError::File { path: place.into(), source })?;
    token(SecretString::from(text).expose_secret(), place)
}

fn read_file(path: &Path) -> Result<SecretString, CredentialsError> {
    let mut text = String::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(MAX_FILE_BYTES).read_to_string(&mut text))
        .map_err(|source| CredentialsError::File { path: path.to_owned(), source })?;
    token(SecretString::from(text).expose_secret(), &path.display().to_string())
}

/// An empty variable, as compose files leave them, is none.
fn from_environment() -> Result<Option<SecretString>, CredentialsError> {
    #[expect(
        clippy::disallowed_methods,
        reason = "a clap setting would also be an argument, for all to see in ps"
    )]
    let text = std::env::var("TOGGL_API_TOKEN").unwrap_or_default();
    let text = SecretString::from(text);
    if text.expose_secret().trim().is_empty() {
        return Ok(None);
    }
    token(text.expose_secret(), "TOGGL_API_TOKEN").map(Some)
}

/// A token goes into a header: one word of letters and digits. Around it may stand what editors, shells
/// and other systems leave: spaces, line ends, a byte order mark.
pub(crate) fn token(text: &str, place: &str) -> Result<SecretString, CredentialsError> {
    let word = text.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    match not_a_token(word) {
        None => Ok(word.into()),
        Some(reason) => Err(CredentialsError::NoToken { place: place.to_owned(), reason }),
    }
}

/// What stands where a token should. Nothing of it is repeated, for it may be another secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAToken {
    /// Nothing.
    #[error("it is empty")]
    Empty,
    /// Several lines.
    #[error("it has several lines; give the token alone")]
    Lines,
    /// An object or a list.
    #[error("it is JSON; give the token alone")]
    Json,
    /// As a line of a file with settings has it.
    #[error("it is a setting with a name; give what stands behind the equals sign")]
    Setting,
    /// As a shell or a file with settings has it.
    #[error("it stands in quotes; give it without")]
    Quotes,
    /// An e-mail address, with or without a password.
    #[error("it is a log-in; give the API token instead, from the bottom of your Toggl profile")]
    LogIn,
    /// Anything else.
    #[error("a token is one word of letters and digits, from the bottom of your Toggl profile")]
    Characters,
}

fn not_a_token(word: &str) -> Option<NotAToken> {
    let quotes = ['"', '\'', '`'];
    if word.is_empty() {
        Some(NotAToken::Empty)
    } else if word.starts_with(['{', '[']) {
        Some(NotAToken::Json)
    } else if word.contains(['\n', '\r']) {
        Some(NotAToken::Lines)
    } else if word.contains('@') {
        Some(NotAToken::LogIn)
    } else if word.contains('=') {
        Some(NotAToken::Setting)
    } else if word.starts_with(quotes) || word.ends_with(quotes) {
        Some(NotAToken::Quotes)
    } else if !word.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    {
        Some(NotAToken::Characters)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_is_read_again() {
        for workspace_id in [None, Some(2_230_991)] {
            let credentials = Credentials {
                api_token: "abc123".into(),
                workspace_id,
                owner: workspace_id.map(|_| "Eva".to_owned()),
            };
            let read = Credentials::from_secret(&credentials.to_secret(), DEFAULT_ACCOUNT).unwrap();
            assert_eq!(read.api_token.expose_secret(), "abc123");
            assert_eq!(read.workspace_id, workspace_id);
            assert_eq!(read.owner, credentials.owner);
        }
    }

    #[test]
    fn no_error_or_debug_output_holds_the_token() {
        let credentials =
            Credentials { api_token: "hunter2".into(), workspace_id: None, owner: None };
        assert!(!format!("{credentials:?}").contains("hunter2"));
        for secret in [r#"{"api_token":["hunter2"]}"#, r#"{"api_token":"hunter2 :"}"#, "hunter2"] {
            let error = Credentials::from_secret(&secret.into(), DEFAULT_ACCOUNT).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
        }
    }

    #[test]
    fn a_token_is_taken_out_of_what_stands_around_it() {
        for text in ["abc", "abc\n", "abc\r\n", "\u{feff}abc\r\n", "\u{feff} abc \t\n\n", "\n abc"]
        {
            assert_eq!(token(text, "x").unwrap().expose_secret(), "abc", "{text:?}");
        }
    }

    #[test]
    fn what_is_clearly_no_token_is_named_for_what_it_is() {
        for (text, expected) in [
            ("", NotAToken::Empty),
            (" \u{feff}\r\n", NotAToken::Empty),
            ("abc\ndef", NotAToken::Lines),
            ("abc\r\ndef\r\n", NotAToken::Lines),
            ("{\n \"api_token\": \"abc\"\n}", NotAToken::Json),
            ("[\"abc\"]", NotAToken::Json),
            ("eva@example.com:hunter2", NotAToken::LogIn),
            ("eva@example.com", NotAToken::LogIn),
            ("TOGGL_API_TOKEN=abc", NotAToken::Setting),
            ("\"abc\"", NotAToken::Quotes),
            ("'abc'", NotAToken::Quotes),
            ("abc def", NotAToken::Characters),
            ("Bearer abc", NotAToken::Characters),
            ("abc:api_token", NotAToken::Characters),
            ("äbc", NotAToken::Characters),
            ("a\0b", NotAToken::Characters),
        ] {
            match token(text, "standard input") {
                Err(CredentialsError::NoToken { reason, .. }) => {
                    assert_eq!(reason, expected, "{text:?}");
                }
                other => panic!("{text:?}: {other:?}"),
            }
        }
    }
}
