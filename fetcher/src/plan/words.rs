//! The plan in words.

use std::fmt;
use std::time::Duration;

use jiff::SignedDuration;

use super::{Cost, Job, Plan, Pool, Why};

impl Plan {
    /// What it spends, and on what.
    pub(crate) fn words(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.pools().map(|pool| self.words_of_pool(pool)).collect();
        lines.extend(self.tasks.iter().map(|(job, task)| self.words_of_job(*job, &task.cost)));
        lines
    }

    /// Each pool that a run takes something of.
    fn pools(&self) -> impl Iterator<Item = Pool> {
        let pools: std::collections::BTreeSet<Pool> =
            self.tasks.values().flat_map(|task| task.cost.keys().copied()).collect();
        pools.into_iter()
    }

    fn words_of_pool(&self, pool: Pool) -> String {
        let state = self.pools.get(&pool).copied().unwrap_or_default();
        let (budget, total) = (state.budget(self.rules.share), state.total());
        let others = match state.others() {
            0 => String::new(),
            others if state.is_watched() => format!(", {others} are somebody else's"),
            others => format!(", {others} of this hour's are spent"),
        };
        format!("Of {pool} at most {budget} an hour (of {total}{others})")
    }

    fn words_of_job(&self, job: Job, cost: &Cost) -> String {
        let what = match job {
            Job::Sync => "Everything, whole",
            Job::Lists => "What has changed of the lists",
            Job::Verify => "Toggl's own sums against the tables",
            Job::Team => "Everybody's entries of the last days",
            Job::Changes => "What has changed of your entries",
        };
        let requests: u32 = cost.values().sum();
        let requests = if requests == 1 { "1 request" } else { &format!("{requests} requests") };
        format!("{what}: about every {}, {requests}", rounded(self.every(job)))
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::First => f.write_str("it has not run yet"),
            Self::Every(every) => write!(f, "it comes about every {}", rounded(*every)),
            Self::Again(1) => f.write_str("the last one failed"),
            Self::Again(failures) => write!(f, "the last {failures} failed"),
            Self::Unreachable => f.write_str("NATS or Postgres is out of reach"),
            Self::Reset(pool) => write!(f, "{pool} last until then"),
        }
    }
}

/// To ten seconds, and what is longer to the minute.
fn rounded(duration: SignedDuration) -> humantime::FormattedDuration {
    let seconds = duration.as_secs().unsigned_abs();
    let step = if seconds < 600 { 10 } else { 60 };
    humantime::format_duration(Duration::from_secs(seconds.div_ceil(step) * step))
}
