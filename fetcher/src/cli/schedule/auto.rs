//! `fetcher schedule auto`: runs as the plan has them, each in a process of its own, and what each left in the bucket.

use std::collections::BTreeMap;
use std::ffi::OsString;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use shared::exit::{Exit, Failure, OrExit as _, chain};
use shared::process::Program;
use shared::shutdown::Shutdown;
use shared::telemetry::SCHEDULE;
use tracing::{error, info, warn};

use super::runs::{start, stopped, wait};
use super::seen::{Seen, Watch};
use super::{Verify, Woken, sleep_until};
use crate::cli::CommonArgs;
use crate::plan::{Cost, End, Job, Next, Plan, Rules};

/// The days of the team's entries that are read between syncs.
const TEAM_DAYS: u32 = 3;

/// What each run of the plan is given.
#[derive(Debug)]
pub(in crate::cli) struct AutoRuns {
    /// Where everything is, as the runs are told.
    pub(in crate::cli) common: CommonArgs,
    pub(in crate::cli) sync: Vec<OsString>,
    pub(in crate::cli) changes: Vec<OsString>,
    pub(in crate::cli) lists: Vec<OsString>,
    pub(in crate::cli) verify: Vec<OsString>,
    /// None where nobody asked for the team.
    pub(in crate::cli) team: Option<Vec<OsString>>,
}

impl AutoRuns {
    /// Whose the token is, syncs ask twice a day, and no other run has to.
    pub(in crate::cli) const KNOWN_OWNER: &str = "--known-owner";

    /// How the team's entries are asked for between syncs, if a sync reads so many days of them.
    pub(in crate::cli) fn team_words(days: Option<u32>) -> Option<[OsString; 4]> {
        let days = days.filter(|days| *days > 0)?.min(TEAM_DAYS).to_string();
        Some(["report".into(), "--days".into(), days.into(), Self::KNOWN_OWNER.into()])
    }

    fn arguments(&self, job: Job) -> &[OsString] {
        match job {
            Job::Sync => &self.sync,
            Job::Lists => &self.lists,
            Job::Verify => &self.verify,
            Job::Team => self.team.as_deref().unwrap_or_default(),
            Job::Changes => &self.changes,
        }
    }
}

/// Runs until SIGTERM or Ctrl-C: that ends a run in order, too.
pub(super) async fn run(
    runs: &AutoRuns,
    (share, verify): (u32, Verify),
    shutdown: &Shutdown,
    (program, zone): (&Program, &TimeZone),
) -> Result<Exit, Failure> {
    let mut driver = Driver::new(runs, share, verify);
    if shutdown.soft.run_until_cancelled(Box::pin(driver.begin())).await.is_none() {
        return Ok(stopped());
    }
    let mut said = None;
    loop {
        let Some(next) = driver.plan.next(Timestamp::now()) else { return Ok(stopped()) };
        let due = next.at.to_zoned(zone.clone());
        // Once, though the time is reckoned anew whenever it is looked at.
        if said != Some((next.job, next.at)) {
            let (Next { job, at, why }, words) = (next, due.strftime("%Y-%m-%d %H:%M:%S %Z"));
            info!(target: SCHEDULE, "The next run ({job}) is at {words}: {why}");
            said = Some((job, at));
        }
        match shutdown.soft.run_until_cancelled(sleep_until(&due)).await {
            None => return Ok(stopped()),
            Some(Woken::SetBack) => continue,
            Some(Woken::InTime) => {}
        }
        // A machine that slept may have something else to do first.
        let Some(next) = driver.plan.next(Timestamp::now()) else { return Ok(stopped()) };
        if next.at > Timestamp::now() {
            continue;
        }
        let began = Timestamp::now();
        let promise = runs.common.promise.is_none().then(|| driver.plan.promise());
        let starting = start(program, runs.arguments(next.job), promise.as_ref());
        let Some(process) = shutdown.soft.run_until_cancelled(starting).await else {
            return Ok(stopped());
        };
        let end = match wait(process, shutdown).await {
            Ok(status) => ended(next.job, status),
            Err(error) if shutdown.requested() => return Err(error).or_exit(Exit::Failed),
            Err(error) => {
                error!(target: SCHEDULE, "The run was lost: {}", chain(error.as_ref()));
                End::Failed
            }
        };
        if shutdown
            .soft
            .run_until_cancelled(Box::pin(driver.note(next.job, began, end)))
            .await
            .is_none()
        {
            return Ok(stopped());
        }
    }
}

const DONE: i32 = Exit::Done as i32;
const INCOMPLETE: i32 = Exit::Incomplete as i32;
const UNREACHABLE: i32 = Exit::Unreachable as i32;

/// Says how a run ended. What merely lacks something is not read again for that.
fn ended(job: Job, status: std::process::ExitStatus) -> End {
    match status.code() {
        Some(0) => info!(target: SCHEDULE, "The run ({job}) has ended well"),
        Some(code) => warn!(target: SCHEDULE, "The run ({job}) has ended with exit code {code}"),
        None => error!(target: SCHEDULE, "The run ({job}) was killed ({status})"),
    }
    match status.code() {
        Some(DONE | INCOMPLETE) => End::Well,
        Some(UNREACHABLE) => End::Unreachable,
        _ => End::Failed,
    }
}

/// The plan, and what it is told.
struct Driver<'a> {
    plan: Plan,
    jobs: Vec<Job>,
    watch: Watch<'a>,
    seen: Seen,
    /// Whether the bucket could be looked into when that was last tried.
    sees: bool,
}

impl<'a> Driver<'a> {
    fn new(runs: &'a AutoRuns, share: u32, verify: Verify) -> Self {
        let mut jobs = vec![Job::Sync, Job::Lists, Job::Changes];
        jobs.extend(runs.team.is_some().then_some(Job::Team));
        let verify_every = verify.every();
        jobs.extend(verify_every.map(|_| Job::Verify));
        let seen = Seen::default();
        let costs: BTreeMap<Job, Cost> = jobs.iter().map(|job| (*job, seen.cost(*job))).collect();
        let rules = Rules { share, verify_every: verify_every.unwrap_or_default() };
        let plan = Plan::new(rules, costs, Timestamp::now());
        Self { plan, jobs, watch: Watch::of(&runs.common), seen, sees: true }
    }

    /// Looks what earlier processes have left in the bucket.
    async fn begin(&mut self) {
        self.look().await;
        self.observe();
        for job in &self.jobs {
            if let Some(last) = self.seen.last(*job) {
                self.plan.recall(*job, last);
            }
        }
        // What is known of nobody is told once a run has told of somebody.
        if !self.seen.is_blank() {
            self.tell_plan();
        }
    }

    /// Notes a run that has ended.
    async fn note(&mut self, job: Job, began: Timestamp, end: End) {
        let before = self.seen.clone();
        let saw = self.sees;
        let spent = if self.look().await {
            self.seen.spent(job, began, &before)
        } else {
            before.spent_unseen(job, end, saw)
        };
        self.plan.ended(job, (began, Timestamp::now()), &spent, end);
        self.observe();
        if before.is_blank() && !self.seen.is_blank() {
            self.tell_plan();
        }
    }

    /// Looks what runs have left in the bucket; whether that can be seen.
    async fn look(&mut self) -> bool {
        let looked = self.watch.look().await;
        self.sees = looked.is_ok();
        match looked {
            Ok(seen) => self.seen = seen,
            Err(error) => {
                let error = chain(error.as_ref());
                warn!(target: SCHEDULE, "Cannot look what is left of the quotas: {error}");
            }
        }
        self.sees
    }

    fn observe(&mut self) {
        let now = Timestamp::now();
        for (pool, observed) in self.seen.pools(now) {
            self.plan.observe(pool, observed, now);
        }
        for job in &self.jobs {
            self.plan.set_cost(*job, self.seen.cost(*job));
        }
    }

    fn tell_plan(&self) {
        for line in self.plan.words() {
            info!(target: SCHEDULE, "Plan: {line}");
        }
    }
}
