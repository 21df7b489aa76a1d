//! The command line of the fetcher.

use std::process::ExitCode;
use std::str::FromStr as _;
use std::time::Duration;

use clap::builder::EnumValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
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
use crate::selection::Names;
use crate::toggl::TogglArgs;

mod accounts;
mod broker;
mod checkup;
mod credentials;
mod failures;
mod flags;
mod run_summary;
mod runs;
mod schedule;
mod summary;

const EXAMPLES: &str = "\
Examples:
  fetcher                                  the last three days of time entries, and every master
  fetcher --days 30 --log-level debug      a month, every request shown
  fetcher --wait && dbt run                go on when the tables have it
  fetcher --days 400                       what Toggl's three months do not hold comes from reports
  fetcher --only default,tasks             the usual, and tasks besides
  fetcher --only time_entries --days 1     three or four requests, for every ten minutes
  fetcher --workspace all --account all    everything that every stored account can read
  fetcher --team 35                        your entries at every run, everybody's once a day (admins)
  fetcher report --from 2023-01-01         everybody's entries since then
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
    /// What to do when another run of the same account is at work: a sync beside a sync, or a report beside a
    /// report, would ask for the same.
    #[arg(long, env = "FETCHER_IF_RUNNING", help_heading = "Run", value_enum, default_value_t, value_parser = plain(EnumValueParser::<IfRunning>::new()), global = true)]
    if_running: IfRunning,
    /// Wait until loaders have stored what was published, of every account that published something; where
    /// that takes longer (5m unless told), fail. Exit code 0 then means: all was read, sent and stored. 0s does
    /// not wait.
    #[arg(long, env = "FETCHER_WAIT", help_heading = "Run", value_name = "DURATION", num_args = 0..=1, require_equals = true, default_missing_value = USUAL_WAIT, value_parser = plain(wait), global = true)]
    wait: Option<Duration>,
    /// Print nothing when all went well, and log nothing below a warning: what cron then mails needs a person.
    /// What a command is there to show it shows even so.
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
    /// Wait until it has ended, no longer than --max-wait; then fail.
    #[default]
    Wait,
    /// Leave it to that run: exit code 0, or 6 with --wait, for nothing new is stored then.
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
    /// Read these resources only: names with commas between, `default` for the usual ones, `all` for
    /// those besides too: `tasks`, `project_users`, `workspace_users`, `organizations`.
    #[arg(long, env = "FETCHER_ONLY", value_delimiter = ',', value_name = "RESOURCE", value_parser = plain(Names::from_str))]
    only: Vec<Names>,
    /// Leave these resources out.
    #[arg(long, env = "FETCHER_SKIP", value_delimiter = ',', value_name = "RESOURCE", value_parser = plain(Names::from_str))]
    skip: Vec<Names>,
    /// Ask for the changes of so many days (1 to 85) instead of those since the last sync.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=85))]
    since_days: Option<u32>,
    /// Read everybody's entries of so many days, too, by the reports of workspaces that you are an admin of;
    /// 0 for yours alone.
    #[arg(long, env = "FETCHER_TEAM", value_name = "DAYS", value_parser = plain(clap::value_parser!(u32).range(0..=7_305)))]
    team: Option<u32>,
    /// How often the entries of --team are read: syncs in between leave them as they are. 0s reads them at
    /// every sync.
    #[arg(long, env = "FETCHER_TEAM_EVERY", value_name = "DURATION", default_value = "1d", value_parser = plain(time))]
    team_every: Duration,
    /// What a sync that a quota interrupted has read is not read again for so long. 0s reads all again.
    #[arg(long, env = "FETCHER_RESUME_WITHIN", value_name = "DURATION", default_value = "1h", value_parser = plain(time))]
    resume_within: Duration,
}

/// What a report reads.
#[derive(Debug, Args)]
struct ReportArgs {
    /// First day, as 2023-01-31.
    #[arg(long, required_unless_present = "days")]
    from: Option<Date>,
    /// Last day, inclusive; today if it is left out.
    #[arg(long)]
    to: Option<Date>,
    /// The last so many days instead, today included.
    #[arg(long, conflicts_with_all = ["from", "to"], allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(1..=7_305))]
    days: Option<u32>,
    /// Begin anew instead of going on where the same report was interrupted.
    #[arg(long)]
    restart: bool,
    /// An interrupted report is gone on with for so long after its last page; then it begins anew.
    #[arg(long, value_name = "DURATION", default_value = "7d", value_parser = plain(time))]
    resume_within: Duration,
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
    /// Read the history of whole workspaces from reports: everybody's entries, as far as you may see
    /// them. Interrupted, the same command goes on where it was.
    #[command(after_help = REPORT_EXAMPLES)]
    Report(ReportArgs),
    /// Try everything that a sync needs: credentials, Toggl, NATS, and the rights there. Says for what
    /// does not work how to mend it, and shows whose token it is, the workspaces and their plans, and
    /// what is left of the quotas.
    #[command(after_help = CHECK_EXAMPLES)]
    Check,
    /// Stay, and sync by a cron expression: one run at a time, each a process of its own. For
    /// containers; elsewhere cron or a systemd timer does it.
    #[command(after_help = schedule::EXAMPLES)]
    Schedule(Box<schedule::ScheduleArgs>),
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
    match &cli.command {
        None => {
            let mut run_summary = RunSummary::begin("sync");
            let ended = match cli.common.run_summary.prepare() {
                Ok(()) => Box::pin(runs::sync(&cli.common, &cli.sync, &mut run_summary)).await,
                Err(failure) => Err(failure),
            };
            run_summary.write(&cli.common.run_summary, ended)
        }
        Some(Command::Report(args)) => {
            let mut run_summary = RunSummary::begin("report");
            let ended = match cli.common.run_summary.prepare() {
                Ok(()) => Box::pin(runs::report(&cli.common, args, &mut run_summary)).await,
                Err(failure) => Err(failure),
            };
            run_summary.write(&cli.common.run_summary, ended)
        }
        Some(Command::Schedule(args)) => schedule::run(args).await,
        Some(Command::Check) => checkup::run(&cli.common).await,
        Some(Command::Manual(manual)) => manual.run(flags::command()),
        Some(Command::Credentials(command)) => credentials::run(command, &cli.common).await,
    }
}
