//! The command line of the fetcher.

use std::process::ExitCode;

use anyhow::anyhow;
use clap::{Parser, Subcommand};
use shared::exit::{self, EXIT_CODES, Exit, Failure, OrExit as _};
use shared::nats::{self, NatsArgs};
use shared::shutdown::Shutdown;
use shared::stream::{self, StreamArgs};
use shared::telemetry::LogArgs;

use crate::credentials::vault::VaultError;
use crate::credentials::{CredentialArgs, Credentials, CredentialsError, ask_for_token};
use crate::publisher::{PublishError, Publisher};
use crate::toggl::{self, Client, TogglArgs};
use crate::{SyncError, SyncOptions, SyncResult, sync_all};

/// Toggl answers for three calendar months at most; this many days are always within them.
const MAX_DAYS: i64 = 85;

const EXAMPLES: &str = "\
Examples:
  fetcher                                  the last three days of time entries, and every master
  fetcher --days 30 --log-level debug      a month, every request shown
  fetcher credentials set < token.txt      store the API token in the vault";

/// Pulls Toggl Track resources and publishes them as batches to NATS JetStream.
///
/// Without a command it syncs: me, workspaces, projects, clients, tags, users and groups in parallel,
/// then your time entries of the last days. Run it from cron.
#[derive(Debug, Parser)]
#[command(name = "fetcher", version, after_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    /// Days of time entries to read, today included (1 to 85).
    #[arg(long, default_value_t = 3, allow_negative_numbers = true, value_parser = clap::value_parser!(u16).range(1..=MAX_DAYS))]
    days: u16,
    #[command(flatten)]
    credentials: CredentialArgs,
    #[command(flatten)]
    toggl: TogglArgs,
    #[command(flatten)]
    nats: NatsArgs,
    #[command(flatten)]
    stream: StreamArgs,
    #[command(flatten)]
    log: LogArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The Toggl credentials in the Postgres vault.
    #[command(subcommand)]
    Credentials(CredentialsCommand),
}

#[derive(Debug, Subcommand)]
enum CredentialsCommand {
    /// Store the API token, read from standard input or a prompt; --workspace is stored with it.
    Set,
    /// Say whether credentials are stored, without showing them.
    Show,
    /// Delete the stored credentials.
    Remove,
}

/// Parses the command line and runs; what goes wrong is one line on stderr and an exit code.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    exit::run(cli.log, run(cli))
}

async fn run(cli: Cli) -> Result<Exit, Failure> {
    match &cli.command {
        Some(Command::Credentials(command)) => manage(command, &cli.credentials).await,
        None => sync(cli).await,
    }
}

async fn sync(cli: Cli) -> Result<Exit, Failure> {
    let shutdown = Shutdown::on_signals().or_exit(Exit::Failed)?;
    let server = cli.nats.server().or_exit(Exit::Usage)?;
    let credentials = cli.credentials.load().await.map_err(credentials_failure)?;
    let nats = server.connect("toggl-track-fetcher").await.or_exit(Exit::Unreachable)?;
    let max_payload = nats.server_info().max_payload;
    let context = nats::jetstream(nats);
    stream::ensure_stream(&context, &cli.stream).await.or_exit(Exit::Unreachable)?;

    let client = Client::new(&cli.toggl, credentials.api_token).or_exit(Exit::Failed)?;
    let publisher = Publisher::new(context, max_payload);
    let options = SyncOptions { days: cli.days, workspace_id: credentials.workspace_id };
    let syncing = sync_all(&client, &publisher, options);
    match shutdown.soft.run_until_cancelled(syncing).await {
        None => {
            Err(anyhow!("interrupted; what was published will be loaded, run again for the rest"))
                .or_exit(Exit::Failed)
        }
        Some(Err(error)) => Err(sync_failure(error)),
        Some(Ok(result)) => summarise(&result),
    }
}

/// The summary goes to standard output at every log level.
#[expect(clippy::print_stdout, reason = "this is the output of the program")]
fn summarise(result: &SyncResult) -> Result<Exit, Failure> {
    if !result.failed.is_empty() {
        let failed: Vec<_> =
            result.failed.iter().map(|(name, reason)| format!("{name} ({reason})")).collect();
        return Err(anyhow!("could not read {}; the rest was sent", failed.join(", ")))
            .or_exit(Exit::Failed);
    }
    let (mark, exit) =
        if result.is_complete() { ("OK", Exit::Done) } else { ("INCOMPLETE", Exit::Incomplete) };
    let masters: Vec<_> =
        result.masters_counts.iter().map(|(name, count)| format!("\"{name}\":{count}")).collect();
    println!("[{mark}] Toggl Track sync completed:");
    println!("  Time entries: {}", result.time_entries_count);
    println!("  Masters: {{{}}}", masters.join(","));
    for (name, reason) in &result.skipped {
        println!("  Skipped: {name} ({reason})");
    }
    if !result.unsent.is_empty() {
        println!("  Records not sent: {} (named in the log)", result.unsent.len());
    }
    println!("  Elapsed: {:.2}s", result.elapsed.as_secs_f64());
    Ok(exit)
}

fn sync_failure(error: SyncError) -> Failure {
    let exit = match &error {
        SyncError::Toggl(toggl::Error::Credentials { .. }) => Exit::Credentials,
        SyncError::Toggl(toggl::Error::Quota { .. }) => Exit::Quota,
        SyncError::Publish(PublishError::Unacknowledged { .. } | PublishError::NoStream { .. }) => {
            Exit::Unreachable
        }
        SyncError::Toggl(_)
        | SyncError::Publish(PublishError::Encode(_) | PublishError::Full(_))
        | SyncError::NoWorkspace
        | SyncError::Calendar(_) => Exit::Failed,
    };
    Failure { exit, error: error.into() }
}

fn credentials_failure(error: CredentialsError) -> Failure {
    match error {
        CredentialsError::Vault(error) => vault_failure(error),
        error => Failure { exit: Exit::Credentials, error: error.into() },
    }
}

fn vault_failure(error: VaultError) -> Failure {
    let exit = match &error {
        VaultError::Address => Exit::Usage,
        error if error.is_unreachable() => Exit::Unreachable,
        _ => Exit::Credentials,
    };
    Failure { exit, error: error.into() }
}

#[expect(clippy::print_stdout, reason = "this is the output of the program")]
async fn manage(command: &CredentialsCommand, args: &CredentialArgs) -> Result<Exit, Failure> {
    match command {
        CredentialsCommand::Set => {
            let api_token = ask_for_token().map_err(credentials_failure)?;
            let credentials = Credentials { api_token, workspace_id: args.workspace_id };
            let vault = args.vault().await.map_err(vault_failure)?;
            vault.write(&credentials.to_secret()).await.map_err(vault_failure)?;
            println!("Stored the Toggl credentials in the vault.");
        }
        CredentialsCommand::Show => {
            match args.vault().await.map_err(vault_failure)?.show().await.map_err(vault_failure)? {
                Some(stored) => {
                    println!("Toggl credentials are stored, last set {}.", stored.updated_at);
                }
                None => return Err(credentials_failure(CredentialsError::NotStored)),
            }
        }
        CredentialsCommand::Remove => {
            let removed =
                args.vault().await.map_err(vault_failure)?.remove().await.map_err(vault_failure)?;
            println!(
                "{}",
                if removed {
                    "Removed the Toggl credentials from the vault."
                } else {
                    "There were no Toggl credentials in the vault."
                }
            );
        }
    }
    Ok(Exit::Done)
}
