//! `fetcher schedule`: syncs by a cron expression, or as quotas allow, for containers that have neither cron nor a shell.

use std::ffi::OsString;
use std::str::FromStr;
use std::time::Duration;

use anyhow::Context as _;
use clap::builder::EnumValueParser;
use clap::{Args, ValueEnum};
use croner::Cron;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Zoned};
use shared::exit::{Exit, Failure, OrExit as _, chain};
use shared::process::Program;
use shared::settings::plain;
use shared::shutdown::Shutdown;
use shared::telemetry::SCHEDULE;
use tracing::{error, info, warn};

mod auto;
mod clock;
mod runs;
mod seen;

pub(super) use self::auto::AutoRuns;
use self::clock::Clock;
use self::runs::{start, stopped, wait};
use super::CommonArgs;
use super::failures::credentials_failure;
use crate::credentials::CredentialArgs;
use crate::promise::Promise;

pub(super) const EXAMPLES: &str = "\
Examples:
  fetcher schedule auto                                as fresh as your plan's quotas allow
  fetcher schedule auto --share 50 -- --team 35        half of them, and the team too
  fetcher schedule                                     every hour, at 17 minutes past
  fetcher schedule '*/15 * * * *' -- --days 1          every quarter of an hour
  fetcher schedule '0 3 * * *' -- report --days 30     everybody's entries of a month, every night
  fetcher schedule --verify daily                      once a day Toggl's sums against the tables
  fetcher schedule --workspace all --if-running skip   each run with these flags
  TZ=Europe/Berlin fetcher schedule '0 7-20 * * MON-FRI' -- --days 3";

/// A clock that was set, or a machine that slept, is noticed within this.
const LOOK: Duration = Duration::from_secs(30);
/// What stands in the place of a cron expression.
const AUTO: &str = "auto";

/// When runs come.
#[derive(Debug, Clone)]
enum When {
    Cron(Box<Cron>),
    /// As the plan has them.
    Auto,
}

impl FromStr for When {
    type Err = croner::errors::CronError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.eq_ignore_ascii_case(AUTO) {
            return Ok(Self::Auto);
        }
        Cron::from_str(text).map(|cron| Self::Cron(Box::new(cron)))
    }
}

/// When, and what.
#[derive(Debug, Args)]
pub(super) struct ScheduleArgs {
    /// Minute, hour, day of the month, month and day of the week, as cron has them; in the time zone of
    /// TZ, else the machine's. A time of day that summer time skips comes at the end of the gap, one that
    /// comes twice is taken once; hours and minutes that repeat (`*`, `*/15`) go by the clock. A machine that
    /// slept over a run makes up for it once. `auto` instead: what has changed of your entries every few minutes, of
    /// the lists every hour, everything twice a day, and the team's last days where syncs are told to read the team,
    /// as often as the quotas allow and as little as somebody else leaves of them.
    #[arg(env = "FETCHER_SCHEDULE", default_value = "17 * * * *", value_name = "CRON|auto", value_parser = plain(When::from_str))]
    schedule: When,
    /// Run `fetcher verify` as well, after the first run and then so often: with one request a year and
    /// workspace it finds what was deleted or changed among anybody's old entries. [default: off; with `auto`
    /// daily]
    #[arg(long, env = "FETCHER_VERIFY", value_enum, value_parser = plain(EnumValueParser::<Verify>::new()))]
    verify: Option<Verify>,
    /// How much of each hour's requests `auto` spends, in a hundred. The rest is for other programs and for runs by
    /// hand.
    #[arg(long, env = "FETCHER_SHARE", value_name = "PERCENT", default_value_t = 75, value_parser = plain(clap::value_parser!(u32).range(10..=95)))]
    share: u32,
    /// What the runs of `auto` are given.
    #[arg(skip)]
    pub(super) auto: Option<Box<AutoRuns>>,
    /// Where its runs find credentials.
    #[arg(skip)]
    pub(super) credentials: Option<CredentialArgs>,
    /// What a verification is given: the flags that stand before `schedule`.
    #[arg(skip)]
    pub(super) verification: Vec<OsString>,
    /// What each run is given, after `--`. Flags of every command may stand before that as well, and
    /// settings in the environment hold too.
    #[arg(last = true, value_name = "ARGUMENTS")]
    pub(super) arguments: Vec<OsString>,
}

impl ScheduleArgs {
    pub(super) const fn is_auto(&self) -> bool {
        matches!(self.schedule, When::Auto)
    }
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
    const fn every(self) -> Option<SignedDuration> {
        match self {
            Self::Off => None,
            Self::Daily => Some(SignedDuration::from_hours(24)),
            Self::Weekly => Some(SignedDuration::from_hours(7 * 24)),
        }
    }

    /// Whether it is time again. A schedule is not so punctual that a whole day always lies between two runs.
    fn is_due(self, last: Option<Timestamp>, now: Timestamp) -> bool {
        let is_late = |every| last.is_none_or(|last| now.duration_since(last) >= every - SLACK);
        self.every().is_some_and(is_late)
    }
}

/// By how much a verification may come early.
const SLACK: SignedDuration = SignedDuration::from_mins(30);

/// Runs a sync at each time, one at a time, until SIGTERM or Ctrl-C: that ends a run in order, too.
/// Times that pass during a run are left out, and a run that fails, or cannot be started, does not keep
/// the next from coming.
pub(super) async fn run(args: &ScheduleArgs, common: &CommonArgs) -> Result<Exit, Failure> {
    let shutdown = Shutdown::on_signals().or_exit(Exit::Failed)?;
    let zone = zone().or_exit(Exit::Usage)?;
    let program = Program::running().context("cannot tell which program this is");
    let program = program.or_exit(Exit::Failed)?;
    let now = || Timestamp::now().to_zoned(zone.clone());
    refuse_in_vain(args, &now())?;
    let schedule = match (&args.schedule, &args.auto) {
        (When::Cron(schedule), _) => schedule,
        (When::Auto, Some(runs)) => {
            let rules = (args.share, args.verify.unwrap_or(Verify::Daily));
            return Box::pin(auto::run(runs, rules, &shutdown, (&program, &zone))).await;
        }
        (When::Auto, None) => return Ok(stopped()),
    };
    let verify = args.verify.unwrap_or_default();
    let mut clock = Clock { schedule, last: None };
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
        let every = clock.until_next();
        let mut runs = vec![("run", &args.arguments, every)];
        if let Some(verify_every) = verify.every()
            && verify.is_due(verified, Timestamp::now())
        {
            verified = Some(Timestamp::now());
            // With the first run after that.
            runs.push(("verification", &args.verification, every + verify_every));
        }
        for (what, arguments, every) in runs {
            let promise = common.promise.is_none().then(|| Promise::every(every));
            let starting = start(&program, arguments, promise.as_ref());
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

/// Nobody waits an hour to hear that no run can come, or come to anything.
fn refuse_in_vain(args: &ScheduleArgs, now: &Zoned) -> Result<(), Failure> {
    if let When::Cron(schedule) = &args.schedule {
        Clock { schedule, last: None }.next(now).or_exit(Exit::Usage)?;
    }
    let credentials = args.credentials.as_ref();
    credentials
        .map_or(Ok(()), |credentials| credentials.check_settings().map_err(credentials_failure))
}

/// That of TZ, which is not to be UTC for being misspelt; else the machine's, where it has one.
fn zone() -> anyhow::Result<TimeZone> {
    match TimeZone::try_system() {
        Ok(zone) => Ok(zone),
        Err(_) if std::env::var_os("TZ").is_none_or(|name| name.is_empty()) => Ok(TimeZone::UTC),
        Err(error) => Err(error).context("TZ names no time zone, as Europe/Berlin does"),
    }
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
