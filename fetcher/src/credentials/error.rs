//! Why there are no credentials.

use std::path::PathBuf;

use super::token::NotAToken;
use super::vault::{self, VaultError};

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
