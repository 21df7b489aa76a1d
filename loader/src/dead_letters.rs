//! What cannot be loaded is kept with its bytes and the reason until it can be, or until a person
//! says that it need not be.

mod discard;
mod error;
mod filter;
mod list;
mod outcome;
mod retry;
mod show;
pub(crate) mod text;

use clap::Subcommand;
use shared::exit::{Exit, Failure, OrExit as _};

pub(crate) use self::show::claimed;
use crate::apply::settings::History;
use crate::postgres::database::Database;

pub(crate) const EXAMPLES: &str = "\
Examples:
  loader dead-letters list --resource tags
  loader dead-letters show 12
  loader dead-letters retry --reason 'check constraint'
  loader dead-letters discard --id 12";

/// The commands about dead letters.
#[derive(Debug, Subcommand)]
pub(crate) enum DeadLetters {
    /// List them, the newest first.
    #[command(after_help = list::EXAMPLES)]
    List(list::ListArgs),
    /// Show everything about one of them.
    #[command(after_help = show::EXAMPLES)]
    Show(show::ShowArgs),
    /// Apply them again; what can be loaded now is loaded, and its letter goes.
    ///
    /// The rules are those of every batch, so nothing older replaces what is newer. A letter whose
    /// content is older than what is stored goes as well. The ledger, `raw.toggl_track__loads`, keeps
    /// what each message did when it came. Exit code 6 when some letters stay.
    #[command(after_help = retry::EXAMPLES)]
    Retry(retry::RetryArgs),
    /// Delete them unapplied.
    #[command(after_help = discard::EXAMPLES)]
    Discard(discard::DiscardArgs),
}

/// Runs a command, beside running loaders or without any. The schema is taken as it is.
///
/// # Errors
/// When Postgres is out of reach or not migrated, or a letter that is named is not there.
pub(crate) async fn run(
    database: Database,
    command: DeadLetters,
    history: History,
) -> Result<Exit, Failure> {
    // Before anything is asked of Postgres.
    if let DeadLetters::Discard(args) = &command {
        args.check_stdin().or_exit(Exit::Usage)?;
    }
    let mut connection = database.connect_awake().await.or_exit(Exit::Unreachable)?;
    match command {
        DeadLetters::List(args) => list::list(&mut connection, &args).await,
        DeadLetters::Show(args) => show::show(&mut connection, &args).await,
        DeadLetters::Retry(args) => retry::retry(database, connection, &args, history).await,
        DeadLetters::Discard(args) => discard::discard(&mut connection, &args).await,
    }
    .map_err(|error| Failure { exit: error.exit(), error: error.into() })
}
