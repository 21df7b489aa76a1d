//! The command line of the loader.

use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use shared::exit::{self, EXIT_CODES, Exit, Failure, OrExit as _};
use shared::nats::{self, NatsArgs};
use shared::shutdown::Shutdown;
use shared::stream::{self, BUCKET, STREAM, StreamArgs};
use shared::telemetry::{LogArgs, MIGRATIONS, SUBSCRIBER};
use sqlx::Connection as _;
use tracing::info;

use crate::database::DatabaseArgs;
use crate::dead_letters::{self, DeadLetters};
use crate::migrations::{self, VaultArgs};
use crate::serve::{self, Settings};

/// Loads Toggl Track batches from NATS JetStream into the raw tables of PostgreSQL.
///
/// Without a command it runs: brings the schema up to date, then serves all tables until SIGTERM or
/// Ctrl-C. Any number of loaders may run at once.
#[derive(Debug, Parser)]
#[command(name = "loader", version, after_help = EXIT_CODES)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    nats: NatsArgs,
    #[command(flatten)]
    stream: StreamArgs,
    #[command(flatten)]
    run: RunArgs,
    #[command(flatten)]
    vault: VaultArgs,
    #[command(flatten)]
    log: LogArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Bring the schema up to date, then load until stopped (the default).
    Run,
    /// Bring the schema up to date, say what the vault lacks, and exit.
    Migrate,
    /// Do what needs more rights than loading: `migrate`, and create the stream and the key-value
    /// bucket or bring their settings up to date. For an administrator's users, where those of the
    /// loader and the fetcher have few rights.
    Setup,
    /// What could not be loaded: look at it, apply it again, or discard it. Needs only Postgres.
    #[command(subcommand)]
    DeadLetters(DeadLetters),
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Loading")]
struct RunArgs {
    /// Connections to Postgres, each applying one batch at a time.
    #[arg(long, env = "LOADER_WRITERS", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=64), global = true)]
    writers: u8,
    /// How long a batch may be in hand before NATS gives it to another loader; longer than any
    /// batch takes. All loaders want the same.
    #[arg(long, env = "LOADER_ACK_WAIT", default_value = "60s", value_parser = shared::stream::ack_wait, global = true)]
    ack_wait: Duration,
}

/// Parses the command line and runs; what goes wrong is one line on stderr and an exit code.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    exit::run(cli.log, run(cli))
}

async fn run(cli: Cli) -> Result<Exit, Failure> {
    let database = cli.database.database().or_exit(Exit::Usage)?;
    if let Some(Command::DeadLetters(command)) = cli.command {
        return dead_letters::run(database, command).await;
    }
    let server = cli.nats.server().or_exit(Exit::Usage)?;
    let shutdown = Shutdown::on_signals().or_exit(Exit::Failed)?;
    let mut connection = database.connect().await.or_exit(Exit::Unreachable)?;
    migrations::migrate(&mut connection, &cli.vault).await.or_exit(Exit::Failed)?;
    connection.close().await.or_exit(Exit::Unreachable)?;
    if matches!(cli.command, Some(Command::Migrate)) {
        return Ok(Exit::Done);
    }

    let client = server.connect("toggl-track-loader").await.or_exit(Exit::Unreachable)?;
    let context = nats::jetstream(client.clone());
    stream::ensure_stream(&context, &cli.stream).await.or_exit(Exit::Unreachable)?;
    if matches!(cli.command, Some(Command::Setup)) {
        stream::ensure_bucket(&context, &cli.stream).await.or_exit(Exit::Unreachable)?;
        info!(target: MIGRATIONS, "The stream {} and the bucket {} are up to date", STREAM, BUCKET);
        return Ok(Exit::Done);
    }
    let settings = Settings {
        stream: cli.stream,
        ack_wait: cli.run.ack_wait,
        writers: usize::from(cli.run.writers),
    };
    serve::serve(context, database, settings, shutdown).await.or_exit(Exit::Failed)?;
    // Acknowledgements that are still queued go out before the process ends.
    drop(tokio::time::timeout(Duration::from_secs(2), client.drain()).await);
    info!(target: SUBSCRIBER, "Stopped");
    Ok(Exit::Done)
}
