//! The command line of the fetcher.

use std::process::ExitCode;
use std::str::FromStr as _;
use std::time::Duration;

use clap::builder::EnumValueParser;
use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};
use jiff::civil::Date;
use shared::env_file::{self, EnvFileArgs};
use shared::exit::{self, EXIT_CODES, Exit, Failure};
use shared::manual::Manual;
use shared::nats::NatsArgs;
use shared::settings::{TimeError, plain, switch, time};
use shared::stream::StreamArgs;
use shared::telemetry::LogArgs;

use self::run_summary::{RunSummary, RunSummaryArgs};
use crate::credentials::CredentialArgs;
use crate::orchestrator::ReportDays;
use crate::promise::Promise;
use crate::selection::Names;
use crate::toggl::TogglArgs;

mod accounts;
mod broker;
mod changes;
mod checkup;
mod credentials;
mod failures;
mod flags;
mod listen;
mod run_summary;
mod runs;
mod schedule;
mod side_by_side;
mod summary;
mod verify;

const EXAMPLES: &str = "\
Examples:
  fetcher                                  the last three days of your time entries, and all lists
  fetcher --days 30 --log-level debug      a month, every request shown
  fetcher --wait && dbt run                go on when the tables have it
  fetcher --days 400                       beyond Toggl's three months, by reports
  fetcher --only default,tasks             the usual, and tasks besides
  fetcher changes                          what changed of your entries, for one request
  fetcher --workspace all --account all    everything that every stored account can read
  fetcher --team 35                        your entries each run, everybody's once a day
  fetcher report --from 2023-01-01         everybody's entries since then
  fetcher verify --from 2023-01-01 --wait  Toggl's own sums against the tables
  fetcher listen --public-url https://hooks.example.com    what happens, within seconds
  fetcher --env-file /etc/toggl-track/fetcher.env    with settings from a file, as for cron
  fetcher check                            token, workspaces, plan and quota
  fetcher credentials set < token.txt      store the API token in the vault";

/// Pulls Toggl Track resources and publishes them as batches to NATS JetStream.
///
/// Without a command it syncs: me, workspaces, projects, clients, tags, users and groups in parallel,
/// then your time entries of the last days, then what else of them has changed or was deleted since
/// the last sync. Run it from cron.
#[derive(Debug, Parser)]
#[command(name = "fetcher", version, after_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    sync: SyncArgs,
    #[command(flatten)]
    common: CommonArgs,
}

/// What every command takes.
#[derive(Debug, Args)]
struct CommonArgs {
    #[command(flatten)]
    env_file: EnvFileArgs,
    #[command(flatten)]
    credentials: CredentialArgs,
    #[command(flatten)]
    toggl: TogglArgs,
    #[command(flatten)]
    nats: NatsArgs,
    #[command(flatten)]
    stream: StreamArgs,
    #[command(flatten)]
    run_summary: RunSummaryArgs,
    #[command(flatten)]
    log: LogArgs,
    /// With --account all, how many accounts are read beside each other, each at its own pace. Memory grows with
    /// it.
    #[arg(long, env = "FETCHER_ACCOUNTS_AT_ONCE", help_heading = "Run", value_name = "N", default_value_t = 64, value_parser = plain(clap::value_parser!(u16).range(1..=1_000)), global = true)]
    accounts_at_once: u16,
    /// What to do while another run of the same account is busy: two syncs, or two reports, would ask for the
    /// same things twice.
    #[arg(long, env = "FETCHER_IF_RUNNING", help_heading = "Run", value_enum, default_value_t, value_parser = plain(EnumValueParser::<IfRunning>::new()), global = true)]
    if_running: IfRunning,
    /// Wait until loaders have stored everything that was published, for every account; fail if that takes
    /// longer (5m unless you say otherwise). Exit code 0 then means: all was read, sent and stored. 0s does
    /// not wait.
    #[arg(long, env = "FETCHER_WAIT", help_heading = "Run", value_name = "DURATION", num_args = 0..=1, require_equals = true, default_missing_value = USUAL_WAIT, value_parser = plain(wait), global = true)]
    wait: Option<Duration>,
    /// How old the tables of such a run get at most until the next one has brought them: `70m`, or `1h,time_entries=5m`.
    /// Loaders tell that everybody who asks, and say when it does not hold. Runs of `schedule` promise it by themselves.
    #[arg(long, env = "FETCHER_PROMISE", help_heading = "Run", value_name = "AGE", value_parser = plain(Promise::from_str), global = true)]
    promise: Option<Promise>,
    /// Print nothing when all went well, and log nothing below a warning, so that cron mails only what needs
    /// a person. Commands that exist to show something still show it.
    #[arg(long, short, env = "FETCHER_QUIET", help_heading = "Run", value_parser = switch(), global = true)]
    quiet: bool,
}

const USUAL_WAIT: &str = "5m";

/// How long to wait; a variable may say yes or no instead.
fn wait(text: &str) -> Result<Duration, TimeError> {
    match text.to_ascii_lowercase().as_str() {
        "yes" | "true" | "on" => time(USUAL_WAIT),
        "no" | "false" | "off" => Ok(Duration::ZERO),
        _ => time(text),
    }
}

/// What a second run of an account does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum IfRunning {
    /// Wait for it to end, for at most --max-wait; then fail.
    #[default]
    Wait,
    /// Leave the work to that run: exit code 0; with --wait 6, because nothing new is stored.
    Skip,
    /// Fail: exit code 1.
    Fail,
}

/// What a sync reads.
#[derive(Debug, Args)]
struct SyncArgs {
    /// Days of time entries to read, today included. What is older than 85 days comes from the reports of
    /// the chosen workspaces.
    #[arg(long, env = "FETCHER_DAYS", default_value_t = 3, allow_negative_numbers = true, value_parser = plain(clap::value_parser!(u32).range(1..=7_305)))]
    days: u32,
    /// Read only these resources: names separated by commas, `default` for the usual ones, `all` to add
    /// `tasks`, `project_users`, `workspace_users` and `organizations`.
    #[arg(long, env = "FETCHER_ONLY", value_delimiter = ',', value_name = "RESOURCE", value_parser = plain(Names::from_str))]
    only: Vec<Names>,
    /// Leave these resources out.
    #[arg(long, env = "FETCHER_SKIP", value_delimiter = ',', value_name = "RESOURCE", value_parser = plain(Names::from_str))]
    skip: Vec<Names>,
    /// Ask for the changes of this many days (1 to 85) instead of those since the last sync.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=85))]
    since_days: Option<u32>,
    /// Also read everybody's entries of this many days, from the reports of workspaces where you are an
    /// admin; 0 for yours alone.
    #[arg(long, env = "FETCHER_TEAM", value_name = "DAYS", value_parser = plain(clap::value_parser!(u32).range(0..=7_305)))]
    team: Option<u32>,
    /// How often the entries of --team are read; syncs in between leave them alone. 0s reads them at every
    /// sync.
    #[arg(long, env = "FETCHER_TEAM_EVERY", value_name = "DURATION", default_value = "1d", value_parser = plain(time))]
    team_every: Duration,
    /// For how long a sync that a quota interrupted is continued, without reading again what it has read. 0s
    /// reads everything again.
    #[arg(long, env = "FETCHER_RESUME_WITHIN", value_name = "DURATION", default_value = "1h", value_parser = plain(time))]
    resume_within: Duration,
}

fn day(text: &str) -> Result<Date, &'static str> {
    text.parse().map_err(|_| "a day is written as 2020-01-31")
}

/// What a report reads.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("since").args(["from", "days"]).required(true))]
struct ReportArgs {
    /// First day, as 2023-01-31.
    #[arg(long, value_parser = day)]
    from: Option<Date>,
    /// Last day, inclusive; today if it is left out.
    #[arg(long, value_parser = day)]
    to: Option<Date>,
    /// The last DAYS days instead of dates, today included.
    #[arg(long, conflicts_with = "to", allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(1..=7_305))]
    days: Option<u32>,
    /// Begin again instead of continuing where the same report was interrupted.
    #[arg(long)]
    restart: bool,
    /// For how long after its last page an interrupted report is continued; after that it begins again.
    #[arg(long, value_name = "DURATION", default_value = "7d", value_parser = plain(time))]
    resume_within: Duration,
    /// Go by what a run of the last day has heard of the token's owner: time zone, default workspace. It takes no
    /// request of the user's then.
    #[arg(long)]
    known_owner: bool,
}

impl ReportArgs {
    fn days(&self) -> ReportDays {
        match (self.from, self.days) {
            (Some(from), _) => ReportDays::Between(from, self.to),
            (None, days) => ReportDays::Last(days.unwrap_or(1)),
        }
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Read what was created, changed or deleted of your own entries since the last run: one request, where a run has
    /// asked within a day whose the token is. A project, client, tag or task that an entry names and no run has read
    /// is read, too, unless that would take the last quarter of an hourly quota; the summary says what a sync will
    /// bring. It stands between syncs and replaces none: whole lists, and what Toggl changes silently, are a sync's.
    #[command(after_help = changes::EXAMPLES)]
    Changes(changes::ChangeArgs),
    /// Read the history of whole workspaces from reports: everybody's entries, as far as you may see them.
    /// After an interruption the same command continues where it stopped.
    #[command(after_help = REPORT_EXAMPLES)]
    Report(ReportArgs),
    /// Hold Toggl's own sums against the tables: which entries there are, and how long they took, for one
    /// request a year and workspace. What differs is told by `loader verify`, and here with --wait or --repair.
    /// After an interruption the same command continues where it stopped. Exit code 6 if something differs, or
    /// is not proven.
    #[command(after_help = verify::EXAMPLES)]
    Verify(verify::VerifyArgs),
    /// Try everything that a sync needs: credentials, Toggl, NATS, and the rights there. Says how to fix what
    /// does not work, and shows whose token it is, the workspaces and their plans, and what is left of the
    /// quotas.
    #[command(after_help = CHECK_EXAMPLES)]
    Check,
    /// Stay and sync by a cron expression, or with `auto` as the quotas allow, one run at a time, each in a process of
    /// its own. For containers; elsewhere use cron or a systemd timer.
    #[command(after_help = schedule::EXAMPLES)]
    Schedule(Box<schedule::ScheduleArgs>),
    /// Stay and have Toggl tell by webhooks what happens in the workspaces: it is looked at and in the tables within
    /// seconds. Your own entries take one request, other people's (where you are an admin) one for up to a thousand,
    /// deletions none, however much happens at once. Subscriptions are made and mended by itself; the plan of a
    /// workspace has to have webhooks. It replaces no sync: Toggl does not tell everything.
    #[command(after_help = listen::EXAMPLES)]
    Listen(Box<listen::ListenArgs>),
    /// The Toggl credentials in the Postgres vault.
    #[command(subcommand, after_help = credentials::EXAMPLES)]
    Credentials(credentials::Command),
    #[command(flatten)]
    Manual(Manual),
}

const CHECK_EXAMPLES: &str = "\
Examples:
  fetcher check
  fetcher check --account all     every account in the vault";

const REPORT_EXAMPLES: &str = "\
Examples:
  fetcher report --from 2023-01-01                    to this day
  fetcher report --from 2023-01-01 --to 2023-12-31    one year
  fetcher report --days 30                            the last thirty days, today included
  fetcher report --from 2023-01-01 --max-wait 1h      wait for the hourly quota as often as needed
  fetcher report --from 2023-01-01 --restart          from the beginning, whatever came before";

/// Parses the command line and runs; what goes wrong is one line on stderr and an exit code.
pub fn main() -> ExitCode {
    if let Err(failure) = env_file::apply() {
        return exit::fail(&failure);
    }
    let cli = match flags::parse(&std::env::args_os().collect::<Vec<_>>()) {
        Ok(cli) => cli,
        // With the code that clap has for it; help was asked for, and is none.
        Err(error) => return exit::unparsed(&error),
    };
    exit::run(cli.common.log, cli.common.quiet, run(cli))
}

async fn run(cli: Cli) -> Result<Exit, Failure> {
    let common = &cli.common;
    match &cli.command {
        None => {
            let sync =
                async |summary: &mut RunSummary| runs::sync(common, &cli.sync, summary).await;
            summed_up(common, "sync", sync).await
        }
        Some(Command::Changes(args)) => {
            let changes =
                async |summary: &mut RunSummary| changes::changes(common, args, summary).await;
            summed_up(common, "changes", changes).await
        }
        Some(Command::Report(args)) => {
            let report = async |summary: &mut RunSummary| runs::report(common, args, summary).await;
            summed_up(common, "report", report).await
        }
        Some(Command::Verify(args)) => {
            let verify =
                async |summary: &mut RunSummary| verify::verify(common, args, summary).await;
            summed_up(common, "verify", verify).await
        }
        Some(Command::Schedule(args)) => schedule::run(args, common).await,
        Some(Command::Listen(args)) => Box::pin(listen::run(common, args)).await,
        Some(Command::Check) => checkup::run(common).await,
        Some(Command::Manual(manual)) => manual.run(flags::command()),
        Some(Command::Credentials(command)) => credentials::run(command, common).await,
    }
}

/// Runs, unless what it did could not be written down, and writes that down.
async fn summed_up(
    common: &CommonArgs,
    name: &'static str,
    run: impl AsyncFnOnce(&mut RunSummary) -> Result<Exit, Failure>,
) -> Result<Exit, Failure> {
    let mut summary = RunSummary::begin(name);
    let ended = match common.run_summary.prepare() {
        Ok(()) => Box::pin(run(&mut summary)).await,
        Err(failure) => Err(failure),
    };
    summary.write(&common.run_summary, ended)
}
