//! The command line of the loader.

use std::process::ExitCode;
use std::time::Duration;

use async_nats::jetstream::Context;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, CommandFactory as _, Parser, Subcommand};
use shared::catalogue::CATALOGUE;
use shared::consumer::Readers;
use shared::exit::{self, EXIT_CODES, Exit, Failure, OrExit as _};
use shared::manual::Manual;
use shared::nats::NatsArgs;
use shared::shutdown::Shutdown;
use shared::stream::{self, BUCKET, STREAM, StreamArgs};
use shared::telemetry::{LogArgs, MIGRATIONS, SUBSCRIBER};
use sqlx::Connection as _;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tracing::info;

use crate::apply::Options;
use crate::check;
use crate::database::{Database, DatabaseArgs};
use crate::dead_letters::{self, DeadLetters};
use crate::history::History;
use crate::http::healthcheck::healthcheck;
use crate::http::{self, Http};
use crate::meters::Meters;
use crate::migrations::{self, VaultArgs};
use crate::replay::{self, ReplayArgs};
use crate::serve::{self, Settings};
use crate::status::command::{self, StatusArgs};
use crate::watch::watch;

const EXAMPLES: &str = "\
Examples:
  loader                             loads until it is stopped; start as many as you like
  loader check                       is everything there that it needs?
  loader status                      how the pipeline is
  loader dead-letters list           what could not be loaded, and why
  loader replay --resource tags      the past of a table once more, from the stream";

const RUN_EXAMPLES: &str = "\
Examples:
  loader run
  loader run --writers 4 --log-format json";

const MIGRATE_EXAMPLES: &str = "\
Examples:
  loader migrate
  DATABASE_URL=postgres://postgres@localhost/toggl loader migrate    as a superuser: with a vault";

const SETUP_EXAMPLES: &str = "\
Examples:
  NATS_USER=admin NATS_PASSWORD=… loader setup    with an administrator's DATABASE_URL, too";

const HEALTHCHECK_EXAMPLES: &str = "\
Examples:
  loader healthcheck
  loader healthcheck --http 127.0.0.1:9500";

/// Loads Toggl Track batches from NATS JetStream into the raw tables of PostgreSQL.
///
/// Without a command it runs: brings the schema up to date, then serves all tables until SIGTERM or
/// Ctrl-C. Any number of loaders may run at once.
#[derive(Debug, Parser)]
#[command(name = "loader", version, after_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
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
    #[command(after_help = RUN_EXAMPLES)]
    Run,
    /// Bring the schema up to date, say what the vault lacks, and exit.
    #[command(after_help = MIGRATE_EXAMPLES)]
    Migrate,
    /// Do what needs more rights than loading: `migrate`, and create the stream and the key-value
    /// bucket or bring their settings up to date. For an administrator's users, where those of the
    /// loader and the fetcher have few rights.
    #[command(after_help = SETUP_EXAMPLES)]
    Setup,
    /// What could not be loaded: look at it, apply it again, or discard it. Needs only Postgres.
    #[command(subcommand, after_help = dead_letters::EXAMPLES)]
    DeadLetters(DeadLetters),
    /// Apply what the stream holds again, up to its present end.
    ///
    /// Beside running loaders, and by the rules of every batch: nothing older replaces what is newer,
    /// so that over tables that miss nothing it changes nothing. A table that was emptied is filled as
    /// it was, deleted rows too; leave `raw.toggl_track__claims` as it is then. Ctrl-C ends it in
    /// order; what was applied stays, and the same command begins anew. Exit code 6 when something was
    /// kept as a dead letter, or was gone from the stream before its turn.
    #[command(after_help = replay::EXAMPLES)]
    Replay(ReplayArgs),
    /// How the pipeline is: rows, what is not loaded yet, dead letters, and in words what needs
    /// attention. Needs no running loader, and tells what it can where NATS or Postgres is away.
    #[command(after_help = command::EXAMPLES)]
    Status(StatusArgs),
    /// Try everything that loading needs: Postgres, the tables, NATS, and the rights there. Says for what
    /// does not work how to mend it.
    #[command(after_help = check::EXAMPLES)]
    Check,
    /// Ask the loader on this machine (--http) whether it is ready: exit code 0 if so, else 1.
    #[command(after_help = HEALTHCHECK_EXAMPLES)]
    Healthcheck,
    #[command(flatten)]
    Manual(Manual),
}

/// A value that names a resource.
pub(crate) fn resource_names() -> impl TypedValueParser<Value = String> {
    PossibleValuesParser::new(CATALOGUE.iter().map(|resource| resource.name))
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Loading")]
struct RunArgs {
    /// Connections to Postgres, each applying one batch at a time.
    #[arg(long, env = "LOADER_WRITERS", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=64), global = true)]
    writers: u8,
    /// How long a batch may be in hand before NATS gives it to another loader; longer than any
    /// batch takes. All loaders want the same.
    #[arg(long, env = "LOADER_ACK_WAIT", default_value = "60s", value_parser = shared::consumer::ack_wait, global = true)]
    ack_wait: Duration,
    /// Record every change of a row in `raw.toggl_track__history`, for questions about the past. What
    /// changes while it is off is never in there.
    #[arg(long, env = "LOADER_HISTORY", value_enum, default_value_t, global = true)]
    history: History,
    /// Where to serve the status page (/), metrics (/metrics), /healthz and /readyz; `off` for nowhere.
    /// [default: 127.0.0.1:9464, unless it is taken]
    #[arg(long, env = "LOADER_HTTP", value_name = "ADDRESS", global = true)]
    http: Option<Http>,
}

/// Parses the command line and runs; what goes wrong is one line on stderr and an exit code.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    exit::run(cli.log, run(cli))
}

async fn run(cli: Cli) -> Result<Exit, Failure> {
    if matches!(cli.command, Some(Command::Healthcheck)) {
        healthcheck(cli.run.http).await.or_exit(Exit::Failed)?;
        return Ok(Exit::Done);
    }
    if let Some(Command::Manual(manual)) = &cli.command {
        return manual.run(Cli::command());
    }
    let database = cli.database.database().or_exit(Exit::Usage)?;
    if let Some(Command::DeadLetters(command)) = cli.command {
        return dead_letters::run(database, command, cli.run.history).await;
    }
    let server = cli.nats.server().or_exit(Exit::Usage)?;
    if let Some(Command::Status(args)) = &cli.command {
        return command::run(server, database, args).await;
    }
    if matches!(cli.command, Some(Command::Check)) {
        return check::run(server, database, &cli.stream).await;
    }
    let shutdown = Shutdown::on_signals().or_exit(Exit::Failed)?;
    if let Some(Command::Replay(args)) = cli.command {
        args.check()?;
        let client = server.connect("toggl-track-loader").await.or_exit(Exit::Unreachable)?;
        let history = cli.run.history;
        return replay::run(server.jetstream(client), database, args, history, shutdown).await;
    }
    let listener = match cli.command {
        Some(Command::Migrate | Command::Setup) => None,
        _ => http::bind(cli.run.http).await.or_exit(Exit::Failed)?,
    };
    let mut connection = database.connect().await.or_exit(Exit::Unreachable)?;
    migrations::migrate(&mut connection, &cli.vault).await.or_exit(Exit::Failed)?;
    connection.close().await.or_exit(Exit::Unreachable)?;
    if matches!(cli.command, Some(Command::Migrate)) {
        return Ok(Exit::Done);
    }

    let client = server.connect("toggl-track-loader").await.or_exit(Exit::Unreachable)?;
    let context = server.jetstream(client);
    stream::ensure_stream(&context, &cli.stream).await.or_exit(Exit::Unreachable)?;
    if matches!(cli.command, Some(Command::Setup)) {
        stream::ensure_bucket(&context, &cli.stream).await.or_exit(Exit::Unreachable)?;
        info!(target: MIGRATIONS, "The stream {} and the bucket {} are up to date", STREAM, BUCKET);
        return Ok(Exit::Done);
    }
    let settings = Settings {
        readers: Readers::Main,
        stream: cli.stream,
        ack_wait: cli.run.ack_wait,
        writers: usize::from(cli.run.writers),
        options: Options { history: cli.run.history, ..Options::default() },
        meters: Meters::default(),
    };
    load(context, database, settings, listener, shutdown).await
}

/// Loads until it is stopped, watched from `listener` if there is one.
async fn load(
    context: Context,
    database: Database,
    settings: Settings,
    listener: Option<TcpListener>,
    shutdown: Shutdown,
) -> Result<Exit, Failure> {
    // Ended by being dropped, when the loading has ended.
    let mut beside = JoinSet::new();
    if let Some(listener) = listener {
        let meters = settings.meters.clone();
        let (watch, watcher) =
            watch(context.clone(), database.clone(), meters.clone(), shutdown.soft.clone());
        beside.spawn(watcher.run());
        http::announce(&listener);
        beside.spawn(http::serve(listener, http::router(watch, meters)));
    }
    let client = context.client();
    serve::serve(context, database, settings, shutdown).await.or_exit(Exit::Failed)?;
    // Acknowledgements that are still queued go out before the process ends.
    drop(tokio::time::timeout(Duration::from_secs(2), client.drain()).await);
    info!(target: SUBSCRIBER, "Stopped");
    Ok(Exit::Done)
}
