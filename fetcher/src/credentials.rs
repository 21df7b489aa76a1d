//! Where the API token comes from: a file, the environment, or the vault in Postgres.
//!
//! It is loaded once and kept in a zeroizing type; no error, log line or `Debug` output holds it.

use std::io::{IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};

use clap::Args;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

pub mod vault;

use vault::{Vault, VaultError};

/// More than any token; a larger file is not one.
const MAX_FILE_BYTES: u64 = 64 * 1024;

/// Where credentials may be.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Credentials")]
pub struct CredentialArgs {
    /// File that holds the API token; wins over the environment and the vault. The token itself is
    /// read from the environment variable TOGGL_API_TOKEN, never from an argument.
    #[arg(long, env = "TOGGL_API_TOKEN_FILE", global = true)]
    pub api_token_file: Option<PathBuf>,
    /// Workspace to read; without it the one stored with the credentials, else your default workspace.
    #[arg(long = "workspace", env = "TOGGL_WORKSPACE_ID", value_parser = clap::value_parser!(i64).range(1..), global = true)]
    pub workspace_id: Option<i64>,
    /// Database with the vault: `postgres://user:password@host:5432/database`.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, global = true)]
    pub database_url: Option<SecretString>,
}

/// What opens Toggl.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The API token of a Toggl profile.
    pub api_token: SecretString,
    /// Workspace to read, if one was set.
    pub workspace_id: Option<i64>,
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
        "no Toggl credentials in the vault: store them with `fetcher credentials set`, or set TOGGL_API_TOKEN"
    )]
    NotStored,
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
    #[error("{place} holds no API token; a token is one word of letters and digits")]
    NoToken {
        /// Where it was looked for.
        place: String,
    },
    /// The secret in the vault is not ours.
    #[error(
        "the secret {} in the vault is not {{\"api_token\": …}}; store it anew with `fetcher credentials set`",
        vault::SECRET_NAME
    )]
    Form,
    /// The vault cannot be used.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

impl CredentialArgs {
    /// Looks in the file, the environment and the vault, in this order.
    ///
    /// # Errors
    /// See [`CredentialsError`].
    pub async fn load(&self) -> Result<Credentials, CredentialsError> {
        let mut credentials = if let Some(path) = &self.api_token_file {
            Credentials { api_token: read_file(path)?, workspace_id: None }
        } else if let Some(api_token) = from_environment()? {
            Credentials { api_token, workspace_id: None }
        } else {
            self.load_from_vault().await?
        };
        credentials.workspace_id = self.workspace_id.or(credentials.workspace_id);
        Ok(credentials)
    }

    async fn load_from_vault(&self) -> Result<Credentials, CredentialsError> {
        let url = self.database_url.as_ref().ok_or(CredentialsError::Missing)?;
        let secret = Vault::connect(url).await?.read().await?.ok_or(CredentialsError::NotStored)?;
        Credentials::from_secret(&secret)
    }

    /// The vault, for storing and removing.
    ///
    /// # Errors
    /// When `DATABASE_URL` is missing, wrong or out of reach.
    pub async fn vault(&self) -> Result<Vault, VaultError> {
        Vault::connect(self.database_url.as_ref().ok_or(VaultError::NoDatabase)?).await
    }
}

#[derive(Deserialize)]
struct Stored {
    api_token: SecretString,
    workspace_id: Option<i64>,
}

impl Credentials {
    /// Reads the JSON of the vault's secret. What it says of itself stays out of the error: serde
    /// would quote the value it stumbles over.
    fn from_secret(secret: &SecretString) -> Result<Self, CredentialsError> {
        let stored: Stored =
            serde_json::from_str(secret.expose_secret()).map_err(|_| CredentialsError::Form)?;
        let api_token = token(stored.api_token.expose_secret(), "the vault")?;
        Ok(Self { api_token, workspace_id: stored.workspace_id })
    }

    /// The JSON that the vault keeps.
    pub fn to_secret(&self) -> SecretString {
        let mut json = serde_json::json!({
            "api_token": self.api_token.expose_secret(),
            "_auth_type": "api_key",
        });
        if let (Some(object), Some(workspace_id)) = (json.as_object_mut(), self.workspace_id) {
            object.insert("workspace_id".to_owned(), workspace_id.into());
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

/// A token goes into a header: one word of visible ASCII, without the colon that ends a user name.
fn token(text: &str, place: &str) -> Result<SecretString, CredentialsError> {
    let word = text.trim();
    if word.is_empty() || !word.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':') {
        return Err(CredentialsError::NoToken { place: place.to_owned() });
    }
    Ok(word.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_is_read_again() {
        for workspace_id in [None, Some(2_230_991)] {
            let credentials = Credentials { api_token: "abc123".into(), workspace_id };
            let read = Credentials::from_secret(&credentials.to_secret()).unwrap();
            assert_eq!(read.api_token.expose_secret(), "abc123");
            assert_eq!(read.workspace_id, workspace_id);
        }
    }

    #[test]
    fn no_error_or_debug_output_holds_the_token() {
        let credentials = Credentials { api_token: "hunter2".into(), workspace_id: None };
        assert!(!format!("{credentials:?}").contains("hunter2"));
        for secret in [r#"{"api_token":["hunter2"]}"#, r#"{"api_token":"hunter2 :"}"#, "hunter2"] {
            let error = Credentials::from_secret(&secret.into()).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
        }
    }
}
