//! `fetcher schedule`: syncs by a cron expression, for containers that have neither cron nor a shell.

use std::ffi::OsString;
use std::process::Stdio;
use std::str::FromStr as _;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use clap::Args;
use croner::Cron;
use jiff::Zoned;
use shared::exit::{Exit, Failure, OrExit as _, chain};
use shared::process;
use shared::shutdown::Shutdown;
use shared::telemetry::SCHEDULE;
use tokio::process::{Child, Command};
use tracing::{error, info, warn};

pub(super) const EXAMPLES: &str = "\
Examples:
  fetcher schedule                                     every hour, at 17 minutes past
  fetcher schedule '*/15 * * * *' -- --days 1          every quarter of an hour
  fetcher schedule '0 3 * * *' -- report --days 30     everybody's entries of a month, every night
  fetcher schedule --workspace all --if-running skip   each run with these flags
  TZ=Europe/Berlin fetcher schedule '0 7-20 * * MON-FRI' -- --days 3";

/// A clock that was set, or a machine that slept, is noticed within this.
const LOOK: Duration = Duration::from_secs(30);

/// When, and what.
#[derive(Debug, Args)]
pub(super) struct ScheduleArgs {
    /// Minute, hour, day of the month, month and day of the week, as cron has them; in the time zone of
    /// TZ, else the machine's.
    #[arg(env = "FETCHER_SCHEDULE", default_value = "17 * * * *", value_name = "CRON", value_parser = Cron::from_str)]
    schedule: Cron,
    /// What each run is given, after `--`. Flags of every command may stand before that as well, and
    /// settings in the environment hold too.
    #[arg(last = true, value_name = "ARGUMENTS")]
    pub(super) arguments: Vec<OsString>,
}

/// Runs a sync at each time, one at a time, until SIGTERM or Ctrl-C: that ends a run in order, too.
/// Times that pass during a run are left out, and a run that fails does not keep the next from coming.
pub(super) async fn run(args: &ScheduleArgs) -> Result<Exit, Failure> {
    let shutdown = Shutdown::on_signals().or_exit(Exit::Failed)?;
    loop {
        let next = args
            .schedule
            .find_next_occurrence(&Zoned::now(), false)
            .with_context(|| format!("the schedule {} never comes", args.schedule.as_str()))
            .or_exit(Exit::Usage)?;
        info!(target: SCHEDULE, "The next run is at {}", next.strftime("%Y-%m-%d %H:%M:%S %Z"));
        if shutdown.soft.run_until_cancelled(sleep_until(&next)).await.is_none() {
            info!(target: SCHEDULE, "Stopped");
            return Ok(Exit::Done);
        }
        let run = start(args).or_exit(Exit::Failed)?;
        let status = wait(run, &shutdown).await.or_exit(Exit::Failed)?;
        match status.code() {
            Some(0) => info!(target: SCHEDULE, "The run has ended well"),
            Some(code) => warn!(target: SCHEDULE, "The run has ended with exit code {code}"),
            None => error!(target: SCHEDULE, "The run was killed ({status})"),
        }
    }
}

async fn sleep_until(next: &Zoned) {
    while let Ok(left) = Duration::try_from(Zoned::now().duration_until(next)) {
        if left.is_zero() {
            break;
        }
        tokio::time::sleep(left.min(LOOK)).await;
    }
}

/// A process of its own: whatever becomes of it, the schedule goes on.
fn start(args: &ScheduleArgs) -> anyhow::Result<Child> {
    let program = std::env::current_exe().context("cannot tell which program this is")?;
    Command::new(&program)
        .args(&args.arguments)
        .stdin(Stdio::null())
        // Ctrl-C reaches it through us, once.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("could not start {}", program.display()))
}

/// Until it has ended; a signal to us is passed on, and after a while, or a second one, it is killed.
async fn wait(mut run: Child, shutdown: &Shutdown) -> anyhow::Result<std::process::ExitStatus> {
    if let Some(ended) = shutdown.soft.run_until_cancelled(run.wait()).await {
        return Ok(ended?);
    }
    if let Some(Err(error)) = run.id().map(process::terminate) {
        warn!(target: SCHEDULE, "Could not end the run: {}", chain(&error));
    }
    if let Some(ended) = shutdown.hard.run_until_cancelled(run.wait()).await {
        return Ok(ended?);
    }
    run.kill().await?;
    Err(anyhow!("the run did not end in time and was killed; what it sent will be loaded"))
}
