//! `fetcher credentials`.

use clap::Subcommand;
use secrecy::SecretString;
use shared::exit::{Exit, Failure, OrExit as _};
use shared::output::{print, report};

use super::CommonArgs;
use super::failures::{credentials_failure, failure, vault_failure};
use crate::check;
use crate::credentials::{CredentialArgs, Credentials, CredentialsError, ask_for_token};
use crate::toggl::{self, Client};

pub(super) const EXAMPLES: &str = "\
Examples:
  fetcher credentials set                            asks for the token
  fetcher credentials set --account eva < token.txt
  fetcher credentials show --account all             the names of all accounts
  fetcher credentials remove --account eva";

const SET_EXAMPLES: &str = "\
Examples:
  fetcher credentials set                               asks for the token
  fetcher credentials set < token.txt
  fetcher credentials set --account eva --workspace 1234567
  fetcher credentials set --unchecked < token.txt       where Toggl cannot be asked";

const SHOW_EXAMPLES: &str = "\
Examples:
  fetcher credentials show
  fetcher credentials show --account all    the names of all accounts";

const REMOVE_EXAMPLES: &str = "\
Examples:
  fetcher credentials remove
  fetcher credentials remove --account eva";

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Store the API token of an account, read from standard input or a prompt; --workspace is stored
    /// with it.
    ///
    /// Toggl is asked first whose the token is: one that it refuses is not stored (exit code 3).
    #[command(after_help = SET_EXAMPLES)]
    Set {
        /// Store the token without asking Toggl whose it is, as where Toggl is out of reach.
        #[arg(long)]
        unchecked: bool,
    },
    /// Say whether credentials are stored, and whose, without showing them.
    #[command(after_help = SHOW_EXAMPLES)]
    Show,
    /// Delete the stored credentials of an account.
    #[command(after_help = REMOVE_EXAMPLES)]
    Remove,
}

pub(super) async fn run(command: &Command, common: &CommonArgs) -> Result<Exit, Failure> {
    let args = &common.credentials;
    if matches!((command, &args.account), (Command::Show, Some(_))) && args.account_name().is_err()
    {
        let mut vault = args.vault().await.map_err(vault_failure)?;
        let accounts = vault.accounts().await.map_err(vault_failure)?;
        vault.close().await;
        print(accounts.join("\n") + "\n").or_exit(Exit::Failed)?;
        return Ok(Exit::Done);
    }
    let account = args.account_name().map_err(credentials_failure)?;
    match command {
        Command::Set { unchecked } => set(common, account, *unchecked).await?,
        Command::Show => show(args, account).await?,
        Command::Remove => {
            let vault = args.vault().await.map_err(vault_failure)?;
            let removed = vault.remove(account).await.map_err(vault_failure)?;
            report(if removed {
                "Removed the Toggl credentials from the vault.\n"
            } else {
                "There were no Toggl credentials in the vault.\n"
            });
        }
    }
    Ok(Exit::Done)
}

/// Nothing is asked of a person, or of Toggl, that cannot be stored for want of a vault.
async fn set(common: &CommonArgs, account: &str, unchecked: bool) -> Result<(), Failure> {
    let args = &common.credentials;
    let workspace_id = args.stored_workspace_id().map_err(credentials_failure)?;
    let mut vault = args.vault().await.map_err(vault_failure)?;
    vault.check_writable().await.map_err(vault_failure)?;
    let api_token = ask_for_token().map_err(credentials_failure)?;
    let owner = if unchecked { None } else { Some(owner_of(common, api_token.clone()).await?) };
    let credentials = Credentials { api_token, workspace_id, owner };
    vault.write(account, &credentials.to_secret()).await.map_err(vault_failure)?;
    report(match &credentials.owner {
        Some(owner) => format!("Stored the Toggl credentials of {owner} in the vault.\n"),
        None => "Stored the Toggl credentials in the vault; whose they are was not asked: `fetcher check` \
                 does.\n"
            .to_owned(),
    });
    Ok(())
}

/// Whose the token is, in words.
async fn owner_of(common: &CommonArgs, api_token: SecretString) -> Result<String, Failure> {
    let client = Client::new(&common.toggl, api_token).or_exit(Exit::Failed)?;
    check::owner_of(&client).await.map_err(|error| {
        let is_refused = matches!(error, toggl::Error::Credentials { .. });
        let Failure { exit, error } = failure(error.into());
        let what = if is_refused {
            "nothing was stored".to_owned()
        } else {
            "nothing was stored, for Toggl did not say whose the token is; `fetcher credentials set \
             --unchecked` stores it unseen"
                .to_owned()
        };
        Failure { exit, error: error.context(what) }
    })
}

async fn show(args: &CredentialArgs, account: &str) -> Result<(), Failure> {
    let mut vault = args.vault().await.map_err(vault_failure)?;
    let secret = vault.read(account).await.map_err(vault_failure)?;
    let stored = vault.show(account).await.map_err(vault_failure)?;
    let (Some(secret), Some(stored)) = (secret, stored) else {
        let account = account.to_owned();
        return Err(credentials_failure(CredentialsError::NotStored { account }));
    };
    let credentials = Credentials::from_secret(&secret, account).map_err(credentials_failure)?;
    let workspace =
        credentials.workspace_id.map_or_else(String::new, |id| format!(", for workspace {id}"));
    let updated_at = stored.updated_at;
    let words = match credentials.owner {
        Some(owner) => {
            format!("Toggl credentials of {owner} are stored{workspace}, last set {updated_at}.\n")
        }
        None => format!(
            "Toggl credentials are stored{workspace}, last set {updated_at}; whose they are was not asked \
             then: `fetcher check` does.\n"
        ),
    };
    print(words).or_exit(Exit::Failed)
}
