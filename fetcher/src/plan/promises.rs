//! How long it takes at most until a run comes again, as far as that can be foreseen.

use std::ops::RangeBounds;

use jiff::SignedDuration;
use shared::catalogue::CATALOGUE;
use shared::resource::{Paging, Resource, Scope};

use super::{HOUR, Job, Plan, Pool};
use crate::promise::Promise;

impl Plan {
    /// How old each table gets at most, of those that the plan's runs read.
    pub(crate) fn promise(&self) -> Promise {
        let read = CATALOGUE.iter().map(|resource| (resource, Job::reading(resource)));
        let read = read.filter(|(_, job)| self.tasks.contains_key(job));
        Promise::of_each(read.map(|(resource, job)| (resource, self.longest(job))))
    }

    /// From the beginning of one run to that of the next. Where somebody else suddenly takes what was left of a quota,
    /// it takes longer, and the run after that knows.
    pub(super) fn longest(&self, job: Job) -> SignedDuration {
        let every = self.every(job);
        match job {
            Job::Changes => {
                // The last one of an hour is followed by the first one of the next.
                let last = self.changes_left().filter(|(_, _, times)| *times < 2);
                let until = last.map(|(_, end, _)| end.duration_since(self.now));
                every.max(until.max().unwrap_or_default()).max(self.changes_in_a_full_hour())
            }
            // One that does not fit into what is left of an hour waits for the next.
            _ if self.fits_always(job) => every,
            _ => every.saturating_add(HOUR),
        }
    }

    /// How often changes are asked for in an hour in which everything else comes, too.
    fn changes_in_a_full_hour(&self) -> SignedDuration {
        let cost = self.tasks.get(&Job::Changes).into_iter().flat_map(|task| &task.cost);
        let every = cost.map(|(pool, requests)| {
            let left = self.left_of_a_full_hour(*pool, ..Job::Changes);
            let times = (left / i64::from(*requests).max(1)).max(1);
            SignedDuration::from_secs((HOUR.as_secs() + times - 1) / times)
        });
        every.max().unwrap_or_default()
    }

    /// Whether every hour has room for it and for what goes before it.
    fn fits_always(&self, job: Job) -> bool {
        let mut pools = self.tasks.get(&job).into_iter().flat_map(|task| task.cost.keys());
        pools.all(|pool| self.left_of_a_full_hour(*pool, ..=job) >= 0)
    }

    /// What these runs leave of an hour in which all of them come as often as they can.
    fn left_of_a_full_hour(&self, pool: Pool, jobs: impl RangeBounds<Job>) -> i64 {
        let needed = self.tasks.range(jobs).map(|(job, task)| {
            let requests = i64::from(task.cost.get(&pool).copied().unwrap_or_default());
            requests * (1 + HOUR.as_secs() / self.every(*job).as_secs().max(1))
        });
        let state = self.pools.get(&pool).copied().unwrap_or_default();
        state.budget(self.rules.share) - needed.sum::<i64>()
    }
}

impl Job {
    /// The run that reads a table most often.
    const fn reading(resource: &Resource) -> Self {
        match (resource.paging, resource.scope) {
            (Paging::Windows, _) => Self::Changes,
            (Paging::Report, _) => Self::Team,
            (Paging::Sums, _) => Self::Verify,
            (_, Scope::Account) => Self::Sync,
            (_, Scope::Workspace) => Self::Lists,
        }
    }
}
