//! `fetcher credentials`.

use clap::Subcommand;
use shared::exit::{Exit, Failure, OrExit as _};
use shared::output::{print, report};

use super::runs::{credentials_failure, vault_failure};
use crate::credentials::{CredentialArgs, Credentials, CredentialsError, ask_for_token};

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
  fetcher credentials set --account eva --workspace 1234567";

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
    #[command(after_help = SET_EXAMPLES)]
    Set,
    /// Say whether credentials are stored, without showing them.
    #[command(after_help = SHOW_EXAMPLES)]
    Show,
    /// Delete the stored credentials of an account.
    #[command(after_help = REMOVE_EXAMPLES)]
    Remove,
}

pub(super) async fn run(command: &Command, args: &CredentialArgs) -> Result<Exit, Failure> {
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
        Command::Set => {
            let workspace_id = args.stored_workspace_id().map_err(credentials_failure)?;
            let api_token = ask_for_token().map_err(credentials_failure)?;
            let secret = Credentials { api_token, workspace_id }.to_secret();
            let vault = args.vault().await.map_err(vault_failure)?;
            vault.write(account, &secret).await.map_err(vault_failure)?;
            report("Stored the Toggl credentials in the vault.\n");
        }
        Command::Show => {
            let vault = args.vault().await.map_err(vault_failure)?;
            let Some(stored) = vault.show(account).await.map_err(vault_failure)? else {
                let account = account.to_owned();
                return Err(credentials_failure(CredentialsError::NotStored { account }));
            };
            print(format!("Toggl credentials are stored, last set {}.\n", stored.updated_at))
                .or_exit(Exit::Failed)?;
        }
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
