//! The command line of the loader.

mod dispatch;
mod load;
mod start;
mod up;

use std::process::ExitCode;
use std::str::FromStr as _;
use std::time::Duration;

use clap::builder::EnumValueParser;
use clap::{Args, Parser, Subcommand};
use shared::consumer::CopyName;
use shared::env_file::{self, EnvFileArgs};
use shared::exit::{self, EXIT_CODES, Exit, Failure};
use shared::manual::Manual;
use shared::nats::NatsArgs;
use shared::settings::{self, plain, switch};
use shared::stream::StreamArgs;
use shared::telemetry::LogArgs;

use self::dispatch::dispatch;
use crate::apply::settings::History;
use crate::check;
use crate::dead_letters::{self, DeadLetters};
use crate::explain::{self, ExplainArgs};
use crate::forget::{self, ForgetArgs};
use crate::hours::{self, HoursArgs};
use crate::http::Http;
use crate::migrations::{VaultArgs, rights};
use crate::ownership::adopt;
use crate::postgres::database::DatabaseArgs;
use crate::prune::{self, PruneArgs, RetentionArgs};
use crate::replay::{self, ReplayArgs};
use crate::setup::{self, SetupArgs};
use crate::status::age;
use crate::status::command::{self, StatusArgs};
use crate::status::verify::{self, VerifyArgs};

const EXAMPLES: &str = "\
Examples:
  loader                             loads until it is stopped; start as many as you like
  loader check                       is everything there that it needs?
  loader status                      how the pipeline is
  loader hours --by client,user      a report of hours; -o hours.html makes it a page
  loader verify                      whether the tables have what Toggl says is there
  loader dead-letters list           what could not be loaded, and why
  loader explain --resource tags --id 7    why a row is as it is, and which batches had it
  loader replay --resource tags      load a table again from the stream";

const RUN_EXAMPLES: &str = "\
Examples:
  loader run
  loader run --writers 4 --log-format json";

const MIGRATE_EXAMPLES: &str = "\
Examples:
  loader migrate
  DATABASE_URL=postgres://postgres@localhost/toggl loader migrate    as a superuser: with a vault";

const HEALTHCHECK_EXAMPLES: &str = "\
Examples:
  loader healthcheck
  loader healthcheck --http 127.0.0.1:9500
  loader healthcheck --max-age 2h";

/// Loads Toggl Track batches from NATS JetStream into the raw tables of PostgreSQL.
///
/// Without a command it runs: it brings the schema up to date, then loads all tables until SIGTERM or Ctrl-C.
/// Any number of loaders may run at once.
#[derive(Debug, Parser)]
#[command(name = "loader", version, after_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    env_file: EnvFileArgs,
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    nats: NatsArgs,
    #[command(flatten)]
    stream: StreamArgs,
    #[command(flatten)]
    run: RunArgs,
    #[command(flatten)]
    retention: RetentionArgs,
    #[command(flatten)]
    vault: VaultArgs,
    #[command(flatten)]
    log: LogArgs,
    /// Print nothing when all is well, and log nothing below a warning. Commands that exist to show
    /// something, such as a list, still show it.
    #[arg(long, short, env = "LOADER_QUIET", help_heading = "Logging", value_parser = switch(), global = true)]
    quiet: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Bring the schema up to date, then load until stopped (the default).
    #[command(after_help = RUN_EXAMPLES)]
    Run,
    /// Bring the schema up to date, say what the vault lacks, and exit.
    #[command(after_help = MIGRATE_EXAMPLES)]
    Migrate,
    /// Do what needs more rights than loading: `migrate`, and create or update the stream and the key-value
    /// bucket. For an administrator, where the users of loader and fetcher have few rights.
    #[command(after_help = setup::EXAMPLES)]
    Setup(SetupArgs),
    /// Load the stream into this database from now on, and no longer into the one before.
    ///
    /// The stream's consumers belong to one database. A loader of another one takes nothing, and says whose
    /// they are; this command gives them to this database. Running loaders notice within seconds, those of
    /// the former database too. What this database lacks is loaded from the stream.
    #[command(after_help = adopt::EXAMPLES)]
    Adopt,
    /// What could not be loaded: look at it, apply it again, or discard it. Needs only Postgres.
    #[command(subcommand, after_help = dead_letters::EXAMPLES)]
    DeadLetters(DeadLetters),
    /// Delete a person, or a workspace, from all tables, history, claims and dead letters, in one
    /// transaction, and keep them out from then on.
    ///
    /// Nothing comes back by a replay, by batches that are loaded later, or by dead letters that are applied
    /// again, until --undo. Their id stays in `raw.toggl_track__forgotten`, because nobody could be kept out
    /// without it. Other rows stay, but lose whoever is forgotten as creator, assignee or member. Loaders may
    /// run; they wait meanwhile. It says what remains where it does not reach, and what to do about that.
    /// Exit code 6 if dead letters that cannot be read may hold them.
    #[command(after_help = forget::EXAMPLES)]
    Forget(ForgetArgs),
    /// Delete, once, what is older than these settings keep. Running loaders do the same every day.
    ///
    /// It works in small pieces, beside running loaders. What a table held at any moment since then stays
    /// known: the last change before is kept, except of rows that were deleted before. The raw tables
    /// themselves are never pruned.
    #[command(after_help = prune::EXAMPLES)]
    Prune(PruneArgs),
    /// Apply what the stream holds again, up to its present end.
    ///
    /// Beside running loaders, and by the rules of every batch: nothing older replaces what is newer,
    /// so that over tables that miss nothing it changes nothing. A table that was emptied is filled as
    /// it was, deleted rows too; leave `raw.toggl_track__claims` as it is then. Ctrl-C ends it in
    /// order; what was applied stays, and the same command begins anew.
    ///
    /// The stream forgets what is older than `STREAM_MAX_AGE`. The summary says where it begins and, by the
    /// ledger, which batches that were once loaded have left it. Over tables that hold what they brought that
    /// is no trouble; a table that was emptied before, and any other schema, then misses rows that nothing
    /// else brings: exit code 6, with words on how to get back what Toggl still has. It is 6 as well when
    /// something was kept as a dead letter, or was gone from the stream before its turn.
    #[command(after_help = replay::EXAMPLES)]
    Replay(ReplayArgs),
    /// Why a row is as it is: the stored version, which run and message wrote it, which complete listings
    /// cover it, its changes and dead letters, the last batches that had it and what became of it in each.
    ///
    /// With --sequence it shows a batch of the stream in readable form instead. Where NATS is away it tells
    /// what Postgres knows.
    #[command(after_help = explain::EXAMPLES)]
    Explain(ExplainArgs),
    /// How the pipeline is: rows, what is not loaded yet, dead letters, and in words what needs
    /// attention. Needs no running loader, and tells what it can where NATS or Postgres is away.
    #[command(after_help = command::EXAMPLES)]
    Status(StatusArgs),
    /// A report of hours: who spent how many on what, day by day or week by week; as a table, as a page with plots
    /// (HTML), as CSV or JSON. It says how fresh the numbers are, and whether Toggl's own sums are the same. Needs
    /// only Postgres, and no more rights than an analyst has.
    #[command(after_help = hours::EXAMPLES)]
    Hours(HoursArgs),
    /// Whether the tables have what Toggl's own sums say is there: what the last `fetcher verify` asked for, held
    /// against the tables as they are now. What was changed since it asked is left out. Needs only Postgres.
    #[command(after_help = verify::EXAMPLES)]
    Verify(VerifyArgs),
    /// Try everything that loading needs: Postgres, the tables, NATS, and the rights there. Says how to fix
    /// what does not work.
    #[command(after_help = check::EXAMPLES)]
    Check,
    /// Ask the loader on this machine (--http) whether it is ready. Exit code 0 if it is, and if it belongs
    /// to `DATABASE_URL` and `NATS_URL` where they are set; else 1.
    #[command(after_help = HEALTHCHECK_EXAMPLES)]
    Healthcheck,
    #[command(flatten)]
    Manual(Manual),
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Loading")]
struct RunArgs {
    /// Connections to Postgres, each applying one batch at a time. One table takes all but one of them at
    /// most, so that the others go on.
    #[arg(long, env = "LOADER_WRITERS", default_value_t = 3, value_parser = plain(clap::value_parser!(u8).range(1..=64)), global = true)]
    writers: u8,
    /// How long a batch may be in hand before NATS gives it to another loader. Make it longer than any batch
    /// takes, and the same for all loaders.
    #[arg(long, env = "LOADER_ACK_WAIT", default_value = "60s", value_parser = plain(shared::consumer::ack_wait), global = true)]
    ack_wait: Duration,
    /// Keep each version of a row that is replaced in `raw.toggl_track__history`, for questions about the past.
    /// Versions that are replaced while it is off are lost.
    #[arg(long, env = "LOADER_HISTORY", value_enum, default_value_t, value_parser = plain(EnumValueParser::<History>::new()), global = true)]
    history: History,
    /// Load a copy: this database also gets every batch, from the stream's beginning, through consumers of
    /// its own. Fetchers do not wait for it. The name is the copy's, the same for all its loaders.
    #[arg(long, env = "LOADER_COPY", value_name = "NAME", value_parser = plain(CopyName::from_str), global = true)]
    copy: Option<CopyName>,
    /// Where to serve the status page (/), metrics (/metrics), /healthz and /readyz; `off` for nowhere.
    /// [default: 127.0.0.1:9464, unless it is taken]
    #[arg(long, env = "LOADER_HTTP", value_name = "ADDRESS", value_parser = plain(Http::from_str), global = true)]
    http: Option<Http>,
    /// How old a table may be before the page, `status` and, if this is set, `healthcheck` say so. It holds
    /// for each table of the usual sync; if it is less than a day, for time entries only. [default: 26h]
    #[arg(long, env = "LOADER_MAX_AGE", value_name = "DURATION", value_parser = plain(age::max_age), global = true)]
    max_age: Option<Duration>,
}

/// Parses the command line and runs; what goes wrong is one line on stderr and an exit code.
pub fn main() -> ExitCode {
    if let Err(failure) = env_file::apply() {
        return exit::fail(&failure);
    }
    let words: Vec<_> = std::env::args_os().collect();
    let cli: Cli = match settings::parse(&words) {
        Ok(cli) => cli,
        Err(error) => return exit::unparsed(&error),
    };
    exit::run(cli.log, cli.quiet, run(cli))
}

/// Runs the command; what Postgres refuses is told with the owner of what it refused.
async fn run(cli: Cli) -> Result<Exit, Failure> {
    let database = cli.database.clone();
    match (Box::pin(dispatch(cli)).await, database.database()) {
        (Err(failure), Ok(database)) => Err(rights::explained(failure, &database).await),
        (ended, _) => ended,
    }
}
