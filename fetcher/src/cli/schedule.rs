//! `fetcher schedule`: syncs by a cron expression, for containers that have neither cron nor a shell.

use std::ffi::OsString;
use std::process::Stdio;
use std::str::FromStr as _;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use clap::builder::EnumValueParser;
use clap::{Args, ValueEnum};
use croner::Cron;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Zoned};
use shared::exit::{Exit, Failure, OrExit as _, chain};
use shared::process::{self, Program};
use shared::settings::plain;
use shared::shutdown::Shutdown;
use shared::telemetry::SCHEDULE;
use tokio::process::{Child, Command};
use tracing::{error, info, warn};

mod clock;

use self::clock::Clock;

pub(super) const EXAMPLES: &str = "\
Examples:
  fetcher schedule                                     every hour, at 17 minutes past
  fetcher schedule '*/15 * * * *' -- --days 1          every quarter of an hour
  fetcher schedule '0 3 * * *' -- report --days 30     everybody's entries of a month, every night
  fetcher schedule --verify daily                      and once a day Toggl's own sums against the tables
  fetcher schedule --workspace all --if-running skip   each run with these flags
  TZ=Europe/Berlin fetcher schedule '0 7-20 * * MON-FRI' -- --days 3";

/// A clock that was set, or a machine that slept, is noticed within this.
const LOOK: Duration = Duration::from_secs(30);
/// Between two attempts to start a run.
const AGAIN: Duration = Duration::from_secs(5);

/// When, and what.
#[derive(Debug, Args)]
pub(super) struct ScheduleArgs {
    /// Minute, hour, day of the month, month and day of the week, as cron has them; in the time zone of
    /// TZ, else the machine's. A time of day that summer time skips comes at the end of the gap, one that
    /// comes twice is taken once; hours and minutes that repeat (`*`, `*/15`) go by the clock. A machine that
    /// slept over a run makes up for it once.
    #[arg(env = "FETCHER_SCHEDULE", default_value = "17 * * * *", value_name = "CRON", value_parser = plain(Cron::from_str))]
    schedule: Cron,
    /// Run `fetcher verify` as well, after the first run and then so often: with one request a year and
    /// workspace it finds what was deleted or changed among anybody's old entries.
    #[arg(long, env = "FETCHER_VERIFY", value_enum, default_value_t, value_parser = plain(EnumValueParser::<Verify>::new()))]
    verify: Verify,
    /// What a verification is given: the flags that stand before `schedule`.
    #[arg(skip)]
    pub(super) verification: Vec<OsString>,
    /// What each run is given, after `--`. Flags of every command may stand before that as well, and
    /// settings in the environment hold too.
    #[arg(last = true, value_name = "ARGUMENTS")]
    pub(super) arguments: Vec<OsString>,
}

/// How often the tables are verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum Verify {
    /// Never.
    #[default]
    Off,
    /// Once a day.
    Daily,
    /// Once a week.
    Weekly,
}

impl Verify {
    /// Whether it is time again. A schedule is not so punctual that a whole day always lies between two runs.
    fn is_due(self, last: Option<Timestamp>, now: Timestamp) -> bool {
        let hours = match self {
            Self::Off => return false,
            Self::Daily => 24,
            Self::Weekly => 7 * 24,
        };
        let least = SignedDuration::from_hours(hours) - SLACK;
        last.is_none_or(|last| now.duration_since(last) >= least)
    }
}

/// By how much a verification may come early.
const SLACK: SignedDuration = SignedDuration::from_mins(30);

/// Runs a sync at each time, one at a time, until SIGTERM or Ctrl-C: that ends a run in order, too.
/// Times that pass during a run are left out, and a run that fails, or cannot be started, does not keep
/// the next from coming.
pub(super) async fn run(args: &ScheduleArgs) -> Result<Exit, Failure> {
    let shutdown = Shutdown::on_signals().or_exit(Exit::Failed)?;
    let zone = zone().or_exit(Exit::Usage)?;
    let program = Program::running().context("cannot tell which program this is");
    let program = program.or_exit(Exit::Failed)?;
    let now = || Timestamp::now().to_zoned(zone.clone());
    let mut clock = Clock { schedule: &args.schedule, last: None };
    let mut verified = None;
    loop {
        let next = clock.next(&now()).or_exit(Exit::Usage)?;
        info!(target: SCHEDULE, "The next run is at {}", next.strftime("%Y-%m-%d %H:%M:%S %Z"));
        match shutdown.soft.run_until_cancelled(sleep_until(&next)).await {
            None => return Ok(stopped()),
            Some(Woken::SetBack) => continue,
            Some(Woken::InTime) => {}
        }
        clock.last = Some(next);
        let mut runs = vec![("run", &args.arguments)];
        if args.verify.is_due(verified, Timestamp::now()) {
            verified = Some(Timestamp::now());
            runs.push(("verification", &args.verification));
        }
        for (what, arguments) in runs {
            let starting = start(&program, arguments);
            let Some(run) = shutdown.soft.run_until_cancelled(starting).await else {
                return Ok(stopped());
            };
            match wait(run, &shutdown).await {
                Ok(status) => match status.code() {
                    Some(0) => info!(target: SCHEDULE, "The {what} has ended well"),
                    Some(code) => {
                        warn!(target: SCHEDULE, "The {what} has ended with exit code {code}");
                    }
                    None => error!(target: SCHEDULE, "The {what} was killed ({status})"),
                },
                Err(error) if shutdown.requested() => return Err(error).or_exit(Exit::Failed),
                Err(error) => {
                    error!(target: SCHEDULE, "The {what} was lost: {}", chain(error.as_ref()));
                }
            }
        }
        if clock.next(&now()).ok() != clock.after_last() {
            info!(target: SCHEDULE, "Runs that were due meanwhile are left out");
        }
    }
}

/// That of TZ, which is not to be UTC for being misspelt; else the machine's, where it has one.
fn zone() -> anyhow::Result<TimeZone> {
    match TimeZone::try_system() {
        Ok(zone) => Ok(zone),
        Err(_) if std::env::var_os("TZ").is_none_or(|name| name.is_empty()) => Ok(TimeZone::UTC),
        Err(error) => Err(error).context("TZ names no time zone, as Europe/Berlin does"),
    }
}

fn stopped() -> Exit {
    info!(target: SCHEDULE, "Stopped");
    Exit::Done
}

enum Woken {
    InTime,
    /// What was to come next may come sooner now.
    SetBack,
}

async fn sleep_until(next: &Zoned) -> Woken {
    let mut before = Timestamp::now();
    while let Ok(left) = Duration::try_from(before.duration_until(next.timestamp())) {
        if left.is_zero() {
            break;
        }
        tokio::time::sleep(left.min(LOOK)).await;
        let now = Timestamp::now();
        if now < before {
            info!(target: SCHEDULE, "The clock was set back");
            return Woken::SetBack;
        }
        before = now;
    }
    Woken::InTime
}

/// Starts a process of its own: whatever becomes of it, the schedule goes on. What keeps it from being
/// started passes, as an upgrade or a full process table: it is tried until it succeeds.
async fn start(program: &Program, arguments: &[OsString]) -> Child {
    let mut said = None;
    loop {
        let spawned = Command::new(program.path())
            .args(arguments)
            .stdin(Stdio::null())
            // Ctrl-C reaches it through us, once.
            .process_group(0)
            .kill_on_drop(true)
            .spawn();
        let error = match spawned {
            Ok(run) => return run,
            Err(error) => error,
        };
        // Once, until it is something else.
        if said != Some(error.kind()) {
            let path = program.path().display();
            error!(target: SCHEDULE, "Could not start {path}: {error}; trying again until it starts");
            said = Some(error.kind());
        }
        tokio::time::sleep(AGAIN).await;
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verifications_come_after_the_first_run_and_then_once_a_day_or_week() {
        let now: Timestamp = "2026-01-10T03:00:00Z".parse().unwrap();
        let ago = |hours| Some(now - SignedDuration::from_hours(hours));
        let due =
            |verify: Verify| [None, ago(1), ago(24), ago(168)].map(|last| verify.is_due(last, now));
        assert_eq!(due(Verify::Off), [false; 4]);
        assert_eq!(due(Verify::Daily), [true, false, true, true]);
        assert_eq!(due(Verify::Weekly), [true, false, false, true]);
    }

    #[tokio::test]
    async fn a_time_that_has_passed_is_not_waited_for() {
        let past = Zoned::now().checked_sub(SignedDuration::from_hours(1)).unwrap();
        assert!(matches!(sleep_until(&past).await, Woken::InTime));
    }
}
