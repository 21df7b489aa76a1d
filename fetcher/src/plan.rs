//! Which run comes next, and when: so that an hour's requests are spent, and none is asked for in vain.
//!
//! Everything here is a function of what it is told: the clock, what headers said of the quotas, what runs cost and
//! when they last came. Who starts runs and reads quotas is not decided here.
//!
//! Of each pool of requests a share is spent, three quarters unless somebody says otherwise. Runs that must come
//! (everything, lists, proof, the team) have theirs set aside; what has changed of the entries is asked for with the
//! rest, evenly over the hour. Where a pool empties faster than by these runs, somebody else uses it, and the share is
//! one of what is left by him.
//!
//! How old each table gets at most follows from that, and every run is told: [`Plan::promise`].

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

mod job;
mod pools;
mod promises;
#[cfg(test)]
mod tests;
mod words;

pub(crate) use self::job::Job;
use self::pools::PoolState;
pub(crate) use self::pools::{Observed, Pool};

/// Between two looks for changes, however many requests there are.
const LEAST: SignedDuration = SignedDuration::from_mins(1);
const HOUR: SignedDuration = SignedDuration::from_hours(1);
/// Before an hour is over, so that no list is older.
const LISTS_EVERY: SignedDuration = SignedDuration::from_mins(50);
const SYNC_EVERY: SignedDuration = SignedDuration::from_hours(12);
/// How often the team's entries may be read, in minutes.
const TEAM_EVERY: [i64; 7] = [15, 30, 60, 120, 240, 480, 1_440];
/// Twice this after a run that failed, and twice as long with each further one; where nothing could be reached, once
/// this at first.
const PAUSE: SignedDuration = SignedDuration::from_mins(1);
/// The longest pause where nothing could be reached: nobody was asked for anything.
const LONGEST_HOLD: SignedDuration = SignedDuration::from_mins(4);

/// Requests by pool.
pub(crate) type Cost = BTreeMap<Pool, u32>;

/// What comes next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Next {
    pub(crate) job: Job,
    pub(crate) at: Timestamp,
    pub(crate) why: Why,
}

/// Why a run comes when it comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Why {
    /// It has not run yet.
    First,
    /// It comes so often.
    Every(SignedDuration),
    /// It failed, and is tried again.
    Again(u32),
    /// What it needs is there only after the pool's reset.
    Reset(Pool),
    /// The last run, whichever it was, did not reach what every run needs.
    Unreachable,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Well,
    Failed,
    /// NATS or Postgres was out of reach, as it is for every other run.
    Unreachable,
}

/// Nothing is tried before that.
#[derive(Debug, Clone, Copy)]
struct Hold {
    until: Timestamp,
    /// Runs in a row that reached nothing.
    runs: u32,
}

#[derive(Debug, Clone, Default)]
struct Task {
    /// What it takes, as far as is known.
    cost: Cost,
    last: Option<Timestamp>,
    /// How often it has failed since it last ended well.
    failures: u32,
}

/// What somebody has set.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    /// How much of each hour's requests is spent, in a hundred.
    pub(crate) share: u32,
    pub(crate) verify_every: SignedDuration,
}

/// The plan of a resident process.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    rules: Rules,
    tasks: BTreeMap<Job, Task>,
    pools: BTreeMap<Pool, PoolState>,
    hold: Option<Hold>,
    /// The latest time that was told.
    now: Timestamp,
}

impl Plan {
    /// Runs with what they take at first sight.
    pub(crate) fn new(rules: Rules, jobs: BTreeMap<Job, Cost>, now: Timestamp) -> Self {
        let task = |cost| Task { cost, ..Task::default() };
        let tasks = jobs.into_iter().map(|(job, cost)| (job, task(cost))).collect();
        Self { rules, tasks, pools: BTreeMap::new(), hold: None, now }
    }

    /// What a run takes by now.
    pub(crate) fn set_cost(&mut self, job: Job, cost: Cost) {
        if let Some(task) = self.tasks.get_mut(&job) {
            task.cost = cost;
        }
    }

    /// When a run last began, as an earlier process knew it.
    pub(crate) fn recall(&mut self, job: Job, last: Timestamp) {
        for covered in job.covers() {
            if let Some(task) = self.tasks.get_mut(covered) {
                task.last = task.last.max(Some(last.min(self.now)));
            }
        }
    }

    /// A run that began then has ended now, and took that.
    pub(crate) fn ended(
        &mut self,
        job: Job,
        (began, now): (Timestamp, Timestamp),
        spent: &Cost,
        end: End,
    ) {
        self.tick(now);
        for (pool, requests) in spent {
            self.pools.entry(*pool).or_default().spend(*requests, began.min(now));
        }
        if end == End::Unreachable {
            self.hold_on();
            return;
        }
        self.hold = None;
        let well = end == End::Well;
        for covered in job.covers().iter().filter(|covered| well || **covered == job) {
            let Some(task) = self.tasks.get_mut(covered) else { continue };
            task.last = Some(began.min(now));
            task.failures = if well { 0 } else { task.failures.saturating_add(1) };
        }
    }

    /// No job is at fault, and none is tried for a while.
    fn hold_on(&mut self) {
        let earlier = self.hold.map_or(0, |hold| hold.runs);
        let pause = longer_and_longer(earlier, LONGEST_HOLD);
        let until = self.now.saturating_add(pause).unwrap_or(self.now);
        self.hold = Some(Hold { until, runs: earlier.saturating_add(1) });
    }

    /// What an answer said of a pool.
    pub(crate) fn observe(&mut self, pool: Pool, observed: Observed, now: Timestamp) {
        self.tick(now);
        self.pools.entry(pool).or_default().observe(observed, now);
    }

    /// What comes next.
    pub(crate) fn next(&mut self, now: Timestamp) -> Option<Next> {
        self.tick(now);
        let candidates = self.tasks.keys().map(|job| self.next_of(*job));
        let mut next = candidates.min_by_key(|next| (next.at.max(now), next.job))?;
        if let Some(hold) = self.hold.filter(|hold| hold.until > next.at) {
            (next.at, next.why) = (hold.until, Why::Unreachable);
        }
        Some(next)
    }

    /// How often a run comes at present, quotas permitting.
    pub(crate) fn every(&self, job: Job) -> SignedDuration {
        match job {
            Job::Sync => SYNC_EVERY,
            Job::Lists => LISTS_EVERY,
            Job::Verify => self.rules.verify_every,
            Job::Team => self.team_every(),
            Job::Changes => self.changes_every(),
        }
    }

    fn next_of(&self, job: Job) -> Next {
        let (due, why) = self.due(job);
        let mut next = Next { job, at: due.max(self.now), why };
        let Some(task) = self.tasks.get(&job) else { return next };
        for (pool, requests) in &task.cost {
            let Some(state) = self.pools.get(pool) else { continue };
            // What is due after the reset finds the pool full.
            let Some(resets_at) = state.resets_at().filter(|at| *at > next.at) else { continue };
            if !self.affords(job, *pool, state, *requests) {
                (next.at, next.why) = (resets_at, Why::Reset(*pool));
            }
        }
        next
    }

    fn due(&self, job: Job) -> (Timestamp, Why) {
        let task = self.tasks.get(&job);
        let Some(last) = task.and_then(|task| task.last) else { return (self.now, Why::First) };
        let (pause, why) = match task.map_or(0, |task| task.failures) {
            0 => {
                if job == Job::Changes
                    && let Some((pool, reset)) = self.spent_pool()
                {
                    return (reset, Why::Reset(pool));
                }
                let every = self.every(job);
                (every, Why::Every(every))
            }
            failures => (longer_and_longer(failures, HOUR), Why::Again(failures)),
        };
        (last.saturating_add(pause).unwrap_or(last), why)
    }

    /// Whether a pool has enough for a run in its present hour, and for those that must come before it. A run that
    /// takes more than any hour allows begins with a full one.
    fn affords(&self, job: Job, pool: Pool, state: &PoolState, requests: u32) -> bool {
        let requests = i64::from(requests);
        let budget = state.budget(self.rules.share);
        if requests > budget {
            return job.is_worth_an_hour() && state.ours() == 0 && state.is_untouched();
        }
        let until = state.resets_at().unwrap_or(self.now);
        requests <= self.left_for(job, pool, state, until)
    }

    /// What is free of a pool until then, less what runs take that go before this one, and fit.
    fn left_for(&self, job: Job, pool: Pool, state: &PoolState, until: Timestamp) -> i64 {
        let mut free = state.free(self.rules.share);
        for (job, task) in self.tasks.range(..job) {
            let requests = i64::from(task.cost.get(&pool).copied().unwrap_or_default());
            let due = self.due(*job).0.max(self.now);
            if requests == 0 || due >= until {
                continue;
            }
            let every = self.every(*job).as_secs().max(1);
            let times = 1 + until.duration_since(due).as_secs() / every;
            free -= requests * times.min((free / requests).max(0));
        }
        free
    }

    /// What is left of each pool for changes, evenly over what is left of its hour.
    fn changes_every(&self) -> SignedDuration {
        let every = self.changes_left().map(|(_, end, times)| {
            let seconds = end.duration_since(self.now).as_secs();
            // Without any left, the first of the next hour.
            let times = times.max(1);
            SignedDuration::from_secs((seconds + times - 1) / times)
        });
        every.max().unwrap_or(HOUR).clamp(LEAST, HOUR)
    }

    /// The pool that has nothing left for changes in this hour, and its end.
    fn spent_pool(&self) -> Option<(Pool, Timestamp)> {
        let spent = self.changes_left().filter(|(_, _, times)| *times < 1);
        spent.map(|(pool, end, _)| (pool, end)).max_by_key(|(_, end)| *end)
    }

    /// Of each pool that changes need, the end of its hour, and how often they may still be asked for in it.
    fn changes_left(&self) -> impl Iterator<Item = (Pool, Timestamp, i64)> {
        let cost = self.tasks.get(&Job::Changes).into_iter().flat_map(|task| &task.cost);
        cost.map(|(pool, requests)| {
            let state = self.pools.get(pool).copied().unwrap_or_default();
            let hour = || self.now.saturating_add(HOUR).unwrap_or(self.now);
            let end = state.resets_at().unwrap_or_else(hour);
            let left = self.left_for(Job::Changes, *pool, &state, end);
            (*pool, end, left / i64::from(*requests).max(1))
        })
    }

    /// So often that the team takes no more than half of what lists leave.
    fn team_every(&self) -> SignedDuration {
        let Some(task) = self.tasks.get(&Job::Team) else { return HOUR };
        let fits = |minutes: &i64| {
            task.cost.iter().all(|(pool, requests)| {
                let unknown = PoolState::default();
                let state = self.pools.get(pool).unwrap_or(&unknown);
                let lists = self.tasks.get(&Job::Lists).and_then(|lists| lists.cost.get(pool));
                let lists = i64::from(lists.copied().unwrap_or_default()) * 2;
                let rest = (state.budget(self.rules.share) - lists) / 2;
                i64::from(*requests) * 60 <= rest * minutes
            })
        };
        let minutes = TEAM_EVERY.into_iter().find(fits).unwrap_or(24 * 60);
        SignedDuration::from_mins(minutes)
    }

    /// Time goes on. A clock that is set back moves all that is known of time with it.
    fn tick(&mut self, now: Timestamp) {
        let back = self.now.duration_since(now);
        if back > SignedDuration::from_secs(1) {
            let moved = |at: Timestamp| at.saturating_sub(back).unwrap_or(at);
            for task in self.tasks.values_mut() {
                task.last = task.last.map(moved);
            }
            for pool in self.pools.values_mut() {
                pool.shift(moved);
            }
            if let Some(hold) = &mut self.hold {
                hold.until = moved(hold.until);
            }
        }
        self.now = now;
        for pool in self.pools.values_mut() {
            pool.roll(now);
        }
    }
}

/// [`PAUSE`], doubled so often.
fn longer_and_longer(times: u32, longest: SignedDuration) -> SignedDuration {
    PAUSE.saturating_mul(1 << times.min(6)).min(longest)
}
